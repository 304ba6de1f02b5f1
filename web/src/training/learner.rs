//! A model that is trained: the trainer's own, only smaller.

use std::f64::consts::PI;

use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use shared::mi::{CriticConfig, CriticKind, Estimator};
use shared::model::bilinear::BilinearConfig;
use shared::model::classifier::{
    CrossModalClassifier, CrossModalConfig, GlobalFeatures, IMAGE_PREFIX, Locations, LossWeights, RunningMeans,
};
use shared::model::resnet::{Depth, ImageClassifier, ResNetConfig};
use shared::model::text_cnn::TextCnnConfig;
use shared::nn::Parameters;
use shared::prep::report::TokenBatch;
use shared::train::{Adam, Losses, MiGradient, PairedBatch, Targets, Trained, gradients};
use shared::{Finding, Result};

/// The image path.
const IMAGE: ResNetConfig = ResNetConfig { depth: Depth::D18, width: 4, in_channels: 1, stem_pool: false };

/// Learning rate of the image path, and of everything beside it.
const IMAGE_RATE: f64 = 3e-3;
const OTHER_RATE: f64 = 1e-2;
const WEIGHT_DECAY: f64 = 0.1;

/// Weight of CMIM's loss of the head that reads both.
const LAMBDA_JOINT: f64 = 0.1;

/// What trains with the image path.
fn cross_modal() -> CrossModalConfig {
    CrossModalConfig {
        text: TextCnnConfig { word_dim: 16, widths: vec![16, 32] },
        joint: BilinearConfig { side: 16, out: 32 },
        critic: CriticConfig { kind: CriticKind::EncodeAndDot, hidden: 32 },
        locations: Locations(4),
        estimator: Estimator::Jsd,
        global: GlobalFeatures::Report,
        ..CrossModalConfig::default()
    }
}

/// How a model is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// On image and report, which it needs both.
    Joint,
    /// On the image alone.
    Twin,
    /// On the image, tied to the report by mutual information.
    Cmim,
}

/// A model on its variables.
#[allow(clippy::large_enum_variant, reason = "there are three in a training")]
enum Model {
    Image(ImageClassifier),
    Both(CrossModalClassifier),
}

/// The name that the loss of local against global features has in records.
const LOCAL_GLOBAL: &str = "lg";

/// What a step found before it changed the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    /// Cross-entropy of the findings.
    pub(super) loss: f64,
    /// By how much the critic of local against global features did better than chance, in nats; `None` without critics.
    pub(super) bound: Option<f64>,
}

/// A model, its optimizer, and what it draws at random.
pub(super) struct Learner {
    method: Method,
    model: Model,
    adam: Adam,
    means: RunningMeans,
    locations: ChaCha8Rng,
    n_steps: usize,
}

impl Learner {
    /// A model at its start, to be trained in `n_steps` with this weight of its mutual-information losses.
    pub(super) fn new(method: Method, lambda: f64, n_steps: usize, vocabulary: usize, seed: u64) -> Result<Self> {
        let parameters = Parameters::new(seed);
        let vb = parameters.builder(DType::F32, &Device::Cpu);
        let both = |lambda: f64, lambda_joint: f64| {
            let weights = LossWeights { lambda_ll: lambda, lambda_lg: lambda, lambda_gg: 0.0, lambda_joint };
            CrossModalClassifier::new(&IMAGE, &cross_modal(), &weights, vocabulary, &vb)
        };
        let model = match method {
            Method::Twin => Model::Image(ImageClassifier::new(&IMAGE, Finding::COUNT, &vb.pp(IMAGE_PREFIX))?),
            Method::Joint => Model::Both(both(0.0, 1.0)?),
            Method::Cmim => Model::Both(both(lambda, LAMBDA_JOINT)?),
        };
        let rate = |name: &str| if name.starts_with(IMAGE_PREFIX) { IMAGE_RATE } else { OTHER_RATE };
        let trained = parameters.trainable().into_iter();
        let trained = trained.map(|(name, var)| Trained { learning_rate: rate(&name), name, var }).collect();
        Ok(Self {
            method,
            model,
            adam: Adam::new(trained, WEIGHT_DECAY)?,
            means: RunningMeans::default(),
            locations: ChaCha8Rng::seed_from_u64(seed),
            n_steps,
        })
    }

    fn image(&self) -> &ImageClassifier {
        match &self.model {
            Model::Image(image) => image,
            Model::Both(both) => both.image(),
        }
    }

    /// The losses of a batch: `images` are `[N, 1, H, W]`, all of them with their reports.
    pub(super) fn losses(&mut self, images: &Tensor, targets: &Targets, paired: &PairedBatch) -> Result<Losses> {
        let image = self.image().forward_t(images, true)?;
        let mut losses = Losses::default();
        if self.method != Method::Joint
            && let Some(loss) = targets.loss(&image.logits, None)?
        {
            losses.add("findings", loss, 1.0)?;
        }
        match (&self.model, self.method) {
            (Model::Image(_), _) => {}
            (Model::Both(model), Method::Joint) => losses.add_joint(model, &image, paired, targets)?,
            (Model::Both(model), _) => {
                let (means, locations) = (&mut self.means, &mut self.locations);
                losses.add_cross_modal(model, &image, paired, targets, means, locations)?;
            }
        }
        Ok(losses)
    }

    /// Takes a step.
    pub(super) fn step(&mut self, images: &Tensor, targets: &Targets, paired: &PairedBatch) -> Result<Step> {
        let losses = self.losses(images, targets, paired)?;
        // The learning rate falls along half a cosine.
        let share = 0.5 * (1.0 + (PI * self.adam.steps() as f64 / self.n_steps as f64).cos());
        if let Some((grads, _)) = gradients(&losses, MiGradient::Whole, &self.adam)? {
            self.adam.step(&grads, share)?;
        }
        let part = |name: &str| -> Result<Option<f64>> {
            let part = losses.parts.iter().find(|(part, _)| *part == name);
            Ok(part.map(|(_, loss)| loss.to_scalar::<f32>()).transpose()?.map(f64::from))
        };
        let chance = losses.chances.iter().find(|(name, _)| *name == LOCAL_GLOBAL).map(|(_, chance)| *chance);
        Ok(Step {
            loss: part(if self.method == Method::Joint { "joint" } else { "findings" })?.unwrap_or(0.0),
            bound: chance.zip(part(LOCAL_GLOBAL)?).map(|(chance, loss)| chance - loss),
        })
    }

    /// What the model says of images with each of some reports, `[N, K]` each, and at last without any: that is the image
    /// path's own answer, which the joint model does not have. The twin reads no report.
    pub(super) fn answers(&self, images: &Tensor, reports: &[TokenBatch]) -> Result<Vec<Tensor>> {
        let image = self.image().forward_t(images, false)?;
        let mut answers = Vec::new();
        if let Model::Both(model) = &self.model {
            for reports in reports {
                answers.push(model.joint_logits(&image, reports, false)?);
            }
        }
        answers.push(image.logits);
        Ok(answers)
    }

    /// By how much the critic of local against global features does better than chance on a batch, in nats; `None`
    /// without critics.
    pub(super) fn bound(&self, images: &Tensor, paired: &PairedBatch) -> Result<Option<f64>> {
        let Model::Both(model) = &self.model else { return Ok(None) };
        let image = model.image().forward_t(images, false)?;
        // Always the same locations, so that steps can be compared.
        let mut locations = ChaCha8Rng::seed_from_u64(0);
        let mut means = RunningMeans::default();
        let found = model.cross_modal(&image, &paired.reports, &paired.negatives, &mut means, &mut locations, false)?;
        let Some(estimate) = found.local_global else { return Ok(None) };
        Ok(Some(estimate.chance - f64::from(estimate.loss.to_scalar::<f32>()?)))
    }
}
