//! Critics `T`: how well two local features fit together.

use candle_core::{Module, Tensor};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

use super::pairwise::pairwise_relu;
use crate::error::Result;
use crate::nn::Linear;

/// Kind and size of a critic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriticConfig {
    /// How two features are compared.
    #[serde(default)]
    pub kind: CriticKind,
    /// Features of the hidden layers; 512 in the paper.
    pub hidden: usize,
}

impl Default for CriticConfig {
    fn default() -> Self {
        Self { kind: CriticKind::default(), hidden: 512 }
    }
}

/// How two features are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CriticKind {
    /// [`ConcatAndConvolve`], the paper's.
    #[default]
    ConcatAndConvolve,
    /// [`EncodeAndDot`].
    EncodeAndDot,
}

/// Scores every pair of local features.
#[derive(Debug, Clone)]
pub enum Critic {
    /// The paper's.
    ConcatAndConvolve(ConcatAndConvolve),
    /// The cheaper one.
    EncodeAndDot(EncodeAndDot),
}

impl Critic {
    /// Takes its tensors from the builder, for features of `c_a` and `c_b` channels.
    ///
    /// # Errors
    ///
    /// If the builder lacks a tensor.
    pub fn new(c_a: usize, c_b: usize, config: CriticConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(match config.kind {
            CriticKind::ConcatAndConvolve => {
                Self::ConcatAndConvolve(ConcatAndConvolve::new(c_a, c_b, config.hidden, vb)?)
            }
            CriticKind::EncodeAndDot => Self::EncodeAndDot(EncodeAndDot::new(c_a, c_b, config.hidden, vb)?),
        })
    }

    /// Scores of all pairs of samples and locations: `a`: `[N, L_a, C_a]` and `b`: `[N, L_b, C_b]` to
    /// `[N, N, L_a, L_b]`.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn scores(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let ((n, l_a, _), (_, l_b, _)) = (a.dims3()?, b.dims3()?);
        let scores = match self {
            Self::ConcatAndConvolve(critic) => critic.scores(a, b)?,
            Self::EncodeAndDot(critic) => critic.scores(a, b)?,
        };
        Ok(scores.reshape((n, l_a, n, l_b))?.transpose(1, 2)?.contiguous()?)
    }
}

/// Concatenation of two feature vectors, then 1x1 convolutions `hidden - hidden - 1` with ReLU, without normalization.
///
/// The first layer of a concatenation is `W_a a + W_b b`: each side is projected once and added pairwise, which gives
/// the same numbers for a fraction of the work.
///
/// Source: Hjelm et al. 2019, arXiv 1808.06670, figure 5.
#[derive(Debug, Clone)]
pub struct ConcatAndConvolve {
    project_a: Linear,
    project_b: Linear,
    hidden: Linear,
    score: Linear,
}

impl ConcatAndConvolve {
    /// Takes `a.*`, `b.*`, `hidden.*` and `score.*` from the builder.
    fn new(c_a: usize, c_b: usize, hidden: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            project_a: Linear::new(c_a, hidden, &vb.pp("a"))?,
            project_b: Linear::new(c_b, hidden, &vb.pp("b"))?,
            hidden: Linear::new(hidden, hidden, &vb.pp("hidden"))?,
            score: Linear::new(hidden, 1, &vb.pp("score"))?,
        })
    }

    /// `[N, L_a, C_a]` and `[N, L_b, C_b]` to `[N·L_a, N·L_b, 1]`.
    fn scores(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let a = self.project_a.forward(a)?.flatten_to(1)?; // [N·L_a, hidden]
        let b = self.project_b.forward(b)?.flatten_to(1)?; // [N·L_b, hidden]
        let pairs = pairwise_relu(&a, &b)?; // [N·L_a, N·L_b, hidden]
        Ok(self.score.forward(&self.hidden.forward(&pairs)?.relu()?)?)
    }
}

/// Each side encoded by 1x1 convolutions with a shortcut that starts as the identity, then the dot product of the codes
/// over the root of their length.
///
/// Source: Hjelm et al. 2019, arXiv 1808.06670, figure 6 and table 8; the division is ours, as in Bachman et al. 2019.
#[derive(Debug, Clone)]
pub struct EncodeAndDot {
    encode_a: Encoder,
    encode_b: Encoder,
    hidden: usize,
}

impl EncodeAndDot {
    /// Takes `a.*` and `b.*` from the builder.
    fn new(c_a: usize, c_b: usize, hidden: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            encode_a: Encoder::new(c_a, hidden, &vb.pp("a"))?,
            encode_b: Encoder::new(c_b, hidden, &vb.pp("b"))?,
            hidden,
        })
    }

    /// `[N, L_a, C_a]` and `[N, L_b, C_b]` to `[N·L_a, N·L_b]`.
    fn scores(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let a = self.encode_a.forward(a)?.flatten_to(1)?; // [N·L_a, hidden]
        let b = self.encode_b.forward(b)?.flatten_to(1)?; // [N·L_b, hidden]
        Ok((a.matmul(&b.t()?)? / (self.hidden as f64).sqrt())?)
    }
}

/// `x (I + S) + W_2 relu(W_1 x)`, where `I` passes the first channels on.
#[derive(Debug, Clone)]
struct Encoder {
    first: Linear,
    second: Linear,
    /// `[hidden, C]`: how the shortcut differs from the identity.
    shortcut: Tensor,
}

impl Encoder {
    fn new(c: usize, hidden: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            first: Linear::new(c, hidden, &vb.pp("first"))?,
            second: Linear::new(hidden, hidden, &vb.pp("second"))?,
            shortcut: vb.get_with_hints((hidden, c), "shortcut", Init::Const(0.0))?,
        })
    }

    /// `[N, L, C]` to `[N, L, hidden]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (n, l, c) = x.dims3()?;
        let (hidden, _) = self.shortcut.dims2()?;
        let passed = if c < hidden { x.pad_with_zeros(2, 0, hidden - c)? } else { x.narrow(2, 0, hidden)? };
        let learned = x.reshape((n * l, c))?.matmul(&self.shortcut.t()?)?.reshape((n, l, hidden))?;
        let inner = self.second.forward(&self.first.forward(x)?.relu()?)?;
        Ok(((passed + learned)? + inner)?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::Parameters;
    use crate::nn::gradcheck::{check, random};

    /// Codes shorter and longer than the features.
    fn critics(vb: &VarBuilder<'_>) -> Result<Vec<Critic>> {
        let all = [(CriticKind::ConcatAndConvolve, 6), (CriticKind::EncodeAndDot, 6), (CriticKind::EncodeAndDot, 2)];
        all.into_iter()
            .enumerate()
            .map(|(i, (kind, hidden))| Critic::new(3, 2, CriticConfig { kind, hidden }, &vb.pp(i.to_string())))
            .collect()
    }

    #[test]
    fn a_pair_is_scored_alone_as_in_the_batch() -> Result<()> {
        let vb = Parameters::new(5).builder(DType::F64, &Device::Cpu);
        for critic in critics(&vb)? {
            let (a, b) = (random((3, 2, 3), 1)?, random((3, 4, 2), 2)?);
            let all = critic.scores(&a, &b)?;
            assert_eq!(all.dims(), [3, 3, 2, 4]);
            let one = critic.scores(&a.narrow(0, 2, 1)?.narrow(1, 1, 1)?, &b.narrow(0, 0, 1)?.narrow(1, 3, 1)?)?;
            let expected = all.narrow(0, 2, 1)?.narrow(1, 0, 1)?.narrow(2, 1, 1)?.narrow(3, 3, 1)?;
            assert!((one - expected)?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-12);
        }
        Ok(())
    }

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let vb = Parameters::new(5).builder(DType::F64, &Device::Cpu);
        for critic in critics(&vb)? {
            let inputs = [random((2, 2, 3), 1)?, random((2, 3, 2), 2)?];
            check(&inputs, |v| critic.scores(&v[0], &v[1]).map_err(candle_core::Error::wrap))?;
        }
        Ok(())
    }
}
