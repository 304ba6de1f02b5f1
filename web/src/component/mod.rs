//! What several parts of the page show.

pub mod drop_zone;

pub use drop_zone::{DropZone, Manner};
