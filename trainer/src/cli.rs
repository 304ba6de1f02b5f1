//! The command line of `cmim`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use shared::io::{Encoding, read_radiograph};
use trainer::config::{Config, SMOKE};
use trainer::data::{ImageSource, Part, ReportSource, Study, union};
use trainer::evaluate::{ByFinding, EvaluationReport, Scored, score};
use trainer::export::export;
use trainer::model_dir::ModelDir;
use trainer::train::{EpochRecord, Observer, Options, Start, train};

/// Cross-modal information maximization: trains on images with reports, predicts from the image alone.
#[derive(Debug, Parser)]
#[command(name = "cmim", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model; leaves model.safetensors, model.json and metrics.jsonl in the folder.
    Train(TrainArgs),
    /// Measure a model on labelled images.
    Eval(EvalArgs),
    /// Score images.
    Predict(PredictArgs),
    /// Pack a model for the page, with compressed weights.
    Export(ExportArgs),
}

#[derive(Debug, Args)]
struct TrainArgs {
    /// Experiment, a TOML file; without one, a small run on generated images.
    config: Option<PathBuf>,
    /// Folder for the results.
    #[arg(long)]
    out: PathBuf,
    /// Continue the run in the folder.
    #[arg(long)]
    resume: bool,
    /// Images with findings: nih:DIR or phantom:xray. Replaces the configuration's; may be repeated.
    #[arg(long, value_name = "SOURCE")]
    data: Vec<ImageSource>,
    /// Reports: openi:DIR or phantom:xray. Replaces the configuration's; may be repeated.
    #[arg(long, value_name = "SOURCE")]
    reports: Vec<ReportSource>,
    /// Seed. Replaces the configuration's.
    #[arg(long)]
    seed: Option<u64>,
    /// Folder of the model trained alike on images alone, to compare with on the test split.
    #[arg(long, value_name = "DIR")]
    twin: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct EvalArgs {
    /// Labelled images: nih:DIR or phantom:xray; may be repeated.
    #[arg(long, value_name = "SOURCE", required = true)]
    data: Vec<ImageSource>,
    /// Folder of the model.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Only this part of the split the model was trained with.
    #[arg(long)]
    part: Option<PartArg>,
    /// Findings with fewer images do not enter the macro average.
    #[arg(long, default_value_t = 1)]
    min_positives: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PartArg {
    Train,
    Validation,
    Test,
}

#[derive(Debug, Args)]
struct PredictArgs {
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

#[derive(Debug, Args)]
struct ExportArgs {
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

/// Runs the command that was given.
pub(crate) fn run(cli: &Cli) -> anyhow::Result<()> {
    match &cli.command {
        Command::Train(args) => run_train(args),
        Command::Eval(args) => run_eval(args),
        Command::Predict(args) => run_predict(args),
        Command::Export(args) => run_export(args),
    }
}

/// Writes to standard output; a reader that went away is no error of ours.
fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.context("cannot write to standard output"),
    }
}

fn run_train(args: &TrainArgs) -> anyhow::Result<()> {
    let mut config = match &args.config {
        Some(path) => Config::read(path)?,
        None => Config::parse("the default configuration", SMOKE)?,
    };
    if !args.data.is_empty() {
        config.data.images.clone_from(&args.data);
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
    let options = Options {
        out: args.out.clone(),
        start: if args.resume { Start::Resume } else { Start::Fresh },
        twin: args.twin.clone(),
        command: command_line(),
    };
    let card = train(&config, &options, &mut Terminal::new())?;
    let out = args.out.display();
    match card.evaluation.and_then(|e| e.macro_auroc.map(|auroc| (auroc, e.macro_findings.len(), e.n))) {
        Some((auroc, findings, n)) => print(&format!(
            "{out}: test macro AUC {:.3} ({:.3} to {:.3}) over {findings} findings, {n} images",
            auroc.value, auroc.lo, auroc.hi
        )),
        None => print(&format!("{out}: done; no finding has the 20 test images a macro AUC needs")),
    }
}

/// The command that makes this model: as it was given, without the program's folder and without `--resume`, which
/// changes nothing about the result.
fn command_line() -> String {
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
        let mut parts = vec![format!("epoch {:>3}", record.epoch), format!("loss {:.4}", record.loss_findings)];
        if let (Some(ll), Some(lg)) = (record.loss_ll, record.loss_lg) {
            parts.push(format!("L_ll {ll:.4}  L_lg {lg:.4}"));
        }
        parts.push(match record.validation_auroc {
            Some(auroc) => format!("validation AUC {auroc:.4}"),
            None => "validation AUC not measurable".to_owned(),
        });
        parts.push(format!("{:.0} s", record.seconds));
        if record.best {
            parts.push("best".to_owned());
        }
        let text = parts.join("  ");
        self.line(&text);
    }
}

fn run_eval(args: &EvalArgs) -> anyhow::Result<()> {
    let model = ModelDir::read(&args.model)?;
    let (studies, _) = union(&args.data)?;
    let split = model.split()?;
    let part = args.part.map(|part| match part {
        PartArg::Train => Part::Train,
        PartArg::Validation => Part::Validation,
        PartArg::Test => Part::Test,
    });
    let chosen: Vec<&Study> = match (part, &split) {
        (None, _) => studies.iter().collect(),
        (Some(part), Some(split)) => split.indices(&studies, part)?.into_iter().map(|i| &studies[i]).collect(),
        (Some(_), None) => bail!("{}: there is no split.csv, so --part has nothing to choose by", args.model.display()),
    };
    if let Some(split) = split.filter(|_| part.is_none()) {
        let seen = chosen.iter().filter(|s| split.part(&s.image) == Some(Part::Train)).count();
        if seen > 0 {
            let note =
                format!("note: the model was trained on {seen} of these {} images; see --part test", chosen.len());
            writeln!(std::io::stderr(), "{note}")?;
        }
    }
    let scored = Scored::new(score(&model, &chosen)?, &chosen);
    let report = EvaluationReport::new(&scored, args.min_positives);
    if args.json {
        return print(&serde_json::to_string(&report)?);
    }
    for (finding, auroc) in shared::Finding::ALL.iter().zip(&report.findings.0) {
        match auroc {
            Some(a) => print(&format!(
                "{:<20} {:.3} ({:.3} to {:.3}), {} of {} images",
                finding.name(),
                a.auroc,
                a.lo,
                a.hi,
                a.n_pos,
                a.n
            ))?,
            None => print(&format!("{:<20} not measurable: needs images with and without it", finding.name()))?,
        }
    }
    match (report.macro_auroc, report.lo, report.hi) {
        (Some(value), Some(lo), Some(hi)) => print(&format!(
            "{:<20} {value:.3} ({lo:.3} to {hi:.3}) over {} findings, {} images of {} patients",
            "macro",
            report.macro_findings.len(),
            report.n,
            report.n_patients
        )),
        _ => print("macro                not measurable"),
    }
}

fn run_predict(args: &PredictArgs) -> anyhow::Result<()> {
    let mut classifier = ModelDir::read(&args.model)?.classifier()?;
    let mut predict = |file: &Path| -> anyhow::Result<[f32; shared::Finding::COUNT]> {
        let name = file.display().to_string();
        let bytes = std::fs::read(file).with_context(|| format!("{name}: cannot be read"))?;
        Ok(classifier.scores(&read_radiograph(&name, &bytes)?)?)
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

fn run_export(args: &ExportArgs) -> anyhow::Result<()> {
    let encoding = match args.encoding {
        EncodingArg::F32 => Encoding::F32,
        EncodingArg::F16 => Encoding::F16,
        EncodingArg::I8 => Encoding::I8,
    };
    let card = export(&args.model, &args.out, encoding, &args.data)?;
    let cost = match card.evaluation.and_then(|e| e.compression_cost) {
        Some(cost) => format!("; test macro AUC changes by {cost:+.4}"),
        None => String::new(),
    };
    print(&format!("{}: {} bytes of weights{cost}", args.out.display(), card.weights.bytes))
}
