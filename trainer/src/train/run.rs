//! One run from its first epoch, or from its checkpoint, to its model card.

use std::collections::BTreeMap;
use std::time::Instant;

use candle_core::{Device, Tensor};
use shared::finding::Finding;
use shared::io::ModelCard;
use shared::io::weights::NamedTensor;
use shared::model::classifier::finding_loss;
use shared::model::resnet::{ImageClassifier, ImageOutput};
use shared::nn::Parameters;
use shared::prep::report::ReportTokenizer;

use super::average::Average;
use super::batch::{self, Stream};
use super::model::{self, Model};
use super::{EpochRecord, Observer, Options, Start, finish};
use crate::checkpoint::{Checkpoint, Progress, write_atomically};
use crate::config::Config;
use crate::data::{Dataset, Pairs, Part, Reports, Split, Study};
use crate::error::{Error, Result};
use crate::evaluate::Scored;
use crate::model_dir::SPLIT;
use crate::optim::{Adam, Moments};

/// Name of the checkpoint in the run's folder.
const CHECKPOINT: &str = "checkpoint.safetensors";
/// Name of the metrics in the run's folder.
const METRICS: &str = "metrics.jsonl";
/// Name of the tokenizer in the run's folder.
const TOKENIZER: &str = "tokenizer.json";
/// Validation images with a finding from which on it counts for early stopping.
const MIN_VALIDATION_POSITIVES: usize = 5;
/// Images per step without gradients.
const EVAL_BATCH: usize = 64;

/// Reports ready to be paired.
struct ReportData {
    pairs: Pairs,
    /// Token ids of each report.
    tokens: Vec<Vec<u32>>,
    tokenizer: ReportTokenizer,
    /// How many reports there are.
    n: usize,
}

/// A run in progress.
pub(super) struct Run<'a> {
    pub(super) config: &'a Config,
    pub(super) options: &'a Options,
    pub(super) data: Dataset,
    pub(super) split: Split,
    train: Vec<usize>,
    validation: Vec<usize>,
    reports: Option<ReportData>,
    parameters: Parameters,
    model: Model,
    average: Average,
    adam: Adam,
    positive_weights: Tensor,
    pub(super) progress: Progress,
    /// Weights of the best epoch, by name.
    best: BTreeMap<String, NamedTensor>,
    metrics: String,
}

/// Sums of an epoch's losses.
#[derive(Default)]
struct Sums {
    steps: usize,
    images: usize,
    paired: usize,
    paired_steps: usize,
    total: f64,
    findings: f64,
    joint: f64,
    ll: f64,
    lg: f64,
}

/// Trains as configured and leaves model, card, metrics, split and checkpoint in the folder.
///
/// # Errors
///
/// [`Error`]: bad data or configuration, a folder in use, a loss that is not finite, a full disk. The last checkpoint
/// survives all of them.
pub fn train(config: &Config, options: &Options, observer: &mut impl Observer) -> Result<ModelCard> {
    let mut run = Run::new(config, options)?;
    let steps = run.train.len().div_ceil(config.training.batch_size) * config.training.max_epochs;
    observer.begin(&run.summary(), run.progress.step, steps);
    while run.progress.epoch < config.training.max_epochs && !run.is_out_of_patience() {
        let record = run.epoch(observer)?;
        observer.epoch(&record);
    }
    finish::finish(&run)
}

impl<'a> Run<'a> {
    fn new(config: &'a Config, options: &'a Options) -> Result<Self> {
        let checkpoint = open_folder(config, options)?;
        let data = Dataset::load(&config.data.images, &config.preprocessing)?;
        let split = Split::new(&data.studies, config.data.split_seed);
        let [train, validation] =
            [Part::Train, Part::Validation].map(|part| split.indices(&data.studies, part)).map(enough);
        let (train, validation) = (train?, validation?);
        let parameters = Parameters::new(config.seed);
        let reports = model::reads_reports(config).then(|| load_reports(config, &parameters)).transpose()?;
        let model = Model::new(config, reports.as_ref().map(|r| &r.tokenizer), &parameters)?;
        let average = Average::new(config.training.average_decay, &config.image, &parameters)?;
        let variables = model::trained_variables(config, &parameters);
        let adam = Adam::new(variables, config.training.learning_rate, config.training.weight_decay);
        let positive_weights = batch::positive_weights(&data, &train, config.training.max_positive_weight)?;
        let progress = Progress { epoch: 0, step: 0, best_epoch: 0, best_auroc: None, config: config.clone() };
        let mut run = Self {
            config,
            options,
            data,
            split,
            train,
            validation,
            reports,
            parameters,
            model,
            average,
            adam,
            positive_weights,
            progress,
            best: BTreeMap::new(),
            metrics: String::new(),
        };
        match checkpoint {
            Some(checkpoint) => run.restore(checkpoint)?,
            None => run.write_inputs()?,
        }
        Ok(run)
    }

    /// What was read, in words.
    fn summary(&self) -> String {
        let n = |part| self.split.indices(&self.data.studies, part).map_or(0, |i| i.len());
        let images = format!(
            "{} images ({} repeated ones left out): {} for training, {} for validation, {} for test",
            self.data.len(),
            self.data.n_repeated,
            self.train.len(),
            self.validation.len(),
            n(Part::Test)
        );
        let Some(reports) = &self.reports else { return images };
        let paired = reports.pairs.n_with_partner(self.train.iter().map(|&i| self.data.studies[i].known_findings()));
        format!(
            "{images}; {} reports with {} words; {paired} training images have a report with the same findings",
            reports.n,
            reports.tokenizer.vocabulary_len()
        )
    }

    /// Images that the weights were fitted to, by source, and reports.
    pub(super) fn n_train_by_source(&self) -> Vec<usize> {
        let mut counts = vec![0; self.config.data.images.len()];
        self.train.iter().for_each(|&i| counts[self.data.studies[i].source] += 1);
        counts
    }

    /// How many reports there were.
    pub(super) fn n_reports(&self) -> usize {
        self.reports.as_ref().map_or(0, |reports| reports.n)
    }

    fn is_out_of_patience(&self) -> bool {
        self.progress.epoch >= self.progress.best_epoch + self.config.training.patience
    }

    fn epoch(&mut self, observer: &mut impl Observer) -> Result<EpochRecord> {
        let start = Instant::now();
        let epoch = self.progress.epoch + 1;
        let mut reports_rng = batch::generator(self.config.seed, epoch, Stream::Reports);
        let mut sums = Sums::default();
        for (i, indices) in batch::batches(&self.train, self.config, epoch).iter().enumerate() {
            let loss = self.loss(indices, epoch, &mut reports_rng, &mut sums)?;
            let value = loss.to_scalar::<f32>()?;
            if !value.is_finite() {
                let names: Vec<&str> = indices.iter().map(|&i| self.data.studies[i].image.as_str()).collect();
                return Err(Error::NonFiniteLoss { loss: value, epoch, step: i + 1, images: names.join(", ") });
            }
            self.adam.step(&loss.backward()?)?;
            self.average.follow(&self.parameters, self.adam.steps())?;
            sums.total += f64::from(value);
            sums.steps += 1;
            observer.step();
        }
        self.progress.epoch = epoch;
        self.progress.step = self.adam.steps();
        let validation = self.scored(&self.validation)?.macro_auroc(MIN_VALIDATION_POSITIVES);
        let best = self.progress.best_auroc.is_none_or(|best| validation.is_some_and(|value| value > best));
        if best {
            self.progress.best_epoch = epoch;
            self.progress.best_auroc = validation;
            self.best = self.average.parameters.to_tensors()?;
        }
        let record = sums.record(epoch, self.progress.step, validation, best, start.elapsed().as_secs_f64());
        self.save(&record)?;
        Ok(record)
    }

    /// The weighted sum of all losses of a batch.
    fn loss(
        &self,
        indices: &[usize],
        epoch: usize,
        rng: &mut rand_chacha::ChaCha8Rng,
        sums: &mut Sums,
    ) -> Result<Tensor> {
        let x = batch::images(&self.data, indices, self.config, Some(epoch))?;
        let targets = batch::targets(&self.data, indices)?;
        let out = self.model.image().forward_t(&x, true)?;
        let findings = finding_loss(&out.logits, &targets, &self.positive_weights)?;
        sums.findings += f64::from(findings.to_scalar::<f32>()?);
        sums.images += indices.len();
        let (Model::CrossModal(model), Some(reports)) = (&self.model, &self.reports) else { return Ok(findings) };
        let Some(paired) = batch::pair(&self.data, indices, &reports.pairs, &reports.tokens, rng) else {
            return Ok(findings);
        };
        let rows = Tensor::from_slice(&paired.rows, paired.rows.len(), &Device::Cpu)?;
        let of_pairs = ImageOutput {
            local: out.local.index_select(&rows, 0)?,
            global: out.global.index_select(&rows, 0)?,
            logits: out.logits.index_select(&rows, 0)?,
        };
        let losses = model.cross_modal(&of_pairs, &paired.reports, &paired.negatives, rng)?;
        let joint = finding_loss(&losses.joint_logits, &targets.index_select(&rows, 0)?, &self.positive_weights)?;
        sums.paired += paired.rows.len();
        sums.paired_steps += 1;
        sums.joint += f64::from(joint.to_scalar::<f32>()?);
        sums.ll += f64::from(losses.local_local.to_scalar::<f32>()?);
        sums.lg += f64::from(losses.local_global.to_scalar::<f32>()?);
        let weights = &self.config.loss;
        let report_losses = ((joint * weights.lambda_joint)?
            + ((losses.local_local * weights.lambda_ll)? + (losses.local_global * weights.lambda_lg)?)?)?;
        Ok((findings + report_losses)?)
    }

    /// Scores of the averaged image path for some images.
    fn scored(&self, indices: &[usize]) -> Result<Scored> {
        let scores = scores(&self.average.image, &self.data, indices, self.config)?;
        let studies: Vec<&Study> = indices.iter().map(|&i| &self.data.studies[i]).collect();
        Ok(Scored::new(scores, &studies))
    }

    /// The image path with the weights of the best epoch, and those weights.
    pub(super) fn best_image(&self) -> Result<(ImageClassifier, Parameters)> {
        let parameters = Parameters::new(0);
        for (name, tensor) in &self.best {
            parameters.set(name, &Tensor::from_slice(&tensor.data, tensor.shape.as_slice(), &Device::Cpu)?)?;
        }
        let best = Average::new(0.0, &self.config.image, &parameters)?;
        Ok((best.image, best.parameters))
    }

    fn write_inputs(&self) -> Result<()> {
        let out = &self.options.out;
        write_atomically(&out.join(SPLIT), self.split.to_csv().as_bytes())?;
        write_atomically(&out.join("config.toml"), self.config.to_toml()?.as_bytes())?;
        if let Some(reports) = &self.reports {
            write_atomically(&out.join(TOKENIZER), reports.tokenizer.to_json()?.as_bytes())?;
        }
        Ok(())
    }

    /// Writes the checkpoint, then the metrics: what the metrics say is always in a checkpoint.
    fn save(&mut self, record: &EpochRecord) -> Result<()> {
        let mut all = BTreeMap::new();
        let mut put = |group: &str, tensors: BTreeMap<String, NamedTensor>| {
            all.extend(tensors.into_iter().map(|(name, tensor)| (format!("{group}:{name}"), tensor)));
        };
        put("parameter", self.parameters.to_tensors()?);
        put("average", self.average.parameters.to_tensors()?);
        put("best", self.best.clone());
        let moments = self.adam.moments();
        let vector = |data: &Vec<f32>| NamedTensor { shape: vec![data.len()], data: data.clone() };
        put("first", moments.iter().map(|(name, m)| (name.clone(), vector(&m.first))).collect());
        put("second", moments.iter().map(|(name, m)| (name.clone(), vector(&m.second))).collect());
        let out = &self.options.out;
        Checkpoint { progress: self.progress.clone(), tensors: all }.write(&out.join(CHECKPOINT))?;
        let line = serde_json::to_string(record)
            .map_err(|error| Error::Config { file: METRICS.to_owned(), reason: error.to_string() })?;
        self.metrics += &line;
        self.metrics.push('\n');
        write_atomically(&out.join(METRICS), self.metrics.as_bytes())
    }

    fn restore(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let path = self.options.out.join(CHECKPOINT);
        let mut moments: BTreeMap<String, Moments> = BTreeMap::new();
        let empty = || Moments { first: Vec::new(), second: Vec::new() };
        for (name, tensor) in checkpoint.tensors {
            let Some((group, name)) = name.split_once(':') else { continue };
            match group {
                "first" => moments.entry(name.to_owned()).or_insert_with(empty).first = tensor.data,
                "second" => moments.entry(name.to_owned()).or_insert_with(empty).second = tensor.data,
                "best" => {
                    self.best.insert(name.to_owned(), tensor);
                }
                _ => {
                    let target = if group == "average" { &self.average.parameters } else { &self.parameters };
                    target.set(name, &Tensor::from_vec(tensor.data, tensor.shape, &Device::Cpu)?)?;
                }
            }
        }
        let fits = moments.len() == self.adam.moments().len()
            && self.adam.moments().iter().all(|(name, m)| {
                moments.get(name).is_some_and(|s| (s.first.len(), s.second.len()) == (m.first.len(), m.second.len()))
            });
        if !fits {
            return Err(Error::NotResumable { path, reason: "its tensors are not this model's".to_owned() });
        }
        self.adam.restore(checkpoint.progress.step, moments);
        self.progress = checkpoint.progress;
        let metrics = self.options.out.join(METRICS);
        let text = std::fs::read_to_string(&metrics).map_err(Error::file(&metrics, "cannot read the metrics"))?;
        self.metrics = text.lines().take(self.progress.epoch).flat_map(|line| [line, "\n"]).collect();
        Ok(())
    }
}

impl Sums {
    fn record(&self, epoch: usize, step: usize, validation: Option<f64>, best: bool, seconds: f64) -> EpochRecord {
        let steps = self.steps.max(1) as f64;
        let paired = |sum: f64| (self.paired_steps > 0).then(|| sum / self.paired_steps as f64);
        EpochRecord {
            epoch,
            step,
            loss: self.total / steps,
            loss_findings: self.findings / steps,
            loss_joint: paired(self.joint),
            loss_ll: paired(self.ll),
            loss_lg: paired(self.lg),
            paired: self.paired as f64 / self.images.max(1) as f64,
            validation_auroc: validation,
            best,
            seconds,
        }
    }
}

/// Makes the folder and checks that this run may use it; gives the checkpoint to go on from.
fn open_folder(config: &Config, options: &Options) -> Result<Option<Checkpoint>> {
    std::fs::create_dir_all(&options.out).map_err(Error::file(&options.out, "cannot make the folder"))?;
    let path = options.out.join(CHECKPOINT);
    match options.start {
        Start::Fresh if path.exists() => Err(Error::RunExists { path: options.out.clone() }),
        Start::Fresh => Ok(None),
        Start::Resume => {
            let mut checkpoint = Checkpoint::read(&path)?;
            // How long to train may change: the epochs so far stay what they are.
            let saved = &mut checkpoint.progress.config;
            saved.training.max_epochs = config.training.max_epochs;
            saved.training.patience = config.training.patience;
            if saved != config {
                let reason =
                    "it was made with another configuration (only training.max_epochs and training.patience may \
                              change); give the same one, or another --out"
                        .to_owned();
                return Err(Error::NotResumable { path, reason });
            }
            Ok(Some(checkpoint))
        }
    }
}

fn load_reports(config: &Config, parameters: &Parameters) -> Result<ReportData> {
    if config.data.reports.is_empty() {
        let reason = "method `cmim` needs reports: add `--reports openi:DIR`, or `reports` under [data]".to_owned();
        return Err(Error::Config { file: config.name.clone(), reason });
    }
    let Reports { reports, .. } = Reports::load(&config.data.reports)?;
    let texts: Vec<&str> = reports.iter().map(|report| report.text.as_str()).collect();
    let tokenizer = model::tokenizer(config, &texts, parameters)?;
    let tokens = texts.iter().map(|text| tokenizer.encode(text)).collect::<std::result::Result<_, _>>()?;
    Ok(ReportData { pairs: Pairs::new(&reports), tokens, tokenizer, n: reports.len() })
}

/// At least two images, or an error.
fn enough(indices: crate::data::Result<Vec<usize>>) -> Result<Vec<usize>> {
    let indices = indices?;
    if indices.len() < 2 {
        return Err(Error::TooFewImages { part: "training or validation", found: indices.len(), needed: 2 });
    }
    Ok(indices)
}

/// Scores of an image path for some images, by the trainable layers.
pub(super) fn scores(
    image: &ImageClassifier,
    data: &Dataset,
    indices: &[usize],
    config: &Config,
) -> Result<Vec<[f32; Finding::COUNT]>> {
    let mut scores = Vec::with_capacity(indices.len());
    for part in indices.chunks(EVAL_BATCH) {
        let logits = image.forward_t(&batch::images(data, part, config, None)?, false)?.logits;
        for row in candle_nn::ops::sigmoid(&logits)?.to_vec2::<f32>()? {
            scores.push(std::array::from_fn(|k| row[k]));
        }
    }
    Ok(scores)
}
