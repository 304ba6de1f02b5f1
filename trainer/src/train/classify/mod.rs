//! Findings of an x-ray, from the image with or without its report.

mod batch;
mod finish;
mod model;
mod reports;
mod whole;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use candle_core::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use shared::FindingSet;
use shared::finding::Finding;
use shared::io::ModelCard;
use shared::model::classifier::RunningMeans;
use shared::nn::Parameters;
use shared::train::{Losses, PairedBatch, Trained};

use self::batch::{Batch, Draw, Material};
use self::model::Model;
use self::reports::ReportData;
use super::folder::RunFolder;
use super::run::Run;
use super::stream::{Stream, generator, steps};
use super::task::Task;
use super::{Observer, Options};
use crate::checkpoint::write_atomically;
use crate::config::{Config, DataConfig, TrainingConfig};
use crate::data::{Dataset, Fingerprint, Part, Split, Study, labeler};
use crate::error::{Error, Result};
use crate::evaluate::Scored;
use crate::model_dir::{CONFIG, SPLIT, TOKENIZER};

pub use whole::WholeModel;

/// Validation images with a finding from which on it counts for early stopping.
const MIN_VALIDATION_POSITIVES: usize = 5;
/// Images per step without gradients.
const EVAL_BATCH: usize = 64;
/// Validation pairs whose mutual-information losses are measured each epoch, in batches as in training.
const HELD_OUT_PAIRS: usize = 64;

/// What a run has come to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Best validation result, the mean area, and its epoch.
    pub validation_auroc: Option<f64>,
    /// From 1.
    pub best_epoch: usize,
    /// Test scores of the weights of that epoch: of images alone, or for methods that need it with their reports.
    pub test: Scored,
    /// Test scores with the reports at hand too, for methods that answer either way.
    pub test_with_reports: Option<Scored>,
    /// Mutual-information losses on validation pairs in that epoch.
    pub held_out: BTreeMap<String, f64>,
    /// The card, for methods whose image path stands alone.
    pub card: Option<ModelCard>,
}

/// Trains as configured and leaves weights, metrics, split and checkpoint in the folder, and for methods whose image
/// path stands alone the model and its card.
///
/// # Errors
///
/// [`Error`]: bad data or configuration, a folder in use, a loss that is not finite, a full disk. The last checkpoint
/// survives all of them.
pub fn train(config: &Config, options: &Options, observer: &mut impl Observer) -> Result<Outcome> {
    let folder = RunFolder::take(options)?;
    let parameters = Parameters::on(&options.device, config.seed);
    let task = Classification::new(config, &parameters)?;
    let mut run = Run::new(task, parameters, folder, options, observer)?;
    run.train(observer)?;
    finish::finish(&run)
}

/// An experiment with its images and reports.
struct Classification<'a> {
    config: &'a Config,
    data: Dataset,
    /// The labels that may be used for training, by study.
    labels: Vec<Option<FindingSet>>,
    split: Split,
    train: Vec<usize>,
    validation: Vec<usize>,
    reports: Option<ReportData>,
    positive_weights: [f32; Finding::COUNT],
    device: Device,
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
    let dataset = Dataset::load(&data.sources(), &config.preprocessing)?;
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

/// At least two images, or an error.
fn enough(part: Part, indices: crate::data::Result<Vec<usize>>) -> Result<Vec<usize>> {
    let indices = indices?;
    if indices.len() < 2 {
        return Err(Error::TooFewImages { part: part.name(), found: indices.len(), needed: 2 });
    }
    Ok(indices)
}

impl<'a> Classification<'a> {
    /// Reads the data; sets the variables that do not start at random.
    fn new(config: &'a Config, parameters: &Parameters) -> Result<Self> {
        let (data, split) = load(config)?;
        let [train, validation] =
            [Part::Train, Part::Validation].map(|part| enough(part, split.indices(&data.studies, part)));
        let (train, validation) = (train?, validation?);
        let labels = labels(config, &data.studies, &train);
        let reports = config
            .method
            .reads_reports()
            .then(|| ReportData::new(config, &data.studies, &train, parameters))
            .transpose()?;
        let positive_weights = batch::positive_weights(&labels, &train, config.training.max_positive_weight);
        let device = parameters.device().clone();
        let task = Self { config, data, labels, split, train, validation, reports, positive_weights, device };
        if task.labelled().len() < 2 {
            let part = "labelled training";
            return Err(Error::TooFewImages { part, found: task.labelled().len(), needed: 2 });
        }
        if let Some(path) = &config.data.image_weights {
            task.build(parameters)?;
            model::load_image_weights(path, parameters)?;
        }
        Ok(task)
    }

    fn labelled(&self) -> Vec<usize> {
        self.train.iter().copied().filter(|&i| self.labels[i].is_some()).collect()
    }

    fn vocabulary(&self) -> usize {
        self.reports.as_ref().map_or(0, |reports| reports.tokenizer.vocabulary_len())
    }

    /// Training images by source, in the order of the configuration's `images`.
    fn n_train_by_source(&self) -> Vec<usize> {
        let mut counts = vec![0; self.config.data.images.len()];
        for &i in &self.train {
            if let Some(count) = counts.get_mut(self.data.studies[i].source) {
                *count += 1;
            }
        }
        counts
    }

    fn material(&self) -> Material<'_> {
        let shrink = if self.config.image.stem_pool { 32 } else { 16 };
        Material {
            config: self.config,
            data: &self.data,
            labels: &self.labels,
            reports: self.reports.as_ref(),
            grid: self.config.preprocessing.size.div_ceil(shrink),
            device: &self.device,
        }
    }

    /// Scores of a model for the labelled ones of some studies: of the images alone, or with their own reports. `None`
    /// where the model cannot answer so, or no study has what it needs.
    fn scored(&self, model: &Model, indices: &[usize], with_reports: bool) -> Result<Option<Scored>> {
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
}

impl Task for Classification<'_> {
    type Config = Config;
    type Batch = Batch;
    type Model = Model;

    const MEASURE: &'static str = "AUC";

    fn config(&self) -> &Config {
        self.config
    }

    fn continued(&self, saved: &Config) -> Config {
        // Where data lie may change: what they are is in the fingerprint, and what they began with in the weights.
        let DataConfig { images, validation, test, reports, split, word_vectors, image_weights, .. } =
            self.config.data.clone();
        let rest = saved.data.clone();
        let data = DataConfig { images, validation, test, reports, split, word_vectors, image_weights, ..rest };
        Config { training: self.config.training.continued(&saved.training), data, ..saved.clone() }
    }

    fn fingerprint(&self) -> Fingerprint {
        let studies = &self.data.studies;
        let known = |study: &Study| format!("{} {:?}", study.image, study.findings);
        let labelled = studies.iter().filter(|study| study.findings.is_some());
        Fingerprint::default()
            .with("images", studies.iter().map(|study| format!("{} of {}", study.image, study.patient)))
            .with("pixels of images", self.data.checksums().iter().map(|sum| sum.to_le_bytes()))
            .with("labelled images", labelled.map(known))
            .with("reports", self.reports.iter().flat_map(ReportData::texts).map(|tokens| bytemuck::cast_slice(tokens)))
            .with("parts of the split", self.split.to_csv().lines())
    }

    fn training(&self) -> &TrainingConfig {
        &self.config.training
    }

    fn name(&self) -> &str {
        &self.config.name
    }

    fn seed(&self) -> u64 {
        self.config.seed
    }

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

    fn write_inputs(&self, out: &Path) -> Result<()> {
        write_atomically(&out.join(SPLIT), self.split.to_csv().as_bytes())?;
        write_atomically(&out.join(CONFIG), self.config.to_toml()?.as_bytes())?;
        if let Some(reports) = &self.reports {
            write_atomically(&out.join(TOKENIZER), reports.tokenizer.to_json()?.as_bytes())?;
        }
        Ok(())
    }

    fn build(&self, parameters: &Parameters) -> Result<Model> {
        Model::new(self.config, self.vocabulary(), parameters)
    }

    fn trained(&self, parameters: &Parameters) -> Vec<Trained> {
        model::trained_variables(self.config, parameters)
    }

    fn n_steps(&self) -> usize {
        self.labelled().len().div_ceil(self.config.training.batch_size)
    }

    fn steps(&self, epoch: usize) -> Vec<Vec<usize>> {
        let unlabelled: Vec<usize> = self.train.iter().copied().filter(|&i| self.labels[i].is_none()).collect();
        steps(&self.labelled(), &unlabelled, &self.config.training, self.config.seed, epoch)
    }

    fn batch(&self, items: Vec<usize>, epoch: usize, step: usize) -> Result<Batch> {
        self.material().training(items, epoch, step)
    }

    fn losses(&self, model: &Model, batch: &Batch, means: &mut RunningMeans, rng: &mut ChaCha8Rng) -> Result<Losses> {
        let weights = Tensor::new(&self.positive_weights, &self.device)?;
        model.losses(batch, &weights, means, rng)
    }

    fn count(&self, batch: &Batch) -> [usize; 2] {
        [batch.indices.len(), batch.paired.as_ref().map_or(0, |paired| paired.rows.len())]
    }

    fn items(&self, batch: &Batch) -> String {
        let names: Vec<&str> = batch.indices.iter().map(|&i| self.data.studies[i].image.as_str()).collect();
        names.join(", ")
    }

    fn validate(&self, model: &Model) -> Result<Option<f64>> {
        let scored = self.scored(model, &self.validation, self.config.method.needs_report_at_test())?;
        Ok(scored.and_then(|scored| scored.macro_auroc(MIN_VALIDATION_POSITIVES)))
    }

    fn held_out(&self, model: &Model) -> Result<BTreeMap<String, f64>> {
        let material = self.material();
        let mut sums: BTreeMap<String, (f64, usize)> = BTreeMap::new();
        // Always the same locations, so that epochs can be compared.
        let mut rng = generator(self.config.seed, 0, Stream::Locations);
        let part = &self.validation[..self.validation.len().min(HELD_OUT_PAIRS)];
        for indices in part.chunks(self.config.training.batch_size) {
            let Some(paired) = material.own_reports(indices).filter(PairedBatch::has_negatives) else {
                continue;
            };
            let images = material.images(indices, None)?;
            for (name, loss) in model.held_out(&images, &paired, &mut rng)? {
                let sum = sums.entry(name.to_owned()).or_default();
                sum.0 += loss;
                sum.1 += 1;
            }
        }
        Ok(sums.into_iter().map(|(name, (sum, n))| (name, sum / n as f64)).collect())
    }
}
