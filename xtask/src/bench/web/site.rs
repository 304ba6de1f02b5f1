//! Everything that the browser loads: the built page, the engines and the networks.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::case::Case;
use crate::bench::peer::{self, Network, Python, copy};
use crate::process::{cargo, command, root, run, target_dir};
use crate::simd::Simd;
use crate::{dist, tools};

/// The documents and scripts of `tests/peers/web`.
const FILES: [&str; 8] = [
    "index.html",
    "bench.js",
    "worker.js",
    "ours.js",
    "onnxruntime.js",
    "tfjs.js",
    "tfjs_networks.js",
    "safetensors.js",
];

/// A folder with all of it; the engines and networks lie below `bench`.
pub(super) struct Site(PathBuf);

impl Site {
    /// Builds the page and the engines, fetches the peers and writes the networks.
    ///
    /// # Errors
    ///
    /// If something does not build, or Python, npm or a package is missing; the message says what to do.
    pub(super) fn build(cases: &[Case]) -> Result<Self> {
        let folder = target_dir()?.join("bench-web");
        let site = Self(folder.join("site"));
        dist::build_into(&site.0)?;
        let bench = site.0.join("bench");
        for name in FILES {
            copy(&root().join("tests/peers/web").join(name), &bench.join(name))?;
        }
        peer::copy_packages(&folder, &bench)?;
        for simd in Simd::ALL {
            build_engine(simd, &bench)?;
        }
        let python = Python::get(&folder, "onnx.txt")?;
        for case in cases {
            python.write_onnx(&Network {
                description: &case.network.to_string(),
                values: case.values,
                weights: &site.on_disk(&case.weights),
                onnx: &site.on_disk(&case.file(".onnx")),
                folded: &site.on_disk(&case.file(".folded")),
            })?;
        }
        Ok(site)
    }

    /// The top folder.
    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    fn on_disk(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

/// This project's engine alone, built as the page's is.
fn build_engine(simd: Simd, bench: &Path) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--package", "bench-engine", "--profile", "web", "--target", tools::WASM_TARGET]);
    simd.apply(&mut build)?;
    run(&mut build)?;
    let wasm = simd.target_dir()?.join(tools::WASM_TARGET).join("web/bench_engine.wasm");
    let folder = bench.join(format!("engine-{}", simd.name()));
    run(command("wasm-bindgen").args(["--target", "web", "--no-typescript", "--out-dir"]).arg(folder).arg(wasm))
}

/// The x-rays that the page offers, name and bytes.
pub(super) fn samples() -> Result<Vec<(String, Vec<u8>)>> {
    let folder = root().join("static/samples");
    let mut samples = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "png" || ending == "jpg") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            samples.push((name, fs::read(&path).with_context(|| format!("reading {}", path.display()))?));
        }
    }
    ensure!(!samples.is_empty(), "{} holds no PNG or JPEG file", folder.display());
    samples.sort();
    Ok(samples)
}
