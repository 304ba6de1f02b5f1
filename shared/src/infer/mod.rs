//! Trained models, compiled for speed: batch norm folded, weights packed, memory laid out ahead.

pub mod fusion_unet;
pub mod hemis;
mod program;
#[cfg(test)]
mod random;
pub mod resnet;
pub mod segmenter;
mod tensors;
pub mod unet;
pub mod volume_segmenter;
pub mod xray;

pub use segmenter::SegmenterPlan;
pub use volume_segmenter::{Flow, Outline, PreparedScan, Segmentation, VolumeSegmenter};
pub use xray::XrayClassifier;
