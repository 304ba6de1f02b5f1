//! `cargo xtask bench train`: this project's training step beside PyTorch's, on the CPU, in time and in memory.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::duel::{Contestant, Times, fight};
use super::peer::Python;
use super::rounded;
use crate::process::{cargo, command, root, run, target_dir};

const CASES: [&str; 2] = ["resnet50-224", "unet-240"];
/// Steps that are measured, after the first and one more that are not.
const ROUNDS: usize = 7;
const WARM_UP: usize = 1;

/// One line of the result.
struct Row {
    case: &'static str,
    threads: usize,
    ours: Times,
    peer: Times,
}

/// Measures, and prints a table for people and one line of JSON a row for programs.
///
/// # Errors
///
/// If PyTorch cannot be installed or a program fails.
pub fn measure_all() -> Result<()> {
    let python = Python::get(&target_dir()?.join("bench-train"), "torch.txt")?;
    run(cargo().args(["build", "--release", "--package", "trainer", "--example", "train_step"]))?;
    let ours = target_dir()?.join("release/examples/train_step");
    let mut rows = Vec::new();
    for case in CASES {
        for threads in [1, 2] {
            let threads_text = threads.to_string();
            let mut our_step = command(&ours);
            // candle's own elementwise operations have threads of their own, whose number this says.
            our_step.args([case, &threads_text]).env("RAYON_NUM_THREADS", &threads_text);
            let mut peer_step = command(python.program());
            peer_step.arg(root().join("tests/peers/train_step.py")).args([case, &threads_text]);
            let both =
                [Contestant::start("this project", &mut our_step)?, Contestant::start("PyTorch", &mut peer_step)?];
            let [ours, peer] = fight(both, WARM_UP, ROUNDS).with_context(|| format!("{case}, {threads} threads"))?;
            for times in [&ours, &peer] {
                ensure!(times.last["loss"].as_f64().is_some_and(f64::is_finite), "a loss of {}", times.last["loss"]);
            }
            rows.push(Row { case, threads, ours, peer });
        }
    }
    print(&rows)
}

fn print(rows: &[Row]) -> Result<()> {
    println!("\nForward, backward and Adam on the CPU, medians of {ROUNDS} interleaved steps; peak resident memory.");
    println!(
        "{:<16}{:>8}{:>11}{:>13}{:>8}{:>12}{:>14}{:>8}",
        "case", "threads", "ours, ms", "PyTorch, ms", "ratio", "ours, MiB", "PyTorch, MiB", "ratio"
    );
    let mut lines = Vec::new();
    for Row { case, threads, ours, peer } in rows {
        let memory =
            |times: &Times| times.end["peak_bytes"].as_f64().context("no peak memory").map(|b| b / f64::from(1 << 20));
        let (o, p, o_memory, p_memory) = (ours.median(), peer.median(), memory(ours)?, memory(peer)?);
        println!(
            "{case:<16}{threads:>8}{o:>11.0}{p:>13.0}{:>8.2}{o_memory:>12.0}{p_memory:>14.0}{:>8.2}",
            o / p,
            o_memory / p_memory
        );
        lines.push(json!({
            "bench": "train", "case": case, "threads": threads, "peer": "pytorch",
            "ratio": rounded(o / p), "ours_ms": rounded(o), "peer_ms": rounded(p),
            "first_call": rounded(ours.first / o),
            "memory_ratio": rounded(o_memory / p_memory), "ours_mib": rounded(o_memory), "peer_mib": rounded(p_memory),
        }));
    }
    println!();
    for line in lines {
        println!("{line}");
    }
    Ok(())
}
