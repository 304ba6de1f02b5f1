//! The pages. Today there is one.

pub mod xray;

pub use xray::XrayPage;
