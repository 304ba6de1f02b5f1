//! Programs that the commands run, and where the project's files lie.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The project's top folder.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Cargo's build folder, wherever the environment or a configuration file puts it.
///
/// # Errors
///
/// If cargo cannot be asked.
pub fn target_dir() -> Result<PathBuf> {
    let json = output(cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&json).context("reading cargo's metadata")?;
    let folder = metadata["target_directory"].as_str().context("cargo's metadata names no target directory")?;
    Ok(PathBuf::from(folder))
}

/// A program to be run in [`root`], looked for among the project's own tools first.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = crate::tools::folder().map(|folder| folder.join("bin")).into_iter().chain(env::split_paths(&path));
    if let Ok(path) = env::join_paths(folders) {
        command.env("PATH", path);
    }
    // trunk takes the customary `NO_COLOR=1` for the value of a flag of its own and stops.
    command.env_remove("NO_COLOR");
    command
}

/// The cargo that runs these commands.
pub fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs to the end, with the terminal's output.
///
/// # Errors
///
/// If the program cannot be started or reports failure.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", line(command));
    }
    Ok(())
}

/// Runs to the end and returns what was written to standard output, without the line feed at its end.
///
/// # Errors
///
/// If the program cannot be started, reports failure or writes something other than UTF-8.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting `{}`", line(command)))?;
    if !output.status.success() {
        bail!("`{}` ended with {}", line(command), output.status);
    }
    let text = String::from_utf8(output.stdout).with_context(|| format!("reading from `{}`", line(command)))?;
    Ok(text.trim_end().to_owned())
}

/// What a program writes when asked for its version; nothing if it is not there or fails.
pub fn version(program: impl AsRef<OsStr>) -> Option<String> {
    let output = command(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The command as a person would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
