//! HeMIS: an encoder per MRI sequence, fused by mean and variance over whichever sequences are present.
//!
//! Source: Havaei et al. 2016, arXiv 1607.05194.

use candle_core::{Module, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::modality::{self, Modality};
use crate::nn::precision::full;
use crate::nn::{Bias, Conv2d, ConvSpec, concat_channels, max_pool2d};

/// Sizes of a HeMIS network; the defaults are the paper's, but for the last kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HemisConfig {
    /// Channels of the logits.
    pub n_classes: usize,
    /// Channels of each encoder.
    pub width: usize,
    /// Channels between fusion and last convolution.
    pub fuse_width: usize,
    /// Height and width of the kernels, but for the last one; odd.
    pub kernel: usize,
    /// Height and width of the last kernel; odd. Wide, because nothing else in this network sees far; the size is ours.
    pub head_kernel: usize,
}

impl Default for HemisConfig {
    fn default() -> Self {
        Self { n_classes: 2, width: 48, fuse_width: 16, kernel: 5, head_kernel: 21 }
    }
}

impl HemisConfig {
    /// Checks that the values make sense.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for channels or classes that are 0 or above 1024, or kernels that are even or above 31.
    pub fn check(&self) -> Result<()> {
        let channels =
            [("HeMIS classes", self.n_classes), ("HeMIS width", self.width), ("HeMIS fused width", self.fuse_width)];
        for (what, channels) in channels {
            if !(1..=1024).contains(&channels) {
                return Err(Error::Shape { what, expected: "1 to 1024".to_owned(), found: channels.to_string() });
            }
        }
        for (what, kernel) in [("HeMIS kernel", self.kernel), ("HeMIS last kernel", self.head_kernel)] {
            if !(1..=31).contains(&kernel) || kernel.is_multiple_of(2) {
                let expected = "an odd number up to 31".to_owned();
                return Err(Error::Shape { what, expected, found: kernel.to_string() });
            }
        }
        Ok(())
    }
}

/// A convolution that keeps the image's size.
fn conv(c_in: usize, c_out: usize, kernel: usize, vb: &VarBuilder<'_>) -> Result<Conv2d> {
    Ok(Conv2d::new(c_in, c_out, ConvSpec { kernel, stride: 1, padding: kernel / 2 }, Bias::With, vb)?)
}

/// What one sequence's image becomes before the fusion.
#[derive(Debug, Clone)]
struct Encoder {
    convs: [Conv2d; 2],
}

impl Encoder {
    fn new(config: &HemisConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let HemisConfig { width, kernel, .. } = *config;
        Ok(Self { convs: [conv(1, width, kernel, &vb.pp("conv1"))?, conv(width, width, kernel, &vb.pp("conv2"))?] })
    }

    /// `[N, H, W, 1]` to `[N, H, W, C]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, height, width, _) = x.dims4()?;
        let y = self.convs[1].forward(&self.convs[0].forward(x)?.relu()?)?.relu()?;
        // Windows of 2x2 at every pixel reach past the right and the lower edge alone.
        let y = max_pool2d(&y, ConvSpec { kernel: 2, stride: 1, padding: 1 })?; // [N, H + 1, W + 1, C]
        Ok(y.narrow(1, 1, height)?.narrow(2, 1, width)?.contiguous()?)
    }
}

/// HeMIS with its head.
#[derive(Debug, Clone)]
pub struct Hemis {
    encoders: [Encoder; Modality::COUNT],
    fuse: Conv2d,
    head: Conv2d,
}

impl Hemis {
    /// Takes its tensors from the builder: `encoder.{sequence}.conv{1,2}`, `fuse` and `head`, each with `weight` and
    /// `bias`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for an impossible configuration, [`Error::Tensor`] if the builder lacks a tensor.
    pub fn new(config: &HemisConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        config.check()?;
        let HemisConfig { n_classes, width, fuse_width, kernel, head_kernel } = *config;
        let encoder = |modality: Modality| Encoder::new(config, &vb.pp(format!("encoder.{}", modality.name())));
        let [flair, t1, t1c, t2] = Modality::ALL.map(encoder);
        Ok(Self {
            encoders: [flair?, t1?, t1c?, t2?],
            fuse: conv(2 * width, fuse_width, kernel, &vb.pp("fuse"))?,
            head: conv(fuse_width, n_classes, head_kernel, &vb.pp("head"))?,
        })
    }

    /// Slices `[N, 1, H, W]` of the sequences that are there, in the order of [`Modality::ALL`], to logits `[N, H, W, K]`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if no sequence is there, [`Error::Tensor`] if their sizes differ.
    pub fn forward(&self, slices: &[Option<Tensor>; Modality::COUNT]) -> Result<Tensor> {
        let mut features = Vec::new();
        for (encoder, slice) in self.encoders.iter().zip(slices) {
            if let Some(slice) = slice {
                features.push(encoder.forward(&slice.permute((0, 2, 3, 1))?.contiguous()?)?);
            }
        }
        let Some((first, others)) = features.split_first() else {
            return Err(modality::none("input of the network"));
        };
        let sum = others.iter().try_fold(first.clone(), |sum, feature| sum + feature)?;
        let mean = (sum / features.len() as f64)?;
        let mut variance = mean.zeros_like()?;
        if !others.is_empty() {
            for feature in &features {
                variance = (variance + (feature - &mean)?.sqr()?)?;
            }
            variance = (variance / others.len() as f64)?;
        }
        let fused = self.fuse.forward(&concat_channels(&mean, &variance)?)?.relu()?;
        Ok(full(&self.head.forward(&fused)?)?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::Parameters;
    use crate::nn::gradcheck::{check, random};

    fn tiny() -> HemisConfig {
        HemisConfig { n_classes: 2, width: 3, fuse_width: 2, kernel: 3, head_kernel: 3 }
    }

    #[test]
    fn every_variable_receives_a_gradient() -> Result<()> {
        let parameters = Parameters::new(1);
        let net = Hemis::new(&tiny(), &parameters.builder(DType::F32, &Device::Cpu))?;
        let slice = |seed| -> Result<Option<Tensor>> { Ok(Some(random((2, 1, 5, 6), seed)?.to_dtype(DType::F32)?)) };
        let logits = net.forward(&[slice(1)?, slice(2)?, slice(3)?, slice(4)?])?;
        assert_eq!(logits.dims(), [2, 5, 6, 2]);
        let grads = logits.sqr()?.sum_all()?.backward()?;
        for (name, var) in parameters.trainable() {
            let grad = grads.get(&var).map(|g| g.abs()?.sum_all()?.to_scalar::<f32>()).transpose()?;
            assert!(grad.is_some_and(|g| g > 0.0 && g.is_finite()), "{name}: {grad:?}");
        }
        Ok(())
    }

    #[test]
    fn gradients_equal_finite_differences_for_one_sequence_and_for_two() -> Result<()> {
        let net = Hemis::new(&tiny(), &Parameters::new(2).builder(DType::F64, &Device::Cpu))?;
        let inputs = [random((1, 1, 4, 3), 1)?, random((1, 1, 4, 3), 2)?];
        let forward = |slices: [Option<Tensor>; 4]| net.forward(&slices).map_err(candle_core::Error::wrap);
        check(&inputs[..1], |v| forward([None, Some(v[0].clone()), None, None]))?;
        check(&inputs, |v| forward([Some(v[0].clone()), None, Some(v[1].clone()), None]))?;
        assert!(matches!(net.forward(&[None, None, None, None]), Err(Error::Shape { .. })));
        Ok(())
    }

    #[test]
    fn values_that_make_no_sense_are_errors() {
        let good = HemisConfig::default();
        assert!(good.check().is_ok());
        for bad in [
            HemisConfig { n_classes: 0, ..good },
            HemisConfig { width: usize::MAX, ..good },
            HemisConfig { fuse_width: 0, ..good },
            HemisConfig { kernel: 4, ..good },
            HemisConfig { head_kernel: 33, ..good },
        ] {
            assert!(matches!(bad.check(), Err(Error::Shape { .. })), "{bad:?}");
        }
    }
}
