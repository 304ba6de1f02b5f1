//! Means over seeds with their intervals.

use shared::metric::Interval;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Mean of independent values with its 95% Student interval; `None` below two values.
///
/// Source: Student 1908; the interval of a mean of unknown variance.
pub fn mean_interval(values: &[f64]) -> Option<Interval> {
    let n = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let quantile = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(0.975);
    let half = quantile * (variance / n).sqrt();
    Some(Interval { value: mean, lo: mean - half, hi: mean + half })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_students() {
        let interval = mean_interval(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        // 3.182446 is the 0.975 quantile of three degrees of freedom.
        let half = 3.182_446 * (5.0f64 / 3.0 / 4.0).sqrt();
        assert!((interval.value - 2.5).abs() < 1e-12 && (interval.hi - 2.5 - half).abs() < 1e-5, "{interval:?}");
        assert!((interval.hi + interval.lo - 5.0).abs() < 1e-9);
        assert!(mean_interval(&[1.0]).is_none());
    }
}
