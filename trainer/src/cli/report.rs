//! `cmim report`.

use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use trainer::checkpoint::write_atomically;
use trainer::report::report;

use super::{note, print};

const EXAMPLES: &str = "\
Examples:
  cmim report runs/smoke                         writes runs/smoke/report.html
  cmim report runs/xray-1 --out xray-1.html";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReportArgs {
    /// Folder of the run, as `cmim train --out` was given it. Where its data are still at hand, the page has ROC curves
    /// and samples of the test part too: keep its licence in mind before passing the page on.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The page [default: report.html in the folder].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes the page.
pub(super) fn run(args: &ReportArgs) -> anyhow::Result<()> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} scan {pos}/{len}, {eta} left") {
        bar.set_style(style);
    }
    let made = report(&args.run, &mut |done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let made = made?;
    made.missing.iter().try_for_each(|text| note(text))?;
    let out = args.out.clone().unwrap_or_else(|| args.run.join("report.html"));
    write_atomically(&out, made.html.as_bytes())?;
    print(&format!("{}: {} kB", out.display(), made.html.len().div_ceil(1000)))
}
