//! What several parts of the page show.

pub mod canvas;
pub mod drop_zone;
pub mod dropped;

pub use canvas::draw;
pub use drop_zone::{DropZone, Kinds, Manner};
pub use dropped::{model_among, path_of};
