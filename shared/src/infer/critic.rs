//! The critic of local features compiled from its weights: which place of an image agrees with which part of a report.

use crate::error::Result;
use crate::infer::dense::Dense;
use crate::infer::tensors::tensor;
use crate::io::Weights;
use crate::kernel::{Activation, Simd};
use crate::mi::{CriticConfig, CriticKind};

/// [`Critic`](crate::mi::Critic) for one image and one report.
#[allow(clippy::large_enum_variant, reason = "there is one in a model")]
pub(super) enum CriticPlan {
    /// Both sides projected and added pairwise, then two layers.
    ConcatAndConvolve { a: Dense, b: Dense, hidden: Dense, score: Dense },
    /// Both sides encoded, then the dot product.
    EncodeAndDot { a: Encoder, b: Encoder },
}

impl CriticPlan {
    /// Takes `critic_ll.*` from the weights, for features of `c_a` and `c_b` channels.
    ///
    /// # Errors
    ///
    /// [`crate::Error::MissingTensor`] or [`crate::Error::WrongTensor`] if the weights are not this critic's.
    pub(super) fn new(simd: Simd, [c_a, c_b]: [usize; 2], config: CriticConfig, weights: &Weights) -> Result<Self> {
        let n = config.hidden;
        let linear =
            |name: &str, n_in, n_out| Dense::linear(simd, weights, &format!("critic_ll.{name}"), [n_in, n_out]);
        Ok(match config.kind {
            CriticKind::ConcatAndConvolve => Self::ConcatAndConvolve {
                a: linear("a", c_a, n)?,
                b: linear("b", c_b, n)?,
                hidden: linear("hidden", n, n)?,
                score: linear("score", n, 1)?,
            },
            CriticKind::EncodeAndDot => {
                let encoder = |side: &str, c| -> Result<Encoder> {
                    let shortcut = tensor(weights, &format!("critic_ll.{side}.shortcut"), &[n, c])?;
                    Ok(Encoder {
                        first: linear(&format!("{side}.first"), c, n)?,
                        second: linear(&format!("{side}.second"), n, n)?,
                        shortcut: Dense::new(simd, &with_identity(shortcut, c), &vec![0.0; n])?,
                    })
                };
                Self::EncodeAndDot { a: encoder("a", c_a)?, b: encoder("b", c_b)? }
            }
        })
    }

    /// Scores of all pairs: `a`: `[L_a, C_a]` and `b`: `[L_b, C_b]` to `[L_a, L_b]`.
    pub(super) fn scores(&self, [a, b]: [&[f32]; 2], [l_a, l_b]: [usize; 2]) -> Vec<f32> {
        match self {
            Self::ConcatAndConvolve { a: project_a, b: project_b, hidden, score } => {
                let n = hidden.n_out();
                let a = project_a.run(a, a.len() / l_a, l_a, Activation::Identity); // [L_a, hidden]
                let b = project_b.run(b, b.len() / l_b, l_b, Activation::Identity); // [L_b, hidden]
                let pair =
                    |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| (a + b).max(0.0)).collect() };
                let pairs: Vec<f32> =
                    a.chunks_exact(n).flat_map(|a| b.chunks_exact(n).flat_map(move |b| pair(a, b))).collect();
                let inner = hidden.run(&pairs, n, l_a * l_b, Activation::Relu); // [L_a · L_b, hidden]
                score.run(&inner, n, l_a * l_b, Activation::Identity)
            }
            Self::EncodeAndDot { a: encode_a, b: encode_b } => {
                let (a, b) = (encode_a.run(a, l_a), encode_b.run(b, l_b));
                let n = a.len() / l_a;
                let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() / (n as f32).sqrt();
                a.chunks_exact(n).flat_map(|a| b.chunks_exact(n).map(move |b| dot(a, b))).collect()
            }
        }
    }
}

/// One side of the critic that encodes and multiplies.
pub(super) struct Encoder {
    first: Dense,
    second: Dense,
    /// With the identity in it.
    shortcut: Dense,
}

impl Encoder {
    /// `[L, C]` to `[L, hidden]`.
    fn run(&self, x: &[f32], l: usize) -> Vec<f32> {
        let c = x.len() / l;
        let skip = self.shortcut.run(x, c, l, Activation::Identity);
        let inner = self.first.run(x, c, l, Activation::Relu);
        self.second.run_onto(&skip, &inner, self.first.n_out(), Activation::Identity)
    }
}

/// A matrix of rows of `c` plus the identity.
fn with_identity(matrix: &[f32], c: usize) -> Vec<f32> {
    let mut sum = matrix.to_vec();
    for (i, row) in sum.chunks_exact_mut(c).enumerate().take(c) {
        row[i] += 1.0;
    }
    sum
}
