//! `cargo xtask bench`: how fast this project is, always beside a peer and in the same run.

pub mod duel;
pub mod gpu;
pub mod infer;
pub mod kernel;
pub mod peer;
pub mod train;
pub mod volume;
pub mod web;

/// To three decimals: more would pretend to a precision that no clock here has.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
