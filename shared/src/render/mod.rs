//! What a network says of an image, as pixels: for the page and for the report of a run.

pub mod heat;
pub mod volume;
