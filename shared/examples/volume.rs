//! One MRI volume read and standardized after the other, on one thread: this project's side of
//! `cargo xtask bench volume`.
//!
//! `volume FILE`: every line on standard input asks for one run; the answer is a line of JSON with the milliseconds and
//! some of the voxels. When the input ends, a last line says so. The peer is `tests/peers/volume.py`.

#![allow(clippy::print_stdout, reason = "the answers are what this program is for")]

use std::io::{Write as _, stdin, stdout};
use std::time::Instant;

use serde_json::{Value, json};
use shared::io::{Volume, read_volume};
use shared::prep::volume::normalize;

/// At most so many voxels are told.
const VOXELS: usize = 2048;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [file] = words.as_slice() else { return Err("usage: volume FILE".into()) };
    answer(&json!({ "ready": env!("CARGO_PKG_VERSION") }))?;
    for line in stdin().lines() {
        line?;
        let start = Instant::now();
        let voxels = standardized(file)?;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let some: Vec<f32> = voxels.iter().step_by(voxels.len().div_ceil(VOXELS)).copied().collect();
        answer(&json!({ "ms": ms, "values": some }))?;
    }
    answer(&json!({ "end": true }))
}

fn standardized(file: &str) -> Result<Vec<f32>, Box<dyn std::error::Error>> {
    let Volume { geometry, mut voxels } = read_volume(file, &std::fs::read(file)?)?.to_canonical();
    normalize(file, &geometry, &mut voxels)?;
    Ok(voxels)
}

fn answer(value: &Value) -> Result<(), Box<dyn std::error::Error>> {
    println!("{value}");
    Ok(stdout().flush()?)
}
