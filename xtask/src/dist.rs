//! The built page: `dist/` at the top of the project.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::process::{cargo, command, root, run};
use crate::simd::Simd;
use crate::tools;

/// What the page without model and samples may weigh, gzipped: 1.5 MB.
pub const MAX_GZIPPED_BYTES: usize = 1_500_000;

/// Where the built page lies.
pub fn folder() -> PathBuf {
    root().join("dist")
}

/// Builds the page in release, into [`folder`].
///
/// # Errors
///
/// If trunk is missing or fails.
pub fn build() -> Result<()> {
    build_into(&folder())
}

/// Builds the page in release, into another folder, which then holds nothing else.
///
/// # Errors
///
/// Those of [`build`].
pub fn build_into(folder: &Path) -> Result<()> {
    run(command("trunk").args(["build", "--release", "--dist"]).arg(folder)).context("building the page")?;
    build_relaxed_worker(folder).context("building the worker for relaxed-simd")?;
    list_for_service_worker(folder).context("listing the page's files for its service worker")
}

/// The line of the service worker that names the page's files.
const FILES_LINE: &str = r#"const { version, files } = { version: "", files: [] };"#;

/// Tells the service worker which files the page consists of, and their common hash: a page that changed is kept anew.
/// Models are kept by the page itself.
fn list_for_service_worker(folder: &Path) -> Result<()> {
    let script = folder.join("service-worker.js");
    let mut hash = Sha256::new();
    let mut names = vec!["./".to_owned()];
    for file in files_below(folder)? {
        let name = file.strip_prefix(folder)?.to_str().context("a name that is no UTF-8")?.replace('\\', "/");
        // Volumes are large; they are kept when they have been used.
        if file == script || name.starts_with("models/") || name.starts_with("samples/mri/") {
            continue;
        }
        hash.update(&name);
        hash.update(fs::read(&file).with_context(|| format!("reading {}", file.display()))?);
        names.push(name);
    }
    let version = format!("{:x}", hash.finalize());
    let line = format!("const {{ version, files }} = {};", json!({ "version": version, "files": names }));
    let text = fs::read_to_string(&script).with_context(|| format!("reading {}", script.display()))?;
    if !text.contains(FILES_LINE) {
        bail!("{} has no line `{FILES_LINE}`", script.display());
    }
    fs::write(&script, text.replacen(FILES_LINE, &line, 1)).with_context(|| format!("writing {}", script.display()))
}

/// Builds the worker a second time, as `worker-relaxed.js` and `worker-relaxed_bg.wasm` beside Trunk's `worker.js` and
/// `worker_bg.wasm`. A browser loads one of the two.
fn build_relaxed_worker(folder: &Path) -> Result<()> {
    let simd = Simd::RelaxedSimd;
    let mut build = cargo();
    build.args(["build", "--package", "web", "--bin", "worker", "--profile", "web", "--target", tools::WASM_TARGET]);
    simd.apply(&mut build)?;
    run(&mut build)?;
    let wasm = simd.target_dir()?.join(tools::WASM_TARGET).join("web/worker.wasm");
    run(command("wasm-bindgen")
        .args(["--target", "no-modules", "--no-typescript", "--out-name", "worker-relaxed", "--out-dir"])
        .arg(folder)
        .arg(wasm))
}

/// Programs that a visit need not load: the second build of the worker, of which a browser takes one, and the program that
/// trains in the page, which waits until training is asked for.
const NOT_AT_ONCE: [&str; 4] = ["worker-relaxed.js", "worker-relaxed_bg.wasm", "training.js", "training_bg.wasm"];

/// Checks that a visitor gets the page quickly, and prints its size.
///
/// # Errors
///
/// If the page is not built, or larger than [`MAX_GZIPPED_BYTES`].
pub fn check_size() -> Result<()> {
    if !folder().join("index.html").is_file() {
        bail!("{} holds no page: `cargo xtask test page` builds it", folder().display());
    }
    let mut total = 0;
    for file in &page_files(&folder())? {
        let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        let gzipped = gzipped_len(&bytes)?;
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_at_once = !NOT_AT_ONCE.contains(&name);
        total += if is_at_once { gzipped } else { 0 };
        let remark = if is_at_once { "" } else { " (not at once)" };
        println!("{gzipped:>9} bytes gzipped, {:>9} plain: {}{remark}", bytes.len(), file.display());
    }
    println!("{total:>9} bytes gzipped for a visit, {MAX_GZIPPED_BYTES} allowed");
    if total > MAX_GZIPPED_BYTES {
        bail!("the page without its weights is {total} bytes gzipped, more than {MAX_GZIPPED_BYTES}");
    }
    Ok(())
}

/// The page's own files below a folder, in order: HTML, scripts, WebAssembly and style sheets.
fn page_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = files_below(folder)?;
    files.retain(|file| {
        file.extension().is_some_and(|ending| ["html", "js", "wasm", "css"].iter().any(|own| ending == *own))
    });
    Ok(files)
}

/// All files below a folder, in order. Hidden folders, in which trunk keeps the remains of a build that failed, are no
/// part of the page.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Number of bytes after gzip at its usual level, 6, which is what servers send.
fn gzipped_len(bytes: &[u8]) -> Result<usize> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pages_own_files_count() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["models", ".stage"] {
            fs::create_dir(folder.path().join(name)).expect("creates");
        }
        for name in
            [".stage/web.js", "index.html", "web.wasm", "web.js", "models/w.safetensors", "sample.png", "style.css"]
        {
            fs::write(folder.path().join(name), "x").expect("writes");
        }
        let files = page_files(folder.path()).expect("lists");
        let names: Vec<_> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
        assert_eq!(names, ["index.html", "style.css", "web.js", "web.wasm"]);
    }

    #[test]
    fn repetition_compresses() {
        assert!(gzipped_len(&[b'a'; 10_000]).expect("compresses") < 100);
    }
}
