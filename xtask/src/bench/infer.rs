//! `cargo xtask bench infer`: this project's native inference beside ONNX Runtime's, on one thread.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::duel::{Contestant, Times, agree, fight};
use super::peer::{Network, Python, Values};
use super::rounded;
use crate::process::{cargo, command, root, run, target_dir};

/// Runs that are measured, after the first and [`WARM_UP`] more that are not.
const ROUNDS: usize = 21;
const WARM_UP: usize = 2;

/// The networks, as `tests/peers/onnx_network.py` and `shared/examples/infer.rs` read them.
fn cases() -> [(&'static str, Value); 2] {
    let resnet = json!({ "depth": 50, "width": 64, "in_channels": 3, "stem_pool": true });
    let unet = json!({ "in_channels": 1, "n_classes": 4, "widths": [32, 64, 128, 256] });
    [
        ("resnet50-224", json!({ "kind": "resnet", "architecture": resnet, "size": 224, "outputs": 1000 })),
        ("unet-240", json!({ "kind": "unet", "architecture": unet, "size": 240, "outputs": 4 })),
    ]
}

/// One line of the result.
struct Row {
    case: &'static str,
    ours: Times,
    peer: Times,
}

/// Measures, and prints a table for people and one line of JSON a row for programs.
///
/// # Errors
///
/// If ONNX Runtime cannot be installed, a program fails, or the two disagree about a network's logits.
pub fn measure_all() -> Result<()> {
    let folder = target_dir()?.join("bench-infer");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let python = Python::get(&folder, "onnxruntime.txt")?;
    run(cargo().args(["build", "--release", "--package", "shared", "--example", "infer"]))?;
    let rows = cases().into_iter().map(|(case, network)| measure(&folder, &python, case, &network));
    print(&rows.collect::<Result<Vec<_>>>()?);
    Ok(())
}

fn measure(folder: &Path, python: &Python, case: &'static str, network: &Value) -> Result<Row> {
    let description = network.to_string();
    let file = |ending: &str| folder.join(format!("{case}{ending}"));
    let (weights, onnx, folded) = (file(".safetensors"), file(".onnx"), file("-folded.safetensors"));
    let values = Values::Random;
    let network = Network { description: &description, values, weights: &weights, onnx: &onnx, folded: &folded };
    python.write_onnx(&network)?;
    let mut ours = command(target_dir()?.join("release/examples/infer"));
    ours.arg(&description).arg(&weights);
    let mut peer = command(python.program());
    peer.arg(root().join("tests/peers/infer.py")).arg(&onnx);
    let both = [Contestant::start("this project", &mut ours)?, Contestant::start("ONNX Runtime", &mut peer)?];
    let [ours, peer] = fight(both, WARM_UP, ROUNDS).with_context(|| format!("case {case}"))?;
    agree(&ours.values("logits")?, &peer.values("logits")?).with_context(|| format!("case {case}"))?;
    Ok(Row { case, ours, peer })
}

fn print(rows: &[Row]) {
    println!(
        "\nNative, one thread, medians of {ROUNDS} interleaved runs; the first call is this project's, over its median."
    );
    println!("{:<16}{:>10}{:>18}{:>8}{:>12}", "case", "ours, ms", "ONNX Runtime, ms", "ratio", "first call");
    for Row { case, ours, peer } in rows {
        let (o, p) = (ours.median(), peer.median());
        println!("{case:<16}{o:>10.1}{p:>18.1}{:>8.2}{:>12.2}", o / p, ours.first / o);
    }
    println!();
    for Row { case, ours, peer } in rows {
        let (o, p) = (ours.median(), peer.median());
        let line = json!({
            "bench": "infer",
            "case": case,
            "threads": 1,
            "peer": "onnxruntime",
            "ratio": rounded(o / p),
            "ours_ms": rounded(o),
            "peer_ms": rounded(p),
            "first_call": rounded(ours.first / o),
        });
        println!("{line}");
    }
}
