//! The encoder of reports compiled from its weights.

use std::ops::Range;

use crate::error::Result;
use crate::infer::dense::Dense;
use crate::infer::tensors::{fold_batch_norm_into, tensor};
use crate::io::Weights;
use crate::kernel::{Activation, Simd};
use crate::model::text_cnn::{DOWN, SAME, TextCnnConfig};

/// [`TextCnn`](crate::model::text_cnn::TextCnn) for one report at a time, batch norm folded in.
pub(super) struct TextPlan {
    /// `[vocabulary, word_dim]`.
    embedding: Vec<f32>,
    word_dim: usize,
    blocks: Vec<Block>,
}

struct Block {
    c_in: usize,
    c_out: usize,
    conv1: Dense,
    conv2: Dense,
    shortcut: Dense,
}

/// What the encoder says of a report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TextFeatures {
    /// `[L, C]`.
    pub(super) local: Vec<f32>,
    /// Their mean, `[C]`.
    pub(super) global: Vec<f32>,
}

impl TextPlan {
    /// Takes `text.*` from the weights.
    ///
    /// # Errors
    ///
    /// [`crate::Error::MissingTensor`] or [`crate::Error::WrongTensor`] if the weights are not this network's.
    pub(super) fn new(simd: Simd, config: &TextCnnConfig, vocabulary: usize, weights: &Weights) -> Result<Self> {
        let embedding = tensor(weights, "text.embedding.weight", &[vocabulary, config.word_dim])?.to_vec();
        let mut blocks = Vec::with_capacity(config.widths.len());
        let mut c_in = config.word_dim;
        for (i, &c_out) in config.widths.iter().enumerate() {
            let conv = |conv: &str, norm: &str, c_in: usize, kernel: usize| {
                let [conv, norm] = [conv, norm].map(|part| format!("text.blocks.{i}.{part}"));
                let (weight, bias) = fold_batch_norm_into(weights, &conv, &norm, &[c_out, c_in, kernel])?;
                Dense::new(simd, &taps_first(&weight, c_in, kernel), &bias)
            };
            blocks.push(Block {
                c_in,
                c_out,
                conv1: conv("conv1", "bn1", c_in, DOWN.kernel)?,
                conv2: conv("conv2", "bn2", c_out, SAME.kernel)?,
                shortcut: conv("downsample.0", "downsample.1", c_in, 1)?,
            });
            c_in = c_out;
        }
        Ok(Self { embedding, word_dim: config.word_dim, blocks })
    }

    /// Features of a report of at least one token; every id is below the vocabulary's size.
    pub(super) fn run(&self, ids: &[u32]) -> TextFeatures {
        let word = |&id: &u32| &self.embedding[id as usize * self.word_dim..][..self.word_dim];
        let mut local: Vec<f32> = ids.iter().flat_map(word).copied().collect(); // [T, word_dim]
        for block in &self.blocks {
            local = block.run(&local); // [ceil(T / 2), C]
        }
        let channels = self.blocks.last().map_or(self.word_dim, |block| block.c_out);
        let mut global = vec![0.0; channels];
        let n = (local.len() / channels) as f32;
        for position in local.chunks_exact(channels) {
            for (mean, value) in global.iter_mut().zip(position) {
                *mean += value / n;
            }
        }
        TextFeatures { local, global }
    }

    /// The tokens that each position of the features stands for: those nearer to the centre of what it sees than to the
    /// centre of any other position. Every token of the report belongs to exactly one.
    pub(super) fn spans(&self, n_tokens: usize) -> Vec<Range<usize>> {
        let step = 1 << self.blocks.len();
        let n = n_tokens.div_ceil(step);
        let begin = |position: usize| (position * step).saturating_sub(step / 2);
        (0..n).map(|i| begin(i)..if i + 1 == n { n_tokens } else { begin(i + 1) }).collect()
    }
}

impl Block {
    /// `[T, C_in]` to `[ceil(T / 2), C_out]`.
    fn run(&self, x: &[f32]) -> Vec<f32> {
        let rows = (x.len() / self.c_in).div_ceil(DOWN.stride);
        let step = DOWN.stride * self.c_in;
        let padded = pad(x, self.c_in, DOWN.padding);
        let skip = self.shortcut.run(&padded[DOWN.padding * self.c_in..], step, rows, Activation::Identity);
        let y = self.conv1.run(&padded, step, rows, Activation::Relu);
        self.conv2.run_onto(&skip, &pad(&y, self.c_out, SAME.padding), self.c_out, Activation::Relu)
    }
}

/// Rows of zeros before and after.
fn pad(x: &[f32], channels: usize, padding: usize) -> Vec<f32> {
    let mut padded = vec![0.0; x.len() + 2 * padding * channels];
    padded[padding * channels..][..x.len()].copy_from_slice(x);
    padded
}

/// Weights `[C_out, C_in, k]` as `[C_out, k, C_in]`: in the order in which rows of channels lie.
fn taps_first(weight: &[f32], c_in: usize, kernel: usize) -> Vec<f32> {
    let filter = |filter: &[f32]| -> Vec<f32> {
        (0..kernel).flat_map(|tap| (0..c_in).map(move |c| c * kernel + tap)).map(|i| filter[i]).collect()
    };
    weight.chunks_exact(c_in * kernel).flat_map(filter).collect()
}
