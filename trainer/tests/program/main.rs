//! The program as a user runs it: what it leaves behind, what it prints, and what it says of bad input.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod help;
mod mri;
mod report;
mod resume;
mod table2;
mod xray;

use std::path::Path;
use std::process::{Command, Output};

fn cmim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cmim")).args(args).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs what must fail; gives what it said.
fn refused(args: &[&str]) -> String {
    let output = cmim(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: ") && !said.contains("panicked"), "{said}");
    said
}

fn succeeds(args: &[&str]) -> String {
    let output = cmim(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
