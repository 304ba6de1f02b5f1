//! `cmim export`.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use shared::io::Encoding;
use trainer::data::ImageSource;
use trainer::export::{export, export_segmenter};
use trainer::model_dir::is_segmenter;

use super::print;

#[derive(Debug, Args)]
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
    /// The data the model was trained on: the cost of the encoding is measured on their test split.
    #[arg(long, value_name = "SOURCE")]
    data: Vec<ImageSource>,
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
        if !args.data.is_empty() {
            bail!(
                "{}: a network for MRI: compare both folders with `cmim eval` instead of --data",
                args.model.display()
            );
        }
        let card = export_segmenter(&args.model, &args.out, encoding)?;
        return print(&format!("{}: {} bytes of weights", args.out.display(), card.weights.bytes));
    }
    let card = export(&args.model, &args.out, encoding, &args.data)?;
    let cost = match card.evaluation.and_then(|e| e.compression_cost) {
        Some(cost) => format!("; test macro AUC changes by {cost:+.4}"),
        None => String::new(),
    };
    print(&format!("{}: {} bytes of weights{cost}", args.out.display(), card.weights.bytes))
}
