//! The Jensen-Shannon estimator.

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use crate::nn::softplus;

/// Jensen-Shannon estimate of the mutual information between two feature maps, negated:
/// `E_joint[sp(-T)] + E_marginals[sp(T)]` with `sp(z) = log(1 + e^z)`.
///
/// `2 ln 2` for a critic that always answers 0, smaller is better, bounded below by 0.
///
/// The paper prints the first term without the inner minus, which would push all scores down; this is the form of
/// its source.
///
/// # Shapes
///
/// - `scores`: `[N, N, L_a, L_b]` f32 or f64, critic outputs; `[i, i]` are true pairs, `[i, j]` are not
/// - `negatives`: `N · N` values, whether `i` and `j` may serve as a negative pair; the diagonal never does
/// - returns: `[]` of the type of `scores`
///
/// # Errors
///
/// [`Error::Shape`] if the shapes disagree, [`Error::NoNegatives`] if no pair may serve.
///
/// Source: Hjelm et al. 2019, arXiv 1808.06670, eq. 4.
pub fn jsd_loss(scores: &Tensor, negatives: &[bool]) -> Result<Tensor> {
    let weights = PairWeights::new(scores, negatives)?;
    let positive = weights.joint_mean(&softplus(&scores.neg()?)?)?;
    let negative = weights.marginal_mean(&softplus(scores)?)?;
    Ok((positive + negative)?)
}

/// Which pairs of samples are true, which may serve as negatives, and how much each counts in its mean.
pub(super) struct PairWeights {
    /// `[N, N]`, 1/N on the diagonal.
    joint: Tensor,
    /// `[N, N]`, one over their number for the negatives.
    marginal: Tensor,
    /// `[N, N, 1, 1]`, 0 for the negatives and far below any score for the others.
    barrier: Tensor,
}

/// Below any score, and finite, so that its exponential is 0 and no difference is NaN.
const FAR_BELOW: f64 = -1e30;

impl PairWeights {
    /// For scores `[N, N, L_a, L_b]` and `N · N` marks.
    pub(super) fn new(scores: &Tensor, negatives: &[bool]) -> Result<Self> {
        let (n, n_b, _, _) = scores.dims4()?;
        if n != n_b || negatives.len() != n * n {
            return Err(Error::Shape {
                what: "pairs of a mutual-information loss",
                expected: format!("scores of {n} x {n} samples and as many marks"),
                found: format!("scores of {n} x {n_b} samples, {} marks", negatives.len()),
            });
        }
        let is_negative = |at: usize| negatives[at] && at / n != at % n;
        let n_negatives = (0..n * n).filter(|&at| is_negative(at)).count();
        if n_negatives == 0 {
            return Err(Error::NoNegatives);
        }
        let weights = |weight: &dyn Fn(usize) -> f64| -> Result<Tensor> {
            let weights: Vec<f64> = (0..n * n).map(weight).collect();
            Ok(Tensor::from_vec(weights, (n, n), &Device::Cpu)?.to_dtype(scores.dtype())?.to_device(scores.device())?)
        };
        Ok(Self {
            joint: weights(&|at| if at / n == at % n { 1.0 / n as f64 } else { 0.0 })?,
            marginal: weights(&|at| if is_negative(at) { 1.0 / n_negatives as f64 } else { 0.0 })?,
            barrier: weights(&|at| if is_negative(at) { 0.0 } else { FAR_BELOW })?.reshape((n, n, 1, 1))?,
        })
    }

    /// Mean over true pairs and locations of `[N, N, L_a, L_b]`: `[]`.
    pub(super) fn joint_mean(&self, x: &Tensor) -> Result<Tensor> {
        Ok((x.flatten_from(2)?.mean(2)? * &self.joint)?.sum_all()?)
    }

    /// Mean over negatives and locations of `[N, N, L_a, L_b]`: `[]`.
    pub(super) fn marginal_mean(&self, x: &Tensor) -> Result<Tensor> {
        Ok((x.flatten_from(2)?.mean(2)? * &self.marginal)?.sum_all()?)
    }

    /// `[N, N, L_a, L_b]` with all but the negatives far below any score.
    pub(super) fn only_negatives(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.broadcast_add(&self.barrier)?)
    }

    /// The greatest score of a negative.
    pub(super) fn greatest_negative(&self, x: &Tensor) -> Result<f64> {
        Ok(self.only_negatives(&x.detach())?.max_all()?.to_dtype(DType::F64)?.to_scalar()?)
    }
}

/// The true pairs' scores: `[N, N, L_a, L_b]` to `[N, L_a, L_b]`.
pub(super) fn diagonal(scores: &Tensor) -> Result<Tensor> {
    let (n, _, l_a, l_b) = scores.dims4()?;
    let rows = Tensor::from_vec((0..n as u32).map(|i| i * (n as u32 + 1)).collect(), n, scores.device())?;
    Ok(scores.reshape((n * n, l_a, l_b))?.index_select(&rows, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradcheck::{check, random};

    const NEGATIVES: [bool; 9] = [false, true, false, true, false, true, false, true, true];

    #[test]
    fn chance_is_two_ln_two_and_a_perfect_critic_reaches_zero() -> Result<()> {
        let zeros = Tensor::zeros((3, 3, 2, 2), candle_core::DType::F32, &Device::Cpu)?;
        let chance = jsd_loss(&zeros, &NEGATIVES)?.to_scalar::<f32>()?;
        assert!((chance - 2.0 * std::f32::consts::LN_2).abs() < 1e-6, "{chance}");
        let eye = Tensor::eye(3, candle_core::DType::F32, &Device::Cpu)?;
        let sure = ((eye * 200.0)? - 100.0)?.reshape((3, 3, 1, 1))?;
        assert!(jsd_loss(&sure, &NEGATIVES)?.to_scalar::<f32>()? < 1e-6);
        Ok(())
    }

    #[test]
    fn equals_the_formula_term_by_term() -> Result<()> {
        let scores = random((3, 3, 2, 4), 1)?;
        let values = scores.flatten_all()?.to_vec1::<f64>()?;
        let sp = |z: f64| (1.0 + z.exp()).ln();
        let (mut joint, mut marginal) = (0.0, 0.0);
        for (at, &s) in values.iter().enumerate() {
            let (i, j) = (at / 24, at / 8 % 3);
            if i == j {
                joint += sp(-s) / (3.0 * 8.0);
            } else if NEGATIVES[i * 3 + j] {
                marginal += sp(s) / (4.0 * 8.0);
            }
        }
        let loss = jsd_loss(&scores, &NEGATIVES)?.to_scalar::<f64>()?;
        assert!((loss - joint - marginal).abs() < 1e-12, "{loss} {}", joint + marginal);
        Ok(())
    }

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        check(&[random((3, 3, 2, 2), 1)?], |v| jsd_loss(&v[0], &NEGATIVES).map_err(candle_core::Error::wrap))?;
        Ok(())
    }

    #[test]
    fn no_negative_pair_is_an_error() -> Result<()> {
        let scores = random((2, 2, 1, 1), 1)?;
        // The diagonal does not count even if marked.
        assert!(matches!(jsd_loss(&scores, &[true, false, false, true]), Err(Error::NoNegatives)));
        assert!(matches!(jsd_loss(&scores, &[true]), Err(Error::Shape { .. })));
        Ok(())
    }
}
