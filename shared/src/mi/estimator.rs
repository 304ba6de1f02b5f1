//! The estimators of mutual information, as losses over critic scores.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::jsd::{PairWeights, diagonal, jsd_loss};
use crate::error::Result;

/// How mutual information is estimated from critic scores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    /// Jensen-Shannon, [`jsd_loss`].
    #[default]
    Jsd,
    /// Donsker-Varadhan with a moving average in its gradient, [`dv_loss`].
    Dv,
    /// [`info_nce_loss`].
    InfoNce,
}

/// A mutual-information loss and what a critic without knowledge would get.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// `[]`, to be minimized.
    pub loss: Tensor,
    /// The loss of a critic whose scores are all equal: below it, the critic has learned something.
    pub chance: f64,
}

/// What [`dv_loss`] remembers from step to step: the logarithm of the running mean of `e^T` over the marginals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunningMean(pub Option<f64>);

/// Share of a new batch in the running mean.
const RATE: f64 = 0.01;

impl Estimator {
    /// The loss of a batch; see the estimators for shapes and errors.
    ///
    /// # Errors
    ///
    /// Those of the estimators.
    pub fn estimate(self, scores: &Tensor, negatives: &[bool], mean: &mut RunningMean) -> Result<Estimate> {
        match self {
            Self::Jsd => Ok(Estimate { loss: jsd_loss(scores, negatives)?, chance: 2.0 * std::f64::consts::LN_2 }),
            Self::Dv => Ok(Estimate { loss: dv_loss(scores, negatives, mean)?, chance: 0.0 }),
            Self::InfoNce => info_nce_loss(scores, negatives),
        }
    }
}

/// Donsker-Varadhan estimate, negated: `-E_joint[T] + log E_marginals[e^T]`.
///
/// The value is the estimate of this batch; the gradient of the second term divides by the running mean of `e^T`
/// instead of the batch's, which takes away most of the bias of small batches.
///
/// # Shapes
///
/// As [`jsd_loss`].
///
/// # Errors
///
/// As [`jsd_loss`].
///
/// Source: Belghazi et al. 2018 (MINE), arXiv 1801.04062, section 3.2.
pub fn dv_loss(scores: &Tensor, negatives: &[bool], mean: &mut RunningMean) -> Result<Tensor> {
    let weights = PairWeights::new(scores, negatives)?;
    let joint = weights.joint_mean(scores)?;
    // In logarithms, so that large scores do not overflow.
    let greatest = weights.greatest_negative(scores)?;
    let batch = weights.marginal_mean(&(scores.detach() - greatest)?.exp()?)?;
    let log_batch = batch.to_dtype(DType::F64)?.to_scalar::<f64>()?.ln() + greatest;
    let log_mean = match mean.0 {
        None => log_batch,
        Some(old) => {
            let top = old.max(log_batch);
            ((1.0 - RATE) * (old - top).exp() + RATE * (log_batch - top).exp()).ln() + top
        }
    };
    mean.0 = Some(log_mean);
    // Only negatives are exponentiated: a true pair's score may be far above them.
    let marginal = weights.marginal_mean(&weights.only_negatives(&(scores - log_mean)?)?.exp()?)?;
    let value = (marginal.detach() * -1.0)?.affine(1.0, log_batch)?;
    Ok(((marginal + value)? - joint)?)
}

/// Noise-contrastive estimate: each true pair of locations against all locations of the samples that may serve as
/// negatives, `-log(e^T / (e^T + Σ e^T'))`, mean over samples and pairs of locations. A sample without negatives is left out.
///
/// # Shapes
///
/// As [`jsd_loss`].
///
/// # Errors
///
/// As [`jsd_loss`].
///
/// Source: van den Oord et al. 2018, arXiv 1807.03748, eq. 4; Hjelm et al. 2019, arXiv 1808.06670, eq. 5.
pub fn info_nce_loss(scores: &Tensor, negatives: &[bool]) -> Result<Estimate> {
    let weights = PairWeights::new(scores, negatives)?;
    let (n, _, _, l_b) = scores.dims4()?;
    let counts: Vec<usize> = (0..n).map(|i| (0..n).filter(|&j| i != j && negatives[i * n + j]).count()).collect();
    let n_rows = counts.iter().filter(|&&count| count > 0).count() as f64;
    let rows: Vec<f64> = counts.iter().map(|&count| if count > 0 { 1.0 / n_rows } else { 0.0 }).collect();
    let rows = Tensor::from_vec(rows, (n, 1, 1), &Device::Cpu)?.to_dtype(scores.dtype())?.to_device(scores.device())?;
    let positive = diagonal(scores)?; // [N, L_a, L_b]
    let allowed = weights.only_negatives(scores)?; // [N, N, L_a, L_b]
    // The sum over the others, and each fraction, relative to their greatest terms.
    let most = allowed.detach().max(3)?.max(1)?.unsqueeze(2)?; // [N, L_a, 1]
    let others = allowed.broadcast_sub(&most.unsqueeze(1)?)?.exp()?.sum(3)?.sum(1)?.unsqueeze(2)?; // [N, L_a, 1]
    let top = positive.detach().broadcast_maximum(&most)?; // [N, L_a, L_b]
    let others = most.broadcast_sub(&top)?.exp()?.broadcast_mul(&others)?;
    let positive = (positive - top)?;
    let losses = ((positive.exp()? + others)?.log()? - positive)?; // [N, L_a, L_b]
    let (_, l_a, _) = losses.dims3()?;
    let loss = (losses.broadcast_mul(&rows)?.sum_all()? / (l_a * l_b) as f64)?;
    let of = |&count: &usize| if count > 0 { ((count * l_b + 1) as f64).ln() / n_rows } else { 0.0 };
    Ok(Estimate { loss, chance: counts.iter().map(of).sum() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradcheck::{check, random};

    const NEGATIVES: [bool; 9] = [false, true, false, true, false, true, false, true, true];

    fn scalar(x: &Tensor) -> Result<f64> {
        Ok(x.to_dtype(DType::F64)?.to_scalar()?)
    }

    #[test]
    fn equal_scores_are_chance() -> Result<()> {
        let scores = Tensor::full(0.7f32, (3, 3, 2, 4), &Device::Cpu)?;
        for estimator in [Estimator::Jsd, Estimator::Dv, Estimator::InfoNce] {
            // Jensen-Shannon has no other zero of knowledge than the score 0.
            let scores = if estimator == Estimator::Jsd { scores.zeros_like()? } else { scores.clone() };
            let Estimate { loss, chance } = estimator.estimate(&scores, &NEGATIVES, &mut RunningMean::default())?;
            assert!((scalar(&loss)? - chance).abs() < 1e-5, "{estimator:?}");
        }
        Ok(())
    }

    #[test]
    fn dv_equals_the_formula_and_remembers() -> Result<()> {
        let scores = (random((3, 3, 2, 4), 1)? * 3.0)?;
        let values = scores.flatten_all()?.to_vec1::<f64>()?;
        let (mut joint, mut exps) = (0.0, 0.0);
        for (at, &s) in values.iter().enumerate() {
            let (i, j) = (at / 24, at / 8 % 3);
            if i == j {
                joint += s / 24.0;
            } else if NEGATIVES[i * 3 + j] {
                exps += s.exp() / 32.0;
            }
        }
        let mut mean = RunningMean::default();
        let loss = scalar(&dv_loss(&scores, &NEGATIVES, &mut mean)?)?;
        assert!((loss - (exps.ln() - joint)).abs() < 1e-12);
        assert!((mean.0.expect("set") - exps.ln()).abs() < 1e-12);
        dv_loss(&(scores + 1.0)?, &NEGATIVES, &mut mean)?;
        let expected = (0.99 * exps + 0.01 * exps * 1f64.exp()).ln();
        assert!((mean.0.expect("set") - expected).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn large_scores_are_finite() -> Result<()> {
        let scores = (random((3, 3, 2, 2), 4)?.to_dtype(DType::F32)? * 900.0)?;
        for estimator in [Estimator::Jsd, Estimator::Dv, Estimator::InfoNce] {
            let loss = estimator.estimate(&scores, &NEGATIVES, &mut RunningMean::default())?.loss;
            assert!(scalar(&loss)?.is_finite(), "{estimator:?}");
        }
        Ok(())
    }

    #[test]
    fn info_nce_equals_the_formula() -> Result<()> {
        // The last sample may serve for nobody and has nobody.
        let negatives = [false, true, false, true, false, false, false, false, false];
        let scores = random((3, 3, 2, 2), 3)?;
        let at = |i: usize, j: usize, p: usize, q: usize| -> Result<f64> {
            Ok(scores.get(i)?.get(j)?.get(p)?.get(q)?.to_scalar::<f64>()?)
        };
        let mut expected = 0.0;
        for (i, j) in [(0, 1), (1, 0)] {
            for p in 0..2 {
                let others = at(i, j, p, 0)?.exp() + at(i, j, p, 1)?.exp();
                for q in 0..2 {
                    let s = at(i, i, p, q)?;
                    expected += ((s.exp() + others).ln() - s) / 8.0;
                }
            }
        }
        let estimate = info_nce_loss(&scores, &negatives)?;
        assert!((scalar(&estimate.loss)? - expected).abs() < 1e-12);
        assert!((estimate.chance - 3f64.ln()).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let scores = (random((3, 3, 2, 2), 1)? * 2.0)?;
        // Without a past the running mean is the batch's own: the gradient is the value's.
        check(std::slice::from_ref(&scores), |v| {
            let mean = &mut RunningMean::default();
            // The mean is a constant to the gradient; dividing by it is differentiating the logarithm.
            dv_loss(&v[0], &NEGATIVES, mean).map_err(candle_core::Error::wrap)
        })?;
        check(&[scores], |v| Ok(info_nce_loss(&v[0], &NEGATIVES).map_err(candle_core::Error::wrap)?.loss))?;
        Ok(())
    }
}
