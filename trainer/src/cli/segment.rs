//! `cmim segment`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use shared::infer::{PreparedScan, Segmentation};
use shared::io::{SegmenterCard, Volume, metaimage, nifti};
use shared::metric::Interval;
use shared::{Error, Modality, ModalitySet};
use trainer::checkpoint::write_atomically;
use trainer::data::brats;
use trainer::model_dir::SegmenterDir;
use trainer::outliner::Outliner;

use super::print;

/// Mean Dice below which an outline is worth little.
const POOR_DICE: f64 = 0.5;

const EXAMPLES: &str = "\
Examples:
  cmim segment --modality flair --input flair.nii.gz --model static/models/mri-flair --output mask.nii.gz
  cmim segment --modality t1c --input t1c.nii.gz --modality flair --input flair.nii.gz \\
               --model static/models/mri-hemis --output mask.nii.gz";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SegmentArgs {
    /// MRI sequence of each input, in their order: flair, t1, t1c or t2; repeated for several sequences.
    #[arg(long, value_name = "SEQUENCE", required = true)]
    modality: Vec<Modality>,
    /// Volume of each sequence: NIfTI (.nii, .nii.gz) or MetaImage (.mha, .mhd).
    #[arg(long, value_name = "FILE", required = true)]
    input: Vec<PathBuf>,
    /// Folder of the model.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Mask to write, .nii.gz or .mha, on the voxels of the input: 1 for enhancing tumour.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is printed of an outline.
#[derive(Debug, Serialize)]
struct Answer {
    output: String,
    /// The sequences that were used.
    present: ModalitySet,
    threshold: f32,
    n_voxels: usize,
    volume_ml: f64,
    /// What the model's card tells of these sequences: of its own kind of data first, then of others.
    expected: Vec<Expected>,
}

/// How a model did where it was measured.
#[derive(Debug, Serialize)]
struct Expected {
    /// Mean over the test scans.
    dice: Interval,
    n: usize,
    /// The scans, and how they were measured.
    data: String,
}

/// What the card of a model tells of certain sequences.
fn expected(card: &SegmenterCard, used: ModalitySet) -> Vec<Expected> {
    let elsewhere = card.elsewhere.iter().filter_map(|measured| {
        let subset = measured.subsets.iter().find(|subset| subset.present == used)?;
        Some((subset, &measured.data))
    });
    card.subset(used)
        .map(|subset| (subset, &card.evaluation))
        .into_iter()
        .chain(elsewhere)
        .filter_map(|(subset, data)| Some(Expected { dice: subset.dice?, n: subset.n, data: data.clone() }))
        .collect()
}

/// Outlines the tumour of one examination.
pub(super) fn run(args: &SegmentArgs) -> anyhow::Result<()> {
    let format = Format::of(&args.output)?;
    let inputs = paired(&args.modality, &args.input)?;
    let mut outliner = Outliner::new(&SegmenterDir::read(&args.model)?)?;
    let given = ModalitySet::new(args.modality.iter().copied())?;
    let used = outliner.card().architecture.require(Some(given))?;
    let mut volumes: [Option<Volume>; Modality::COUNT] = [None, None, None, None];
    for (volume, path) in volumes.iter_mut().zip(&inputs) {
        *volume = path.map(read_one).transpose()?;
    }
    let names = inputs.map(|path| path.map_or_else(String::new, |path| path.display().to_string()));
    let scan = PreparedScan::new(outliner.card().grid, used, &names.each_ref().map(String::as_str), &volumes)?;
    // Not needed any more, and large.
    drop(volumes);
    let found = outliner.outline(&scan, used)?.finish();
    write_atomically(&args.output, &format.bytes(&found)?)?;

    let card = outliner.card();
    let answer = Answer {
        output: args.output.display().to_string(),
        present: used,
        threshold: card.threshold(used),
        n_voxels: found.n_voxels,
        volume_ml: found.volume_ml,
        expected: expected(card, used),
    };
    if used != given {
        note(&format!("{given} is given, of which the model reads {used} alone"))?;
    }
    if args.json {
        print(&serde_json::to_string(&answer)?)?;
    } else {
        print(&format!(
            "{}: {:.2} ml of enhancing tumour, {} voxels",
            answer.output, answer.volume_ml, answer.n_voxels
        ))?;
        for Expected { dice: Interval { value, lo, hi }, n, data } in &answer.expected {
            print(&format!("Dice from {used}: {value:.3} ({lo:.3} to {hi:.3}) on {n} scans: {data}"))?;
        }
    }
    let worst = answer.expected.iter().map(|expected| expected.dice.value).reduce(f64::min);
    match worst {
        Some(dice) if dice < POOR_DICE => note(&format!(
            "from {used} this model's outlines overlapped little with the truth, mean Dice {dice:.3}: do not rely on this one"
        )),
        Some(_) => Ok(()),
        None => note(&format!("nobody measured this model on {used}: do not rely on this outline")),
    }
}

/// A warning on standard error.
fn note(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stderr(), "warning: {text}")?)
}

/// The file of each sequence, in the order of [`Modality::ALL`].
fn paired<'a>(sequences: &[Modality], files: &'a [PathBuf]) -> anyhow::Result<[Option<&'a Path>; Modality::COUNT]> {
    if sequences.len() != files.len() {
        bail!("--modality is given {} times and --input {} times: give one for each", sequences.len(), files.len());
    }
    let mut paired: [Option<&Path>; Modality::COUNT] = [None; Modality::COUNT];
    for (sequence, file) in sequences.iter().zip(files) {
        if let Some(first) = paired[sequence.index()].replace(file.as_path()) {
            bail!("{sequence} is given twice, as {} and as {}", first.display(), file.display());
        }
    }
    Ok(paired)
}

/// The one volume of a file.
fn read_one(path: &Path) -> anyhow::Result<Volume> {
    let mut volumes = brats::read_file(path)?;
    match (volumes.pop(), volumes.len()) {
        (Some(volume), 0) => Ok(volume),
        (_, rest) => Err(Error::SeveralVolumes { file: path.display().to_string(), n_volumes: rest + 1 }.into()),
    }
}

/// How a mask is written.
#[derive(Debug, Clone, Copy)]
enum Format {
    Nifti,
    MetaImage,
}

impl Format {
    /// By the end of a file's name, before any work is done for it.
    fn of(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string().to_ascii_lowercase();
        if name.ends_with(".nii.gz") {
            return Ok(Self::Nifti);
        }
        if Path::new(&name).extension().is_some_and(|extension| extension == "mha") {
            return Ok(Self::MetaImage);
        }
        bail!("{}: a mask is written as .nii.gz or .mha: let --output end in one of these", path.display())
    }

    fn bytes(self, found: &Segmentation) -> shared::Result<Vec<u8>> {
        match self {
            Self::Nifti => nifti::write_mask(&found.geometry, &found.mask),
            Self::MetaImage => metaimage::write_mask(&found.geometry, &found.mask),
        }
    }
}
