//! `cargo xtask bench`: how fast this project is, always beside a peer and in the same run.

pub mod duel;
pub mod infer;
pub mod kernel;
pub mod peer;
pub mod train;
pub mod web;
