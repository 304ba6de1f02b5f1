//! The peers in the browser and the files they run: fetched and made once, in cargo's build folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::{command, root, run, version};

/// What the browser loads of each package: its folder, the files, and where they go.
const PACKAGES: [(&str, &[&str], &str); 3] = [
    ("onnxruntime-web/dist", &["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"], "ort"),
    ("@tensorflow/tfjs-core/dist", &["tf-core.min.js"], "tfjs"),
    ("@tensorflow/tfjs-backend-wasm/dist", &["tf-backend-wasm.min.js", "tfjs-backend-wasm-simd.wasm"], "tfjs"),
];

/// A Python that can write ONNX files.
pub struct Python(PathBuf);

/// A network, for the script that writes its ONNX file.
pub struct Network<'a> {
    /// Kind, architecture, size and outputs, in JSON.
    pub description: &'a str,
    /// Where the weights come from.
    pub values: Values,
    /// The weights.
    pub weights: &'a Path,
    /// The ONNX file to write.
    pub onnx: &'a Path,
    /// The file to write for peers that read no ONNX: safetensors with batch norm folded in.
    pub folded: &'a Path,
}

/// Whether a network's weights are there or made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Read from the file.
    Stored,
    /// Drawn at random, and written to the file.
    Random,
}

impl Python {
    /// Makes an environment with the packages that a file in `tests/peers` lists, unless it is there already.
    ///
    /// # Errors
    ///
    /// If there is no Python or the packages cannot be fetched; the message says what to do.
    pub fn get(folder: &Path, requirements: &str) -> Result<Self> {
        let requirements = root().join("tests/peers").join(requirements);
        let wanted =
            fs::read_to_string(&requirements).with_context(|| format!("reading {}", requirements.display()))?;
        let venv = folder.join("venv");
        let (python, installed) = (venv.join("bin/python"), venv.join("installed.txt"));
        if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
            return Ok(Self(python));
        }
        run(command("python3").args(["-m", "venv", "--clear"]).arg(&venv)).context(
            "Python 3.11 or newer with venv is needed: `sudo apt-get install python3-venv` (Debian, Ubuntu), \
             `sudo dnf install python3` (Fedora), `brew install python` (macOS)",
        )?;
        run(command(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements))?;
        fs::write(&installed, wanted).with_context(|| format!("writing {}", installed.display()))?;
        Ok(Self(python))
    }

    /// The interpreter.
    pub fn program(&self) -> &Path {
        &self.0
    }

    /// Writes the ONNX file of a network, and its weights if they are to be random.
    ///
    /// # Errors
    ///
    /// If the weights are not the network's.
    pub fn write_onnx(&self, network: &Network) -> Result<()> {
        let mut script = command(&self.0);
        script.arg("tests/peers/onnx_network.py").args(["--network", network.description]);
        script.arg("--weights").arg(network.weights).arg("--onnx").arg(network.onnx);
        script.arg("--folded").arg(network.folded);
        if network.values == Values::Random {
            script.args(["--random", "1"]);
        }
        run(&mut script)
    }
}

/// Fetches the packages in the versions that `tests/peers/package-lock.json` names, and copies what the browser loads
/// of them.
///
/// # Errors
///
/// If npm is missing or a package cannot be fetched; the message says what to do.
pub fn copy_packages(folder: &Path, to: &Path) -> Result<()> {
    if version("npm").is_none() {
        bail!(
            "npm is needed for ONNX Runtime Web and TensorFlow.js: `sudo apt-get install npm` (Debian, Ubuntu), \
             `sudo dnf install npm` (Fedora), `brew install node` (macOS)"
        );
    }
    let npm = folder.join("npm");
    fs::create_dir_all(&npm).with_context(|| format!("creating {}", npm.display()))?;
    for name in ["package.json", "package-lock.json"] {
        copy(&root().join("tests/peers").join(name), &npm.join(name))?;
    }
    run(command("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
        .arg(&npm))?;
    for (package, files, place) in PACKAGES {
        for name in files {
            copy(&npm.join("node_modules").join(package).join(name), &to.join(place).join(name))?;
        }
    }
    Ok(())
}

/// Copies a file, into a folder that is created where needed.
///
/// # Errors
///
/// If that fails; names both files.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let copy = || {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        fs::copy(from, to)
    };
    copy().map(drop).with_context(|| format!("copying {} to {}", from.display(), to.display()))
}
