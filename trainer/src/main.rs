//! The program `cmim`.

mod cli;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use trainer::allocator::{Allocator, keep_freed_memory};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    keep_freed_memory();
    match cli::run(&cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If even standard error is gone, the exit code still tells.
            let text = in_words(&error);
            let hint = trainer::device::out_of_memory(&text).map(|hint| format!("\n{hint}")).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "error: {text}{hint}");
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, each once: many of our messages already quote their cause.
fn in_words(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        said if said.contains(&cause) => text,
        said => format!("{said}: {cause}"),
    })
}
