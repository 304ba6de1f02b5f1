//! The page and `cmim predict` give the same scores.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use shared::Finding;
use xtask::process::root;
use xtask::serve::Weights;

use crate::files::{NamedFile, dicom, jpeg, samples};
use crate::session::{Session, answer};

/// Largest difference of two scores.
const TOLERANCE: f64 = 1e-3;

/// A line of `cmim predict --json`.
#[derive(Deserialize)]
struct Prediction {
    file: PathBuf,
    findings: BTreeMap<String, f64>,
}

/// What the program says about the files.
fn predict(files: &[PathBuf]) -> Vec<Prediction> {
    let cmim = std::env::var_os("CMIM_BIN").expect("CMIM_BIN names the program: run `cargo xtask test browser`");
    let model = root().join("static/models/xray");
    let output =
        Command::new(cmim).arg("predict").args(files).arg("--model").arg(model).arg("--json").output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("text");
    lines.lines().map(|line| serde_json::from_str(line).expect("a prediction a line")).collect()
}

fn write(folder: &Path, (name, bytes): &NamedFile) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("writes");
    path
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn page_and_program_agree() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = samples();
    files.extend([jpeg(), dicom()]);
    let paths: Vec<PathBuf> = files.iter().map(|file| write(folder.path(), file)).collect();
    let predictions = predict(&paths);
    assert_eq!(predictions.len(), files.len());

    let session = Session::start(Weights::AtOnce);
    let page = session.open_ready();
    for ((file, path), prediction) in files.iter().zip(&paths).zip(&predictions) {
        assert_eq!(&prediction.file, path);
        assert_eq!(prediction.findings.len(), Finding::COUNT);
        for row in answer(&page, &file.0, &file.1) {
            let score = prediction.findings[&row.finding];
            assert!((score - row.score).abs() <= TOLERANCE, "{} {}: {score} and {}", file.0, row.finding, row.score);
        }
    }
}
