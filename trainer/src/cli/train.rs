//! `cmim train`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use shared::Modality;
use trainer::config::{Config, Experiment, SMOKE, SegmentationConfig};
use trainer::data::ReportSource;
use trainer::evaluate::{CARD_MIN_POSITIVES, EvaluationReport};
use trainer::train::{EpochRecord, Observer, Options, Start, segment, train};

use super::device::DeviceArgs;
use super::print;

#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    /// Experiment, a TOML file; without one, a small run on generated images.
    config: Option<PathBuf>,
    /// Folder for the results.
    #[arg(long)]
    out: PathBuf,
    /// Continue the run in the folder.
    #[arg(long)]
    resume: bool,
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

fn options(args: &TrainArgs) -> anyhow::Result<Options> {
    Ok(Options {
        out: args.out.clone(),
        start: if args.resume { Start::Resume } else { Start::Fresh },
        twin: args.twin.clone(),
        command: command_line(),
        device: args.device.open()?,
    })
}

/// Tumours in MRI.
fn outline(args: &TrainArgs, mut config: SegmentationConfig) -> anyhow::Result<()> {
    if !args.reports.is_empty() || args.twin.is_some() {
        bail!("--reports and --twin are for x-rays; {} is an experiment on MRI", config.name);
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
    let outcome = segment::train(&config, &options(args)?, &mut Terminal::new())?;
    let out = args.out.display();
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
    Ok(())
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
    if config.data.images.is_empty() {
        bail!("{}: no images: add `--data nih:DIR`, or `images` under [data]", config.name);
    }
    let outcome = train(&config, &options(args)?, &mut Terminal::new())?;
    let out = args.out.display();
    let measured = EvaluationReport::new(&outcome.test, CARD_MIN_POSITIVES);
    match (measured.macro_auroc, measured.lo, measured.hi) {
        (Some(value), Some(lo), Some(hi)) => print(&format!(
            "{out}: test macro AUC {value:.3} ({lo:.3} to {hi:.3}) over {} findings, {} images",
            measured.macro_findings.len(),
            measured.n
        ))?,
        _ => print(&format!("{out}: done; no finding has the {CARD_MIN_POSITIVES} test images a macro AUC needs"))?,
    }
    if let Some(with) = outcome.test_with_reports.and_then(|scored| scored.macro_auroc(CARD_MIN_POSITIVES)) {
        print(&format!("{out}: with the reports at hand too {with:.3}"))?;
    }
    Ok(())
}

/// The command that makes this model: as it was given, without the program's folder and without `--resume`, which
/// changes nothing about the result.
pub(super) fn command_line() -> String {
    let quote = |arg: String| if arg.contains([' ', '?', '&', '*']) { format!("'{arg}'") } else { arg };
    let args = std::env::args().skip(1).filter(|arg| arg != "--resume").map(quote);
    std::iter::once("cmim".to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}

/// Progress on standard error: a bar with the time left, and a line an epoch.
struct Terminal {
    bar: ProgressBar,
}

impl Terminal {
    fn new() -> Self {
        Self { bar: ProgressBar::hidden() }
    }

    fn line(&self, text: &str) {
        // A bar on a terminal makes room for the line; elsewhere the line stands alone.
        if self.bar.is_hidden() {
            // Progress that cannot be shown must not end the run.
            let _ = writeln!(std::io::stderr(), "{text}");
        } else {
            self.bar.println(text);
        }
    }
}

impl Observer for Terminal {
    fn begin(&mut self, summary: &str, done: usize, steps: usize) {
        self.line(summary);
        self.bar = ProgressBar::new(steps as u64).with_position(done as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} step {pos}/{len}, at most {eta} left") {
            self.bar.set_style(style);
        }
        self.bar.reset_eta();
    }

    fn step(&mut self) {
        self.bar.inc(1);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let mut parts = vec![format!("epoch {:>3}", record.epoch), format!("loss {:.4}", record.loss)];
        for (name, loss) in &record.losses {
            parts.push(match record.held_out.get(name) {
                Some(held_out) => format!("{name} {loss:.4} ({held_out:.4} on validation)"),
                None => format!("{name} {loss:.4}"),
            });
        }
        parts.push(match record.validation {
            Some(value) => format!("validation {} {value:.4}", record.measure),
            None => format!("validation {} not measurable", record.measure),
        });
        parts.push(format!("{:.0} s", record.seconds));
        if record.best {
            parts.push("best".to_owned());
        }
        let text = parts.join("  ");
        self.line(&text);
    }
}
