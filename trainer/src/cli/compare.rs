//! `cmim compare`.

use std::path::PathBuf;

use clap::Args;
use shared::Finding;
use trainer::compare::compare;
use trainer::data::{ImageSource, union};
use trainer::evaluate::Scored;
use trainer::model_dir::read_split;

use super::eval::{PartArg, chosen, scores};
use super::print;

const EXAMPLES: &str = "\
Examples:
  cmim compare runs/cmim runs/resnet --data nih:data/nih-cxr --part test";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompareArgs {
    /// Folder of the first model.
    a: PathBuf,
    /// Folder of the second model.
    b: PathBuf,
    /// Labelled images, such as nih:DIR, openi:DIR or phantom:xray; may be repeated.
    #[arg(long, value_name = "SOURCE", required = true)]
    data: Vec<ImageSource>,
    /// Only this part of the split that both models must have been trained with.
    #[arg(long)]
    part: Option<PartArg>,
    /// Findings with fewer images do not enter the macro average.
    #[arg(long, default_value_t = 1)]
    min_positives: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Compares two models on the same images.
pub(super) fn run(args: &CompareArgs) -> anyhow::Result<()> {
    let studies = union(&args.data)?.studies;
    let (split, other) = (read_split(&args.a)?, read_split(&args.b)?);
    if args.part.is_some() && split != other {
        anyhow::bail!(
            "{} and {} were trained with different splits: the test images of one may be training images of the other",
            args.a.display(),
            args.b.display()
        );
    }
    let chosen = chosen(&studies, split.as_ref(), args.part, &args.a)?;
    let scored = |model| Ok::<_, anyhow::Error>(Scored::new(scores(model, &chosen, false)?, &chosen));
    let comparison = compare(&scored(&args.a)?, &scored(&args.b)?, args.min_positives)?;
    if args.json {
        return print(&serde_json::to_string(&comparison)?);
    }
    print(&format!("{:<20} {:>7} {:>7}   difference", "", "first", "second"))?;
    for (finding, found) in Finding::ALL.iter().zip(&comparison.findings.0) {
        match found {
            Some(found) => {
                let (auroc, difference) = (&found.auroc, &found.auroc.difference);
                print(&format!(
                    "{:<20} {:>7.3} {:>7.3}   {:+.3} ({:+.3} to {:+.3}), p = {:.3} (DeLong), {} images with it",
                    finding.name(),
                    auroc.auroc_a,
                    auroc.auroc_b,
                    difference.value,
                    difference.lo,
                    difference.hi,
                    auroc.p,
                    found.n_pos
                ))?;
            }
            None => print(&format!("{:<20} not measurable", finding.name()))?,
        }
    }
    match comparison.macro_difference {
        Some(difference) => print(&format!(
            "{:<20} {:>15}   {:+.3} ({:+.3} to {:+.3}), paired bootstrap over {} patients",
            "macro", "", difference.value, difference.lo, difference.hi, comparison.n_patients
        )),
        None => print("macro                not measurable"),
    }
}
