//! `cargo xtask bench`: how fast this project is, beside a peer in the same run where there is one.

pub mod duel;
pub mod gpu;
pub mod infer;
pub mod kernel;
pub mod page;
pub mod peer;
pub mod train;
pub mod volume;
pub mod web;

/// To three decimals: more would pretend to a precision that no clock here has.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
