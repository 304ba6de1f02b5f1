//! `cargo xtask cuda` and `bundle gpu`: the program for NVIDIA GPUs, built on machines without one.
//!
//! Where the system has no compiler of CUDA 13.0, NVIDIA's packages for Python are one. Three crates are changed for this build
//! alone, in copies: candle's kernels are compiled but for the quantized ones, which no network here has and which take
//! most of an hour; candle takes a gradient as it is where it would add it to zeros, which costs a fourth of a step, and
//! is not linked with CUDA's libraries; and those are looked for when the program starts, by the names of the versions that
//! it was built for, so that it starts on machines without them too.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process::{cargo, command, output, root, run, target_dir, version};

/// CUDA 13.0, which drivers from 580 on run; newer compilers write code that is too new for them.
const WHEELS: [&str; 5] = [
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-cccl==13.0.85",
];
/// What a compiler of that version says of itself.
const RELEASE: &str = "release 13.0";
/// The oldest devices with TF32 and bf16; newer ones compile the same code for themselves.
const COMPUTE_CAPABILITY: &str = "80";
/// What is left out of candle's kernels: sources, and the modules made of them.
const LEFT_OUT: [&str; 6] =
    ["src/moe", "src/mmq_gguf", "src/mmvq_gguf.cu", "src/quantized.cu", "src/conv.cu", "src/sort.cu"];
const LEFT_OUT_MODULES: [(&str, &str); 3] = [("CONV", "Conv"), ("QUANTIZED", "Quantized"), ("SORT", "Sort")];
/// What a bundle may weigh.
const BUNDLE_MAX_BYTES: u64 = 60 << 20;

/// Builds `cmim` for NVIDIA GPUs; where it lies.
///
/// # Errors
///
/// If something is missing that cannot be fetched; the message says what to do.
pub fn build() -> Result<PathBuf> {
    ensure!(cfg!(target_os = "linux"), "the program for NVIDIA GPUs is built on Linux");
    let folder = target_dir()?.join("cuda");
    fs::create_dir_all(&folder)?;
    let patched = [
        ("candle-kernels", patched_kernels(&folder)?),
        ("candle-core", patched_core(&folder)?),
        ("cudarc", patched_cudarc(&folder)?),
    ];
    let mut build = cargo();
    build.args(["build", "--release", "--package", "trainer", "--bin", "cmim", "--features", "cuda"]);
    build.arg("--target-dir").arg(folder.join("build"));
    build.args(["--config", "profile.release.strip=\"symbols\""]);
    for (name, path) in &patched {
        build.arg("--config").arg(format!("patch.crates-io.{name}.path={:?}", path.display().to_string()));
    }
    if env::var_os("CUDA_COMPUTE_CAP").is_none() {
        build.env("CUDA_COMPUTE_CAP", COMPUTE_CAPABILITY);
    }
    if version("nvcc").is_some_and(|text| text.contains(RELEASE)) {
        println!("Building with this system's CUDA compiler.");
    } else {
        let home = toolkit(&folder)?;
        use_toolkit(&mut build, &home)?;
    }
    let lock = root().join("Cargo.lock");
    let kept = fs::read(&lock).context("reading Cargo.lock")?;
    let built = run(&mut build);
    // The changed crates are written into it, with this machine's paths.
    fs::write(&lock, kept).context("restoring Cargo.lock")?;
    built?;
    let program = folder.join("build/release/cmim");
    println!(
        "{}: needs an NVIDIA driver of 580 or newer, cuDNN 9 and CUDA 13's libraries where it runs",
        program.display()
    );
    Ok(program)
}

/// A toolkit made of NVIDIA's packages for Python.
fn toolkit(folder: &Path) -> Result<PathBuf> {
    let site = folder.join("site");
    let home = site.join("nvidia/cu13");
    let done = folder.join("toolkit.txt");
    let wanted = WHEELS.join("\n");
    if fs::read_to_string(&done).is_ok_and(|text| text == wanted) {
        return Ok(home);
    }
    println!("Fetching CUDA's compiler, 0.1 GB, into {}", site.display());
    let mut pip = command("python3");
    pip.args(["-m", "pip", "install", "--no-deps", "--no-compile", "--upgrade", "--target"]).arg(&site).args(WHEELS);
    run(&mut pip).context("Python 3 with pip is needed: `sudo apt-get install python3-pip` (Debian, Ubuntu)")?;
    fs::write(&done, wanted)?;
    Ok(home)
}

/// The names that follow a word in a text.
fn words_after<'a>(text: &'a str, word: &str) -> impl Iterator<Item = &'a str> {
    let end = |rest: &str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    text.split(word).skip(1).map(move |rest| &rest[..end(rest)])
}

fn use_toolkit(build: &mut Command, home: &Path) -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(std::iter::once(home.join("bin")).chain(env::split_paths(&path)))?;
    build.env("PATH", path).env("CUDA_HOME", home).env("CUDA_PATH", home);
    Ok(())
}

/// The folder of a package of the CUDA build.
fn package(name: &str) -> Result<PathBuf> {
    let json = output(cargo().args(["metadata", "--format-version=1", "--features", "trainer/cuda"]))?;
    let metadata: Value = serde_json::from_str(&json).context("reading cargo's metadata")?;
    let packages = metadata["packages"].as_array().context("cargo's metadata names no packages")?;
    let manifest =
        packages.iter().find(|package| package["name"] == name).and_then(|package| package["manifest_path"].as_str());
    let manifest = Path::new(manifest.with_context(|| format!("the project does not depend on {name}"))?);
    Ok(manifest.parent().unwrap_or(manifest).to_owned())
}

/// candle's kernels without [`LEFT_OUT`].
fn patched_kernels(folder: &Path) -> Result<PathBuf> {
    let (from, to) = (package("candle-kernels")?, folder.join("candle-kernels"));
    let declared = read(&from.join("src/ffi.rs"))?;
    let change = |file: &Path, text: String| match file.to_str() {
        Some("src/lib.rs") => slim_library(text, &declared),
        Some("build.rs") => slim_build(&text),
        _ => Ok(text),
    };
    copy(&from, &to, Path::new(""), &|file| !LEFT_OUT.iter().any(|name| file == Path::new(name)), &change)?;
    Ok(to)
}

/// candle itself, whose backward pass takes the first gradient of a tensor as it is, without CUDA's libraries.
fn patched_core(folder: &Path) -> Result<PathBuf> {
    let (from, to) = (package("candle-core")?, folder.join("candle-core"));
    let change = |file: &Path, text: String| match file.to_str() {
        Some("src/backprop.rs") => take_first_gradients(&text),
        Some("Cargo.toml") => without_linking(&text),
        _ => Ok(text),
    };
    copy(&from, &to, Path::new(""), &|_| true, &change)?;
    Ok(to)
}

/// The bindings to CUDA's libraries, which look for the versions that they are of first.
fn patched_cudarc(folder: &Path) -> Result<PathBuf> {
    let (from, to) = (package("cudarc")?, folder.join("cudarc"));
    let change = |file: &Path, text: String| match file.to_str() {
        Some("src/lib.rs") => versions_first(&text),
        _ => Ok(text),
    };
    copy(&from, &to, Path::new(""), &|_| true, &change)?;
    Ok(to)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Copies the files below `at` that are wanted, texts changed. What is there already and the same stays as it is, so that
/// cargo builds nothing anew.
fn copy(
    from: &Path,
    to: &Path,
    at: &Path,
    is_wanted: &dyn Fn(&Path) -> bool,
    change: &dyn Fn(&Path, String) -> Result<String>,
) -> Result<()> {
    fs::create_dir_all(to.join(at))?;
    for entry in fs::read_dir(from.join(at))? {
        let entry = entry?;
        let file = at.join(entry.file_name());
        if !is_wanted(&file) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(from, to, &file, is_wanted, change)?;
            continue;
        }
        let mut bytes = fs::read(entry.path())?;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            bytes =
                change(&file, text.to_owned()).with_context(|| format!("changing {}", file.display()))?.into_bytes();
        }
        let target = to.join(&file);
        if fs::read(&target).ok().as_ref() != Some(&bytes) {
            fs::write(&target, bytes)?;
        }
    }
    Ok(())
}

/// The manifest without the wish to be linked with the libraries: the one to look for them is this project's own.
fn without_linking(text: &str) -> Result<String> {
    let wish = "    \"dynamic-linking\",\n";
    ensure!(text.contains(wish), "it links with nothing: another version of candle-core");
    Ok(text.replace(wish, ""))
}

/// The name without a version moves to the end of those that are tried: a system's may be of any.
fn versions_first(text: &str) -> Result<String> {
    let plain = "        std::format!(\"{DLL_PREFIX}{lib_name}{DLL_SUFFIX}\"),\n";
    let last = "        std::format!(\"{DLL_PREFIX}{lib_name}{DLL_SUFFIX}.1\"),\n";
    ensure!(text.contains(plain) && text.contains(last), "it tries other names: another version of cudarc");
    Ok(text.replacen(plain, "", 1).replacen(last, &format!("{last}{plain}"), 1))
}

/// Instead of `let sum = grads.or_insert(x)?; *sum = sum.add(&grad)?`, which writes zeros and adds to them, calls a method
/// that keeps a first gradient.
fn take_first_gradients(text: &str) -> Result<String> {
    let mut changed = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    let mut n = 0;
    while let Some(line) = lines.next() {
        let replaced = sum_of(line).and_then(|(sum, tensor)| {
            let (grad, end) = added(lines.peek()?, sum)?;
            let indent = &line[..line.len() - line.trim_start().len()];
            Some(format!("{indent}grads.accumulate({tensor}, {grad})?{end}"))
        });
        if let Some(replaced) = &replaced {
            lines.next();
            n += 1;
            changed += replaced;
        } else {
            changed += line;
        }
        changed.push('\n');
    }
    let method = "    fn or_insert(&mut self, tensor: &Tensor)";
    let Some(at) = changed.find(method).filter(|_| n > 40) else {
        bail!("{n} sums of gradients: another version of candle-core");
    };
    // Before the comment of the method.
    let at = changed[..at].rfind("\n\n").map_or(at, |end| end + 2);
    changed.insert_str(at, ACCUMULATE);
    Ok(changed)
}

const ACCUMULATE: &str = "    \
    /// Adds to the gradient of a tensor; a first one is kept as it is.
    fn accumulate(&mut self, tensor: &Tensor, grad: &Tensor) -> Result<()> {
        let sum = match self.0.get(&tensor.id()) {
            Some(sum) => sum.add(grad)?,
            None if grad.shape() == tensor.shape() => grad.contiguous()?,
            None => tensor.zeros_like()?.add(grad)?,
        };
        self.0.insert(tensor.id(), sum);
        Ok(())
    }

";

/// `sum` and `tensor` of `let sum = grads.or_insert(tensor)?;`
fn sum_of(line: &str) -> Option<(&str, &str)> {
    let (sum, rest) = line.trim().strip_prefix("let ")?.split_once(" = grads.or_insert(")?;
    Some((sum, rest.strip_suffix(")?;")?))
}

/// What is added in `*sum = sum.add(…)?`, and the end of the statement.
fn added<'a>(line: &'a str, sum: &str) -> Option<(&'a str, &'static str)> {
    let rest = line.trim().strip_prefix('*')?.strip_prefix(sum)?.strip_prefix(" = ")?.strip_prefix(sum)?;
    let rest = rest.strip_prefix(".add(")?;
    let (grad, end) =
        rest.strip_suffix(")?;").map(|grad| (grad, ";")).or_else(|| Some((rest.strip_suffix(")?")?, "")))?;
    // What looks at the sum for its shape stays as it is.
    (!grad.contains(sum)).then_some((grad, end))
}

/// The library with empty modules for what is left out, and functions that nothing calls for what C would have.
fn slim_library(mut text: String, declared: &str) -> Result<String> {
    for (name, id) in LEFT_OUT_MODULES {
        let module = format!("mdl!({name}, {id});");
        ensure!(text.contains(&module), "`{module}` is not there: another version of candle-kernels");
        let empty = format!("pub const {name}: Module = Module {{ index: module_index(Id::{id}), ptx: \"\" }};");
        text = text.replace(&module, &empty);
    }
    text += "\nmod left_out {\n";
    for name in words_after(declared, "pub fn ").filter(|name| *name != "candle_launch_moe_align") {
        text.push_str("    #[no_mangle]\n    extern \"C\" fn ");
        text.push_str(name);
        text.push_str("() {\n        std::process::abort()\n    }\n");
    }
    text += "}\n";
    Ok(text)
}

/// The build script without its second half, which compiles what is left out.
fn slim_build(text: &str) -> Result<String> {
    match (text.find("    let mut moe_sources"), text.rfind("    Ok(())")) {
        (Some(begin), Some(end)) if begin < end => {
            let kept = format!("{}{}", &text[..begin], &text[end..]);
            let lines = kept.split_inclusive('\n').filter(|line| !line.contains("CUTILE_FEATURE"));
            Ok(lines.collect())
        }
        _ => bail!("it is not what it was: another version of candle-kernels"),
    }
}

/// Builds, and puts the program, the script that runs it and the experiments into one archive.
///
/// # Errors
///
/// Those of [`build`], or if the archive is too large to be carried.
pub fn bundle() -> Result<()> {
    let program = build()?;
    let folder = target_dir()?.join("cuda/gpu");
    if folder.is_dir() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    fs::copy(&program, folder.join("cmim"))?;
    for script in ["gpu.py", "train_step.py"] {
        fs::copy(root().join("tests/peers").join(script), folder.join(script))?;
    }
    let all = |_: &Path| true;
    copy(&root().join("trainer/configs"), &folder.join("configs"), Path::new(""), &all, &|_, text| Ok(text))?;
    let archive = folder.with_extension("tar.gz");
    run(command("tar").arg("--directory").arg(folder.with_file_name("")).arg("-czf").arg(&archive).arg("gpu"))?;
    let bytes = fs::metadata(&archive)?.len();
    ensure!(bytes <= BUNDLE_MAX_BYTES, "{} has {bytes} bytes, more than {BUNDLE_MAX_BYTES}", archive.display());
    println!("{}: {:.1} MiB", archive.display(), bytes as f64 / f64::from(1 << 20));
    println!("There: `tar -xzf gpu.tar.gz && python3 gpu/gpu.py gpu/cmim check train exact bench`");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_of_the_kernels_stays_declared() -> Result<()> {
        let library = "mdl!(CONV, Conv);\nmdl!(QUANTIZED, Quantized);\nmdl!(SORT, Sort);\nmdl!(FILL, Fill);\n";
        let slim = slim_library(library.to_owned(), "pub fn one(\n a: i32);\n pub fn two();")?;
        assert!(slim.contains("mdl!(FILL, Fill);") && !slim.contains("mdl!(CONV"));
        assert!(slim.contains("extern \"C\" fn one()") && slim.contains("extern \"C\" fn two()"));
        assert!(slim_library(String::new(), "").is_err());
        Ok(())
    }

    #[test]
    fn the_build_script_ends_early() -> Result<()> {
        let script = "const CUTILE_FEATURE: &str = \"\";\nfn main() {\n    ptx();\n    let mut moe_sources = 1;\n    lib();\n    Ok(())\n}\n";
        assert_eq!(slim_build(script)?, "fn main() {\n    ptx();\n    Ok(())\n}\n");
        assert!(slim_build("fn main() {}").is_err());
        Ok(())
    }

    #[test]
    fn a_first_gradient_is_kept() -> Result<()> {
        let two = "    let s = grads.or_insert(x)?;\n    *s = s.add(&g)?;\n";
        let last = "    let s = grads.or_insert(x)?;\n    *s = s.add(&(g * 2.0)?)?\n";
        let subtracted = "    let s = grads.or_insert(x)?;\n    *s = s.sub(&g)?;\n";
        let shaped = "    let s = grads.or_insert(x)?;\n    *s = s.add(&g.broadcast_as(s.dims())?)?\n";
        let other = format!("{subtracted}{shaped}");
        let end = "}\n\n    /// Zeros.\n    fn or_insert(&mut self, tensor: &Tensor) {}\n";
        let changed = take_first_gradients(&format!("{}{last}{other}{end}", two.repeat(50)))?;
        assert_eq!(changed.matches("    grads.accumulate(x, &g)?;\n").count(), 50);
        assert!(changed.contains("    grads.accumulate(x, &(g * 2.0)?)?\n") && changed.contains(&other));
        assert!(
            changed.contains("fn accumulate(")
                && changed.ends_with("/// Zeros.\n    fn or_insert(&mut self, tensor: &Tensor) {}\n")
        );
        assert!(take_first_gradients(two).is_err());
        Ok(())
    }

    #[test]
    fn libraries_are_loaded_by_their_versions() -> Result<()> {
        let manifest = "features = [\n    \"std\",\n    \"dynamic-linking\",\n]\n";
        assert_eq!(without_linking(manifest)?, "features = [\n    \"std\",\n]\n");
        assert!(without_linking("").is_err());
        let name = |end: &str| format!("        std::format!(\"{{DLL_PREFIX}}{{lib_name}}{{DLL_SUFFIX}}{end}\"),\n");
        let [plain, major, first] = ["", ".{major}", ".1"].map(name);
        assert_eq!(versions_first(&format!("{plain}{major}{first}"))?, format!("{major}{first}{plain}"));
        assert!(versions_first(&major).is_err());
        Ok(())
    }
}
