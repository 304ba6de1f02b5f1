//! What each method trains and what it answers.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Tensor};
use rand_chacha::ChaCha8Rng;
use shared::finding::Finding;
use shared::io::Weights;
use shared::io::weights::NamedTensor;
use shared::mi::Estimate;
use shared::model::classifier::{
    CrossModalClassifier, CrossModalLosses, IMAGE_PREFIX, LossWeights, PlaceClassifier, ReportClassifier, RunningMeans,
    finding_loss,
};
use shared::model::resnet::{ImageClassifier, ImageOutput};
use shared::model::tienet::{TieNet, tienet_loss};
use shared::nn::Parameters;
use shared::prep::report::TokenBatch;

use super::batch::{Batch, PairedBatch};
use crate::config::{Config, Method};
use crate::error::{Error, Result};
use crate::optim::Trained;
use crate::train::task::Losses;

/// A model on its variables.
#[allow(clippy::large_enum_variant, reason = "there are two in a run")]
pub(super) enum Model {
    /// The image alone.
    Image(ImageClassifier),
    /// Image and report, tied; the image alone at test, or with its report.
    Cmim(CrossModalClassifier),
    /// Image and report.
    Joint(CrossModalClassifier),
    /// The report alone.
    Text(ReportClassifier),
    /// The image, which is captioned.
    TieNet(TieNet),
    /// The image, with places in training.
    Oracle(PlaceClassifier),
}

/// Weight of the oracle's places beside its findings.
const PLACES_WEIGHT: f64 = 1.0;

impl Model {
    /// Builds the configured model on `parameters`; `vocabulary` is 0 for methods without reports.
    pub(super) fn new(config: &Config, vocabulary: usize, parameters: &Parameters) -> Result<Self> {
        let vb = parameters.builder(DType::F32, parameters.device());
        let Config { image, cross_modal, loss, .. } = config;
        Ok(match config.method {
            Method::ResNet => Self::Image(ImageClassifier::new(image, Finding::COUNT, &vb.pp(IMAGE_PREFIX))?),
            Method::Cmim => Self::Cmim(CrossModalClassifier::new(image, cross_modal, loss, vocabulary, &vb)?),
            Method::Joint => {
                // Only the head that reads both: no critics.
                let loss = LossWeights { lambda_ll: 0.0, lambda_lg: 0.0, lambda_gg: 0.0, lambda_joint: 1.0 };
                Self::Joint(CrossModalClassifier::new(image, cross_modal, &loss, vocabulary, &vb)?)
            }
            Method::Text => Self::Text(ReportClassifier::new(&cross_modal.text, vocabulary, &vb)?),
            Method::TieNet => Self::TieNet(TieNet::new(image, &config.tienet, vocabulary, &vb)?),
            Method::Oracle => Self::Oracle(PlaceClassifier::new(image, &vb)?),
        })
    }

    /// The image path, where it alone gives an answer.
    fn image(&self) -> Option<&ImageClassifier> {
        match self {
            Self::Image(image) => Some(image),
            Self::Cmim(model) | Self::Joint(model) => Some(model.image()),
            Self::Oracle(model) => Some(model.image()),
            Self::Text(_) | Self::TieNet(_) => None,
        }
    }

    /// The losses of a batch.
    pub(super) fn losses(
        &self,
        batch: &Batch,
        config: &Config,
        positive_weights: &Tensor,
        means: &mut RunningMeans,
        rng: &mut ChaCha8Rng,
    ) -> Result<Losses> {
        let mut losses = Losses::default();
        let targets = Targets::of(batch)?;
        if let Some(image) = self.image() {
            let out = image.forward_t(&batch.images, true)?;
            if !matches!(self, Self::Joint(_))
                && let Some(loss) = targets.loss(&out.logits, None, positive_weights)?
            {
                losses.add("findings", loss, 1.0)?;
            }
            if let (Self::Oracle(model), Some(places)) = (self, &batch.places) {
                losses.add("places", model.place_loss(&out, places)?, PLACES_WEIGHT)?;
            }
            match (self, &batch.paired) {
                (Self::Cmim(model), Some(paired)) if paired.has_negatives() => {
                    let of_pairs = rows_of(&out, &paired.rows)?;
                    let found = model.cross_modal(&of_pairs, &paired.reports, &paired.negatives, means, rng, true)?;
                    if config.loss.lambda_joint > 0.0
                        && let Some(loss) = targets.loss(&found.joint_logits, Some(&paired.rows), positive_weights)?
                    {
                        losses.add("joint", loss, config.loss.lambda_joint)?;
                    }
                    losses.mutual_information.clone_from(&found.mutual_information);
                    for (name, Estimate { loss, chance }) in estimates(found) {
                        losses.parts.push((name, loss));
                        losses.chances.push((name, chance));
                    }
                }
                (Self::Joint(model), Some(paired)) => {
                    let logits = model.joint_logits(&rows_of(&out, &paired.rows)?, &paired.reports, true)?;
                    if let Some(loss) = targets.loss(&logits, Some(&paired.rows), positive_weights)? {
                        losses.add("joint", loss, 1.0)?;
                    }
                }
                _ => {}
            }
        }
        match (self, &batch.paired) {
            (Self::Text(model), Some(paired)) => {
                let logits = model.forward_t(&paired.reports, true)?;
                if let Some(loss) = targets.loss(&logits, Some(&paired.rows), positive_weights)? {
                    losses.add("findings", loss, 1.0)?;
                }
            }
            (Self::TieNet(model), Some(paired)) => {
                let rows = Tensor::from_slice(&paired.rows, paired.rows.len(), batch.images.device())?;
                let out = model.forward_t(&batch.images.index_select(&rows, 0)?, &paired.reports, true)?;
                let words = model.caption_loss(&out.words, &paired.reports)?;
                let found = targets.loss(&out.logits, Some(&paired.rows), positive_weights)?;
                losses.task = Some(tienet_loss(&words, found.as_ref())?);
                losses.parts.extend(found.map(|found| ("findings", found)));
                losses.parts.push(("words", words));
            }
            _ => {}
        }
        Ok(losses)
    }

    /// Logits of images, without their reports; `None` for methods that need them.
    pub(super) fn answer_images(&self, images: &Tensor) -> Result<Option<Tensor>> {
        Ok(match self {
            Self::Image(_) | Self::Cmim(_) | Self::Oracle(_) => {
                self.image().map(|image| image.forward_t(images, false)).transpose()?.map(|out| out.logits)
            }
            Self::TieNet(model) => Some(model.generate(images)?.0),
            Self::Joint(_) | Self::Text(_) => None,
        })
    }

    /// Logits of images with their reports; `None` for methods that cannot read them at test time.
    pub(super) fn answer_pairs(&self, images: &Tensor, reports: &TokenBatch) -> Result<Option<Tensor>> {
        Ok(match self {
            Self::Cmim(model) | Self::Joint(model) => {
                let image = model.image().forward_t(images, false)?;
                Some(model.joint_logits(&image, reports, false)?)
            }
            Self::Text(model) => Some(model.forward_t(reports, false)?),
            Self::Image(_) | Self::TieNet(_) | Self::Oracle(_) => None,
        })
    }

    /// The mutual-information losses of studies with their own reports, without training: by name.
    pub(super) fn held_out(
        &self,
        images: &Tensor,
        paired: &PairedBatch,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<(&'static str, f64)>> {
        let Self::Cmim(model) = self else { return Ok(Vec::new()) };
        let image = rows_of(&model.image().forward_t(images, false)?, &paired.rows)?;
        let mut means = RunningMeans::default();
        let found = model.cross_modal(&image, &paired.reports, &paired.negatives, &mut means, rng, false)?;
        let value = |(name, estimate): (_, Estimate)| Ok((name, f64::from(estimate.loss.to_scalar::<f32>()?)));
        estimates(found).map(value).collect()
    }
}

/// The mutual-information losses that there are, by the names they have in records.
fn estimates(found: CrossModalLosses) -> impl Iterator<Item = (&'static str, Estimate)> {
    let all = [("ll", found.local_local), ("lg", found.local_global), ("gg", found.global_global)];
    all.into_iter().filter_map(|(name, estimate)| Some((name, estimate?)))
}

/// Findings of the labelled rows of a batch.
struct Targets {
    /// Position among the labelled rows of each row of the batch.
    position: Vec<Option<u32>>,
    /// The labelled rows.
    rows: Tensor,
    /// `[M, K]`.
    findings: Tensor,
}

impl Targets {
    fn of(batch: &Batch) -> Result<Self> {
        let mut position = vec![None; batch.indices.len()];
        for (at, row) in (0..).zip(batch.labelled.to_vec1::<u32>()?) {
            position[row as usize] = Some(at);
        }
        Ok(Self { position, rows: batch.labelled.clone(), findings: batch.targets.clone() })
    }

    /// Cross-entropy of logits, one for each row of the batch or for each of `rows`, over those that are labelled.
    fn loss(&self, logits: &Tensor, rows: Option<&[u32]>, positive_weights: &Tensor) -> Result<Option<Tensor>> {
        let Some(rows) = rows else {
            if self.rows.elem_count() == 0 {
                return Ok(None);
            }
            let logits = logits.index_select(&self.rows, 0)?;
            return Ok(Some(finding_loss(&logits, &self.findings, positive_weights)?));
        };
        let known: Vec<(u32, u32)> =
            (0..).zip(rows).filter_map(|(at, &row)| Some((at, self.position[row as usize]?))).collect();
        if known.is_empty() {
            return Ok(None);
        }
        let (at, target): (Vec<u32>, Vec<u32>) = known.into_iter().unzip();
        let select = |tensor: &Tensor, rows: Vec<u32>| {
            let n = rows.len();
            tensor.index_select(&Tensor::from_vec(rows, n, tensor.device())?, 0)
        };
        Ok(Some(finding_loss(&select(logits, at)?, &select(&self.findings, target)?, positive_weights)?))
    }
}

/// Some rows of an image output.
fn rows_of(out: &ImageOutput, rows: &[u32]) -> Result<ImageOutput> {
    let rows = Tensor::from_slice(rows, rows.len(), out.local.device())?;
    Ok(ImageOutput {
        local: out.local.index_select(&rows, 0)?,
        global: out.global.index_select(&rows, 0)?,
        logits: out.logits.index_select(&rows, 0)?,
    })
}

/// The variables that the optimizer changes, with their learning rates: all but given word vectors.
pub(super) fn trained_variables(config: &Config, parameters: &Parameters) -> Vec<Trained> {
    let frozen = config.data.word_vectors.is_some();
    let training = &config.training;
    let rate = |name: &str| match training.critic_learning_rate {
        Some(rate) if name.starts_with("critic_") => rate,
        _ => training.learning_rate,
    };
    parameters
        .trainable()
        .into_iter()
        .filter(|(name, _)| !(frozen && name.ends_with("embedding.weight")))
        .map(|(name, var)| Trained { learning_rate: rate(&name), name, var })
        .collect()
}

/// Starts the image path from weights with torchvision's names, the head excepted.
pub(super) fn load_image_weights(path: &Path, parameters: &Parameters) -> Result<()> {
    let bytes = std::fs::read(path).map_err(Error::file(path, "cannot read the weights to start from"))?;
    let weights = Weights::from_safetensors(&path.display().to_string(), &bytes)?;
    let prefix = format!("{IMAGE_PREFIX}.");
    for (name, var) in parameters.all() {
        let Some(name) = name.strip_prefix(&prefix).filter(|name| !name.starts_with("fc.")) else { continue };
        let values = weights.get(name, var.dims())?;
        var.set(&Tensor::from_slice(values, var.shape(), var.device())?)?;
    }
    Ok(())
}

/// The image path's tensors under torchvision's names.
pub(super) fn image_weights(tensors: &BTreeMap<String, NamedTensor>) -> Result<Weights> {
    let prefix = format!("{IMAGE_PREFIX}.");
    let image = tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?.to_owned(), tensor.clone())))
        .collect();
    Ok(Weights::new(crate::model_dir::WEIGHTS, image)?)
}
