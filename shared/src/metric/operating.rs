//! What a threshold does: sensitivity, specificity and predictive values.

use serde::{Deserialize, Serialize};

/// A threshold and how often calling the finding from it on is right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatingPoint {
    /// Score from which the finding is called present.
    pub threshold: f32,
    /// Share of the cases called present.
    pub sensitivity: f64,
    /// Share of the controls called absent.
    pub specificity: f64,
    /// Share of those called present that are cases; absent if none is called so.
    pub ppv: Option<f64>,
    /// Share of those called absent that are controls; absent if none is called so.
    pub npv: Option<f64>,
}

/// The operating point of a threshold; a score equal to it calls the finding present.
///
/// `None` if there is no case or no control, and where a score or the threshold is NaN.
///
/// # Panics
///
/// If the slices differ in length.
pub fn operating_point(scores: &[f32], present: &[bool], threshold: f32) -> Option<OperatingPoint> {
    assert_eq!(scores.len(), present.len(), "one label per score");
    let (mut hits, mut misses, mut false_alarms, mut rejections) = (0usize, 0usize, 0usize, 0usize);
    for (&score, &present) in scores.iter().zip(present) {
        if score.is_nan() || threshold.is_nan() {
            return None;
        }
        match (present, score >= threshold) {
            (true, true) => hits += 1,
            (true, false) => misses += 1,
            (false, true) => false_alarms += 1,
            (false, false) => rejections += 1,
        }
    }
    let share = |part: usize, rest: usize| (part + rest > 0).then(|| part as f64 / (part + rest) as f64);
    Some(OperatingPoint {
        threshold,
        sensitivity: share(hits, misses)?,
        specificity: share(rejections, false_alarms)?,
        ppv: share(hits, false_alarms),
        npv: share(rejections, misses),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::youden_threshold;

    const SCORES: [f32; 6] = [0.1, 0.4, 0.4, 0.6, 0.8, 0.9];
    const PRESENT: [bool; 6] = [false, false, true, false, true, true];

    #[test]
    fn counts_by_hand() {
        let point = operating_point(&SCORES, &PRESENT, 0.6).unwrap();
        assert_eq!((point.sensitivity, point.specificity), (2.0 / 3.0, 2.0 / 3.0));
        assert_eq!((point.ppv, point.npv), (Some(2.0 / 3.0), Some(2.0 / 3.0)));
        assert_eq!(operating_point(&SCORES, &PRESENT, 0.4).unwrap().sensitivity, 1.0, "equal scores are called");
    }

    #[test]
    fn ends_have_no_predictive_value() {
        let none = operating_point(&SCORES, &PRESENT, 2.0).unwrap();
        assert_eq!((none.sensitivity, none.specificity, none.ppv, none.npv), (0.0, 1.0, None, Some(0.5)));
        let all = operating_point(&SCORES, &PRESENT, 0.0).unwrap();
        assert_eq!((all.sensitivity, all.specificity, all.ppv, all.npv), (1.0, 0.0, Some(0.5), None));
        assert_eq!(operating_point(&SCORES, &[true; 6], 0.5), None);
        assert_eq!(operating_point(&[f32::NAN, 0.0], &[true, false], 0.5), None);
    }

    #[test]
    fn youdens_threshold_is_the_best() {
        let index = |t| operating_point(&SCORES, &PRESENT, t).map(|o| o.sensitivity + o.specificity).unwrap();
        let best = index(youden_threshold(&SCORES, &PRESENT).unwrap());
        assert!((0..=20).all(|i| index(i as f32 / 20.0) <= best));
    }
}
