//! What the integration tests share: where files are.

pub mod golden;
pub mod layers;
pub mod segmentation;

use std::path::{Path, PathBuf};

/// Folder of the golden files and the scripts that make them.
pub fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Folder of real files that may not be passed on, where it is present: tests read it but never need it.
pub fn reference_data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    folder.is_dir().then_some(folder)
}
