//! `cmim data`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use trainer::checkpoint::write_atomically;
use trainer::data::describe::describe;
use trainer::data::phantom;
use trainer::data::{ImageSource, PhantomSource};

use super::print;

#[derive(Debug, Args)]
pub(super) struct DataArgs {
    /// A source, such as nih:DIR, openi:DIR, covid:DIR or phantom:xray; or its kind and its folder as two words.
    #[arg(required = true, num_args = 1..=2, value_names = ["SOURCE", "DIR"])]
    source: Vec<String>,
    /// Seed of the split by patient.
    #[arg(long, default_value_t = 0)]
    split_seed: u64,
    /// Write the split, a table `image,patient,part`, that `split` under [data] reads.
    #[arg(long, value_name = "FILE")]
    split_out: Option<PathBuf>,
    /// Generated data only: write a page of samples, a PNG file.
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Prints what a source holds.
pub(super) fn run(args: &DataArgs) -> anyhow::Result<()> {
    let source: ImageSource = args.source.join(":").parse()?;
    let (description, split) = describe(&source, args.split_seed)?;
    if let Some(path) = &args.split_out {
        write_atomically(path, split.to_csv().as_bytes())?;
    }
    if let Some(path) = &args.sheet {
        let ImageSource::Phantom(source) = source else { bail!("--sheet is for generated data: phantom:xray") };
        sheet(&source, path)?;
    }
    print(&if args.json { serde_json::to_string(&description)? } else { description.to_text() })
}

/// Drawings of a page, their side, and the gap between them.
const COLUMNS: usize = 6;
const ROWS: usize = 4;
const SIDE: usize = 192;
const GAP: usize = 6;

/// A page of drawings in the order of the source.
fn sheet(source: &PhantomSource, path: &std::path::Path) -> anyhow::Result<()> {
    let (width, height) = (COLUMNS * (SIDE + GAP) + GAP, ROWS * (SIDE + GAP) + GAP);
    let mut page = image::GrayImage::from_pixel(width as u32, height as u32, image::Luma([255]));
    for index in 0..(COLUMNS * ROWS).min(source.n) {
        let drawing = phantom::xray(source, index, SIDE).image;
        let (left, top) = (index % COLUMNS * (SIDE + GAP) + GAP, index / COLUMNS * (SIDE + GAP) + GAP);
        for (i, grey) in drawing.pixels.iter().enumerate() {
            let (x, y) = (left + i % SIDE, top + i / SIDE);
            page.put_pixel(x as u32, y as u32, image::Luma([(grey * 255.0).round() as u8]));
        }
    }
    page.save_with_format(path, image::ImageFormat::Png).with_context(|| format!("{}: cannot write", path.display()))
}
