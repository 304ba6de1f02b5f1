//! The table of a suite's results, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use shared::metric::{Interval, mean_interval};

use super::Suite;
use super::classification::IMAGE;
use super::run::{Results, RunResult, Score};
use crate::figure::{ForestRow, forest};

/// The results of a suite.
#[derive(Debug, Clone, Serialize)]
pub struct ResultTable {
    /// Name of the suite.
    pub suite: String,
    /// What it is.
    pub title: String,
    /// The command that made it.
    pub command: String,
    /// What the intervals are.
    pub intervals: &'static str,
    /// The methods.
    pub rows: Vec<TableRow>,
    /// Differences, `a-b`: of the same seeds.
    pub paired: BTreeMap<String, Difference>,
    /// What was chosen on validation: by group, the mean validation area of each candidate.
    pub tuning: BTreeMap<String, Vec<f64>>,
    /// The protocol.
    pub protocol: Suite,
}

/// A method's result.
#[derive(Debug, Clone, Serialize)]
pub struct TableRow {
    /// Name of the row.
    pub method: String,
    /// Name for people.
    pub label: String,
    /// Mean over the seeds of the macro area on the test images.
    pub macro_auroc: f64,
    /// Lower end of its interval; absent below two seeds.
    pub lo: Option<f64>,
    /// Upper end of it.
    pub hi: Option<f64>,
    /// How many seeds.
    pub seeds: usize,
    /// Test images of each seed.
    pub n_test: usize,
    /// The paper's result, on its own data.
    pub published: Option<f64>,
    /// Each seed's.
    pub by_seed: BTreeMap<u64, f64>,
    /// Mean over the seeds by finding.
    pub findings: BTreeMap<String, f64>,
    /// Mean over the seeds of the mutual-information losses on validation pairs.
    pub held_out: BTreeMap<String, f64>,
}

/// A difference between two methods.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// Mean over the seeds.
    pub diff: f64,
    /// Lower end of its interval.
    pub lo: Option<f64>,
    /// Upper end of it.
    pub hi: Option<f64>,
    /// How many seeds.
    pub seeds: usize,
    /// Each seed's.
    pub by_seed: BTreeMap<u64, f64>,
}

/// The score of a run on images alone.
fn image(run: &RunResult) -> Option<&Score> {
    run.score(IMAGE)
}

/// Mean and interval; without one below two values.
pub(super) fn summary(values: &[f64]) -> (f64, Option<f64>, Option<f64>) {
    match mean_interval(values) {
        Some(Interval { value, lo, hi }) => (value, Some(lo), Some(hi)),
        None => (values.first().copied().unwrap_or(f64::NAN), None, None),
    }
}

/// Means over seeds, key by key.
fn means<'a>(maps: impl Iterator<Item = &'a BTreeMap<String, f64>>) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, (f64, usize)> = BTreeMap::new();
    for (name, value) in maps.flatten() {
        let sum = sums.entry(name.clone()).or_default();
        *sum = (sum.0 + value, sum.1 + 1);
    }
    sums.into_iter().map(|(name, (sum, n))| (name, sum / n as f64)).collect()
}

impl ResultTable {
    /// Makes the table; `command` is what made the results.
    pub fn new(suite: &Suite, results: &Results, command: &str) -> Self {
        let empty = BTreeMap::new();
        let of = |name: &str| results.rows.get(name).unwrap_or(&empty);
        let rows = suite.rows.iter().filter(|row| !of(&row.name).is_empty()).map(|row| {
            let all = of(&row.name);
            let by_seed: BTreeMap<u64, f64> =
                all.iter().filter_map(|(seed, run)| Some((*seed, image(run)?.value))).collect();
            let (macro_auroc, lo, hi) = summary(&by_seed.values().copied().collect::<Vec<_>>());
            TableRow {
                method: row.name.clone(),
                label: row.label.clone(),
                macro_auroc,
                lo,
                hi,
                seeds: all.len(),
                n_test: all.values().next().map_or(0, |run: &RunResult| run.n_test),
                published: row.published,
                by_seed,
                findings: means(all.values().filter_map(|run| Some(&image(run)?.parts))),
                held_out: means(all.values().map(|run| &run.held_out)),
            }
        });
        let rows = rows.collect();
        let mut paired = BTreeMap::new();
        for (a, b) in &suite.pairs {
            let by_seed: BTreeMap<u64, f64> = of(a)
                .iter()
                .filter_map(|(seed, run)| Some((*seed, image(run)?.value - image(of(b).get(seed)?)?.value)))
                .collect();
            let (diff, lo, hi) = summary(&by_seed.values().copied().collect::<Vec<_>>());
            paired.insert(format!("{a}-{b}"), Difference { diff, lo, hi, seeds: by_seed.len(), by_seed });
        }
        Self {
            suite: suite.name.clone(),
            title: suite.title.clone(),
            command: command.to_owned(),
            intervals: if suite.split_by_seed {
                "95% Student intervals of the mean over seeds; a seed splits the patients anew and redraws initialisation"
            } else {
                "95% Student intervals of the mean over seeds; a seed redraws training data and initialisation, the test \
                 images are the same"
            },
            rows,
            paired,
            tuning: results.tuning.clone(),
            protocol: suite.clone(),
        }
    }

    /// The rows with their intervals as a figure, SVG.
    pub fn to_figure(&self) -> String {
        let rows: Vec<ForestRow<'_>> = self
            .rows
            .iter()
            .map(|row| ForestRow {
                label: &row.label,
                value: row.macro_auroc,
                interval: row.lo.zip(row.hi),
                published: row.published,
            })
            .collect();
        let twin = self.rows.iter().find(|row| row.method == "resnet").map(|row| row.macro_auroc);
        forest(&self.title, "test macro AUC, mean over seeds with its 95% interval", &rows, twin)
    }

    /// The table for a terminal.
    pub fn to_text(&self) -> String {
        let mut text =
            format!("{}\n\n{:<44}{:>7}   95% interval      seeds  paper\n", self.title, "test macro AUC", "");
        let interval = |lo: Option<f64>, hi: Option<f64>, signed: bool| match (lo, hi) {
            (Some(lo), Some(hi)) if signed => format!("{lo:+.4} to {hi:+.4}"),
            (Some(lo), Some(hi)) => format!("{lo:.4} to {hi:.4}"),
            _ => "one seed".to_owned(),
        };
        for row in &self.rows {
            let published = row.published.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
            let interval = interval(row.lo, row.hi, false);
            let _ = writeln!(
                text,
                "{:<44}{:>7.4}   {interval:<18}{:>4}  {published:>6}",
                row.label, row.macro_auroc, row.seeds
            );
        }
        if !self.paired.is_empty() {
            text.push_str("\ndifferences, same seeds\n");
        }
        for (name, difference) in &self.paired {
            let interval = interval(difference.lo, difference.hi, true);
            let _ = writeln!(text, "{name:<44}{:>+7.4}   {interval:<18}{:>4}", difference.diff, difference.seeds);
        }
        text.push('\n');
        text.push_str(self.intervals);
        text
    }
}
