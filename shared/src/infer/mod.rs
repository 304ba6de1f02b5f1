//! Trained models, compiled for speed: batch norm folded, weights packed, memory laid out ahead.

mod critic;
mod dense;
pub mod fusion_unet;
pub mod hemis;
pub mod input_check;
pub mod prepared_scan;
mod program;
#[cfg(test)]
mod random;
pub mod report;
pub mod resnet;
pub mod segmenter;
mod subspace;
mod tensors;
mod text;
pub mod unet;
pub mod volume_segmenter;
pub mod xray;

pub use input_check::{Checked, InputCheck, Reason};
pub use prepared_scan::{PreparedScan, PreparedVolume};
pub use report::{Agreement, ReadReport};
pub use segmenter::SegmenterPlan;
pub use volume_segmenter::{Flow, Outline, Segmentation, VolumeSegmenter};
pub use xray::{ActivationMap, Examined, FeatureMap, XrayClassifier};
