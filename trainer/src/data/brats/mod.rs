//! BRATS: scans of brain tumours in four MRI sequences, in the folders in which each edition comes.

mod decathlon;
mod layout;
mod names;
mod read;

pub use layout::{Layout, Listing, Scan, VolumeFile, discover};
pub use read::{read, read_file, read_truth};
