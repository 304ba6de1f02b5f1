//! The worker, which holds the model, and how the page talks to it.

pub mod client;
pub mod fetch;
pub mod protocol;
pub mod reader;
pub mod run;
