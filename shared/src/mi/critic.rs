//! The concat-and-convolve critic `T`: how well two local features fit together.

use candle_core::{Module, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use super::pairwise::pairwise_relu;
use crate::error::Result;
use crate::nn::Linear;

/// Sizes of a critic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriticConfig {
    /// Features of the two hidden layers; 512 in the paper.
    pub hidden: usize,
}

impl Default for CriticConfig {
    fn default() -> Self {
        Self { hidden: 512 }
    }
}

/// Concatenation of two feature vectors, then 1x1 convolutions `hidden - hidden - 1` with ReLU, without normalization.
///
/// The first layer of a concatenation is `W_a a + W_b b`: each side is projected once and added pairwise, which gives
/// the same numbers for a fraction of the work.
///
/// Source: Hjelm et al. 2019, arXiv 1808.06670, figure 5.
#[derive(Debug, Clone)]
pub struct Critic {
    project_a: Linear,
    project_b: Linear,
    hidden: Linear,
    score: Linear,
}

impl Critic {
    /// Takes `a.*`, `b.*`, `hidden.*` and `score.*` from the builder.
    ///
    /// # Errors
    ///
    /// If the builder lacks a tensor.
    pub fn new(c_a: usize, c_b: usize, config: CriticConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let CriticConfig { hidden } = config;
        Ok(Self {
            project_a: Linear::new(c_a, hidden, &vb.pp("a"))?,
            project_b: Linear::new(c_b, hidden, &vb.pp("b"))?,
            hidden: Linear::new(hidden, hidden, &vb.pp("hidden"))?,
            score: Linear::new(hidden, 1, &vb.pp("score"))?,
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
        let a = self.project_a.forward(a)?.flatten_to(1)?; // [N·L_a, hidden]
        let b = self.project_b.forward(b)?.flatten_to(1)?; // [N·L_b, hidden]
        let pairs = pairwise_relu(&a, &b)?; // [N·L_a, N·L_b, hidden]
        let scores = self.score.forward(&self.hidden.forward(&pairs)?.relu()?)?; // [N·L_a, N·L_b, 1]
        Ok(scores.reshape((n, l_a, n, l_b))?.transpose(1, 2)?.contiguous()?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::Parameters;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn a_pair_is_scored_alone_as_in_the_batch() -> Result<()> {
        let vb = Parameters::new(5).builder(DType::F64, &Device::Cpu);
        let critic = Critic::new(3, 2, CriticConfig { hidden: 6 }, &vb)?;
        let (a, b) = (random((3, 2, 3), 1)?, random((3, 4, 2), 2)?);
        let all = critic.scores(&a, &b)?;
        assert_eq!(all.dims(), [3, 3, 2, 4]);
        let one = critic.scores(&a.narrow(0, 2, 1)?.narrow(1, 1, 1)?, &b.narrow(0, 0, 1)?.narrow(1, 3, 1)?)?;
        let expected = all.narrow(0, 2, 1)?.narrow(1, 0, 1)?.narrow(2, 1, 1)?.narrow(3, 3, 1)?;
        assert!((one - expected)?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-12);
        Ok(())
    }

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let vb = Parameters::new(5).builder(DType::F64, &Device::Cpu);
        let critic = Critic::new(3, 2, CriticConfig { hidden: 6 }, &vb)?;
        let inputs = [random((2, 2, 3), 1)?, random((2, 3, 2), 2)?];
        check(&inputs, |v| critic.scores(&v[0], &v[1]).map_err(candle_core::Error::wrap))?;
        Ok(())
    }
}
