//! `cmim glove`.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use trainer::checkpoint::write_atomically;
use trainer::data::{ReportSource, Reports};
use trainer::glove::{GloveConfig, learn};

use super::print;

const EXAMPLES: &str = "\
Examples:
  cmim glove --reports openi:data/openi --out glove.txt
  then `word_vectors = \"glove.txt\"` under [data] of an experiment";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct GloveArgs {
    /// Reports: openi:DIR or phantom:xray; may be repeated.
    #[arg(long, value_name = "SOURCE", required = true)]
    reports: Vec<ReportSource>,
    /// File to write, in GloVe's text format: `word_vectors` under [data] reads it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Length of a vector.
    #[arg(long, default_value_t = 300)]
    dim: usize,
    /// Words to each side that count as near.
    #[arg(long, default_value_t = 10)]
    window: usize,
    /// Passes over all pairs of words.
    #[arg(long, default_value_t = 50)]
    epochs: usize,
    /// A word gets a vector if it occurs so often.
    #[arg(long, default_value_t = 3)]
    min_count: usize,
    /// Pairs that occur so often or more weigh fully.
    #[arg(long, default_value_t = 100.0)]
    x_max: f64,
    /// Seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Learns word vectors from reports.
pub(super) fn run(args: &GloveArgs) -> anyhow::Result<()> {
    if args.dim == 0 || args.window == 0 || args.epochs == 0 || args.x_max.is_nan() || args.x_max <= 0.0 {
        bail!("--dim, --window, --epochs and --x-max must be above 0");
    }
    let reports = Reports::load(&args.reports)?.reports;
    let texts: Vec<&str> = reports.iter().map(|report| report.text.as_str()).collect();
    let config = GloveConfig {
        dim: args.dim,
        window: args.window,
        epochs: args.epochs,
        min_count: args.min_count,
        x_max: args.x_max,
        seed: args.seed,
        ..GloveConfig::default()
    };
    let glove = learn(&texts, &config);
    write_atomically(&args.out, glove.to_text().as_bytes())?;
    let (first, last) = (glove.losses.first().copied(), glove.losses.last().copied());
    print(&format!(
        "{}: {} words of {} reports, {} numbers each; loss {:.4} in the first pass, {:.4} in the last",
        args.out.display(),
        glove.rows().count(),
        texts.len(),
        args.dim,
        first.unwrap_or(f64::NAN),
        last.unwrap_or(f64::NAN)
    ))
}
