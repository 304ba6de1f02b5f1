//! `cargo xtask test`: every check of the project.

use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

use crate::chromium::Chromium;
use crate::process::{cargo, command, run, target_dir};
use crate::simd::Simd;
use crate::{dist, tools};

/// One of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// rustfmt finds nothing to change.
    Format,
    /// clippy has nothing to say about the native programs and their tests.
    Clippy,
    /// The same for what runs in the browser.
    ClippyWasm,
    /// Unit tests, integration tests and examples in the documentation.
    Native,
    /// Unit tests of the page's code, in a browser.
    Wasm,
    /// The same of its build for relaxed-simd.
    WasmRelaxed,
    /// The page builds in release.
    Page,
    /// The built page is small.
    Size,
    /// The built page, operated in a browser as a user would.
    Browser,
}

impl Step {
    /// In the order they run: what is quick to fail comes first.
    pub const ALL: [Self; 9] = [
        Self::Format,
        Self::Clippy,
        Self::ClippyWasm,
        Self::Native,
        Self::Wasm,
        Self::WasmRelaxed,
        Self::Page,
        Self::Size,
        Self::Browser,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Clippy => "clippy",
            Self::ClippyWasm => "clippy-wasm",
            Self::Native => "native",
            Self::Wasm => "wasm",
            Self::WasmRelaxed => "wasm-relaxed",
            Self::Page => "page",
            Self::Size => "size",
            Self::Browser => "browser",
        }
    }

    /// What it checks, for people.
    pub fn about(self) -> &'static str {
        match self {
            Self::Format => "cargo fmt --check",
            Self::Clippy => "clippy on the whole workspace, warnings are errors",
            Self::ClippyWasm => "clippy on what runs in the browser, for wasm32",
            Self::Native => "cargo test on the whole workspace",
            Self::Wasm => "the tests of web, run in headless Chromium by wasm-pack",
            Self::WasmRelaxed => "the same, compiled for relaxed-simd",
            Self::Page => "the page builds in release",
            Self::Size => "a visit loads at most 1.5 MB gzipped, weights apart",
            Self::Browser => "the built page, operated in headless Chromium",
        }
    }

    /// The step of this name.
    ///
    /// # Errors
    ///
    /// If there is none; lists those there are.
    pub fn of_name(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|step| step.name() == name)
            .with_context(|| format!("there is no step `{name}`, only {}", Self::ALL.map(Self::name).join(", ")))
    }

    /// Whether it looks at the built page: after a build that failed, that would be an older one.
    fn needs_page(self) -> bool {
        matches!(self, Self::Size | Self::Browser)
    }

    fn run(self) -> Result<()> {
        match self {
            Self::Format => {
                tools::for_lints()?;
                run(cargo().args(["fmt", "--all", "--check"]))
            }
            Self::Clippy => {
                tools::for_lints()?;
                run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
            }
            Self::ClippyWasm => {
                tools::for_lints()?;
                run(cargo()
                    .args(["clippy", "--package", "shared", "--package", "web", "--package", "bench-engine"])
                    .args(["--all-targets", "--target", tools::WASM_TARGET, "--", "--deny", "warnings"]))
            }
            Self::Native => run(cargo().args(["test", "--workspace", "--no-fail-fast"])),
            Self::Wasm => wasm_tests(Simd::Simd128),
            Self::WasmRelaxed => wasm_tests(Simd::RelaxedSimd),
            Self::Page => {
                tools::for_page()?;
                dist::build()
            }
            Self::Size => dist::check_size(),
            Self::Browser => browser_tests(),
        }
    }
}

/// Runs the steps, all of them even after a failure, and ends with the count on a line of its own. That count leaves
/// out [`Step::Native`]: cargo's test runner counts its tests itself.
///
/// # Errors
///
/// If a step fails.
pub fn run_steps(steps: &[Step]) -> Result<()> {
    let mut failed = Vec::new();
    let start = Instant::now();
    for &step in steps {
        println!("\n=== {}: {}", step.name(), step.about());
        let start = Instant::now();
        let result = if step.needs_page() && failed.contains(&Step::Page) {
            Err(anyhow!("the page did not build"))
        } else {
            step.run()
        };
        let seconds = start.elapsed().as_secs();
        match result {
            Ok(()) => println!("=== {}: passed in {seconds} s", step.name()),
            Err(error) => {
                println!("=== {}: FAILED after {seconds} s: {error:#}", step.name());
                failed.push(step);
            }
        }
    }
    println!("\n{} steps in {} s", steps.len(), start.elapsed().as_secs());
    let names: Vec<_> = failed.iter().map(|step| step.name()).collect();
    let counted = |steps: &[Step]| steps.iter().filter(|step| **step != Step::Native).count();
    if !failed.is_empty() {
        println!("failed: {}", names.join(", "));
    }
    println!("{} passed, {} failed", counted(steps) - counted(&failed), counted(&failed));
    if !failed.is_empty() {
        bail!("{} of {} steps failed: {}", failed.len(), steps.len(), names.join(", "));
    }
    Ok(())
}

fn wasm_tests(simd: Simd) -> Result<()> {
    tools::for_wasm_tests()?;
    let chromium = Chromium::get()?;
    let mut tests = command("wasm-pack");
    tests.args(["test", "--headless", "--chrome", "--mode", "no-install", "--chromedriver"]).arg(&chromium.driver);
    tests.arg("web").env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", chromium.write_capabilities()?);
    // In seconds; the standard 20 are short for a network on a machine that does other work at the same time.
    tests.env("WASM_BINDGEN_TEST_TIMEOUT", "300");
    simd.apply(&mut tests)?;
    run(&mut tests)
}

fn browser_tests() -> Result<()> {
    let chromium = Chromium::get()?;
    // With the whole workspace's features, so that nothing is compiled that the native tests have not compiled.
    run(cargo().args(["build", "--workspace", "--bin", "cmim"]))?;
    run(cargo()
        // One at a time: each has a browser of its own, and two cores are soon full.
        .args(["test", "--workspace", "--test", "browser", "--", "--ignored", "--test-threads=1"])
        .env("CMIM_BIN", target_dir()?.join("debug").join("cmim"))
        .env("CHROME", &chromium.browser)
        .env("CHROMEDRIVER", &chromium.driver))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_found_by_its_name() {
        for step in Step::ALL {
            assert_eq!(Step::of_name(step.name()).ok(), Some(step));
        }
        let error = Step::of_name("fast").expect_err("no such step").to_string();
        assert!(error.contains("fast") && error.contains("clippy-wasm"), "{error}");
    }
}
