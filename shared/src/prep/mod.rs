//! What happens to an image, a volume or a report before a model sees it: one definition for the trainer and the page.

pub mod image;
pub mod report;
pub mod volume;
pub mod word_vectors;
pub mod words;
