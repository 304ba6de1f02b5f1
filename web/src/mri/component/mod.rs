//! What a person sees of the workbench.

pub mod answer;
pub mod display;
pub mod files;
pub mod page;
pub mod samples;
pub mod viewer;
mod words;

pub use page::MriPage;
