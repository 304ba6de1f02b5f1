//! The command line of `cmim`.

mod compare;
mod completions;
mod data;
mod device;
mod doctor;
mod eval;
mod export;
mod glove;
#[cfg(feature = "cuda")]
mod gpu;
mod outlines;
mod predict;
mod progress;
mod report;
mod segment;
mod table1;
mod table2;
mod train;

use std::io::Write as _;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Begin with:
  cmim train                                            trains on generated x-rays, under two minutes
  cmim doctor                                           what this machine has for training
  cmim predict x-ray.png --model static/models/xray     what the shipped model says of an x-ray
  cmim help train                                       every option of a command, with examples";

/// Cross-modal information maximization: trains on several views of a patient, predicts from one.
#[derive(Debug, Parser)]
#[command(name = "cmim", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model; leaves model.safetensors, model.json and metrics.jsonl in the folder.
    Train(train::TrainArgs),
    /// Measure a model on labelled images, or a segmenter on outlined MRI volumes.
    Eval(eval::EvalArgs),
    /// Score images.
    Predict(predict::PredictArgs),
    /// Outline the enhancing tumour in MRI volumes.
    Segment(segment::SegmentArgs),
    /// Pack a model for the page, with compressed weights.
    Export(export::ExportArgs),
    /// Tell on one HTML page what a run has come to: curves, results, samples of its test part.
    Report(report::ReportArgs),
    /// Compare two models on the same images.
    Compare(compare::CompareArgs),
    /// Tell what a data source holds: counts by finding and part, what is left out and why.
    Data(data::DataArgs),
    /// Learn word vectors from reports, for those who have no download.
    Glove(glove::GloveArgs),
    /// Tell what this machine has for training, what is missing, and the command that gets it.
    Doctor(doctor::DoctorArgs),
    /// Print the completions of commands and options for a shell.
    Completions(completions::CompletionsArgs),
    /// Check or measure a GPU.
    #[cfg(feature = "cuda")]
    Gpu(gpu::GpuArgs),
    /// Train and evaluate every method on x-rays over several seeds; print the table.
    Table1(table1::Table1Args),
    /// Train and evaluate every method on MRI over several seeds; print the table.
    Table2(table2::Table2Args),
}

/// Runs the command that was given.
pub(crate) fn run(cli: &Cli) -> anyhow::Result<()> {
    match &cli.command {
        Command::Train(args) => train::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Segment(args) => segment::run(args),
        Command::Export(args) => export::run(args),
        Command::Report(args) => report::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Data(args) => data::run(args),
        Command::Glove(args) => glove::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Completions(args) => completions::run(args),
        #[cfg(feature = "cuda")]
        Command::Gpu(args) => gpu::run(args),
        Command::Table1(args) => table1::run(args),
        Command::Table2(args) => table2::run(args),
    }
}

/// Writes to standard output; a reader that went away is no error of ours.
fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.context("cannot write to standard output"),
    }
}

/// A remark on standard error.
fn note(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stderr(), "note: {text}")?)
}
