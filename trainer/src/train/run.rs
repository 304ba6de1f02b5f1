//! One run from its first epoch, or from its checkpoint, to its results.

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::fmt::Write as _;
use std::time::Instant;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use shared::FindingSet;
use shared::finding::Finding;
use shared::io::weights::NamedTensor;
use shared::nn::Parameters;

use super::average::Average;
use super::batch::{self, Batch, Draw, Material, Stream};
use super::loader::Loader;
use super::model::{self, Losses, Model};
use super::reports::ReportData;
use super::{EpochRecord, Observer, Options, Outcome, Start, curves, finish};
use crate::checkpoint::{Checkpoint, Progress, write_atomically};
use crate::config::{Config, Schedule};
use crate::data::{Dataset, ImageSource, Part, Split, Study, labeler};
use crate::error::{Error, Result};
use crate::evaluate::Scored;
use crate::model_dir::{CONFIG, SPLIT, TOKENIZER};
use crate::optim::{Adam, Moments};

/// Name of the checkpoint in the run's folder.
const CHECKPOINT: &str = "checkpoint.safetensors";
/// Name of the metrics in the run's folder.
const METRICS: &str = "metrics.jsonl";
/// Validation images with a finding from which on it counts for early stopping.
const MIN_VALIDATION_POSITIVES: usize = 5;
/// Images per step without gradients.
const EVAL_BATCH: usize = 64;
/// Validation pairs whose mutual-information losses are measured each epoch, in batches as in training.
const HELD_OUT_PAIRS: usize = 64;

/// A run in progress.
pub(super) struct Run<'a> {
    pub(super) config: &'a Config,
    pub(super) options: &'a Options,
    pub(super) data: Dataset,
    /// The labels that may be used for training, by study.
    labels: Vec<Option<FindingSet>>,
    pub(super) split: Split,
    train: Vec<usize>,
    validation: Vec<usize>,
    pub(super) reports: Option<ReportData>,
    parameters: Parameters,
    model: Model,
    average: Average,
    adam: Adam,
    pub(super) positive_weights: [f32; Finding::COUNT],
    pub(super) progress: Progress,
    /// Weights of the best epoch, by name.
    pub(super) best: BTreeMap<String, NamedTensor>,
    records: Vec<EpochRecord>,
}

/// Sums of an epoch's losses.
#[derive(Default)]
struct Sums {
    images: usize,
    paired: usize,
    steps: usize,
    total: f64,
    /// By name: sum and number of steps that had the loss.
    parts: BTreeMap<&'static str, (f64, usize)>,
    chances: BTreeMap<&'static str, (f64, usize)>,
}

/// Trains as configured and leaves weights, metrics, split and checkpoint in the folder, and for methods whose image
/// path stands alone the model and its card.
///
/// # Errors
///
/// [`Error`]: bad data or configuration, a folder in use, a loss that is not finite, a full disk. The last checkpoint
/// survives all of them.
pub fn train(config: &Config, options: &Options, observer: &mut impl Observer) -> Result<Outcome> {
    let mut run = Run::new(config, options)?;
    observer.begin(&run.summary()?, run.progress.step, run.all_steps());
    while run.progress.epoch < config.training.max_epochs && !run.is_out_of_patience() {
        let record = run.epoch(observer)?;
        observer.epoch(&record);
    }
    finish::finish(&run)
}

/// The training part without labels beyond those that may be used, and with those read from reports.
fn labels(config: &Config, studies: &[Study], train: &[usize]) -> Vec<Option<FindingSet>> {
    let mut labels: Vec<Option<FindingSet>> = studies.iter().map(|study| study.findings).collect();
    let labelled: Vec<usize> = train.iter().copied().filter(|&i| labels[i].is_some()).collect();
    let kept = batch::draw(&labelled, config.data.labelled, config, Draw::Labelled);
    for &i in train {
        let known = kept.binary_search(&i).is_ok();
        labels[i] = match (&labels[i], &studies[i].report) {
            (Some(findings), _) if known => Some(*findings),
            (_, Some(report)) if config.data.labels_from_reports => Some(labeler::findings(report)),
            _ => None,
        };
    }
    labels
}

/// The studies of all sources and their parts: as given, else split by seed.
fn load(config: &Config) -> Result<(Dataset, Split)> {
    let data = &config.data;
    let parts = [(&data.images, Part::Train), (&data.validation, Part::Validation), (&data.test, Part::Test)];
    let sources: Vec<ImageSource> = parts.iter().flat_map(|(sources, _)| sources.iter().cloned()).collect();
    let dataset = Dataset::load(&sources, &config.preprocessing)?;
    let split = if let Some(path) = &data.split {
        Split::read(path)?
    } else if data.validation.is_empty() && data.test.is_empty() {
        Split::new(&dataset.studies, data.split_seed)
    } else {
        let parts: Vec<Part> = parts.iter().flat_map(|(sources, part)| sources.iter().map(|_| *part)).collect();
        Split::by_source(&dataset.studies, &parts)?
    };
    Ok((dataset, split))
}

impl<'a> Run<'a> {
    fn new(config: &'a Config, options: &'a Options) -> Result<Self> {
        let checkpoint = open_folder(config, options)?;
        let (data, split) = load(config)?;
        let [train, validation] =
            [Part::Train, Part::Validation].map(|part| enough(part, split.indices(&data.studies, part)));
        let (train, validation) = (train?, validation?);
        let labels = labels(config, &data.studies, &train);
        let parameters = Parameters::new(config.seed);
        let reports = config
            .method
            .reads_reports()
            .then(|| ReportData::new(config, &data.studies, &train, &parameters))
            .transpose()?;
        let vocabulary = reports.as_ref().map_or(0, |reports| reports.tokenizer.vocabulary_len());
        let model = Model::new(config, vocabulary, &parameters)?;
        if let Some(path) = &config.data.image_weights {
            model::load_image_weights(path, &parameters)?;
        }
        let average = Average::new(config, vocabulary, &parameters)?;
        let adam = Adam::new(model::trained_variables(config, &parameters), config.training.weight_decay);
        let positive_weights = batch::positive_weights(&labels, &train, config.training.max_positive_weight);
        let progress = Progress {
            epoch: 0,
            step: 0,
            best_epoch: 0,
            best_auroc: None,
            means: shared::model::classifier::RunningMeans::default(),
            config: config.clone(),
        };
        let mut run = Self {
            config,
            options,
            data,
            labels,
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
            records: Vec::new(),
        };
        if run.labelled().len() < 2 {
            let part = "labelled training";
            return Err(Error::TooFewImages { part, found: run.labelled().len(), needed: 2 });
        }
        match checkpoint {
            Some(checkpoint) => run.restore(checkpoint)?,
            None => run.write_inputs()?,
        }
        Ok(run)
    }

    fn labelled(&self) -> Vec<usize> {
        self.train.iter().copied().filter(|&i| self.labels[i].is_some()).collect()
    }

    /// What was read, in words.
    fn summary(&self) -> Result<String> {
        let mut text = format!(
            "{} images ({} repeated ones left out): {} for training, {} of them labelled, {} for validation, {} for test",
            self.data.len(),
            self.data.n_repeated,
            self.train.len(),
            self.labelled().len(),
            self.validation.len(),
            self.split.indices(&self.data.studies, Part::Test)?.len()
        );
        for note in &self.data.notes {
            let _ = write!(text, "; {note}");
        }
        if let Some(reports) = &self.reports {
            let (own, matched) = reports.n_paired(&self.data.studies, &self.train);
            let _ = write!(
                text,
                "; reports with {} words: {own} training images have their own, {matched} others one of {} with the same \
                 findings",
                reports.tokenizer.vocabulary_len(),
                reports.n_matched()
            );
        }
        Ok(text)
    }

    /// Steps of a run that no patience ends.
    fn all_steps(&self) -> usize {
        self.labelled().len().div_ceil(self.config.training.batch_size) * self.config.training.max_epochs
    }

    /// Training images by source, in the order of the configuration's `images`.
    pub(super) fn n_train_by_source(&self) -> Vec<usize> {
        let mut counts = vec![0; self.config.data.images.len()];
        for &i in &self.train {
            if let Some(count) = counts.get_mut(self.data.studies[i].source) {
                *count += 1;
            }
        }
        counts
    }

    fn is_out_of_patience(&self) -> bool {
        self.progress.epoch >= self.progress.best_epoch + self.config.training.patience
    }

    /// Share of the learning rate in a step, from 0, of a run of so many.
    fn rate(&self, step: usize, all_steps: usize) -> f64 {
        match self.config.training.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (PI * step as f64 / all_steps as f64).cos()),
        }
    }

    pub(super) fn material(&self) -> Material<'_> {
        let shrink = if self.config.image.stem_pool { 32 } else { 16 };
        Material {
            config: self.config,
            data: &self.data,
            labels: &self.labels,
            reports: self.reports.as_ref(),
            grid: self.config.preprocessing.size.div_ceil(shrink),
        }
    }

    fn epoch(&mut self, observer: &mut impl Observer) -> Result<EpochRecord> {
        let start = Instant::now();
        let epoch = self.progress.epoch + 1;
        let unlabelled: Vec<usize> = self.train.iter().copied().filter(|&i| self.labels[i].is_none()).collect();
        let steps = batch::steps(&self.labelled(), &unlabelled, self.config, epoch);
        let mut locations = batch::generator(self.config.seed, epoch, Stream::Locations);
        let weights = Tensor::new(&self.positive_weights, &Device::Cpu)?;
        let mut sums = Sums::default();
        let mut means = self.progress.means;
        let mut adam = std::mem::replace(&mut self.adam, Adam::new(Vec::new(), 0.0));
        let all_steps = self.all_steps();
        let run = &*self;
        let material = run.material();
        let trained = std::thread::scope(|scope| {
            let mut loader = Loader::start(scope, &material, &steps, epoch);
            while let Some(batch) = loader.next() {
                let batch = batch?;
                let losses = run.model.losses(&batch, run.config, &weights, &mut means, &mut locations)?;
                let rate = run.rate(adam.steps(), all_steps);
                if let Some((grads, value)) = gradients(&losses, run.config, &adam)? {
                    if !value.is_finite() {
                        return Err(run.not_finite(value, epoch, sums.steps + 1, &batch));
                    }
                    adam.step(&grads, rate)?;
                    run.average.follow(&run.parameters, adam.steps())?;
                    sums.total += f64::from(value);
                }
                sums.add(&batch, &losses)?;
                observer.step();
            }
            Ok(loader.waited())
        });
        self.adam = adam;
        let waited = trained?;
        let waiting = waited.as_secs_f64() / start.elapsed().as_secs_f64().max(1e-9);
        self.progress.means = means;
        self.progress.epoch = epoch;
        self.progress.step = self.adam.steps();
        let validation = self
            .scored(&self.average.model, &self.validation, self.config.method.needs_report_at_test())?
            .and_then(|scored| scored.macro_auroc(MIN_VALIDATION_POSITIVES));
        let held_out = self.held_out()?;
        let best = self.progress.best_auroc.is_none_or(|best| validation.is_some_and(|value| value > best));
        if best {
            self.progress.best_epoch = epoch;
            self.progress.best_auroc = validation;
            self.best = self.average.parameters.to_tensors()?;
        }
        let mean = |parts: &BTreeMap<&'static str, (f64, usize)>| -> BTreeMap<String, f64> {
            parts.iter().map(|(name, (sum, n))| ((*name).to_owned(), sum / *n as f64)).collect()
        };
        let record = EpochRecord {
            epoch,
            step: self.progress.step,
            loss: sums.total / sums.steps.max(1) as f64,
            losses: mean(&sums.parts),
            held_out,
            chance: mean(&sums.chances),
            paired: sums.paired as f64 / sums.images.max(1) as f64,
            validation_auroc: validation,
            best,
            seconds: start.elapsed().as_secs_f64(),
            waiting,
        };
        self.records.push(record.clone());
        let last = epoch == self.config.training.max_epochs || self.is_out_of_patience();
        if last || epoch.is_multiple_of(self.config.training.checkpoint_every) {
            self.save()?;
        }
        Ok(record)
    }

    fn not_finite(&self, loss: f32, epoch: usize, step: usize, batch: &Batch) -> Error {
        let names: Vec<&str> = batch.indices.iter().map(|&i| self.data.studies[i].image.as_str()).collect();
        Error::NonFiniteLoss { loss, epoch, step, images: names.join(", ") }
    }

    /// Mutual-information losses of the averaged model on validation studies with their own reports.
    fn held_out(&self) -> Result<BTreeMap<String, f64>> {
        let material = self.material();
        let mut sums: BTreeMap<String, (f64, usize)> = BTreeMap::new();
        // Always the same locations, so that epochs can be compared.
        let mut rng = batch::generator(self.config.seed, 0, Stream::Locations);
        let part = &self.validation[..self.validation.len().min(HELD_OUT_PAIRS)];
        for indices in part.chunks(self.config.training.batch_size) {
            let Some(paired) = material.own_reports(indices).filter(batch::PairedBatch::has_negatives) else {
                continue;
            };
            let images = material.images(indices, None)?;
            for (name, loss) in self.average.model.held_out(&images, &paired, &mut rng)? {
                let sum = sums.entry(name.to_owned()).or_default();
                sum.0 += loss;
                sum.1 += 1;
            }
        }
        Ok(sums.into_iter().map(|(name, (sum, n))| (name, sum / n as f64)).collect())
    }

    /// Scores of a model for the labelled ones of some studies: of the images alone, or with their own reports. `None`
    /// where the model cannot answer so, or no study has what it needs.
    pub(super) fn scored(&self, model: &Model, indices: &[usize], with_reports: bool) -> Result<Option<Scored>> {
        let material = self.material();
        let (mut scores, mut studies) = (Vec::with_capacity(indices.len()), Vec::new());
        let labelled: Vec<usize> =
            indices.iter().copied().filter(|&i| self.data.studies[i].findings.is_some()).collect();
        for part in labelled.chunks(EVAL_BATCH) {
            let (logits, answered) = if with_reports {
                let Some(paired) = material.own_reports(part) else { continue };
                let answered: Vec<usize> = paired.rows.iter().map(|&row| part[row as usize]).collect();
                (model.answer_pairs(&material.images(&answered, None)?, &paired.reports)?, answered)
            } else {
                (model.answer_images(&material.images(part, None)?)?, part.to_vec())
            };
            let Some(logits) = logits else { return Ok(None) };
            for row in candle_nn::ops::sigmoid(&logits)?.to_vec2::<f32>()? {
                scores.push(std::array::from_fn(|k| row[k]));
            }
            studies.extend(answered.iter().map(|&i| &self.data.studies[i]));
        }
        Ok((!studies.is_empty()).then(|| Scored::new(scores, &studies)))
    }

    /// The model with the weights of the best epoch.
    pub(super) fn best_model(&self) -> Result<Model> {
        let parameters = Parameters::new(0);
        for (name, tensor) in &self.best {
            parameters.set(name, &Tensor::from_slice(&tensor.data, tensor.shape.as_slice(), &Device::Cpu)?)?;
        }
        let vocabulary = self.reports.as_ref().map_or(0, |reports| reports.tokenizer.vocabulary_len());
        Model::new(self.config, vocabulary, &parameters)
    }

    /// The record of the best epoch.
    pub(super) fn best_record(&self) -> Option<&EpochRecord> {
        self.records.iter().find(|record| record.epoch == self.progress.best_epoch)
    }

    fn write_inputs(&self) -> Result<()> {
        let out = &self.options.out;
        write_atomically(&out.join(SPLIT), self.split.to_csv().as_bytes())?;
        write_atomically(&out.join(CONFIG), self.config.to_toml()?.as_bytes())?;
        if let Some(reports) = &self.reports {
            write_atomically(&out.join(TOKENIZER), reports.tokenizer.to_json()?.as_bytes())?;
        }
        Ok(())
    }

    /// Writes the checkpoint, then the metrics: what the metrics say is always in a checkpoint.
    fn save(&self) -> Result<()> {
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
        let mut metrics = String::new();
        for record in &self.records {
            let line = serde_json::to_string(record)
                .map_err(|error| Error::Config { file: METRICS.to_owned(), reason: error.to_string() })?;
            metrics += &line;
            metrics.push('\n');
        }
        write_atomically(&out.join(METRICS), metrics.as_bytes())?;
        curves::write(out, &self.config.name, &self.records)
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
        for line in text.lines().take(self.progress.epoch) {
            let record = serde_json::from_str(line).map_err(|error| Error::NotResumable {
                path: metrics.clone(),
                reason: format!("a line is not a record of an epoch: {error}"),
            })?;
            self.records.push(record);
        }
        Ok(())
    }
}

/// The gradients of all losses and their sum's value; `None` if the batch has no loss. Where the configuration asks for
/// it, the mutual-information gradient is scaled down to the length of the other losses' gradient.
fn gradients(losses: &Losses, config: &Config, adam: &Adam) -> Result<Option<(GradStore, f32)>> {
    let both = match (&losses.task, &losses.mutual_information) {
        (None, None) => return Ok(None),
        (Some(loss), None) | (None, Some(loss)) => return Ok(Some((loss.backward()?, loss.to_scalar()?))),
        (Some(task), Some(mi)) if !config.training.scale_gradient => (task + mi)?,
        (Some(task), Some(mi)) => {
            let value = task.to_scalar::<f32>()? + mi.to_scalar::<f32>()?;
            let mut grads = task.backward()?;
            let of_mi = mi.backward()?;
            // Compared over what both reach: the image path.
            let (mut task_square, mut mi_square) = (0.0, 0.0);
            for trained in adam.vars() {
                if let (Some(a), Some(b)) = (grads.get(&trained.var), of_mi.get(&trained.var)) {
                    task_square += a.sqr()?.sum_all()?.to_scalar::<f32>()?;
                    mi_square += b.sqr()?.sum_all()?.to_scalar::<f32>()?;
                }
            }
            let scale = f64::from((task_square / mi_square.max(f32::MIN_POSITIVE)).sqrt().min(1.0));
            for trained in adam.vars() {
                let Some(extra) = of_mi.get(&trained.var) else { continue };
                let scaled = (extra * scale)?;
                let sum = match grads.get(&trained.var) {
                    Some(grad) => (grad + scaled)?,
                    None => scaled,
                };
                grads.insert(&trained.var, sum);
            }
            return Ok(Some((grads, value)));
        }
    };
    Ok(Some((both.backward()?, both.to_scalar()?)))
}

impl Sums {
    fn add(&mut self, batch: &Batch, losses: &Losses) -> Result<()> {
        self.steps += 1;
        self.images += batch.indices.len();
        self.paired += batch.paired.as_ref().map_or(0, |paired| paired.rows.len());
        for (name, loss) in &losses.parts {
            let sum = self.parts.entry(name).or_default();
            sum.0 += f64::from(loss.to_scalar::<f32>()?);
            sum.1 += 1;
        }
        for (name, chance) in &losses.chances {
            let sum = self.chances.entry(name).or_default();
            sum.0 += chance;
            sum.1 += 1;
        }
        Ok(())
    }
}

/// Makes the folder and checks that this run may use it; gives the checkpoint to go on from.
fn open_folder(config: &Config, options: &Options) -> Result<Option<Checkpoint>> {
    std::fs::create_dir_all(&options.out).map_err(Error::file(&options.out, "cannot make the folder"))?;
    let path = options.out.join(CHECKPOINT);
    match options.start {
        Start::Fresh if path.exists() => Err(Error::RunExists { path: options.out.clone() }),
        Start::Fresh => Ok(None),
        Start::ResumeIfAny if !path.exists() => Ok(None),
        Start::Resume | Start::ResumeIfAny => {
            let mut checkpoint = Checkpoint::read(&path)?;
            // How long to train may change: the epochs so far stay what they are. Not where the rate depends on it.
            let saved = &mut checkpoint.progress.config;
            if config.training.schedule == Schedule::Constant {
                saved.training.max_epochs = config.training.max_epochs;
            }
            saved.training.patience = config.training.patience;
            if saved != config {
                let reason = "it was made with another configuration (only training.patience and, at a constant rate, \
                              training.max_epochs may change); give the same one, or another --out"
                    .to_owned();
                return Err(Error::NotResumable { path, reason });
            }
            Ok(Some(checkpoint))
        }
    }
}

/// At least two images, or an error.
fn enough(part: Part, indices: crate::data::Result<Vec<usize>>) -> Result<Vec<usize>> {
    let indices = indices?;
    if indices.len() < 2 {
        return Err(Error::TooFewImages { part: part.name(), found: indices.len(), needed: 2 });
    }
    Ok(indices)
}
