//! Trained models, compiled for speed: batch norm folded, weights packed, memory laid out ahead.

mod program;
pub mod resnet;
pub mod xray;

pub use xray::XrayClassifier;
