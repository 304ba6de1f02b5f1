//! ONNX Runtime Web and the ONNX files it runs: fetched and made once, in cargo's build folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::{command, root, run, version};

/// The files of ONNX Runtime Web that its WebAssembly back end loads.
pub const ORT_FILES: [&str; 3] = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];

/// A Python that can write ONNX files.
pub struct Python(PathBuf);

/// The network of a case, for the script that writes its ONNX file.
pub struct Network<'a> {
    /// As in a model card, in JSON.
    pub architecture: &'a str,
    /// Height and width of the input.
    pub size: u64,
    /// Number of logits.
    pub outputs: u64,
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
    /// Makes an environment with the packages of `tests/peers/requirements.txt`, unless it is there already.
    ///
    /// # Errors
    ///
    /// If there is no Python or the packages cannot be fetched; the message says what to do.
    pub fn get(folder: &Path) -> Result<Self> {
        let requirements = root().join("tests/peers/requirements.txt");
        let wanted = fs::read_to_string(&requirements).context("reading tests/peers/requirements.txt")?;
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

    /// Writes the ONNX file of a network, and its weights if they are to be random.
    ///
    /// # Errors
    ///
    /// If the weights are not the network's.
    pub fn write_onnx(&self, network: &Network, values: Values, weights: &Path, onnx: &Path) -> Result<()> {
        let mut script = command(&self.0);
        script.arg("tests/peers/onnx_resnet.py").args(["--architecture", network.architecture]);
        script.args(["--size", &network.size.to_string(), "--outputs", &network.outputs.to_string()]);
        script.arg("--weights").arg(weights).arg("--onnx").arg(onnx);
        if values == Values::Random {
            script.args(["--random", "1"]);
        }
        run(&mut script)
    }
}

/// Fetches the version of ONNX Runtime Web that `tests/peers/package-lock.json` names, and copies [`ORT_FILES`].
///
/// # Errors
///
/// If npm is missing or the package cannot be fetched; the message says what to do.
pub fn copy_onnxruntime(folder: &Path, to: &Path) -> Result<()> {
    if version("npm").is_none() {
        bail!(
            "npm is needed for ONNX Runtime Web: `sudo apt-get install npm` (Debian, Ubuntu), \
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
    for name in ORT_FILES {
        copy(&npm.join("node_modules/onnxruntime-web/dist").join(name), &to.join(name))?;
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
