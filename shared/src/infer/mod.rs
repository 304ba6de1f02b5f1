//! Trained models, compiled for speed: batch norm folded, weights packed, memory laid out ahead.

pub mod fusion_unet;
pub mod hemis;
pub mod prepared_scan;
mod program;
#[cfg(test)]
mod random;
pub mod resnet;
pub mod segmenter;
mod tensors;
pub mod unet;
pub mod volume_segmenter;
pub mod xray;

pub use prepared_scan::{PreparedScan, PreparedVolume};
pub use segmenter::SegmenterPlan;
pub use volume_segmenter::{Flow, Outline, Segmentation, VolumeSegmenter};
pub use xray::XrayClassifier;
