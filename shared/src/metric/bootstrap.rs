//! Percentile bootstrap intervals, resampling whole patients.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::auroc::{sorted_order, weighted_auroc};

/// A measured value with its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// On the data as they are.
    pub value: f64,
    /// Lower end: of a bootstrap, the 2.5% quantile over the resamples.
    pub lo: f64,
    /// Upper end: of a bootstrap, the 97.5% quantile.
    pub hi: f64,
}

/// Resamples of one set of items: how often each occurs in each, whole patients drawn with replacement.
///
/// The same resamples serve for several measures, so that their differences are paired.
pub struct Bootstrap {
    counts: Vec<Vec<u32>>,
}

impl Bootstrap {
    /// Draws `resamples` samples of as many patients as there are. `patients[i]` says whose item `i` is.
    pub fn by_patient(patients: &[u32], resamples: usize, seed: u64) -> Self {
        let mut ids: Vec<u32> = patients.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let slot: Vec<usize> = patients.iter().map(|id| ids.partition_point(|other| other < id)).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let counts = (0..resamples)
            .map(|_| {
                let mut drawn = vec![0u32; ids.len()];
                for _ in 0..ids.len() {
                    drawn[rng.random_range(0..ids.len())] += 1;
                }
                slot.iter().map(|&s| drawn[s]).collect()
            })
            .collect();
        Self { counts }
    }

    /// The interval of a measure that takes how often each item occurs. `None` if the data as they are have no value;
    /// resamples without one are left out.
    pub fn interval(&self, measure: impl Fn(&[u32]) -> Option<f64>) -> Option<Interval> {
        let n = self.counts.first().map_or(0, Vec::len);
        let value = measure(&vec![1; n])?;
        let mut values: Vec<f64> = self.counts.iter().filter_map(|counts| measure(counts)).collect();
        if values.is_empty() {
            return Some(Interval { value, lo: value, hi: value });
        }
        values.sort_by(f64::total_cmp);
        let quantile = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
        Some(Interval { value, lo: quantile(0.025), hi: quantile(0.975) })
    }

    /// Area under the ROC curve with its interval. `None` if there is no case or no control.
    pub fn auroc(&self, scores: &[f32], present: &[bool]) -> Option<Interval> {
        let order = sorted_order(scores);
        self.interval(|counts| weighted_auroc(scores, present, &order, counts))
    }

    /// Mean area over several findings, each given as scores and labels. A resample in which any of them has no value
    /// is left out. `None` for an empty list.
    pub fn macro_auroc(&self, columns: &[(Vec<f32>, Vec<bool>)]) -> Option<Interval> {
        let mean = MeanAuroc::macro_average(columns)?;
        self.interval(|counts| mean.of(counts))
    }

    /// Mean area over several findings, each weighing its number of cases in the data as they are, in every resample
    /// too. A resample in which any of them has no value is left out. `None` for an empty list.
    pub fn prevalence_weighted_auroc(&self, columns: &[(Vec<f32>, Vec<bool>)]) -> Option<Interval> {
        let mean = MeanAuroc::by_prevalence(columns)?;
        self.interval(|counts| mean.of(counts))
    }

    /// Mean area of `ours` minus that of `theirs`, the same resamples for both.
    pub fn macro_auroc_difference(
        &self,
        ours: &[(Vec<f32>, Vec<bool>)],
        theirs: &[(Vec<f32>, Vec<bool>)],
    ) -> Option<Interval> {
        let (ours, theirs) = (MeanAuroc::macro_average(ours)?, MeanAuroc::macro_average(theirs)?);
        self.interval(|counts| Some(ours.of(counts)? - theirs.of(counts)?))
    }
}

/// Mean area over findings, their scores sorted once.
struct MeanAuroc<'a> {
    columns: Vec<Column<'a>>,
}

/// One finding of a mean.
struct Column<'a> {
    scores: &'a [f32],
    present: &'a [bool],
    order: Vec<usize>,
    /// Share in the mean; all of them sum to 1.
    weight: f64,
}

impl<'a> MeanAuroc<'a> {
    /// Every finding weighs the same.
    fn macro_average(columns: &'a [(Vec<f32>, Vec<bool>)]) -> Option<Self> {
        Self::weighted(columns, |_| 1)
    }

    /// A finding weighs its number of cases.
    fn by_prevalence(columns: &'a [(Vec<f32>, Vec<bool>)]) -> Option<Self> {
        Self::weighted(columns, |present| present.iter().filter(|&&p| p).count())
    }

    /// `None` if the weights sum to 0.
    fn weighted(columns: &'a [(Vec<f32>, Vec<bool>)], weight: impl Fn(&[bool]) -> usize) -> Option<Self> {
        let total: usize = columns.iter().map(|(_, present)| weight(present)).sum();
        let column = |(scores, present): &'a (Vec<f32>, Vec<bool>)| Column {
            scores,
            present,
            order: sorted_order(scores),
            weight: weight(present) as f64 / total as f64,
        };
        (total > 0).then(|| Self { columns: columns.iter().map(column).collect() })
    }

    fn of(&self, counts: &[u32]) -> Option<f64> {
        let mut sum = 0.0;
        for column in &self.columns {
            sum += column.weight * weighted_auroc(column.scores, column.present, &column.order, counts)?;
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> (Vec<f32>, Vec<bool>, Vec<u32>) {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let present: Vec<bool> = (0..200).map(|i| i % 3 == 0).collect();
        let scores = present.iter().map(|&p| rng.random::<f32>() + if p { 0.4 } else { 0.0 }).collect();
        (scores, present, (0..200).map(|i| i / 2).collect())
    }

    #[test]
    fn an_interval_holds_its_value_and_repeats_with_its_seed() {
        let (scores, present, patients) = data();
        let a = Bootstrap::by_patient(&patients, 500, 1).auroc(&scores, &present).expect("both classes");
        let b = Bootstrap::by_patient(&patients, 500, 1).auroc(&scores, &present).expect("both classes");
        assert_eq!(a, b);
        assert!(a.lo < a.value && a.value < a.hi, "{a:?}");
        // Hanley and McNeil's standard error is about 0.03 here.
        assert!((0.06..0.2).contains(&(a.hi - a.lo)), "{a:?}");
    }

    #[test]
    fn a_patient_comes_whole() {
        let bootstrap = Bootstrap::by_patient(&[7, 7, 9, 9, 9, 4], 50, 2);
        for counts in &bootstrap.counts {
            assert_eq!(counts[0], counts[1]);
            assert_eq!((counts[2], counts[3]), (counts[3], counts[4]));
            assert_eq!(counts[0] + counts[2] + counts[5], 3);
        }
    }

    #[test]
    fn a_model_does_not_differ_from_itself() {
        let (scores, present, patients) = data();
        let columns = [(scores, present)];
        let bootstrap = Bootstrap::by_patient(&patients, 100, 5);
        let difference = bootstrap.macro_auroc_difference(&columns, &columns).expect("both classes");
        assert_eq!(difference, Interval { value: 0.0, lo: 0.0, hi: 0.0 });
    }

    #[test]
    fn the_weighted_mean_leans_to_the_frequent_finding() {
        let (scores, present, patients) = data();
        let rare: Vec<bool> = (0..200).map(|i| i % 20 == 0).collect();
        let columns = [(scores.clone(), present.clone()), (scores.clone(), rare.clone())];
        let bootstrap = Bootstrap::by_patient(&patients, 100, 5);
        let found = bootstrap.prevalence_weighted_auroc(&columns).unwrap();
        let areas = [&present, &rare].map(|p| crate::metric::auroc(&scores, p).unwrap());
        assert!((found.value - (67.0 * areas[0] + 10.0 * areas[1]) / 77.0).abs() < 1e-12);
        assert!(found.lo < found.value && found.value < found.hi, "{found:?}");
        assert_eq!(bootstrap.prevalence_weighted_auroc(&[]), None);
        assert_eq!(bootstrap.prevalence_weighted_auroc(&[(vec![0.5; 200], vec![false; 200])]), None);
    }
}
