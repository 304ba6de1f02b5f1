//! Residual one-dimensional convolutional network over word vectors: the encoder of reports.
//!
//! Source: Sylvain et al. 2021, arXiv 2010.10593, section 3 (a residual CNN over GloVe vectors); the sizes are ours.

use candle_core::{DType, Module, Tensor};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::nn::batch_norm::Activation;
use crate::nn::conv::conv_len;
use crate::nn::{BatchNorm, Conv1d, ConvSpec};
use crate::prep::report::TokenBatch;

/// Kernel and step of a block's first convolution.
pub(crate) const DOWN: ConvSpec = ConvSpec { kernel: 5, stride: 2, padding: 2 };
/// Kernel and step of a block's second convolution.
pub(crate) const SAME: ConvSpec = ConvSpec { kernel: 5, stride: 1, padding: 2 };
/// The shortcut.
const SHORTCUT: ConvSpec = ConvSpec { kernel: 1, stride: 2, padding: 0 };

/// Sizes of the text encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextCnnConfig {
    /// Length of a word vector; 300 for GloVe.
    pub word_dim: usize,
    /// Output channels of each residual block; every block halves the positions.
    pub widths: Vec<usize>,
}

impl Default for TextCnnConfig {
    fn default() -> Self {
        Self { word_dim: 300, widths: vec![256, 512, 512] }
    }
}

impl TextCnnConfig {
    /// Channels of the features.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if there is no block.
    pub fn out_channels(&self) -> Result<usize> {
        self.widths.last().copied().ok_or_else(|| Error::Shape {
            what: "widths of the text encoder",
            expected: "at least one".to_owned(),
            found: "none".to_owned(),
        })
    }
}

/// Residual block that halves the positions.
#[derive(Debug, Clone)]
struct Block {
    conv1: Conv1d,
    bn1: BatchNorm,
    conv2: Conv1d,
    bn2: BatchNorm,
    shortcut: Conv1d,
    shortcut_bn: BatchNorm,
}

impl Block {
    fn new(c_in: usize, c_out: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            conv1: Conv1d::new(c_in, c_out, DOWN, &vb.pp("conv1"))?,
            bn1: BatchNorm::new(c_out, &vb.pp("bn1"))?,
            conv2: Conv1d::new(c_out, c_out, SAME, &vb.pp("conv2"))?,
            bn2: BatchNorm::new(c_out, &vb.pp("bn2"))?,
            shortcut: Conv1d::new(c_in, c_out, SHORTCUT, &vb.pp("downsample.0"))?,
            shortcut_bn: BatchNorm::new(c_out, &vb.pp("downsample.1"))?,
        })
    }

    /// `[N, T, C_in]` to `[N, ceil(T / 2), C_out]`.
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let skip = self.shortcut_bn.forward_t(&self.shortcut.forward(x)?, Activation::Linear, train)?;
        let y = self.bn1.forward_t(&self.conv1.forward(x)?, Activation::Relu, train)?;
        Ok(self.bn2.forward_add_relu_t(&self.conv2.forward(&y)?, &skip, train)?)
    }
}

/// What the text encoder says of a batch of reports.
#[derive(Debug, Clone)]
pub struct TextOutput {
    /// Local features `Λ_T`: `[N, L, C]`.
    pub local: Tensor,
    /// Positions of each report that are not padding, at least 1: the first so many of `L`.
    pub lens: Vec<usize>,
    /// Global features `Γ_T`, the mean over those positions: `[N, C]`.
    pub global: Tensor,
}

/// Encoder of reports.
#[derive(Debug, Clone)]
pub struct TextCnn {
    embedding: Tensor,
    blocks: Vec<Block>,
}

impl TextCnn {
    /// Takes `embedding.weight` `[vocabulary, word_dim]` and the blocks `blocks.{i}.*` from the builder.
    ///
    /// # Errors
    ///
    /// If the builder lacks a tensor.
    pub fn new(config: &TextCnnConfig, vocabulary: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let init = Init::Randn { mean: 0.0, stdev: 0.3 };
        let embedding = vb.get_with_hints((vocabulary, config.word_dim), "embedding.weight", init)?;
        let mut blocks = Vec::new();
        let mut c_in = config.word_dim;
        for (i, &c_out) in config.widths.iter().enumerate() {
            blocks.push(Block::new(c_in, c_out, &vb.pp(format!("blocks.{i}")))?);
            c_in = c_out;
        }
        Ok(Self { embedding, blocks })
    }

    /// Reports to features; the vector of a padding token counts as zero.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn forward_t(&self, tokens: &TokenBatch, train: bool) -> Result<TextOutput> {
        let (n, t) = (tokens.lens.len(), tokens.width);
        let (device, dtype) = (self.embedding.device(), self.embedding.dtype());
        let ids = Tensor::from_slice(&tokens.ids, n * t, device)?;
        let words = self.embedding.index_select(&ids, 0)?.reshape((n, t, ()))?; // [N, T, word_dim]
        let mask = prefix_mask(&tokens.lens, t);
        let mask = Tensor::from_vec(mask, (n, t, 1), device)?.to_dtype(dtype)?;
        let mut local = words.broadcast_mul(&mask)?; // [N, T, word_dim]
        let mut lens = tokens.lens.clone();
        for block in &self.blocks {
            local = block.forward_t(&local, train)?; // [N, L, C]
            for len in &mut lens {
                *len = conv_len(DOWN, *len);
            }
        }
        let len = local.dim(1)?;
        let weights: Vec<f32> = prefix_mask(&lens, len)
            .chunks_exact(len)
            .zip(&lens)
            .flat_map(|(row, &len)| row.iter().map(move |m| m / len as f32))
            .collect();
        let weights = Tensor::from_vec(weights, (n, len, 1), device)?.to_dtype(DType::F32)?.to_dtype(dtype)?;
        let global = local.broadcast_mul(&weights)?.sum(1)?; // [N, C]
        Ok(TextOutput { local, lens, global })
    }
}

/// 1 for the first `lens[i]` of `width` positions of each row, 0 for the rest.
fn prefix_mask(lens: &[usize], width: usize) -> Vec<f32> {
    lens.iter().flat_map(|&len| (0..width).map(move |i| f32::from(u8::from(i < len)))).collect()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::nn::Parameters;

    fn batch(reports: &[&[u32]], width: usize) -> TokenBatch {
        let ids = reports.iter().flat_map(|r| r.iter().copied().chain(std::iter::repeat(0)).take(width)).collect();
        TokenBatch { ids, lens: reports.iter().map(|r| r.len()).collect(), width }
    }

    #[test]
    fn shapes_are_those_of_the_paper_and_padding_does_not_matter() -> Result<()> {
        let parameters = Parameters::new(1);
        let config = TextCnnConfig { word_dim: 12, widths: vec![8, 16, 16] };
        let model = TextCnn::new(&config, 20, &parameters.builder(DType::F32, &Device::Cpu))?;
        let reports: [&[u32]; 2] = [&[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], &[5]];
        let out = model.forward_t(&batch(&reports, 128), false)?;
        assert_eq!(out.local.dims(), [2, 16, 16]);
        assert_eq!(out.global.dims(), [2, 16]);
        assert_eq!(out.lens, [2, 1]);
        // The same report in a wider batch, and with other words in the padding.
        let mut other = batch(&reports, 128);
        other.ids[128 + 20] = 9;
        let same = model.forward_t(&other, false)?;
        let difference = (same.global - out.global)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert_eq!(difference, 0.0);
        Ok(())
    }

    #[test]
    fn every_variable_receives_a_gradient() -> Result<()> {
        let parameters = Parameters::new(1);
        let config = TextCnnConfig { word_dim: 6, widths: vec![4, 4] };
        let model = TextCnn::new(&config, 9, &parameters.builder(DType::F32, &Device::Cpu))?;
        let out = model.forward_t(&batch(&[&[1, 2, 3, 4], &[5, 6]], 8), true)?;
        let grads = (out.global.sqr()?.sum_all()? + out.local.sqr()?.sum_all()?)?.backward()?;
        for (name, var) in parameters.trainable() {
            let grad = grads.get(&var).map(|g| g.abs()?.sum_all()?.to_scalar::<f32>()).transpose()?;
            assert!(grad.is_some_and(|g| g > 0.0), "{name} receives no gradient");
        }
        Ok(())
    }
}
