//! `cmim export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use shared::io::Encoding;
use trainer::data::{ReportSource, VolumeSource};
use trainer::evaluate::input::Beside;
use trainer::export::{Measurement, export, export_segmenter};
use trainer::model_dir::is_segmenter;

use super::print;

const EXAMPLES: &str = "\
Examples:
  cmim export --model runs/xray --out static/models/xray --encoding f16 --data nih:data/nih-cxr
  cmim export --model runs/flair --out static/models/mri-flair --encoding f16 --data brats:data/brats2015";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExportArgs {
    /// Folder of the trained model.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Folder to write.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How the weights are stored.
    #[arg(long, default_value = "f16")]
    encoding: EncodingArg,
    /// X-rays: the data the model was trained on, to measure the cost of the encoding on their test split. MRI: volumes
    /// it was not trained on, to note in the card how it does there.
    #[arg(long, value_name = "SOURCE")]
    data: Vec<String>,
    /// X-rays: reports to measure the report path with, for images without their own; those of the training by default.
    #[arg(long, value_name = "SOURCE")]
    reports: Vec<ReportSource>,
    /// X-rays: other images to measure the input check on: frontal chest x-rays of other origin (covid:DIR, nih:DIR…),
    /// or MRI volumes, which it should refuse (brats:DIR).
    #[arg(long, value_name = "SOURCE")]
    beside: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EncodingArg {
    F32,
    F16,
    I8,
}

/// Packs a model.
pub(super) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let encoding = match args.encoding {
        EncodingArg::F32 => Encoding::F32,
        EncodingArg::F16 => Encoding::F16,
        EncodingArg::I8 => Encoding::I8,
    };
    if is_segmenter(&args.model) {
        let data = args.data.iter().map(|source| source.parse()).collect::<Result<Vec<VolumeSource>, _>>()?;
        let card = export_segmenter(&args.model, &args.out, encoding, &data)?;
        return print(&format!("{}: {} bytes of weights", args.out.display(), card.weights.bytes));
    }
    let measurement = Measurement {
        data: args.data.iter().map(|source| source.parse()).collect::<Result<_, _>>()?,
        reports: args.reports.clone(),
        beside: args.beside.iter().map(|source| beside(source)).collect::<anyhow::Result<_>>()?,
    };
    let card = export(&args.model, &args.out, encoding, &measurement)?;
    let cost = match card.evaluation.and_then(|e| e.compression_cost) {
        Some(cost) => format!("; test macro AUC changes by {cost:+.4}"),
        None => String::new(),
    };
    print(&format!("{}: {} bytes of weights{cost}", args.out.display(), card.weights.bytes))
}

fn beside(source: &str) -> anyhow::Result<Beside> {
    if let Ok(volumes) = source.parse() {
        return Ok(Beside::Volumes(volumes));
    }
    Ok(Beside::Images(source.parse()?))
}
