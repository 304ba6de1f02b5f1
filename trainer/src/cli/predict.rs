//! `cmim predict`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use shared::infer::{Checked, ReadReport, Reason, XrayClassifier};
use shared::io::{Radiograph, read_radiograph};
use trainer::evaluate::ByFinding;
use trainer::model_dir::{ModelDir, is_whole_only};
use trainer::train::WholeModel;

use super::print;

type Scores = [f32; shared::Finding::COUNT];

const EXAMPLES: &str = "\
Examples:
  cmim predict x-ray.png --model static/models/xray
  cmim predict *.dcm --model runs/xray --json > answers.jsonl
  cmim predict x-ray.png --model static/models/xray --report \"Small left pleural effusion.\"";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PredictArgs {
    /// X-ray images: PNG, JPEG or DICOM.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Folder of the model.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Report of the examination, as second modality: a text file, or the text itself. Both answers are printed.
    #[arg(long, value_name = "TEXT|FILE")]
    report: Option<String>,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// What the model says of a file.
struct Answer {
    scores: Scores,
    with_report: Option<Scores>,
    checked: Option<Checked>,
}

/// Scores images; those that cannot be read do not keep the others from their answer.
pub(super) fn run(args: &PredictArgs) -> anyhow::Result<()> {
    let mut model = AnyModel::read(&args.model)?;
    let report = args.report.as_deref().map(|report| model.read_report(&report_text(report)?)).transpose()?;
    let mut predict = |file: &Path| -> anyhow::Result<Answer> {
        let name = file.display().to_string();
        let bytes = std::fs::read(file).with_context(|| format!("{name}: cannot be read"))?;
        model.answer(&read_radiograph(&name, &bytes)?, report.as_ref())
    };
    let mut failed = 0;
    for file in &args.files {
        match predict(file) {
            Ok(answer) if args.json => print(&json_line(file, &answer)?)?,
            Ok(answer) => print_table(file, &answer)?,
            // The other files are still answered.
            Err(error) => {
                failed += 1;
                writeln!(std::io::stderr(), "error: {}", crate::in_words(&error))?;
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} files could not be answered", args.files.len());
    }
    Ok(())
}

/// The report itself, or the content of the file that it names.
fn report_text(report: &str) -> anyhow::Result<String> {
    let path = Path::new(report);
    if path.is_file() {
        return std::fs::read_to_string(path).with_context(|| format!("{report}: the report cannot be read as text"));
    }
    Ok(report.to_owned())
}

fn json_line(file: &Path, answer: &Answer) -> anyhow::Result<String> {
    let by_finding = |scores: &Scores| serde_json::to_value(ByFinding(scores.map(Some).to_vec()));
    let mut line = json!({ "file": file.display().to_string(), "findings": by_finding(&answer.scores)? });
    if let Some(scores) = &answer.with_report {
        line["findings_with_report"] = by_finding(scores)?;
    }
    if let Some(checked) = &answer.checked {
        line["input_check"] = serde_json::to_value(checked)?;
    }
    Ok(line.to_string())
}

fn print_table(file: &Path, answer: &Answer) -> anyhow::Result<()> {
    print(&file.display().to_string())?;
    if let Some(checked) = answer.checked.as_ref().filter(|checked| !checked.passes()) {
        let reasons: Vec<String> = checked.reasons.iter().map(in_words).collect();
        print(&format!(
            "  warning: this does not look like a frontal chest x-ray like those of the training: {}. The scores may mean \
             nothing.",
            reasons.join("; ")
        ))?;
    }
    if answer.with_report.is_some() {
        print(&format!("  {:<20} {:>7} {:>12}", "", "image", "with report"))?;
    }
    let mut ranked: Vec<_> = shared::Finding::ALL.iter().zip(answer.scores).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (finding, score) in ranked {
        let both = answer.with_report.map(|scores| format!(" {:>12.3}", scores[finding.index()])).unwrap_or_default();
        let width = if both.is_empty() { 0 } else { 7 };
        print(&format!("  {:<20} {score:>width$.3}{both}", finding.name()))?;
    }
    Ok(())
}

fn in_words(reason: &Reason) -> String {
    match reason {
        Reason::Colours => "it is in colours".to_owned(),
        Reason::Modality(name) => format!("its DICOM modality is {name}"),
        Reason::View(name) => format!("its DICOM view is {name}, not a frontal one"),
        Reason::Strange => "it shows what no training image shows".to_owned(),
        Reason::Far => "what it shows lies elsewhere than in any training image".to_owned(),
        Reason::Shades => "its shades are distributed as in no training image".to_owned(),
        Reason::Blank => "it has no detail".to_owned(),
    }
}

/// A model of any method.
enum AnyModel {
    /// An image path that answers by itself.
    Image(Box<XrayClassifier>),
    /// More than that.
    Whole(Box<WholeModel>),
}

impl AnyModel {
    fn read(dir: &Path) -> anyhow::Result<Self> {
        if is_whole_only(dir) {
            return Ok(Self::Whole(Box::new(WholeModel::read(dir)?)));
        }
        Ok(Self::Image(Box::new(ModelDir::read(dir)?.classifier()?)))
    }

    fn read_report(&self, text: &str) -> anyhow::Result<ReadReport> {
        let report = match self {
            Self::Image(model) => model.read_report(text),
            Self::Whole(_) => None,
        };
        report.context(
            "this model reads no reports: --report needs one of method `cmim` with the report path in its folder, as \
             `cmim train` and `cmim export` leave it",
        )
    }

    fn answer(&mut self, image: &Radiograph, report: Option<&ReadReport>) -> anyhow::Result<Answer> {
        match self {
            Self::Image(model) => {
                let examined = model.examine(image)?;
                let with_report = match report {
                    Some(report) => model.scores_with(&examined.features, report)?,
                    None => None,
                };
                Ok(Answer { scores: examined.scores, with_report, checked: examined.checked })
            }
            Self::Whole(model) => Ok(Answer { scores: model.scores_of(image)?, with_report: None, checked: None }),
        }
    }
}
