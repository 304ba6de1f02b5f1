//! Whether a probability means what it says: temperature, reliability by bins, Brier score.

use serde::{Deserialize, Serialize};

use super::auroc::sorted_order;

/// Bins of a reliability diagram unless asked otherwise.
pub const N_BINS: usize = 10;
/// Least temperature that [`fit_temperature`] gives.
const MIN_TEMPERATURE: f64 = 0.05;
/// Greatest temperature that [`fit_temperature`] gives.
const MAX_TEMPERATURE: f64 = 20.0;
/// Halvings of the range of log temperatures: enough for the last bit of an f32.
const HALVINGS: usize = 40;

/// The temperature `T` in `0.05..=20` by which `sigmoid(logit / T)` has the least mean negative log-likelihood.
///
/// 1 where nothing can be fitted: one class alone, every logit 0, or a logit that is not finite.
///
/// # Shapes
///
/// - `logits`, `present`: `[N]`
///
/// # Panics
///
/// If the slices differ in length.
///
/// Source: Guo et al. 2017, arXiv 1706.04599, section 4.2, for one sigmoid output.
pub fn fit_temperature(logits: &[f32], present: &[bool]) -> f32 {
    assert_eq!(logits.len(), present.len(), "one label per logit");
    let one_class = present.iter().all(|&p| p) || present.iter().all(|&p| !p);
    if one_class || logits.iter().any(|z| !z.is_finite()) || logits.iter().all(|&z| z == 0.0) {
        return 1.0;
    }
    let margins: Vec<f64> =
        logits.iter().zip(present).map(|(&z, &p)| if p { f64::from(z) } else { -f64::from(z) }).collect();
    // The likelihood is convex in b = 1/T, so that its slope changes sign once at most.
    let slope = |b: f64| -> f64 { margins.iter().map(|m| -m / (1.0 + (b * m).exp())).sum() };
    let (mut lo, mut hi) = (MIN_TEMPERATURE.ln(), MAX_TEMPERATURE.ln());
    if slope((-lo).exp()) <= 0.0 {
        return MIN_TEMPERATURE as f32;
    }
    if slope((-hi).exp()) >= 0.0 {
        return MAX_TEMPERATURE as f32;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(lo, hi);
        if slope((-middle).exp()) > 0.0 { lo = middle } else { hi = middle }
    }
    f64::midpoint(lo, hi).exp() as f32
}

/// Predictions of like height.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReliabilityBin {
    /// Mean of the predicted probabilities.
    pub mean_prediction: f64,
    /// Share of the items that have the finding.
    pub observed: f64,
    /// Items.
    pub n: usize,
}

/// Predicted probabilities against what was observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reliability {
    /// From the lowest predictions to the highest.
    pub bins: Vec<ReliabilityBin>,
    /// Mean distance of prediction and observation over the bins, each weighing its number of items.
    pub expected_calibration_error: f64,
    /// Mean squared difference of prediction and outcome: 0 for an oracle, 0.25 for always saying one half.
    pub brier: f64,
}

impl Reliability {
    /// Sorts the items into `n_bins` bins of equal count by their predictions. Equal predictions stay in one bin, so
    /// that the order of the items does not matter; there may be fewer bins for it.
    ///
    /// `None` without items, without bins, or where a prediction is NaN.
    ///
    /// # Shapes
    ///
    /// - `probabilities`: `[N]`, in `0..=1`; `present`: `[N]`
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    ///
    /// Source: Nixon et al. 2019, arXiv 1904.01685, section 4, for the bins of equal count; Brier 1950 for the score.
    pub fn new(probabilities: &[f32], present: &[bool], n_bins: usize) -> Option<Self> {
        assert_eq!(probabilities.len(), present.len(), "one label per prediction");
        let n = probabilities.len();
        if n == 0 || n_bins == 0 || probabilities.iter().any(|p| p.is_nan()) {
            return None;
        }
        let order = sorted_order(probabilities);
        let mut bins = Vec::with_capacity(n_bins);
        let mut start = 0;
        for bin in 1..=n_bins {
            let mut end = bin * n / n_bins;
            if end <= start {
                continue;
            }
            while end < n && probabilities[order[end]] == probabilities[order[end - 1]] {
                end += 1;
            }
            bins.push(ReliabilityBin::new(probabilities, present, &order[start..end]));
            start = end;
        }
        let expected_calibration_error =
            bins.iter().map(|b| b.n as f64 / n as f64 * (b.mean_prediction - b.observed).abs()).sum();
        let squared = |(&p, &y): (&f32, &bool)| (f64::from(p) - f64::from(u8::from(y))).powi(2);
        let brier = probabilities.iter().zip(present).map(squared).sum::<f64>() / n as f64;
        Some(Self { bins, expected_calibration_error, brier })
    }
}

impl ReliabilityBin {
    fn new(probabilities: &[f32], present: &[bool], items: &[usize]) -> Self {
        let n = items.len();
        let sum: f64 = items.iter().map(|&i| f64::from(probabilities[i])).sum();
        let positives = items.iter().filter(|&&i| present[i]).count();
        Self { mean_prediction: sum / n as f64, observed: positives as f64 / n as f64, n }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean negative log-likelihood at a temperature.
    fn loss(logits: &[f32], present: &[bool], t: f64) -> f64 {
        let margin = |(&z, &p): (&f32, &bool)| f64::from(if p { z } else { -z }) / t;
        logits.iter().zip(present).map(margin).map(|m| (-m).exp().ln_1p()).sum::<f64>() / logits.len() as f64
    }

    #[test]
    fn a_share_of_three_quarters_gives_its_own_logit() {
        // Logits of ±2 are right in 3 of 4 cases, so that the best probability is 3/4: 2 / T = ln 3.
        let logits = [2.0, 2.0, 2.0, 2.0, -2.0, -2.0, -2.0, -2.0];
        let present = [true, true, true, false, false, false, false, true];
        let t = fit_temperature(&logits, &present);
        assert!((f64::from(t) - 2.0 / 3f64.ln()).abs() < 1e-6, "{t}");
        let calibrated: Vec<f32> = logits.iter().map(|z| 1.0 / (1.0 + (-z / t).exp())).collect();
        let reliability = Reliability::new(&calibrated, &present, N_BINS).unwrap();
        assert!(reliability.expected_calibration_error < 1e-6);
        assert_eq!(reliability.bins.len(), 2);
    }

    #[test]
    fn no_other_temperature_is_better() {
        let logits = [-3.0, -1.0, 0.5, 4.0, 2.0, -0.3, 1.1, -2.5, 0.0];
        let present = [false, true, false, true, false, false, true, false, true];
        let t = f64::from(fit_temperature(&logits, &present));
        let best = loss(&logits, &present, t);
        for i in 0..=400 {
            let other = 0.05 * 400f64.powf(f64::from(i) / 400.0);
            assert!(loss(&logits, &present, other) >= best - 1e-12, "{other} against {t}");
        }
    }

    #[test]
    fn ends_of_the_range_and_nothing_to_fit() {
        let present = [false, false, true, true];
        assert_eq!(fit_temperature(&[-1.0, -2.0, 1.0, 2.0], &present), 0.05, "separable");
        assert_eq!(fit_temperature(&[1.0, 2.0, -1.0, -2.0], &present), 20.0, "turned round");
        assert_eq!(fit_temperature(&[1.0, 2.0], &[true, true]), 1.0);
        assert_eq!(fit_temperature(&[1.0, 2.0], &[false, false]), 1.0);
        assert_eq!(fit_temperature(&[0.0; 4], &present), 1.0);
        assert_eq!(fit_temperature(&[f32::NAN, 0.0, 1.0, 2.0], &present), 1.0);
        assert_eq!(fit_temperature(&[], &[]), 1.0);
        let huge = fit_temperature(&[-1e30, 1e30, 1e30, 1e30], &present);
        assert!(huge.is_finite());
    }

    #[test]
    fn bins_by_hand() {
        let probabilities = [0.75, 0.25, 0.0, 1.0];
        let present = [true, true, false, true];
        let found = Reliability::new(&probabilities, &present, 2).unwrap();
        let bin = |mean_prediction, observed| ReliabilityBin { mean_prediction, observed, n: 2 };
        assert_eq!(found.bins, [bin(0.125, 0.5), bin(0.875, 1.0)]);
        assert_eq!(found.expected_calibration_error, 0.25);
        assert_eq!(found.brier, (0.0625 + 0.5625) / 4.0);
    }

    #[test]
    fn equal_predictions_stay_together() {
        let found = Reliability::new(&[0.2, 0.2, 0.2, 0.2, 0.9], &[true, false, true, false, true], 5).unwrap();
        assert_eq!(found.bins.iter().map(|b| b.n).collect::<Vec<_>>(), [4, 1]);
        let many = Reliability::new(&[0.1, 0.2, 0.3], &[true, false, true], 10).unwrap();
        assert_eq!(many.bins.len(), 3);
        assert_eq!(Reliability::new(&[], &[], 10), None);
        assert_eq!(Reliability::new(&[0.5], &[true], 0), None);
        assert_eq!(Reliability::new(&[f32::NAN], &[true], 10), None);
    }
}
