//! `cmim train`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use shared::Modality;
use trainer::config::{Config, Experiment, SMOKE, SegmentationConfig};
use trainer::data::ReportSource;
use trainer::evaluate::EvaluationReport;
use trainer::train::{CHECKPOINT_AFTER, Options, Start, segment, train};

use super::device::DeviceArgs;
use super::print;
use super::progress::Terminal;

const EXAMPLES: &str = "\
Examples:
  cmim train                                   generated x-rays, under two minutes
  cmim train trainer/configs/xray.toml --data nih:data/nih-cxr --reports openi:data/openi --out runs/xray
  cmim train trainer/configs/mri-cmim.toml --data brats:data/brats --modality flair --out runs/flair
  cmim train trainer/configs/xray-resnet50-224.toml --data openi:data/openi --init resnet50.safetensors --device cuda:0
  cmim train trainer/configs/xray.toml --out runs/xray --resume
                                               goes on after any interruption, and ends with the same weights

The folder gets the model (model.safetensors, model.json), the curves (metrics.jsonl, curves.svg, TensorBoard's events),
the split, the configuration and the checkpoints. `cmim report runs/xray` makes one page of it.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TrainArgs {
    /// Experiment, a TOML file; without one, a small run on generated images.
    config: Option<PathBuf>,
    /// Folder for the results; without one, a new folder under runs, named after the experiment's file.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Continue the run in the folder, from its last checkpoint; where there is none yet, begin.
    #[arg(long, requires = "out")]
    resume: bool,
    /// Minutes between checkpoints inside of an epoch, beside those after epochs; fractions are allowed.
    #[arg(long, value_name = "N", default_value_t = CHECKPOINT_AFTER.as_secs_f64() / 60.0, value_parser = minutes)]
    checkpoint_minutes: f64,
    /// Images, such as nih:DIR, openi:DIR, covid:DIR or phantom:xray; for MRI brats:DIR or phantom:brain. Replaces the
    /// configuration's; may be repeated.
    #[arg(long, value_name = "SOURCE")]
    data: Vec<String>,
    /// Reports for images without their own, matched by finding set: openi:DIR or phantom:xray. Replaces the configuration's; may be repeated.
    #[arg(long, value_name = "SOURCE")]
    reports: Vec<ReportSource>,
    /// Seed. Replaces the configuration's.
    #[arg(long)]
    seed: Option<u64>,
    /// The one MRI sequence at test: flair, t1, t1c or t2. Replaces the configuration's.
    #[arg(long)]
    modality: Option<Modality>,
    /// Weights that an x-ray model's image path starts from, its head excepted: a safetensors file with torchvision's tensor
    /// names, such as a ResNet-50 trained on ImageNet. Replaces the configuration's.
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Folder of the all-sequence network that teaches; without it, it is trained first.
    #[arg(long, value_name = "DIR")]
    teacher: Option<PathBuf>,
    /// Folder of the model trained alike on images alone, to compare with on the test split.
    #[arg(long, value_name = "DIR")]
    twin: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Trains as configured; prints the test result.
pub(super) fn run(args: &TrainArgs) -> anyhow::Result<()> {
    let experiment = match &args.config {
        Some(path) => Experiment::read(path)?,
        None => Experiment::Classification(Config::parse("the default configuration", SMOKE)?),
    };
    match experiment {
        Experiment::Classification(config) => classify(args, config),
        Experiment::Segmentation(config) => outline(args, config),
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse::<f64>().ok().filter(|minutes| (0.0..=1e6).contains(minutes));
    minutes.ok_or_else(|| format!("`{text}` is no number of minutes"))
}

/// The folder that was given, or a new one named after the experiment's file.
fn folder(args: &TrainArgs) -> PathBuf {
    let name = args.config.as_deref().and_then(Path::file_stem).map_or("smoke".into(), |stem| stem.to_string_lossy());
    let free = |number: usize| {
        let folder = Path::new("runs").join(if number == 1 { name.to_string() } else { format!("{name}-{number}") });
        (!folder.exists()).then_some(folder)
    };
    args.out.clone().or_else(|| (1..).find_map(free)).unwrap_or_else(|| "runs".into())
}

fn options(args: &TrainArgs) -> anyhow::Result<Options> {
    Ok(Options {
        out: folder(args),
        start: if args.resume { Start::Resume } else { Start::Fresh },
        twin: args.twin.clone(),
        command: command_line(),
        device: args.device.open()?,
        checkpoint_after: Duration::from_secs_f64(60.0 * args.checkpoint_minutes),
    })
}

/// Tumours in MRI.
fn outline(args: &TrainArgs, mut config: SegmentationConfig) -> anyhow::Result<()> {
    if !args.reports.is_empty() || args.twin.is_some() || args.init.is_some() {
        bail!("--reports, --twin and --init are for x-rays; {} is an experiment on MRI", config.name);
    }
    if !args.data.is_empty() {
        config.data.volumes = args.data.iter().map(|source| source.parse()).collect::<Result<_, _>>()?;
        config.data.validation.clear();
        config.data.test.clear();
    }
    if let Some(seed) = args.seed {
        config.seed = seed;
    }
    if args.modality.is_some() {
        config.modality = args.modality;
    }
    if args.teacher.is_some() {
        config.data.teacher.clone_from(&args.teacher);
    }
    // What was replaced may no longer fit.
    let config = SegmentationConfig::parse(&config.name, &config.to_toml()?)?;
    if config.data.volumes.is_empty() {
        bail!("{}: no volumes: add `--data brats:DIR`, or `volumes` under [data]", config.name);
    }
    let options = options(args)?;
    let mut terminal = Terminal::of("slices", &options.device);
    let outcome = segment::train(&config, &options, &mut terminal);
    terminal.clear();
    let outcome = outcome?;
    let out = options.out.display();
    for subset in &outcome.card.subsets {
        if let (Some(dice), Some(half)) = (subset.dice, subset.dice_at_half) {
            print(&format!(
                "{out}: {:<20} test Dice {:.3} ({:.3} to {:.3}), {:.3} at one half, {} scans",
                subset.present.to_string(),
                dice.value,
                dice.lo,
                dice.hi,
                half.value,
                subset.n
            ))?;
        }
    }
    end(&options.out, &terminal)
}

/// Findings of x-rays.
fn classify(args: &TrainArgs, mut config: Config) -> anyhow::Result<()> {
    if args.modality.is_some() || args.teacher.is_some() {
        bail!("--modality and --teacher are for MRI; {} is an experiment on x-rays", config.name);
    }
    if !args.data.is_empty() {
        config.data.images = args.data.iter().map(|source| source.parse()).collect::<Result<_, _>>()?;
    }
    if !args.reports.is_empty() {
        config.data.reports.clone_from(&args.reports);
    }
    if let Some(seed) = args.seed {
        config.seed = seed;
    }
    if args.init.is_some() {
        config.data.image_weights.clone_from(&args.init);
    }
    if config.data.images.is_empty() {
        bail!("{}: no images: add `--data nih:DIR`, or `images` under [data]", config.name);
    }
    let options = options(args)?;
    let mut terminal = Terminal::of("images", &options.device);
    let outcome = train(&config, &options, &mut terminal);
    terminal.clear();
    let outcome = outcome?;
    let out = options.out.display();
    let min_positives = outcome.test.min_positives();
    let measured = EvaluationReport::new(&outcome.test, min_positives);
    match (measured.macro_auroc, measured.lo, measured.hi) {
        (Some(value), Some(lo), Some(hi)) => print(&format!(
            "{out}: test macro AUC {value:.3} ({lo:.3} to {hi:.3}) over the {} findings with at least {min_positives} of {} \
             images",
            measured.macro_findings.len(),
            measured.n
        ))?,
        _ => print(&format!("{out}: done; no finding has a test image with it and one without"))?,
    }
    if let Some(with) = outcome.test_with_reports.and_then(|scored| scored.macro_auroc(min_positives)) {
        print(&format!("{out}: with the reports at hand too {with:.3}"))?;
    }
    end(&options.out, &terminal)
}

/// The last lines: how the validation result rose, and where the figures are.
fn end(out: &Path, terminal: &Terminal) -> anyhow::Result<()> {
    if let Some(curve) = terminal.curve() {
        print(&curve)?;
    }
    print(&format!("the curves are in {0}/curves.svg; `cmim report {0}` makes one page of everything", out.display()))
}

/// The command that makes this model: as it was given, without the program's folder and without `--resume`, which
/// changes nothing about the result.
pub(super) fn command_line() -> String {
    let quote = |arg: String| if arg.contains([' ', '?', '&', '*']) { format!("'{arg}'") } else { arg };
    let args = std::env::args().skip(1).filter(|arg| arg != "--resume").map(quote);
    std::iter::once("cmim".to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}
