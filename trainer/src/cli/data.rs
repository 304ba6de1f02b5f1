//! `cmim data`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use shared::Modality;
use shared::phantom::{BrainSource, PhantomSource, brain, xray};
use trainer::checkpoint::write_atomically;
use trainer::data::describe::describe;
use trainer::data::{ImageSource, VolumeSource};

use super::print;

const EXAMPLES: &str = "\
Examples:
  cmim data openi data/openi                            what was found, left out, and why
  cmim data nih:data/nih-cxr --split-out split.csv      the split by patient, to be read under [data]
  cmim data phantom:xray --sheet page.png               a page of generated x-rays";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DataArgs {
    /// A source, such as nih:DIR, openi:DIR, covid:DIR or phantom:xray, for MRI brats:DIR or phantom:brain; or its kind and
    /// its folder as two words.
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
    let source = args.source.join(":");
    if source.starts_with("brats:") || source.starts_with("phantom:brain") {
        return volumes(args, &source.parse()?);
    }
    let source: ImageSource = source.parse()?;
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

/// Prints what a source of MRI volumes holds.
fn volumes(args: &DataArgs, source: &VolumeSource) -> anyhow::Result<()> {
    if args.split_out.is_some() {
        bail!("--split-out is for x-rays: `cmim train` leaves the split of MRI scans in its folder");
    }
    if let Some(path) = &args.sheet {
        let VolumeSource::Phantom(source) = source else { bail!("--sheet is for generated data: phantom:brain") };
        brain_sheet(source, path)?;
    }
    let description = trainer::data::volumes::describe::describe(source)?;
    print(&if args.json { serde_json::to_string(&description)? } else { description.to_text() })
}

/// Rows of a page of heads, pixels of each picture, and sequences beside the truth.
const HEADS: usize = 6;

/// A page of heads: a patient a row, the four sequences and the truth of a middle slice.
fn brain_sheet(source: &BrainSource, path: &std::path::Path) -> anyhow::Result<()> {
    let side = source.size;
    let columns = Modality::COUNT + 1;
    let (width, height) = (columns * (side + GAP) + GAP, HEADS * (side + GAP) + GAP);
    let mut page = image::GrayImage::from_pixel(width as u32, height as u32, image::Luma([255]));
    for index in 0..HEADS.min(source.n) {
        let head = brain::patient(source, index);
        let slice = source.slices / 2 * side * side..(source.slices / 2 + 1) * side * side;
        for column in 0..columns {
            let picture: Vec<u8> = match head.sequences.get(column) {
                Some(volume) => {
                    let values = &volume.voxels[slice.clone()];
                    let mut sorted: Vec<f32> = values.iter().copied().filter(|value| *value > 0.0).collect();
                    sorted.sort_unstable_by(f32::total_cmp);
                    let most = sorted.get(sorted.len() * 995 / 1000).copied().unwrap_or(1.0);
                    values.iter().map(|value| (255.0 * value / most).min(255.0) as u8).collect()
                }
                None => head.truth[slice.clone()].iter().map(|label| 63 * label).collect(),
            };
            let (left, top) = (column * (side + GAP) + GAP, index * (side + GAP) + GAP);
            for (i, grey) in picture.into_iter().enumerate() {
                // Rows go to the front, pictures downwards.
                let (x, y) = (left + i % side, top + side - 1 - i / side);
                page.put_pixel(x as u32, y as u32, image::Luma([grey]));
            }
        }
    }
    page.save_with_format(path, image::ImageFormat::Png).with_context(|| format!("{}: cannot write", path.display()))
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
        let drawing = xray::examination(source, index, SIDE).image;
        let (left, top) = (index % COLUMNS * (SIDE + GAP) + GAP, index / COLUMNS * (SIDE + GAP) + GAP);
        for (i, grey) in drawing.pixels.iter().enumerate() {
            let (x, y) = (left + i % SIDE, top + i / SIDE);
            page.put_pixel(x as u32, y as u32, image::Luma([(grey * 255.0).round() as u8]));
        }
    }
    page.save_with_format(path, image::ImageFormat::Png).with_context(|| format!("{}: cannot write", path.display()))
}
