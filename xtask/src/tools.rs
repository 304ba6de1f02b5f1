//! The tools that build and check the page, each of one pinned version.
//!
//! What is there in the right version is used. What is not is compiled into a folder of this project's own in cargo's
//! home, so that the versions a user needs elsewhere stay as they are.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::process::{cargo, command, output, root, run, version};

/// Builds the page from `web/index.html`.
pub const TRUNK: &str = "0.21.14";
/// Runs the `wasm32` unit tests of `web` in a browser.
pub const WASM_PACK: &str = "0.15.1";
/// Where the page's code runs.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The folder that this project's own tools are installed in; nothing where the user has no home.
pub fn folder() -> Option<PathBuf> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    Some(cargo_home.or_else(|| Some(env::home_dir()?.join(".cargo")))?.join("cmim-tools"))
}

/// Everything that builds the page.
///
/// # Errors
///
/// If something is missing and cannot be installed; the message says what to do.
pub fn for_page() -> Result<()> {
    wasm_target()?;
    install("trunk", TRUNK, &["--locked"])?;
    // Without --locked: the versions it was released with do not all build with newer compilers.
    install("wasm-bindgen-cli", &wasm_bindgen_version()?, &[])
}

/// What checks code without running it: rustfmt, clippy and the standard library for [`WASM_TARGET`].
///
/// # Errors
///
/// Those of [`for_page`].
pub fn for_lints() -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if cargo().args([subcommand, "--version"]).output().is_ok_and(|output| output.status.success()) {
            continue;
        }
        run(command("rustup").args(["component", "add", component])).with_context(|| {
            format!("{component} is needed: `rustup component add {component}`, or the package of your system")
        })?;
    }
    wasm_target()
}

/// The runner of `web`'s unit tests.
///
/// # Errors
///
/// Those of [`for_page`].
pub fn for_wasm_tests() -> Result<()> {
    for_page()?;
    install("wasm-pack", WASM_PACK, &["--locked"])
}

/// The standard library for [`WASM_TARGET`]. `rust-toolchain.toml` asks for it, but rustup heeds that only where its
/// automatic installation is on.
fn wasm_target() -> Result<()> {
    let folder = output(command("rustc").args(["--print", "target-libdir", "--target", WASM_TARGET]))?;
    if PathBuf::from(folder).is_dir() {
        return Ok(());
    }
    println!("Adding the target {WASM_TARGET} to the Rust toolchain");
    run(command("rustup").args(["target", "add", WASM_TARGET]))
        .with_context(|| format!("the page needs Rust's {WASM_TARGET}: install rustup (see README.md) and try again"))
}

/// Compiles a program from the package registry, unless it is there in this version.
fn install(package: &str, wanted: &str, options: &[&str]) -> Result<()> {
    let program = package.trim_end_matches("-cli");
    if version(program).as_deref().and_then(version_number) == Some(wanted) {
        return Ok(());
    }
    let folder = folder().context("neither CARGO_HOME nor a home folder is set: there is no place for tools")?;
    println!("Installing {package} {wanted} into {} (once; a few minutes)", folder.display());
    run(cargo()
        .args(["install", package, "--version", wanted, "--force", "--root"])
        .arg(&folder)
        .args(options)
        // A build folder shared with the project would be locked by, and mixed up with, the project's own builds.
        .env_remove("CARGO_TARGET_DIR"))
    .with_context(|| {
        format!(
            "{package} {wanted} could not be installed. It needs a network and a C compiler and linker: \
             `sudo apt-get install build-essential` (Debian, Ubuntu), `sudo dnf install gcc` (Fedora), \
             `xcode-select --install` (macOS)"
        )
    })
}

/// The version of wasm-bindgen in `Cargo.lock`: the program that post-processes must be of exactly the same.
///
/// # Errors
///
/// If the file cannot be read or does not name it.
pub fn wasm_bindgen_version() -> Result<String> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).context("reading Cargo.lock")?;
    let Some(version) = locked_version(&lock, "wasm-bindgen") else { bail!("Cargo.lock names no wasm-bindgen") };
    Ok(version.to_owned())
}

/// The version of a package in the text of a `Cargo.lock`.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

/// The number in a line such as `trunk 0.21.14` or `Chromium 156.0.8078.79 built on Debian`.
pub(crate) fn version_number(line: &str) -> Option<&str> {
    line.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        assert_eq!(version_number("trunk 0.21.14"), Some("0.21.14"));
        assert_eq!(version_number("Chromium 156.0.8078.79 built on Debian GNU/Linux 12"), Some("156.0.8078.79"));
        assert_eq!(version_number("no number"), None);
    }

    #[test]
    fn the_lock_file_names_the_package_itself_and_not_its_kin() {
        let lock = "name = \"wasm-bindgen-futures\"\nversion = \"0.4.1\"\n\n\
                    name = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked_version(lock, "leptos"), None);
        assert!(wasm_bindgen_version().is_ok());
    }
}
