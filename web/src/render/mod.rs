//! Pixels for the screen, computed without a browser.

pub mod grey;
pub mod viewport;
pub mod window;

pub use grey::{Grey, Grey16};
pub use shared::render::{heat, volume};
pub use viewport::Viewport;
pub use window::{Polarity, Window};
