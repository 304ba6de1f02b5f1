//! `cargo xtask bench`: how fast this project is, always beside a peer and in the same run.

pub mod peer;
pub mod web;
