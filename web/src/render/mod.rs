//! Pixels for the screen, computed without a browser.

pub mod grey;
pub mod heat;
pub mod viewport;
pub mod volume;
pub mod window;

pub use grey::{Grey, Grey16};
pub use viewport::Viewport;
pub use window::{Polarity, Window};
