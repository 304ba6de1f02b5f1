//! `cargo xtask bench volume`: a volume from its compressed file to what a network takes, beside nibabel and NumPy.

use std::fs;

use anyhow::{Context, Result};
use serde_json::json;

use super::duel::{Contestant, agree, fight};
use super::peer::Python;
use super::rounded;
use crate::process::{cargo, command, root, run, target_dir};

/// Runs that are measured, after the first and one more that are not.
const ROUNDS: usize = 11;
const WARM_UP: usize = 1;
/// Holds the peer to one thread: NumPy's own loops have no more, its libraries might.
const THREADS: [(&str, &str); 2] = [("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1")];

/// Measures, and prints a line for people and one of JSON for programs.
///
/// # Errors
///
/// If nibabel cannot be installed, a program fails, or the two disagree about the voxels.
pub fn measure() -> Result<()> {
    let folder = target_dir()?.join("bench-volume");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let python = Python::get(&folder, "nibabel.txt")?;
    run(cargo().args(["build", "--release", "--package", "shared", "--example", "volume"]))?;
    let (script, file) = (root().join("tests/peers/volume.py"), folder.join("volume.nii.gz"));
    run(command(python.program()).arg(&script).arg("--write").arg(&file))?;
    let mut ours = command(target_dir()?.join("release/examples/volume"));
    let mut peer = command(python.program());
    peer.arg(&script).envs(THREADS);
    for program in [&mut ours, &mut peer] {
        program.arg(&file);
    }
    let both = [Contestant::start("this project", &mut ours)?, Contestant::start("nibabel", &mut peer)?];
    let [ours, peer] = fight(both, WARM_UP, ROUNDS)?;
    agree(&ours.values("values")?, &peer.values("values")?)?;
    let (o, p) = (ours.median(), peer.median());
    println!(
        "\n240 x 240 x 155 voxels from .nii.gz to standardized values, one thread, medians of {ROUNDS} interleaved runs:\n\
         this project {o:.0} ms, nibabel and NumPy {p:.0} ms, ratio {:.2}\n",
        o / p
    );
    let line = json!({
        "bench": "volume", "case": "nifti-gzip-240x240x155", "threads": 1, "peer": "nibabel",
        "ratio": rounded(o / p), "ours_ms": rounded(o), "peer_ms": rounded(p), "first_call": rounded(ours.first / o),
    });
    println!("{line}");
    Ok(())
}
