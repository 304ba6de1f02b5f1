//! Bytes to data. Nothing here opens a file: callers hand over the bytes and the name to use in messages.

pub mod card;
pub mod dicom;
pub mod format;
mod jpeg;
pub mod metaimage;
pub mod nifti;
mod png;
pub mod radiograph;
pub mod segmenter_card;
pub mod volume;
pub mod volume_format;
mod voxels;
pub mod weights;

pub use card::ModelCard;
pub use format::read_radiograph;
pub use radiograph::Radiograph;
pub use segmenter_card::SegmenterCard;
pub use volume::{Geometry, Orientation, Volume};
pub use volume_format::read_volume;
pub use weights::{Encoding, Weights};
