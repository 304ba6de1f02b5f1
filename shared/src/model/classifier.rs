//! The cross-modal classifier: an image path that stands alone at test time, and all that trains it with reports.

use candle_core::{Module, Tensor};
use candle_nn::VarBuilder;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::bilinear::{Bilinear, BilinearConfig};
use super::resnet::{ImageClassifier, ImageOutput, ResNetConfig};
use super::text_cnn::{TextCnn, TextCnnConfig};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::mi::{Critic, CriticConfig, jsd_loss, select_locations};
use crate::nn::{Linear, softplus};
use crate::prep::report::TokenBatch;

/// Prefix of the image path's tensors among a cross-modal classifier's: what follows it are torchvision's names.
pub const IMAGE_PREFIX: &str = "image";

/// Sizes of what trains with the image path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrossModalConfig {
    /// Encoder of reports.
    pub text: TextCnnConfig,
    /// Global features of both modalities.
    pub joint: BilinearConfig,
    /// Both critics.
    pub critic: CriticConfig,
    /// Locations drawn from each map for the mutual-information losses.
    pub locations: Locations,
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

/// The losses that reports make possible.
#[derive(Debug, Clone)]
pub struct CrossModalLosses {
    /// `L_ll`: local image features against local report features.
    pub local_local: Tensor,
    /// `L_lg`: local image features against the global features of both.
    pub local_global: Tensor,
    /// Logits of the head that reads both modalities: `[N, K]`.
    pub joint_logits: Tensor,
}

/// Image path, report path, joint embedding with its head, and the two critics.
#[derive(Debug, Clone)]
pub struct CrossModalClassifier {
    image: ImageClassifier,
    text: TextCnn,
    joint: Bilinear,
    joint_head: Linear,
    local_local: Critic,
    local_global: Critic,
    locations: usize,
}

impl CrossModalClassifier {
    /// Takes its tensors from the builder: `image.*`, `text.*`, `joint.*`, `joint_head.*`, `critic_ll.*`, `critic_lg.*`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for an impossible configuration, [`Error::Tensor`] if the builder lacks a tensor.
    pub fn new(
        image: &ResNetConfig,
        config: &CrossModalConfig,
        vocabulary: usize,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let c_image = image.out_channels();
        let Some(&c_text) = config.text.widths.last() else {
            return Err(Error::Shape {
                what: "widths of the text encoder",
                expected: "at least one".to_owned(),
                found: "none".to_owned(),
            });
        };
        if config.locations.0 == 0 {
            return Err(Error::Shape {
                what: "sampled locations",
                expected: "at least 1".to_owned(),
                found: "0".to_owned(),
            });
        }
        Ok(Self {
            image: ImageClassifier::new(image, Finding::COUNT, &vb.pp(IMAGE_PREFIX))?,
            text: TextCnn::new(&config.text, vocabulary, &vb.pp("text"))?,
            joint: Bilinear::new(c_image, c_text, &config.joint, &vb.pp("joint"))?,
            joint_head: Linear::new(config.joint.out, Finding::COUNT, &vb.pp("joint_head"))?,
            local_local: Critic::new(c_image, c_text, config.critic, &vb.pp("critic_ll"))?,
            local_global: Critic::new(c_image, config.joint.out, config.critic, &vb.pp("critic_lg"))?,
            locations: config.locations.0,
        })
    }

    /// The path that exists at test time.
    pub fn image(&self) -> &ImageClassifier {
        &self.image
    }

    /// What the reports of a batch add. `image` holds the same samples in the same order; `negatives` marks which
    /// pairs may serve as negatives, as in [`jsd_loss`].
    ///
    /// # Errors
    ///
    /// Those of [`jsd_loss`] and of the tensor library.
    pub fn cross_modal(
        &self,
        image: &ImageOutput,
        reports: &TokenBatch,
        negatives: &[bool],
        rng: &mut impl Rng,
    ) -> Result<CrossModalLosses> {
        let text = self.text.forward_t(reports, true)?;
        let joint = self.joint.forward(&image.global, &text.global)?; // [N, joint]
        let image_local = image.local.flatten(1, 2)?; // [N, L, C]
        let all = vec![image_local.dim(1)?; image_local.dim(0)?];
        let image_local = select_locations(&image_local, &all, self.locations.min(all[0]), rng)?; // [N, S, C]
        let text_locations = self.locations.min(text.local.dim(1)?);
        let text_local = select_locations(&text.local, &text.lens, text_locations, rng)?; // [N, S, C]
        Ok(CrossModalLosses {
            local_local: jsd_loss(&self.local_local.scores(&image_local, &text_local)?, negatives)?,
            local_global: jsd_loss(&self.local_global.scores(&image_local, &joint.unsqueeze(1)?)?, negatives)?,
            joint_logits: self.joint_head.forward(&joint)?,
        })
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
        for (depth, stem_pool) in [(Depth::D18, false), (Depth::D50, true)] {
            let image = ResNetConfig { depth, width: 4, in_channels: 1, stem_pool };
            let config = CrossModalConfig {
                text: TextCnnConfig { word_dim: 8, widths: vec![8, 8] },
                joint: BilinearConfig { side: 6, out: 5 },
                critic: CriticConfig { hidden: 7 },
                locations: Locations(3),
            };
            let vb = parameters.builder(DType::F32, &Device::Cpu).pp(format!("{depth:?}"));
            let model = CrossModalClassifier::new(&image, &config, 11, &vb)?;
            let x = random((4, 1, 64, 64), 1)?.to_dtype(DType::F32)?;
            let out = model.image().forward_t(&x, true)?;
            let ids = (0..4 * 16).map(|i| i % 11).collect();
            let reports = TokenBatch { ids, lens: vec![16, 9, 3, 1], width: 16 };
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            let losses = model.cross_modal(&out, &reports, &[true; 16], &mut rng)?;
            let targets = Tensor::zeros_like(&out.logits)?;
            let weights = Tensor::ones(Finding::COUNT, DType::F32, &Device::Cpu)?;
            let loss = (finding_loss(&out.logits, &targets, &weights)?
                + finding_loss(&losses.joint_logits, &targets, &weights)?)?;
            let grads = ((loss + losses.local_local)? + losses.local_global)?.backward()?;
            for (name, var) in parameters.trainable().into_iter().filter(|(n, _)| n.starts_with(&format!("{depth:?}")))
            {
                let grad = grads.get(&var).map(|g| g.abs()?.sum_all()?.to_scalar::<f32>()).transpose()?;
                assert!(grad.is_some_and(|g| g > 0.0 && g.is_finite()), "{name}: {grad:?}");
            }
        }
        Ok(())
    }
}
