//! A training step, the same in the trainer and in the page: the losses of a batch, their gradients, and Adam.

pub mod adam;
pub mod losses;
pub mod targets;

pub use adam::{Adam, Moments, Trained};
pub use losses::{Losses, MiGradient, gradients};
pub use targets::{PairedBatch, Targets};
