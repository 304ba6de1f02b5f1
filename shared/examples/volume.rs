//! One MRI volume read and standardized after the other, on one thread: this project's side of
//! `cargo xtask bench volume`.
//!
//! `volume FILE`: every line on standard input asks for one run; the answer is a line of JSON with the milliseconds and
//! some of the voxels. When the input ends, a last line says so. The peer is `tests/peers/volume.py`.

mod contestant;

use std::error::Error;

use shared::io::{Volume, read_volume};
use shared::prep::volume::normalize;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [file] = words.as_slice() else { return Err("usage: volume FILE".into()) };
    contestant::serve("values", &mut Vec::new(), |voxels| {
        *voxels = standardized(file)?;
        Ok(voxels)
    })
}

fn standardized(file: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    let Volume { geometry, mut voxels } = read_volume(file, &std::fs::read(file)?)?.to_canonical();
    normalize(file, &geometry, &mut voxels)?;
    Ok(voxels)
}
