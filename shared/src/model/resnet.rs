//! Residual network for images, with torchvision's tensor names so that public weights load unchanged.
//!
//! Source: He et al. 2016, arXiv 1512.03385; torchvision `models/resnet.py` (stride on the 3x3 convolution).

use candle_core::{Module, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::nn::batch_norm::Activation;
use crate::nn::precision::full;
use crate::nn::{ConvNorm, ConvSpec, Linear, global_average_pool, max_pool2d};

/// Which of the standard layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub enum Depth {
    /// Basic blocks, 2-2-2-2.
    D18,
    /// Basic blocks, 3-4-6-3.
    D34,
    /// Bottleneck blocks, 3-4-6-3.
    D50,
}

impl TryFrom<u32> for Depth {
    type Error = String;

    fn try_from(depth: u32) -> std::result::Result<Self, String> {
        match depth {
            18 => Ok(Self::D18),
            34 => Ok(Self::D34),
            50 => Ok(Self::D50),
            other => Err(format!("ResNet depth {other} is not 18, 34 or 50")),
        }
    }
}

impl From<Depth> for u32 {
    fn from(depth: Depth) -> Self {
        match depth {
            Depth::D18 => 18,
            Depth::D34 => 34,
            Depth::D50 => 50,
        }
    }
}

/// Layers and sizes of a residual network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// 18, 34 or 50.
    pub depth: Depth,
    /// Channels of the stem and of the first stage's blocks; 64 in the paper. Doubles with every stage.
    pub width: usize,
    /// Channels of the image: 1 or 3.
    pub in_channels: usize,
    /// Whether a 3x3 max pool of stride 2 follows the stem, as in the paper. Small images do better without.
    pub stem_pool: bool,
}

impl ResNetConfig {
    /// Blocks of each of the four stages.
    pub fn blocks(&self) -> [usize; 4] {
        match self.depth {
            Depth::D18 => [2, 2, 2, 2],
            Depth::D34 | Depth::D50 => [3, 4, 6, 3],
        }
    }

    /// Output channels of a block over its inner width: 1 for basic blocks, 4 for bottlenecks.
    pub fn expansion(&self) -> usize {
        match self.depth {
            Depth::D18 | Depth::D34 => 1,
            Depth::D50 => 4,
        }
    }

    /// Channels of the last feature map.
    pub fn out_channels(&self) -> usize {
        self.width * 8 * self.expansion()
    }

    /// Checks that the values make sense.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a width that is 0, above 1024 or no multiple of 4, or channels other than 1 or 3.
    pub fn check(&self) -> Result<()> {
        if !(4..=1024).contains(&self.width) || !self.width.is_multiple_of(4) {
            return Err(Error::Shape {
                what: "ResNet width",
                expected: "a multiple of 4 up to 1024".to_owned(),
                found: self.width.to_string(),
            });
        }
        if !matches!(self.in_channels, 1 | 3) {
            return Err(Error::Shape {
                what: "ResNet input channels",
                expected: "1 or 3".to_owned(),
                found: self.in_channels.to_string(),
            });
        }
        Ok(())
    }
}

/// Residual block: basic (two 3x3) or bottleneck (1x1, 3x3, 1x1).
#[derive(Debug, Clone)]
struct Block {
    convs: Vec<ConvNorm>,
    downsample: Option<ConvNorm>,
}

impl Block {
    fn new(config: &ResNetConfig, c_in: usize, width: usize, stride: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let c_out = width * config.expansion();
        let spec = |kernel: usize, stride| ConvSpec { kernel, stride, padding: kernel / 2 };
        let layout = match config.depth {
            Depth::D18 | Depth::D34 => vec![(c_in, width, spec(3, stride)), (width, width, spec(3, 1))],
            Depth::D50 => {
                vec![(c_in, width, spec(1, 1)), (width, width, spec(3, stride)), (width, c_out, spec(1, 1))]
            }
        };
        let convs = (1..)
            .zip(layout)
            .map(|(i, (from, to, spec))| {
                ConvNorm::new(from, to, spec, &vb.pp(format!("conv{i}")), &vb.pp(format!("bn{i}")))
            })
            .collect::<candle_core::Result<_>>()?;
        let downsample = (stride != 1 || c_in != c_out)
            .then(|| ConvNorm::new(c_in, c_out, spec(1, stride), &vb.pp("downsample.0"), &vb.pp("downsample.1")))
            .transpose()?;
        Ok(Self { convs, downsample })
    }

    /// `[N, H, W, C_in]` to `[N, ceil(H / stride), ceil(W / stride), C_out]`.
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let skip = match &self.downsample {
            Some(downsample) => downsample.forward_t(x, Activation::Linear, train)?,
            None => x.clone(),
        };
        let (last, inner) = self.convs.split_last().ok_or_else(|| candle_core::Error::msg("a block without layers"))?;
        let mut y = x.clone();
        for conv in inner {
            y = conv.forward_t(&y, Activation::Relu, train)?;
        }
        Ok(last.forward_add_relu_t(&y, &skip, train)?)
    }
}

/// The network without its head.
#[derive(Debug, Clone)]
pub struct ResNet {
    stem: ConvNorm,
    stem_pool: bool,
    blocks: Vec<Block>,
}

impl ResNet {
    /// Takes its tensors from the builder, by torchvision's names.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for an impossible configuration, [`Error::Tensor`] if the builder lacks a tensor.
    pub fn new(config: &ResNetConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        config.check()?;
        let spec = ConvSpec { kernel: 7, stride: 2, padding: 3 };
        let stem = ConvNorm::new(config.in_channels, config.width, spec, &vb.pp("conv1"), &vb.pp("bn1"))?;
        let mut blocks = Vec::new();
        let mut c_in = config.width;
        for (stage, n_blocks) in config.blocks().into_iter().enumerate() {
            let width = config.width << stage;
            for i in 0..n_blocks {
                let stride = if stage > 0 && i == 0 { 2 } else { 1 };
                blocks.push(Block::new(config, c_in, width, stride, &vb.pp(format!("layer{}.{i}", stage + 1)))?);
                c_in = width * config.expansion();
            }
        }
        Ok(Self { stem, stem_pool: config.stem_pool, blocks })
    }

    /// `[N, C_in, H, W]` to the local features `Λ_I`: `[N, H', W', C]`, where `C` is
    /// [`ResNetConfig::out_channels`] and the sides shrink 32-fold with the stem's pool, 16-fold without.
    ///
    /// # Errors
    ///
    /// If the image has other channels or is too small.
    pub fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let x = x.permute((0, 2, 3, 1))?.contiguous()?; // [N, H, W, C_in]
        let mut y = self.stem.forward_t(&x, Activation::Relu, train)?; // [N, H/2, W/2, width]
        if self.stem_pool {
            y = max_pool2d(&y, ConvSpec { kernel: 3, stride: 2, padding: 1 })?; // [N, H/4, W/4, width]
        }
        for block in &self.blocks {
            y = block.forward_t(&y, train)?;
        }
        Ok(full(&y)?)
    }
}

/// What an image encoder says of a batch of images.
#[derive(Debug, Clone)]
pub struct ImageOutput {
    /// Local features `Λ_I`: `[N, H', W', C]`.
    pub local: Tensor,
    /// Global features `Γ_I`, their mean over the map: `[N, C]`.
    pub global: Tensor,
    /// `[N, K]`.
    pub logits: Tensor,
}

impl ImageOutput {
    /// The output of some rows.
    ///
    /// # Errors
    ///
    /// A row beyond the batch.
    pub fn select(&self, rows: &[u32]) -> Result<Self> {
        let rows = Tensor::from_slice(rows, rows.len(), self.local.device())?;
        let select = |features: &Tensor| features.index_select(&rows, 0);
        Ok(Self { local: select(&self.local)?, global: select(&self.global)?, logits: select(&self.logits)? })
    }
}

/// Residual network with its linear head `fc`: the path that exists at test time.
#[derive(Debug, Clone)]
pub struct ImageClassifier {
    encoder: ResNet,
    fc: Linear,
}

impl ImageClassifier {
    /// Takes its tensors from the builder, by torchvision's names.
    ///
    /// # Errors
    ///
    /// Those of [`ResNet::new`].
    pub fn new(config: &ResNetConfig, n_out: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self { encoder: ResNet::new(config, vb)?, fc: Linear::new(config.out_channels(), n_out, &vb.pp("fc"))? })
    }

    /// `[N, C_in, H, W]` to features and logits.
    ///
    /// # Errors
    ///
    /// Those of [`ResNet::forward_t`].
    pub fn forward_t(&self, x: &Tensor, train: bool) -> Result<ImageOutput> {
        let local = self.encoder.forward_t(x, train)?; // [N, H', W', C]
        let global = global_average_pool(&local)?; // [N, C]
        let logits = self.fc.forward(&global)?; // [N, K]
        Ok(ImageOutput { local, global, logits })
    }
}
