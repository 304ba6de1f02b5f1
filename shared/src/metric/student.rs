//! Means of few independent values, such as one of each seed, with their intervals.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

use super::Interval;

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
    let half = quantile(0.95, values.len() - 1) * (variance / n).sqrt();
    Some(Interval { value: mean, lo: mean - half, hi: mean + half })
}

/// Where Student's distribution holds this share between the value and its negative.
fn quantile(share: f64, degrees: usize) -> f64 {
    // Between the angles of 0 and infinity, halved until a number of 64 bits knows no more.
    let (mut lo, mut hi) = (0.0, FRAC_PI_2);
    for _ in 0..60 {
        let middle = 0.5 * (lo + hi);
        if within(middle, degrees) < share { lo = middle } else { hi = middle }
    }
    hi.tan() * (degrees as f64).sqrt()
}

/// The share of Student's distribution between `-t` and `t` where `t = √degrees · tan(angle)`.
///
/// Source: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4.
fn within(angle: f64, degrees: usize) -> f64 {
    let (sin, cos) = angle.sin_cos();
    let is_odd = degrees % 2 == 1;
    // Odd: cos + 2/3 cos³ + (2·4)/(3·5) cos⁵ + …; even: 1 + 1/2 cos² + (1·3)/(2·4) cos⁴ + …; up to cos^(degrees - 2).
    let (mut term, first) = if is_odd { (cos, 1) } else { (1.0, 0) };
    let mut sum = 0.0;
    for power in (first..degrees.saturating_sub(1)).step_by(2) {
        sum += term;
        term *= cos * cos * (power + 1) as f64 / (power + 2) as f64;
    }
    if is_odd { FRAC_2_PI * (angle + sin * sum) } else { sin * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_students() {
        let interval = mean_interval(&[1.0, 2.0, 3.0, 4.0]).expect("four values");
        // 3.182446 is the 0.975 quantile of three degrees of freedom.
        let half = 3.182_446 * (5.0f64 / 3.0 / 4.0).sqrt();
        assert!((interval.value - 2.5).abs() < 1e-12 && (interval.hi - 2.5 - half).abs() < 1e-5, "{interval:?}");
        assert!((interval.hi + interval.lo - 5.0).abs() < 1e-9);
        assert!(mean_interval(&[1.0]).is_none());
    }

    /// The 0.975 quantiles of any table.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, expected) in [
            (1, 12.706_205),
            (2, 4.302_653),
            (3, 3.182_446),
            (4, 2.776_445),
            (5, 2.570_582),
            (9, 2.262_157),
            (15, 2.131_450),
            (30, 2.042_272),
        ] {
            let found = quantile(0.95, degrees);
            assert!((found - expected).abs() < 1e-6 * expected, "{degrees}: {found}");
        }
    }
}
