//! `cmim eval`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};
use shared::ModalitySet;
use shared::metric::Interval;
use trainer::data::{ImageSource, Part, Split, Study, union};
use trainer::evaluate::{EvaluationReport, Scored, score};
use trainer::model_dir::{CARD, ModelDir, is_segmenter, is_whole_only, read_split};
use trainer::train::WholeModel;

use super::{note, print};

const EXAMPLES: &str = "\
Examples:
  cmim eval --data nih:data/nih-cxr --model runs/xray --part test
  cmim eval --data openi:data/openi --model runs/xray --with-reports --json
  cmim eval --data brats:data/brats --model runs/flair --modality flair --each";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EvalArgs {
    /// Labelled images, such as nih:DIR, openi:DIR or phantom:xray; for MRI brats:DIR or phantom:brain. May be repeated.
    #[arg(long, value_name = "SOURCE", required = true)]
    pub(super) data: Vec<String>,
    /// Folder of the model.
    #[arg(long, value_name = "DIR")]
    pub(super) model: PathBuf,
    /// Only this part of the split the model was trained with.
    #[arg(long)]
    pub(super) part: Option<PartArg>,
    /// X-rays: findings with fewer images do not enter the macro average [default: 1].
    #[arg(long)]
    pub(super) min_positives: Option<usize>,
    /// X-rays: answer from each image and its own report, for methods that can.
    #[arg(long)]
    pub(super) with_reports: bool,
    /// MRI: the sequences that are given, such as flair or flair+t1c; without it, every set that the model answers from.
    #[arg(long, value_name = "SEQUENCES")]
    pub(super) modality: Option<ModalitySet>,
    /// MRI: print every scan.
    #[arg(long)]
    pub(super) each: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum PartArg {
    Train,
    Validation,
    Test,
}

impl From<PartArg> for Part {
    fn from(part: PartArg) -> Self {
        match part {
            PartArg::Train => Self::Train,
            PartArg::Validation => Self::Validation,
            PartArg::Test => Self::Test,
        }
    }
}

/// Measures a model.
pub(super) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    if is_segmenter(&args.model) {
        return super::outlines::run(args);
    }
    if args.modality.is_some() || args.each {
        bail!("{}: this is no model that outlines tumours: --modality and --each are for MRI", args.model.display());
    }
    let sources = args.data.iter().map(|source| source.parse()).collect::<Result<Vec<ImageSource>, _>>()?;
    let studies = union(&sources)?.studies;
    let split = read_split(&args.model)?;
    let mut chosen = chosen(&studies, split.as_ref(), args.part, &args.model)?;
    if let Some(split) = split.filter(|_| args.part.is_none()) {
        let seen = chosen.iter().filter(|s| split.part(&s.image) == Some(Part::Train)).count();
        if seen > 0 {
            let n = chosen.len();
            note(&format!("the model was trained on {seen} of these {n} images; see --part test"))?;
        }
    }
    if args.with_reports {
        let n = chosen.len();
        chosen.retain(|study| study.report.is_some());
        if chosen.len() < n {
            note(&format!("{} of {n} images have no report of their own and are left out", n - chosen.len()))?;
        }
    }
    let scored = Scored::new(scores(&args.model, &chosen, args.with_reports)?, &chosen);
    let mut report = EvaluationReport::new(&scored, args.min_positives.unwrap_or(1));
    if !args.with_reports && args.model.join(CARD).is_file() {
        report = report.with_card(&scored, &ModelDir::read(&args.model)?.card);
    }
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
        ))?,
        _ => print("macro                not measurable")?,
    }
    if let Some(Interval { value, lo, hi }) = report.prevalence_weighted_auroc {
        print(&format!("{:<20} {value:.3} ({lo:.3} to {hi:.3})", "by prevalence"))?;
    }
    match (report.calibration_error, report.calibrated_error) {
        (Some(raw), Some(calibrated)) => print(&format!(
            "calibration error    {raw:.3} of the scores, {calibrated:.3} of the calibrated probabilities"
        )),
        (Some(raw), None) => print(&format!("calibration error    {raw:.3} of the scores")),
        _ => Ok(()),
    }
}

/// The labelled studies of a part of the split; all without a part.
pub(super) fn chosen<'a>(
    studies: &'a [Study],
    split: Option<&Split>,
    part: Option<PartArg>,
    model: &Path,
) -> anyhow::Result<Vec<&'a Study>> {
    let mut chosen: Vec<&Study> = match (part.map(Part::from), split) {
        (None, _) => studies.iter().collect(),
        (Some(part), Some(split)) => split.indices(studies, part)?.into_iter().map(|i| &studies[i]).collect(),
        (Some(_), None) => bail!("{}: there is no split.csv, so --part has nothing to choose by", model.display()),
    };
    chosen.retain(|study| study.findings.is_some());
    if chosen.is_empty() {
        bail!("none of these images is labelled: there is nothing to measure by");
    }
    Ok(chosen)
}

/// Scores of a model: by its image path where that stands alone, else by the whole model.
pub(super) fn scores(
    model: &Path,
    studies: &[&Study],
    with_reports: bool,
) -> anyhow::Result<Vec<[f32; shared::Finding::COUNT]>> {
    if with_reports || is_whole_only(model) {
        return Ok(WholeModel::read(model)?.scores(studies, with_reports)?);
    }
    Ok(score(&ModelDir::read(model)?, studies)?)
}
