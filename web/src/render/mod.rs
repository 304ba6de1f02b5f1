//! Pixels for the screen, computed without a browser.

pub mod grey;

pub use grey::Grey;
