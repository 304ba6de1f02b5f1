//! The project's commands: `cargo xtask demo | test | bench | screenshots`.

#![allow(clippy::print_stdout, reason = "what these commands are for is to tell a person at a terminal what happens")]

use std::env;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, bail};
use xtask::check::{Step, run_steps};
use xtask::serve::{Server, Weights};
use xtask::{bench, cuda, dist, screenshot, tools};

/// Where `demo` serves unless told otherwise.
const PORT: u16 = 8080;

const USAGE: &str = "\
The project's commands. Each gets the tools it needs first.

cargo xtask demo [--port N]   build the page and serve it on 127.0.0.1 (port 8080)
cargo xtask test [STEP]...    run every check, or only the steps named
cargo xtask bench web [CASE]  the page's engine beside ONNX Runtime Web and TensorFlow.js, in one browser
cargo xtask bench page       what a person waits for on the built page, beside what is promised
cargo xtask bench infer       native inference beside ONNX Runtime, on one thread
cargo xtask bench kernel      the kernels beside the machine's peak
cargo xtask bench train       the training step beside PyTorch's, on the CPU
cargo xtask bench volume      an MRI volume read and standardized, beside nibabel and NumPy, on one thread
cargo xtask screenshots       build the page and take pictures of it
cargo xtask cuda              build `cmim` for NVIDIA GPUs, on a machine with or without one
cargo xtask bundle gpu        the same, packed with what checks, trains and measures on another machine
cargo xtask bench gpu         the training step beside PyTorch's, on this machine's GPU";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        words if matches!(words, [] | ["help"]) || words.iter().any(|word| matches!(*word, "--help" | "-h")) => {
            print_usage();
            Ok(())
        }
        ["demo"] => demo(PORT),
        ["demo", "--port", port] => demo(port.parse().with_context(|| format!("`{port}` is no port number"))?),
        ["test"] => run_steps(&Step::ALL),
        ["test", names @ ..] => run_steps(&names.iter().map(|name| Step::of_name(name)).collect::<Result<Vec<_>>>()?),
        ["bench", "page"] => bench::page::measure(),
        ["bench", "infer"] => bench::infer::measure_all(),
        ["bench", "kernel"] => bench::kernel::measure_all(),
        ["bench", "train"] => bench::train::measure_all(),
        ["bench", "volume"] => bench::volume::measure(),
        ["bench", "gpu"] => bench::gpu::measure_all(),
        ["bench", "web", cases @ ..] => bench::web::measure(cases),
        ["cuda"] => cuda::build().map(|_| ()),
        ["bundle", "gpu"] => cuda::bundle(),
        ["screenshots"] => {
            tools::for_page()?;
            dist::build()?;
            for file in screenshot::take()? {
                println!("{}", file.display());
            }
            Ok(())
        }
        words => bail!("`{}` is no command of this project\n\n{USAGE}", words.join(" ")),
    }
}

fn print_usage() {
    println!("{USAGE}\n\nSteps of `test`:");
    for step in Step::ALL {
        println!("  {:<12}{}", step.name(), step.about());
    }
}

/// Builds the page and serves it until the program is ended.
fn demo(port: u16) -> Result<()> {
    // The port first: a build takes minutes.
    let listener = Server::bind(port)?;
    tools::for_page()?;
    dist::build()?;
    let server = Server::start(&dist::folder(), listener, Weights::AtOnce)?;
    println!("\nThe page is served at {} until you press Ctrl+C.", server.url());
    loop {
        thread::park();
    }
}
