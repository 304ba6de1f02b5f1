//! What several parts of the page show.

pub mod drop_zone;
pub mod dropped;

pub use drop_zone::{DropZone, Kinds, Manner};
pub use dropped::path_of;
