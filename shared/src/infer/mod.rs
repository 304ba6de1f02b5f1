//! Trained models, compiled for speed: batch norm folded, weights packed, memory laid out ahead.

pub mod hemis;
mod program;
#[cfg(test)]
mod random;
pub mod resnet;
mod tensors;
pub mod unet;
pub mod xray;

pub use xray::XrayClassifier;
