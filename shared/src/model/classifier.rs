//! The cross-modal classifier: an image path that stands alone at test time, and all that trains it with reports; and
//! the controls that it is compared with.

use candle_core::{Module, Tensor};
use candle_nn::VarBuilder;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::bilinear::{Bilinear, BilinearConfig};
use super::resnet::{ImageClassifier, ImageOutput, ResNetConfig};
use super::text_cnn::{TextCnn, TextCnnConfig};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::mi::{CriticConfig, Estimate, Estimator, RunningMean, Term, TermConfig, select_locations};
use crate::nn::{Linear, softplus};
use crate::prep::report::TokenBatch;

/// Prefix of the image path's tensors among a cross-modal classifier's: what follows it are torchvision's names.
pub const IMAGE_PREFIX: &str = "image";

/// Sizes of what trains with the image path, and how mutual information is estimated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrossModalConfig {
    /// Encoder of reports.
    pub text: TextCnnConfig,
    /// Global features of both modalities.
    pub joint: BilinearConfig,
    /// All critics.
    pub critic: CriticConfig,
    /// Locations drawn from each map for the mutual-information losses.
    pub locations: Locations,
    /// Estimator of all mutual-information losses.
    pub estimator: Estimator,
    /// The global features that `L_lg` compares local image features with.
    pub global: GlobalFeatures,
    /// Where a score `s` is bounded softly, `c tanh(s / c)`; 20 in AMDIM (Bachman et al. 2019). Absent: not at all.
    pub score_clip: Option<f64>,
    /// Weight of the scores' mean square, added to the losses; 0 for none.
    pub score_penalty: f64,
}

impl CrossModalConfig {
    /// What all mutual-information losses share.
    fn term(&self) -> TermConfig {
        let Self { critic, estimator, score_clip, score_penalty, .. } = *self;
        TermConfig { critic, estimator, score_clip, score_penalty }
    }
}

/// How many locations of a map are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Locations(pub usize);

impl Default for Locations {
    fn default() -> Self {
        Self(32)
    }
}

/// The global features that `L_lg` compares with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GlobalFeatures {
    /// `Γ`, the bilinear embedding of both modalities, as in the paper. It contains the image itself.
    #[default]
    Joint,
    /// `Γ_T`, of the report alone.
    Report,
}

/// Weights `λ` of the losses that reports make possible, beside the image path's own, which weighs 1. A loss that
/// weighs 0 is not computed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossWeights {
    /// `λ_ll`: local image features against local report features.
    pub lambda_ll: f64,
    /// `λ_lg`: local image features against global features.
    pub lambda_lg: f64,
    /// `λ_gg`: global image features against global report features.
    pub lambda_gg: f64,
    /// Findings predicted from image and report together.
    pub lambda_joint: f64,
}

impl Default for LossWeights {
    fn default() -> Self {
        Self { lambda_ll: 0.3, lambda_lg: 0.3, lambda_gg: 0.0, lambda_joint: 0.5 }
    }
}

/// The losses that reports make possible; those that weigh 0 are absent.
#[derive(Debug, Clone)]
pub struct CrossModalLosses {
    /// `L_ll`: local image features against local report features.
    pub local_local: Option<Estimate>,
    /// `L_lg`: local image features against global features.
    pub local_global: Option<Estimate>,
    /// `L_gg`: global image features against global report features.
    pub global_global: Option<Estimate>,
    /// The weighted sum of these and of the scores' penalty; absent if there are none.
    pub mutual_information: Option<Tensor>,
    /// Logits of the head that reads both modalities: `[N, K]`.
    pub joint_logits: Tensor,
}

impl CrossModalLosses {
    /// The estimates that there are, by the names they have in records.
    pub fn estimates(self) -> impl Iterator<Item = (&'static str, Estimate)> {
        let all = [("ll", self.local_local), ("lg", self.local_global), ("gg", self.global_global)];
        all.into_iter().filter_map(|(name, estimate)| Some((name, estimate?)))
    }
}

/// What the estimators remember from step to step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunningMeans {
    /// Of `L_ll`.
    pub local_local: RunningMean,
    /// Of `L_lg`.
    pub local_global: RunningMean,
    /// Of `L_gg`.
    pub global_global: RunningMean,
}

/// Image path, report path, joint embedding with its head, and the critics.
#[derive(Debug, Clone)]
pub struct CrossModalClassifier {
    image: ImageClassifier,
    text: TextCnn,
    joint: Bilinear,
    joint_head: Linear,
    local_local: Option<Term>,
    local_global: Option<Term>,
    global_global: Option<Term>,
    config: CrossModalConfig,
    weights: LossWeights,
}

impl CrossModalClassifier {
    /// Takes its tensors from the builder: `image.*`, `text.*`, `joint.*`, `joint_head.*`, and of the critics whose
    /// losses weigh anything `critic_ll.*`, `critic_lg.*`, `critic_gg.*`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for an impossible configuration, [`Error::Tensor`] if the builder lacks a tensor.
    pub fn new(
        image: &ResNetConfig,
        config: &CrossModalConfig,
        weights: &LossWeights,
        vocabulary: usize,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let (c_image, c_text) = (image.out_channels(), config.text.out_channels()?);
        if config.locations.0 == 0 {
            return Err(Error::Shape {
                what: "sampled locations",
                expected: "at least 1".to_owned(),
                found: "0".to_owned(),
            });
        }
        let c_global = match config.global {
            GlobalFeatures::Joint => config.joint.out,
            GlobalFeatures::Report => c_text,
        };
        let critic = |lambda: f64, c_a, c_b, name: &str| {
            (lambda > 0.0).then(|| Term::new(c_a, c_b, config.term(), &vb.pp(name))).transpose()
        };
        Ok(Self {
            image: ImageClassifier::new(image, Finding::COUNT, &vb.pp(IMAGE_PREFIX))?,
            text: TextCnn::new(&config.text, vocabulary, &vb.pp("text"))?,
            joint: Bilinear::new(c_image, c_text, &config.joint, &vb.pp("joint"))?,
            joint_head: Linear::new(config.joint.out, Finding::COUNT, &vb.pp("joint_head"))?,
            local_local: critic(weights.lambda_ll, c_image, c_text, "critic_ll")?,
            local_global: critic(weights.lambda_lg, c_image, c_global, "critic_lg")?,
            global_global: critic(weights.lambda_gg, c_image, c_text, "critic_gg")?,
            config: config.clone(),
            weights: *weights,
        })
    }

    /// The path that exists at test time.
    pub fn image(&self) -> &ImageClassifier {
        &self.image
    }

    /// The weights of its losses.
    pub fn weights(&self) -> &LossWeights {
        &self.weights
    }

    /// Logits of the head that reads both modalities: `[N, K]`.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn joint_logits(&self, image: &ImageOutput, reports: &TokenBatch, train: bool) -> Result<Tensor> {
        let text = self.text.forward_t(reports, train)?;
        Ok(self.joint_head.forward(&self.joint.forward(&image.global, &text.global)?)?)
    }

    /// What the reports of a batch add. `image` holds the same samples in the same order; `negatives` marks which
    /// pairs may serve as negatives, as in [`crate::mi::jsd_loss`].
    ///
    /// # Errors
    ///
    /// Those of the estimator and of the tensor library.
    pub fn cross_modal(
        &self,
        image: &ImageOutput,
        reports: &TokenBatch,
        negatives: &[bool],
        means: &mut RunningMeans,
        rng: &mut impl Rng,
        train: bool,
    ) -> Result<CrossModalLosses> {
        let text = self.text.forward_t(reports, train)?;
        let joint = self.joint.forward(&image.global, &text.global)?; // [N, joint]
        let image_local = image.local.flatten(1, 2)?; // [N, L, C]
        let all = vec![image_local.dim(1)?; image_local.dim(0)?];
        let locations = self.config.locations.0;
        let image_local = select_locations(&image_local, &all, locations.min(all[0]), rng)?; // [N, S, C]
        let text_locations = locations.min(text.local.dim(1)?);
        let text_local = select_locations(&text.local, &text.lens, text_locations, rng)?; // [N, S, C]
        let global = match self.config.global {
            GlobalFeatures::Joint => &joint,
            GlobalFeatures::Report => &text.global,
        };
        let mut total: Option<Tensor> = None;
        let mut loss = |term: &Option<Term>, a: &Tensor, b: &Tensor, lambda: f64, mean: &mut RunningMean| {
            let Some(term) = term else { return Ok(None) };
            let (estimate, weighted) = term.loss(a, b, negatives, lambda, mean)?;
            total = Some(match total.take() {
                Some(sum) => (sum + weighted)?,
                None => weighted,
            });
            Ok::<_, Error>(Some(estimate))
        };
        let weights = &self.weights;
        let (gamma_image, gamma_text) = (image.global.unsqueeze(1)?, text.global.unsqueeze(1)?);
        let local_local =
            loss(&self.local_local, &image_local, &text_local, weights.lambda_ll, &mut means.local_local)?;
        let local_global =
            loss(&self.local_global, &image_local, &global.unsqueeze(1)?, weights.lambda_lg, &mut means.local_global)?;
        let global_global =
            loss(&self.global_global, &gamma_image, &gamma_text, weights.lambda_gg, &mut means.global_global)?;
        Ok(CrossModalLosses {
            local_local,
            local_global,
            global_global,
            mutual_information: total,
            joint_logits: self.joint_head.forward(&joint)?,
        })
    }
}

/// Findings from the report alone: the control that shows what reports tell.
#[derive(Debug, Clone)]
pub struct ReportClassifier {
    text: TextCnn,
    head: Linear,
}

impl ReportClassifier {
    /// Takes `text.*` and `text_head.*` from the builder.
    ///
    /// # Errors
    ///
    /// As [`CrossModalClassifier::new`].
    pub fn new(config: &TextCnnConfig, vocabulary: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let head = Linear::new(config.out_channels()?, Finding::COUNT, &vb.pp("text_head"))?;
        Ok(Self { text: TextCnn::new(config, vocabulary, &vb.pp("text"))?, head })
    }

    /// Reports to logits `[N, K]`.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn forward_t(&self, reports: &TokenBatch, train: bool) -> Result<Tensor> {
        Ok(self.head.forward(&self.text.forward_t(reports, train)?.global)?)
    }
}

/// An image path that is told in training where each finding is and how severe: how much there is to gain.
#[derive(Debug, Clone)]
pub struct PlaceClassifier {
    image: ImageClassifier,
    places: Linear,
}

impl PlaceClassifier {
    /// Takes `image.*` and `places.*` from the builder.
    ///
    /// # Errors
    ///
    /// As [`CrossModalClassifier::new`].
    pub fn new(image: &ResNetConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let places = Linear::new(image.out_channels(), Finding::COUNT, &vb.pp("places"))?;
        Ok(Self { image: ImageClassifier::new(image, Finding::COUNT, &vb.pp(IMAGE_PREFIX))?, places })
    }

    /// The path that exists at test time.
    pub fn image(&self) -> &ImageClassifier {
        &self.image
    }

    /// Cross-entropy of the findings at each location against what is there: `places` is `[N, K, H', W']` in `0..=1`.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn place_loss(&self, image: &ImageOutput, places: &Tensor) -> Result<Tensor> {
        let logits = self.places.forward(&image.local)?; // [N, H', W', K]
        let places = places.permute((0, 2, 3, 1))?.contiguous()?;
        Ok((softplus(&logits)? - (logits * places)?)?.mean_all()?)
    }
}

/// Two-way cross-entropy per finding from logits, in the stable form: `sp(z) - z y`, the first term's positives weighted.
///
/// # Shapes
///
/// - `logits`, `targets`: `[N, K]`, targets 0 or 1
/// - `positive_weights`: `[K]`, how much a positive counts; 1 for no re-balancing
/// - returns: `[]`, the mean over all entries
///
/// # Errors
///
/// Those of the tensor library.
pub fn finding_loss(logits: &Tensor, targets: &Tensor, positive_weights: &Tensor) -> Result<Tensor> {
    // -log σ(z) = sp(-z), -log(1 - σ(z)) = sp(z)
    let positive = (softplus(&logits.neg()?)? * targets)?.broadcast_mul(positive_weights)?;
    let negative = (softplus(logits)? * (1.0 - targets)?)?;
    Ok((positive + negative)?.mean_all()?)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::mi::CriticKind;
    use crate::model::resnet::Depth;
    use crate::nn::Parameters;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn the_loss_is_cross_entropy_and_survives_large_logits() -> Result<()> {
        let logits = (random((3, 4), 1)? * 3.0)?;
        let targets = random((3, 4), 2)?.gt(0.0)?.to_dtype(DType::F64)?;
        let weights = Tensor::new(&[1.0, 2.0, 0.5, 1.0], &Device::Cpu)?;
        let probability = candle_nn::ops::sigmoid(&logits)?;
        let naive = ((&targets * probability.log()?)?.broadcast_mul(&weights)?
            + ((1.0 - &targets)? * (1.0 - &probability)?.log()?)?)?
        .mean_all()?
        .neg()?;
        let loss = finding_loss(&logits, &targets, &weights)?;
        assert!((loss - naive)?.abs()?.to_scalar::<f64>()? < 1e-12);
        check(&[logits], |v| finding_loss(&v[0], &targets, &weights).map_err(candle_core::Error::wrap))?;
        let extreme = Tensor::new(&[[500f64, -500.0, 500.0, -500.0]], &Device::Cpu)?;
        let loss = finding_loss(&extreme, &Tensor::new(&[[1f64, 0.0, 0.0, 1.0]], &Device::Cpu)?, &weights)?;
        assert!((loss.to_scalar::<f64>()? - (500.0 + 500.0) / 4.0).abs() < 1e-9);
        Ok(())
    }

    #[test]
    fn every_variable_receives_a_gradient() -> Result<()> {
        let parameters = Parameters::new(2);
        for (i, (depth, stem_pool, estimator, kind, global)) in [
            (Depth::D18, false, Estimator::Jsd, CriticKind::ConcatAndConvolve, GlobalFeatures::Joint),
            (Depth::D18, false, Estimator::InfoNce, CriticKind::EncodeAndDot, GlobalFeatures::Report),
            (Depth::D50, true, Estimator::Dv, CriticKind::ConcatAndConvolve, GlobalFeatures::Joint),
        ]
        .into_iter()
        .enumerate()
        {
            let image = ResNetConfig { depth, width: 4, in_channels: 1, stem_pool };
            let config = CrossModalConfig {
                text: TextCnnConfig { word_dim: 8, widths: vec![8, 8] },
                joint: BilinearConfig { side: 6, out: 5 },
                critic: CriticConfig { kind, hidden: 7 },
                locations: Locations(3),
                estimator,
                global,
                score_clip: Some(10.0),
                score_penalty: 0.01,
            };
            let prefix = format!("{i}.");
            let vb = parameters.builder(DType::F32, &Device::Cpu).pp(i.to_string());
            let weights = LossWeights { lambda_gg: 0.1, ..LossWeights::default() };
            let model = CrossModalClassifier::new(&image, &config, &weights, 11, &vb)?;
            let x = random((4, 1, 64, 64), 1)?.to_dtype(DType::F32)?;
            let out = model.image().forward_t(&x, true)?;
            let ids = (0..4 * 16).map(|i| i % 11).collect();
            let reports = TokenBatch { ids, lens: vec![16, 9, 3, 1], width: 16 };
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            let mut means = RunningMeans::default();
            let losses = model.cross_modal(&out, &reports, &[true; 16], &mut means, &mut rng, true)?;
            let targets = Tensor::zeros_like(&out.logits)?;
            let weights = Tensor::ones(Finding::COUNT, DType::F32, &Device::Cpu)?;
            let loss = (finding_loss(&out.logits, &targets, &weights)?
                + finding_loss(&losses.joint_logits, &targets, &weights)?)?;
            let grads = (loss + losses.mutual_information.expect("all weigh something"))?.backward()?;
            for (name, var) in parameters.trainable().into_iter().filter(|(n, _)| n.starts_with(&prefix)) {
                let grad = grads.get(&var).map(|g| g.abs()?.sum_all()?.to_scalar::<f32>()).transpose()?;
                // What passes through one location alone does not differ between them.
                assert!(grad.is_some_and(|g| g > 0.0 && g.is_finite()), "{name}: {grad:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn what_weighs_nothing_is_not_built() -> Result<()> {
        let parameters = Parameters::new(2);
        let image = ResNetConfig { depth: Depth::D18, width: 4, in_channels: 1, stem_pool: false };
        let weights = LossWeights { lambda_ll: 0.0, lambda_lg: 0.0, lambda_gg: 0.0, lambda_joint: 1.0 };
        let vb = parameters.builder(DType::F32, &Device::Cpu);
        CrossModalClassifier::new(&image, &CrossModalConfig::default(), &weights, 11, &vb)?;
        assert!(parameters.all().keys().all(|name| !name.starts_with("critic")));
        Ok(())
    }

    #[test]
    fn places_pull_on_the_locations() -> Result<()> {
        let parameters = Parameters::new(2);
        let image = ResNetConfig { depth: Depth::D18, width: 4, in_channels: 1, stem_pool: false };
        let model = PlaceClassifier::new(&image, &parameters.builder(DType::F64, &Device::Cpu))?;
        let places = random((2, Finding::COUNT, 2, 3), 5)?.abs()?;
        let (global, logits) = (random((2, 32), 3)?, random((2, 14), 4)?);
        check(&[random((2, 2, 3, 32), 6)?], |v| {
            let image = ImageOutput { local: v[0].clone(), global: global.clone(), logits: logits.clone() };
            model.place_loss(&image, &places).map_err(candle_core::Error::wrap)
        })?;
        Ok(())
    }
}
