//! Whether a difference between two models exceeds what the seeds alone make.

use shared::metric::{Interval, mean_interval};

use super::protocol::{Point, Scores};

/// What the seeds that were run say of a difference, in points (hundredths of the area under the curve): its mean, with the 95%
/// Student interval of the paired differences, one of each seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Fewer than two seeds: there is no spread to compare with.
    TooFew,
    /// The interval holds 0: seeds alone could make such a difference.
    Within(Interval, usize),
    /// The interval does not hold 0.
    Beyond(Interval, usize),
}

impl Verdict {
    /// Of the differences of all seeds.
    pub fn new(differences: &[f64]) -> Self {
        match mean_interval(differences) {
            None => Self::TooFew,
            Some(interval) if interval.lo <= 0.0 && interval.hi >= 0.0 => Self::Within(interval, differences.len()),
            Some(interval) => Self::Beyond(interval, differences.len()),
        }
    }

    /// The difference with its interval, and the number of seeds.
    pub fn interval(self) -> Option<(Interval, usize)> {
        match self {
            Self::TooFew => None,
            Self::Within(interval, n) | Self::Beyond(interval, n) => Some((interval, n)),
        }
    }
}

/// A difference of scores for each seed, in points.
pub fn differences(results: &[(u64, Point)], of: impl Fn(&Scores) -> f64) -> Vec<f64> {
    results.iter().map(|(_, point)| 100.0 * of(&point.scores)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_has_no_spread() {
        assert_eq!(Verdict::new(&[]), Verdict::TooFew);
        assert_eq!(Verdict::new(&[3.0]), Verdict::TooFew);
    }

    #[test]
    fn the_interval_decides() {
        // Mean 1, standard deviation 2, four seeds: 1 ± 3.18 · 2 / 2.
        let Verdict::Within(interval, 4) = Verdict::new(&[-1.0, 3.0, 3.0, -1.0]) else { panic!("0 lies within") };
        assert!((interval.value - 1.0).abs() < 1e-12);
        let half = 3.182_446 * (16.0f64 / 3.0).sqrt() / 2.0;
        assert!((interval.lo - (1.0 - half)).abs() < 1e-5 && (interval.hi - (1.0 + half)).abs() < 1e-5);
        assert!(matches!(Verdict::new(&[1.0, 1.2, 0.9, 1.1]), Verdict::Beyond(_, 4)));
        assert!(matches!(Verdict::new(&[-1.0, -1.2, -0.9]), Verdict::Beyond(_, 3)));
        // No difference at all is no difference beyond chance.
        assert!(matches!(Verdict::new(&[0.0, 0.0]), Verdict::Within(_, 2)));
    }
}
