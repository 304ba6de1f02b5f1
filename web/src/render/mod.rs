//! Pixels for the screen, computed without a browser.

pub mod grey;
pub mod volume;

pub use grey::Grey;
