//! One mutual-information loss: a critic, an estimator, and what keeps the scores in bounds.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use super::{Critic, CriticConfig, Estimate, Estimator, RunningMean};
use crate::error::Result;

/// How mutual information is estimated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TermConfig {
    /// The critic.
    pub critic: CriticConfig,
    /// The estimator.
    pub estimator: Estimator,
    /// Where a score `s` is bounded softly, `c tanh(s / c)`; 20 in AMDIM (Bachman et al. 2019). Absent: not at all.
    pub score_clip: Option<f64>,
    /// Weight of the scores' mean square, added to the loss; 0 for none.
    pub score_penalty: f64,
}

/// A mutual-information loss on its variables.
#[derive(Debug, Clone)]
pub struct Term {
    critic: Critic,
    config: TermConfig,
}

impl Term {
    /// Takes the critic's tensors from the builder, for features of `c_a` and `c_b` channels.
    ///
    /// # Errors
    ///
    /// If the builder lacks a tensor.
    pub fn new(c_a: usize, c_b: usize, config: TermConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self { critic: Critic::new(c_a, c_b, config.critic, vb)?, config })
    }

    /// The estimate of features `a`: `[N, L_a, C_a]` and `b`: `[N, L_b, C_b]`, and what is to be minimized: the estimate
    /// times `weight`, and the penalty. `negatives` is as in [`super::jsd_loss`].
    ///
    /// # Errors
    ///
    /// Those of the estimator and of the tensor library.
    pub fn loss(
        &self,
        a: &Tensor,
        b: &Tensor,
        negatives: &[bool],
        weight: f64,
        mean: &mut RunningMean,
    ) -> Result<(Estimate, Tensor)> {
        let mut scores = self.critic.scores(a, b)?;
        if let Some(bound) = self.config.score_clip {
            scores = ((scores / bound)?.tanh()? * bound)?;
        }
        let estimate = self.config.estimator.estimate(&scores, negatives, mean)?;
        let mut weighted = (&estimate.loss * weight)?;
        if self.config.score_penalty > 0.0 {
            weighted = (weighted + (scores.sqr()?.mean_all()? * self.config.score_penalty)?)?;
        }
        Ok((estimate, weighted))
    }
}
