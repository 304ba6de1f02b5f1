//! U-Net for slices: an encoder that halves the image level by level, and a decoder that takes it back up with the
//! encoder's maps beside its own.
//!
//! Source: Ronneberger et al. 2015, arXiv 1505.04597; padded convolutions with batch norm, and the widths, are ours.

use candle_core::{Module, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::nn::batch_norm::Activation;
use crate::nn::precision::full;
use crate::nn::{Bias, Conv2d, ConvNorm, ConvSpec, ConvTranspose2d, concat_channels, max_pool2d};

/// Sizes of a U-Net.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UNetConfig {
    /// Channels of the image: one per MRI sequence.
    pub in_channels: usize,
    /// Classes that a pixel may belong to.
    pub n_classes: usize,
    /// Channels of each level, the finest first; the last is the bottleneck.
    pub widths: Vec<usize>,
}

impl Default for UNetConfig {
    fn default() -> Self {
        Self { in_channels: 1, n_classes: 2, widths: vec![32, 64, 128, 256, 512] }
    }
}

impl UNetConfig {
    /// Checks that the values make sense.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for no channels, fewer than two classes, levels other than 2 to 8, or a width that is 0 or above
    /// 4096.
    pub fn check(&self) -> Result<()> {
        let unfit =
            |what, expected: &str, found: String| Err(Error::Shape { what, expected: expected.to_owned(), found });
        if !(1..=64).contains(&self.in_channels) {
            return unfit("U-Net input channels", "1 to 64", self.in_channels.to_string());
        }
        if !(2..=256).contains(&self.n_classes) {
            return unfit("U-Net classes", "2 to 256", self.n_classes.to_string());
        }
        if !(2..=8).contains(&self.widths.len()) || !self.widths.iter().all(|width| (1..=4096).contains(width)) {
            return unfit("U-Net widths", "2 to 8 levels of 1 to 4096 channels", format!("{:?}", self.widths));
        }
        Ok(())
    }

    /// What height and width must be multiples of: every level but the first halves them.
    pub fn size_multiple(&self) -> usize {
        1 << self.widths.len().saturating_sub(1).min(usize::BITS as usize - 1)
    }

    /// Checks an image's height and width.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if one is zero or no multiple of [`Self::size_multiple`].
    pub fn check_size(&self, height: usize, width: usize) -> Result<()> {
        let multiple = self.size_multiple();
        if height == 0 || width == 0 || !height.is_multiple_of(multiple) || !width.is_multiple_of(multiple) {
            return Err(Error::Shape {
                what: "image of a U-Net",
                expected: format!("height and width that are multiples of {multiple}; pad or crop the image"),
                found: format!("{height} x {width}"),
            });
        }
        Ok(())
    }
}

const SQUARE: ConvSpec = ConvSpec { kernel: 3, stride: 1, padding: 1 };
const HALVE: ConvSpec = ConvSpec { kernel: 2, stride: 2, padding: 0 };
const POINT: ConvSpec = ConvSpec { kernel: 1, stride: 1, padding: 0 };

/// Two convolutions, each with batch norm and ReLU.
#[derive(Debug, Clone)]
struct Level {
    convs: [ConvNorm; 2],
}

impl Level {
    fn new(c_in: usize, c_out: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let conv =
            |c_in, i: usize| ConvNorm::new(c_in, c_out, SQUARE, &vb.pp(format!("conv{i}")), &vb.pp(format!("bn{i}")));
        Ok(Self { convs: [conv(c_in, 1)?, conv(c_out, 2)?] })
    }

    /// `[N, H, W, C_in]` to `[N, H, W, C_out]`.
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let y = self.convs[0].forward_t(x, Activation::Relu, train)?;
        Ok(self.convs[1].forward_t(&y, Activation::Relu, train)?)
    }
}

/// What a U-Net says of a batch of images.
#[derive(Debug, Clone)]
pub struct UNetOutput {
    /// Local features `Λ`, the bottleneck: `[N, H', W', C]`, where the sides have shrunk by
    /// [`UNetConfig::size_multiple`].
    pub local: Tensor,
    /// `[N, H, W, K]`.
    pub logits: Tensor,
}

/// The contracting path.
#[derive(Debug, Clone)]
pub(super) struct Encoder {
    down: Vec<Level>,
}

impl Encoder {
    /// Takes `down.{i}.conv{1,2}` and `down.{i}.bn{1,2}` from the builder; the last is the bottleneck.
    pub(super) fn new(config: &UNetConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let inputs = std::iter::once(config.in_channels).chain(config.widths.iter().copied());
        let down = inputs
            .zip(&config.widths)
            .enumerate()
            .map(|(i, (c_in, &c_out))| Level::new(c_in, c_out, &vb.pp(format!("down.{i}"))))
            .collect::<Result<_>>()?;
        Ok(Self { down })
    }

    /// `[N, C_in, H, W]` to the map of each level, `[N, H / 2^i, W / 2^i, C_i]`.
    pub(super) fn forward_t(&self, x: &Tensor, train: bool) -> Result<Vec<Tensor>> {
        let mut y = x.permute((0, 2, 3, 1))?.contiguous()?; // [N, H, W, C_in]
        let mut maps = Vec::with_capacity(self.down.len());
        for (i, level) in self.down.iter().enumerate() {
            if i > 0 {
                y = max_pool2d(&y, HALVE)?; // [N, H / 2, W / 2, C]
            }
            y = level.forward_t(&y, train)?;
            maps.push(y.clone());
        }
        Ok(maps)
    }
}

/// The expanding path and the head.
#[derive(Debug, Clone)]
pub(super) struct Decoder {
    /// From the deepest on.
    up: Vec<(ConvTranspose2d, Level)>,
    head: Conv2d,
}

impl Decoder {
    /// Takes `up.{i}.upconv`, `up.{i}.conv{1,2}`, `up.{i}.bn{1,2}` and `head` from the builder; the first `up` is the
    /// deepest.
    pub(super) fn new(config: &UNetConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let up = config
            .widths
            .windows(2)
            .rev()
            .enumerate()
            .map(|(i, pair)| {
                let vb = vb.pp(format!("up.{i}"));
                let upconv = ConvTranspose2d::new(pair[1], pair[0], HALVE, &vb.pp("upconv"))?;
                Ok((upconv, Level::new(2 * pair[0], pair[0], &vb)?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { up, head: Conv2d::new(config.widths[0], config.n_classes, POINT, Bias::With, &vb.pp("head"))? })
    }

    /// The maps of all levels to logits `[N, H, W, K]`.
    pub(super) fn forward_t(&self, maps: &[Tensor], train: bool) -> Result<Tensor> {
        let mut y = bottleneck(maps)?.clone();
        for ((upconv, level), skip) in self.up.iter().zip(maps.iter().rev().skip(1)) {
            y = level.forward_t(&concat_channels(&upconv.forward(&y)?, skip)?, train)?; // [N, 2 H, 2 W, C / 2]
        }
        Ok(full(&self.head.forward(&y)?)?)
    }
}

/// U-Net with its head.
#[derive(Debug, Clone)]
pub struct UNet {
    config: UNetConfig,
    encoder: Encoder,
    decoder: Decoder,
}

impl UNet {
    /// Takes its tensors from the builder: `down.{i}.conv{1,2}`, `down.{i}.bn{1,2}`, `up.{i}.upconv`, `up.{i}.conv{1,2}`,
    /// `up.{i}.bn{1,2}` and `head`; the last `down` is the bottleneck, the first `up` the deepest.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for an impossible configuration, [`Error::Tensor`] if the builder lacks a tensor.
    pub fn new(config: &UNetConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        config.check()?;
        Ok(Self { encoder: Encoder::new(config, vb)?, decoder: Decoder::new(config, vb)?, config: config.clone() })
    }

    /// `[N, C_in, H, W]` to features and logits.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the sides are no multiples of [`UNetConfig::size_multiple`], [`Error::Tensor`] if the channels
    /// differ.
    pub fn forward_t(&self, x: &Tensor, train: bool) -> Result<UNetOutput> {
        let maps = self.encode(x, train)?;
        let logits = self.decoder.forward_t(&maps, train)?;
        Ok(UNetOutput { local: full(bottleneck(&maps)?)?, logits })
    }

    /// Local features `Λ` alone, for half the work: `[N, C_in, H, W]` to `[N, H', W', C]`.
    ///
    /// # Errors
    ///
    /// Those of [`Self::forward_t`].
    pub fn local(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        Ok(full(bottleneck(&self.encode(x, train)?)?)?)
    }

    fn encode(&self, x: &Tensor, train: bool) -> Result<Vec<Tensor>> {
        let (_, _, height, width) = x.dims4()?;
        self.config.check_size(height, width)?;
        self.encoder.forward_t(x, train)
    }
}

/// The deepest of the maps.
pub(super) fn bottleneck(maps: &[Tensor]) -> Result<&Tensor> {
    maps.last().ok_or_else(|| Error::Shape {
        what: "maps of a U-Net",
        expected: "one a level".to_owned(),
        found: "none".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::Parameters;
    use crate::nn::gradcheck::random;

    #[test]
    fn every_variable_receives_a_gradient() -> Result<()> {
        let parameters = Parameters::new(1);
        let config = UNetConfig { in_channels: 2, n_classes: 3, widths: vec![4, 6, 8] };
        let net = UNet::new(&config, &parameters.builder(DType::F32, &Device::Cpu))?;
        let out = net.forward_t(&random((2, 2, 12, 8), 1)?.to_dtype(DType::F32)?, true)?;
        assert_eq!((out.local.dims(), out.logits.dims()), (&[2, 3, 2, 8][..], &[2, 12, 8, 3][..]));
        let grads = (out.logits.sqr()?.sum_all()? + out.local.sqr()?.sum_all()?)?.backward()?;
        for (name, var) in parameters.trainable() {
            let grad = grads.get(&var).map(|g| g.abs()?.sum_all()?.to_scalar::<f32>()).transpose()?;
            assert!(grad.is_some_and(|g| g > 0.0 && g.is_finite()), "{name}: {grad:?}");
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_an_error() -> Result<()> {
        let vb = Parameters::new(1).builder(DType::F32, &Device::Cpu);
        let good = UNetConfig { in_channels: 1, n_classes: 2, widths: vec![4, 8, 8] };
        let net = UNet::new(&good, &vb)?;
        for (height, width) in [(10, 8), (8, 2)] {
            let x = Tensor::zeros((1, 1, height, width), DType::F32, &Device::Cpu)?;
            assert!(matches!(net.forward_t(&x, false), Err(Error::Shape { .. })), "{height} x {width}");
        }
        for bad in [
            UNetConfig { in_channels: 0, ..good.clone() },
            UNetConfig { n_classes: 1, ..good.clone() },
            UNetConfig { widths: vec![4], ..good.clone() },
            UNetConfig { widths: vec![4, 0], ..good },
        ] {
            assert!(matches!(UNet::new(&bad, &vb), Err(Error::Shape { .. })), "{bad:?}");
        }
        Ok(())
    }
}
