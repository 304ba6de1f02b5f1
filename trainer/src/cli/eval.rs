//! `cmim eval`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use trainer::data::{ImageSource, Part, Study, union};
use trainer::evaluate::{EvaluationReport, Scored, score};
use trainer::model_dir::ModelDir;

use super::print;

#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    /// Labelled images: nih:DIR or phantom:xray; may be repeated.
    #[arg(long, value_name = "SOURCE", required = true)]
    data: Vec<ImageSource>,
    /// Folder of the model.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Only this part of the split the model was trained with.
    #[arg(long)]
    part: Option<PartArg>,
    /// Findings with fewer images do not enter the macro average.
    #[arg(long, default_value_t = 1)]
    min_positives: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PartArg {
    Train,
    Validation,
    Test,
}

/// Measures a model.
pub(super) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    let model = ModelDir::read(&args.model)?;
    let (studies, _) = union(&args.data)?;
    let split = model.split()?;
    let part = args.part.map(|part| match part {
        PartArg::Train => Part::Train,
        PartArg::Validation => Part::Validation,
        PartArg::Test => Part::Test,
    });
    let chosen: Vec<&Study> = match (part, &split) {
        (None, _) => studies.iter().collect(),
        (Some(part), Some(split)) => split.indices(&studies, part)?.into_iter().map(|i| &studies[i]).collect(),
        (Some(_), None) => bail!("{}: there is no split.csv, so --part has nothing to choose by", args.model.display()),
    };
    if let Some(split) = split.filter(|_| part.is_none()) {
        let seen = chosen.iter().filter(|s| split.part(&s.image) == Some(Part::Train)).count();
        if seen > 0 {
            let note =
                format!("note: the model was trained on {seen} of these {} images; see --part test", chosen.len());
            writeln!(std::io::stderr(), "{note}")?;
        }
    }
    let scored = Scored::new(score(&model, &chosen)?, &chosen);
    let report = EvaluationReport::new(&scored, args.min_positives);
    if args.json {
        return print(&serde_json::to_string(&report)?);
    }
    for (finding, auroc) in shared::Finding::ALL.iter().zip(&report.findings.0) {
        match auroc {
            Some(a) => print(&format!(
                "{:<20} {:.3} ({:.3} to {:.3}), {} of {} images",
                finding.name(),
                a.auroc,
                a.lo,
                a.hi,
                a.n_pos,
                a.n
            ))?,
            None => print(&format!("{:<20} not measurable: needs images with and without it", finding.name()))?,
        }
    }
    match (report.macro_auroc, report.lo, report.hi) {
        (Some(value), Some(lo), Some(hi)) => print(&format!(
            "{:<20} {value:.3} ({lo:.3} to {hi:.3}) over {} findings, {} images of {} patients",
            "macro",
            report.macro_findings.len(),
            report.n,
            report.n_patients
        )),
        _ => print("macro                not measurable"),
    }
}
