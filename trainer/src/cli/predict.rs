//! `cmim predict`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use shared::infer::XrayClassifier;
use shared::io::{Radiograph, read_radiograph};
use trainer::evaluate::ByFinding;
use trainer::model_dir::{ModelDir, is_whole_only};
use trainer::train::WholeModel;

use super::print;

#[derive(Debug, Args)]
pub(super) struct PredictArgs {
    /// X-ray images: PNG, JPEG or DICOM.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Folder of the model.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Scores images; those that cannot be read do not keep the others from their answer.
pub(super) fn run(args: &PredictArgs) -> anyhow::Result<()> {
    let mut model = AnyModel::read(&args.model)?;
    let mut predict = |file: &Path| -> anyhow::Result<[f32; shared::Finding::COUNT]> {
        let name = file.display().to_string();
        let bytes = std::fs::read(file).with_context(|| format!("{name}: cannot be read"))?;
        model.scores(&read_radiograph(&name, &bytes)?)
    };
    let mut failed = 0;
    for file in &args.files {
        match predict(file) {
            Ok(scores) if args.json => {
                let findings = ByFinding(scores.map(Some).to_vec());
                print(
                    &json!({ "file": file.display().to_string(), "findings": serde_json::to_value(findings)? })
                        .to_string(),
                )?;
            }
            Ok(scores) => {
                print(&file.display().to_string())?;
                let mut ranked: Vec<_> = shared::Finding::ALL.iter().zip(scores).collect();
                ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
                for (finding, score) in ranked {
                    print(&format!("  {:<20} {score:.3}", finding.name()))?;
                }
            }
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

/// A model of any method.
enum AnyModel {
    /// An image path alone.
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

    fn scores(&mut self, image: &Radiograph) -> anyhow::Result<[f32; shared::Finding::COUNT]> {
        Ok(match self {
            Self::Image(model) => model.scores(image)?,
            Self::Whole(model) => model.scores_of(image)?,
        })
    }
}
