//! `cargo xtask bench kernel`: what the kernels reach of this machine's peak, the multiply-adds of registers alone.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::rounded;
use crate::process::{cargo, run, target_dir};

/// Name of the register-only sums.
const PEAK: &str = "peak";

/// One line of the result.
struct Row {
    name: String,
    gflops: f64,
}

/// Measures, and prints a table for people and one line of JSON a row for programs.
///
/// # Errors
///
/// If the benchmark fails, or what it wrote is not there.
pub fn measure_all() -> Result<()> {
    let folder = target_dir()?.join("criterion/kernel");
    if folder.exists() {
        // Kernels that are measured no more would be printed, too.
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    run(cargo().args(["bench", "--package", "shared", "--bench", "kernel"]))?;
    let mut rows = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
        let folder = entry?.path().join("new");
        if folder.is_dir() {
            rows.push(Row::read(&folder)?);
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let peak = rows.iter().find(|row| row.name == PEAK).context("the peak was not measured")?.gflops;
    print(&rows, peak);
    Ok(())
}

impl Row {
    /// What criterion wrote about one kernel.
    fn read(folder: &Path) -> Result<Self> {
        let read = |name: &str| -> Result<Value> {
            let file = folder.join(name);
            let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            serde_json::from_str(&text).with_context(|| format!("reading {}", file.display()))
        };
        Self::of(&read("benchmark.json")?, &read("sample.json")?)
            .with_context(|| format!("{} lacks a number", folder.display()))
    }

    /// The fastest sample counts: whatever else the machine does can only make a kernel slower than it is, and the peak
    /// and a kernel are not measured at the same time.
    fn of(benchmark: &Value, sample: &Value) -> Option<Self> {
        let operations = benchmark["throughput"]["Elements"].as_f64()?;
        let runs = sample["iters"].as_array()?.iter().zip(sample["times"].as_array()?);
        let nanoseconds = runs.filter_map(|(runs, time)| Some(time.as_f64()? / runs.as_f64()?)).reduce(f64::min)?;
        Some(Self { name: benchmark["function_id"].as_str()?.to_owned(), gflops: operations / nanoseconds })
    }
}

fn print(rows: &[Row], peak: f64) {
    println!(
        "\nOne thread, the fastest of 20 samples; of the peak: the share of what multiply-adds in registers alone reach."
    );
    println!("Winograd's convolutions count the operations of the direct sum.");
    println!("{:<32}{:>10}{:>14}", "kernel", "GFLOP/s", "of the peak");
    for Row { name, gflops } in rows {
        println!("{name:<32}{gflops:>10.1}{:>14.2}", gflops / peak);
    }
    println!();
    for Row { name, gflops } in rows {
        let ratio = rounded(gflops / peak);
        let line = json!({
            "bench": "kernel", "case": name, "threads": 1, "gflops": rounded(*gflops), "peak_gflops": rounded(peak),
            "ratio": ratio,
        });
        println!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_over_nanoseconds_are_gflops() {
        let benchmark = json!({ "function_id": "peak", "throughput": { "Elements": 3000 } });
        let sample = json!({ "iters": [1.0, 2.0, 3.0], "times": [30.0, 40.0, 75.0] });
        let row = Row::of(&benchmark, &sample).expect("complete");
        assert_eq!((row.name.as_str(), row.gflops), ("peak", 150.0));
        assert!(Row::of(&benchmark, &json!({})).is_none());
    }
}
