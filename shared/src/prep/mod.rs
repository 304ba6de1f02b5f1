//! What happens to an image or a report before a model sees it: one definition for the trainer and the page.

pub mod image;
pub mod report;
pub mod word_vectors;
