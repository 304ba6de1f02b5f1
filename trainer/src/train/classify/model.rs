//! What each method trains and what it answers.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use rand_chacha::ChaCha8Rng;
use shared::finding::Finding;
use shared::io::Weights;
use shared::io::weights::NamedTensor;
use shared::mi::Estimate;
use shared::model::classifier::{
    CrossModalClassifier, IMAGE_PREFIX, LossWeights, PlaceClassifier, ReportClassifier, RunningMeans,
};
use shared::model::resnet::ImageClassifier;
use shared::model::tienet::{TieNet, tienet_loss};
use shared::nn::Parameters;
use shared::prep::report::TokenBatch;
use shared::train::{Losses, PairedBatch, Targets, Trained};

use super::batch::Batch;
use crate::config::{Config, Method};
use crate::error::{Error, Result};

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
        positive_weights: &Tensor,
        means: &mut RunningMeans,
        rng: &mut ChaCha8Rng,
    ) -> Result<Losses> {
        let mut losses = Losses::default();
        let targets = Targets::new(batch.indices.len(), &batch.labelled, &batch.targets, positive_weights)?;
        if let Some(image) = self.image() {
            let out = image.forward_t(&batch.images, true)?;
            if !matches!(self, Self::Joint(_))
                && let Some(loss) = targets.loss(&out.logits, None)?
            {
                losses.add("findings", loss, 1.0)?;
            }
            if let (Self::Oracle(model), Some(places)) = (self, &batch.places) {
                losses.add("places", model.place_loss(&out, places)?, PLACES_WEIGHT)?;
            }
            match (self, &batch.paired) {
                (Self::Cmim(model), Some(paired)) if paired.has_negatives() => {
                    losses.add_cross_modal(model, &out, paired, &targets, means, rng)?;
                }
                (Self::Joint(model), Some(paired)) => {
                    losses.add_joint(model, &out, paired, &targets)?;
                }
                _ => {}
            }
        }
        match (self, &batch.paired) {
            (Self::Text(model), Some(paired)) => {
                let logits = model.forward_t(&paired.reports, true)?;
                if let Some(loss) = targets.loss(&logits, Some(&paired.rows))? {
                    losses.add("findings", loss, 1.0)?;
                }
            }
            (Self::TieNet(model), Some(paired)) => {
                let rows = Tensor::from_slice(&paired.rows, paired.rows.len(), batch.images.device())?;
                let out = model.forward_t(&batch.images.index_select(&rows, 0)?, &paired.reports, true)?;
                let words = model.caption_loss(&out.words, &paired.reports)?;
                let found = targets.loss(&out.logits, Some(&paired.rows))?;
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
        let image = model.image().forward_t(images, false)?.select(&paired.rows)?;
        let mut means = RunningMeans::default();
        let found = model.cross_modal(&image, &paired.reports, &paired.negatives, &mut means, rng, false)?;
        let value = |(name, estimate): (_, Estimate)| Ok((name, f64::from(estimate.loss.to_scalar::<f32>()?)));
        found.estimates().map(value).collect()
    }
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

/// Starts the image path from weights with torchvision's names, the head excepted. Where they are for three colours and
/// the images have one grey channel, the colours' filters are summed: equal channels would give the same.
pub(super) fn load_image_weights(path: &Path, parameters: &Parameters) -> Result<()> {
    let bytes = std::fs::read(path).map_err(Error::file(path, "cannot read the weights to start from"))?;
    let weights = Weights::from_safetensors(&path.display().to_string(), &bytes)?;
    let prefix = format!("{IMAGE_PREFIX}.");
    for (name, var) in parameters.all() {
        let Some(name) = name.strip_prefix(&prefix).filter(|name| !name.starts_with("fc.")) else { continue };
        let value = match (var.dims(), weights.tensors().get(name)) {
            (&[out, 1, h, w], Some(colours)) if colours.shape == [out, 3, h, w] => {
                Tensor::from_slice(&colours.data, (out, 3, h, w), &Device::Cpu)?.sum_keepdim(1)?
            }
            _ => Tensor::from_slice(weights.get(name, var.dims())?, var.shape(), &Device::Cpu)?,
        };
        var.set(&value.to_device(var.device())?)?;
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
