//! Two models on the same items: the difference of their areas under the ROC curve, by DeLong's method.

use std::f64::consts::FRAC_1_SQRT_2;

use serde::{Deserialize, Serialize};

use super::Interval;
use super::auroc::sorted_order;

/// Standard normal quantile of 97.5%.
const Z_975: f64 = 1.959_963_984_540_054;

/// Areas under the ROC curve of two scores for the same items, and how they differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairedAuroc {
    /// Area of the first score.
    pub auroc_a: f64,
    /// Area of the second score.
    pub auroc_b: f64,
    /// First minus second, with its 95% normal interval.
    pub difference: Interval,
    /// Two-sided p value of the hypothesis that the areas are equal.
    pub p: f64,
}

/// Compares the areas under the ROC curve of two scores for the same items, exact with ties, in `n log n`.
///
/// `None` with fewer than two cases or two controls, from which no variance follows, and where a score is NaN.
///
/// Items count as independent. Where patients have several images the interval is too narrow; prefer then
/// [`super::Bootstrap`], which draws whole patients.
///
/// # Shapes
///
/// - `a`, `b`: `[N]`, any unit, higher for present; `present`: `[N]`
///
/// # Panics
///
/// If the slices differ in length.
///
/// Source: DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44; by midranks as in Sun and Xu 2014, IEEE Signal
/// Processing Letters 21, algorithm 2.
pub fn delong(a: &[f32], b: &[f32], present: &[bool]) -> Option<PairedAuroc> {
    assert!(a.len() == present.len() && b.len() == present.len(), "two scores and one label per item");
    if a.iter().chain(b).any(|score| score.is_nan()) {
        return None;
    }
    let n_pos = present.iter().filter(|&&p| p).count();
    let n_neg = present.len() - n_pos;
    if n_pos < 2 || n_neg < 2 {
        return None;
    }
    let (of_a, of_b) = (Placements::new(a, present), Placements::new(b, present));
    let (auroc_a, auroc_b) = (mean(&of_a.cases), mean(&of_b.cases));
    // The variance of the difference is that of the differences: both covariances come with it.
    let variance = variance_of_difference(&of_a.cases, &of_b.cases) / n_pos as f64
        + variance_of_difference(&of_a.controls, &of_b.controls) / n_neg as f64;
    let (difference, error) = (auroc_a - auroc_b, variance.sqrt());
    // Equal ranks have neither difference nor variance, and 0/0 says nothing.
    let p = if difference == 0.0 { 1.0 } else { libm::erfc(difference.abs() / error * FRAC_1_SQRT_2) };
    let difference = Interval { value: difference, lo: difference - Z_975 * error, hi: difference + Z_975 * error };
    Some(PairedAuroc { auroc_a, auroc_b, difference, p })
}

/// The structural components of one area: its mean over the cases, and over the controls, is the area.
struct Placements {
    /// `[N_pos]`, share of the controls below each case, ties counting half.
    cases: Vec<f64>,
    /// `[N_neg]`, share of the cases above each control, ties counting half.
    controls: Vec<f64>,
}

impl Placements {
    fn new(scores: &[f32], present: &[bool]) -> Self {
        let of_class = |class: bool| -> Vec<f32> {
            scores.iter().zip(present).filter(|&(_, &p)| p == class).map(|(&s, _)| s).collect()
        };
        let (pos, neg) = (of_class(true), of_class(false));
        let (rank_in_pos, rank_in_neg) = (midranks(&pos), midranks(&neg));
        let rank = midranks(&[&pos[..], &neg[..]].concat());
        let (rank_of_pos, rank_of_neg) = rank.split_at(pos.len());
        // A rank among all less the rank among one's own is the number of the others below.
        let below = |all: &[f64], own: &[f64], n: usize| -> Vec<f64> {
            all.iter().zip(own).map(|(all, own)| (all - own) / n as f64).collect()
        };
        let cases = below(rank_of_pos, &rank_in_pos, neg.len());
        let controls = below(rank_of_neg, &rank_in_neg, pos.len()).into_iter().map(|share| 1.0 - share).collect();
        Self { cases, controls }
    }
}

/// Rank of each score from 1, equal ones sharing the mean of their ranks.
fn midranks(scores: &[f32]) -> Vec<f64> {
    let mut ranks = vec![0.0; scores.len()];
    let mut below = 0;
    for equal in sorted_order(scores).chunk_by(|&i, &j| scores[i] == scores[j]) {
        for &i in equal {
            ranks[i] = below as f64 + (equal.len() + 1) as f64 / 2.0;
        }
        below += equal.len();
    }
    ranks
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sample variance of `a - b`.
fn variance_of_difference(a: &[f64], b: &[f64]) -> f64 {
    let center = mean(a) - mean(b);
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - b - center).powi(2)).sum();
    squares / (a.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::metric::auroc;

    /// Scores on a grid of `steps` values, so that a coarse one has many ties.
    fn data(n: usize, steps: f32, seed: u64) -> (Vec<f32>, Vec<f32>, Vec<bool>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let present: Vec<bool> = (0..n).map(|i| i % 4 == 0).collect();
        let mut scores = |lift: f32| -> Vec<f32> {
            present
                .iter()
                .map(|&p| ((rng.random::<f32>() + if p { lift } else { 0.0 }) * steps).floor() / steps)
                .collect()
        };
        let (a, b) = (scores(0.3), scores(0.2));
        (a, b, present)
    }

    /// Difference and its variance by the definition: a kernel over all pairs, and the full covariance of both areas.
    fn by_pairs(a: &[f32], b: &[f32], present: &[bool]) -> (f64, f64) {
        let pos: Vec<usize> = (0..a.len()).filter(|&i| present[i]).collect();
        let neg: Vec<usize> = (0..a.len()).filter(|&i| !present[i]).collect();
        let kernel =
            |s: &[f32], i: usize, j: usize| f64::from(u8::from(s[i] > s[j])) + 0.5 * f64::from(u8::from(s[i] == s[j]));
        let components = |s: &[f32]| -> (Vec<f64>, Vec<f64>) {
            (
                pos.iter().map(|&i| neg.iter().map(|&j| kernel(s, i, j)).sum::<f64>() / neg.len() as f64).collect(),
                neg.iter().map(|&j| pos.iter().map(|&i| kernel(s, i, j)).sum::<f64>() / pos.len() as f64).collect(),
            )
        };
        let covariance = |x: &[f64], y: &[f64]| {
            let (mx, my) = (mean(x), mean(y));
            x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>() / (x.len() - 1) as f64
        };
        let ((va, wa), (vb, wb)) = (components(a), components(b));
        let of = |x: &[f64], y: &[f64]| covariance(x, x) + covariance(y, y) - 2.0 * covariance(x, y);
        (mean(&va) - mean(&vb), of(&va, &vb) / pos.len() as f64 + of(&wa, &wb) / neg.len() as f64)
    }

    #[test]
    fn equals_the_definition_with_and_without_ties() {
        for (steps, seed) in [(1e6, 1), (20.0, 2), (3.0, 3)] {
            let (a, b, present) = data(90, steps, seed);
            let found = delong(&a, &b, &present).unwrap();
            let (difference, variance) = by_pairs(&a, &b, &present);
            assert!((found.difference.value - difference).abs() < 1e-12);
            let half_width = (found.difference.hi - found.difference.lo) / 2.0;
            assert!((half_width - 1.96 * variance.sqrt()).abs() < 1e-5, "{half_width} {variance}");
            assert!((found.auroc_a - auroc(&a, &present).unwrap()).abs() < 1e-12);
            assert!((found.auroc_b - auroc(&b, &present).unwrap()).abs() < 1e-12);
        }
    }

    #[test]
    fn the_p_value_is_below_5_percent_where_the_interval_leaves_0_out() {
        for seed in 0..20 {
            let (a, b, present) = data(60, 1e6, seed);
            let PairedAuroc { difference, p, .. } = delong(&a, &b, &present).unwrap();
            assert_eq!(p < 0.05, difference.lo > 0.0 || difference.hi < 0.0, "{difference:?} {p}");
            assert!((0.0..=1.0).contains(&p));
        }
    }

    #[test]
    fn a_score_does_not_differ_from_itself_nor_from_its_logit() {
        let (a, _, present) = data(60, 50.0, 4);
        let stretched: Vec<f32> = a.iter().map(|s| s * 3.0 - 7.0).collect();
        for b in [&a, &stretched] {
            let found = delong(&a, b, &present).unwrap();
            assert_eq!((found.difference, found.p), (Interval { value: 0.0, lo: 0.0, hi: 0.0 }, 1.0));
        }
    }

    #[test]
    fn swapping_the_models_turns_the_sign() {
        let (a, b, present) = data(60, 10.0, 5);
        let (ab, ba) = (delong(&a, &b, &present).unwrap(), delong(&b, &a, &present).unwrap());
        assert_eq!(ab.difference.value, -ba.difference.value);
        assert!((ab.p - ba.p).abs() < 1e-15);
    }

    #[test]
    fn too_few_of_a_class_have_no_variance() {
        let scores = [0.1, 0.5, 0.9];
        assert_eq!(delong(&scores, &scores, &[true; 3]), None);
        assert_eq!(delong(&scores, &scores, &[false; 3]), None);
        assert_eq!(delong(&scores, &scores, &[false, false, true]), None);
        assert_eq!(delong(&[], &[], &[]), None);
        assert_eq!(delong(&[0.1, f32::NAN, 0.2, 0.3], &[0.0; 4], &[true, false, true, false]), None);
    }
}
