//! The table of a suite on MRI: Dice by method and sequence, the differences of methods, all sets of sequences.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use shared::{Modality, ModalitySet};

use super::run::{Results, RunResult, key_ending};
use super::segmentation::{HALF, unseen_name};
use super::table::summary;
use super::{Row, Suite};
use crate::figure::{ForestRow, HeatCell, forest, heat_map};

/// The results of a suite on MRI.
#[derive(Debug, Clone, Serialize)]
pub struct OutlineTable {
    /// Name of the suite.
    pub suite: String,
    /// What it is.
    pub title: String,
    /// The command that made it.
    pub command: String,
    /// What the values and intervals are.
    pub intervals: String,
    /// A method with one sequence at test.
    pub rows: Vec<OutlineRow>,
    /// Differences, `a-b`, by sequence and for their mean (`mean`): of the same seeds.
    pub paired: BTreeMap<String, BTreeMap<String, PairedDice>>,
    /// For methods that take any sequences: by method and set, such as `flair+t1c`.
    pub subsets: BTreeMap<String, BTreeMap<String, Summary>>,
    /// For networks of one sequence: by method and that sequence, what they make of another one.
    pub unseen: BTreeMap<String, BTreeMap<String, BTreeMap<String, Summary>>>,
    /// What was chosen on validation: by group, the mean validation Dice of each candidate.
    pub tuning: BTreeMap<String, Vec<f64>>,
    /// The protocol.
    pub protocol: Suite,
}

/// A method with one sequence at test.
#[derive(Debug, Clone, Serialize)]
pub struct OutlineRow {
    /// Name of the row.
    pub method: String,
    /// Name for people.
    pub label: String,
    /// The sequence.
    pub modality: Modality,
    /// Mean over the seeds of the test scans' mean Dice, at the threshold chosen on validation.
    pub dice: f64,
    /// Lower end of its interval; absent below two seeds.
    pub lo: Option<f64>,
    /// Upper end of it.
    pub hi: Option<f64>,
    /// The same at a threshold of one half.
    pub dice_at_half: f64,
    /// How many seeds.
    pub seeds: usize,
    /// Test scans of each seed.
    pub n_test: usize,
    /// The paper's result, on its own data.
    pub published: Option<f64>,
    /// Each seed's.
    pub by_seed: BTreeMap<u64, f64>,
    /// Each seed's scans one by one, where they are few.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_scan: BTreeMap<u64, BTreeMap<String, f64>>,
    /// Mean over the seeds of the mutual-information loss on validation pairs; `2 ln 2` is chance for Jensen-Shannon.
    pub held_out_ll: Option<f64>,
}

/// Mean over the seeds with its interval.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Mean.
    pub dice: f64,
    /// Lower end; absent below two seeds.
    pub lo: Option<f64>,
    /// Upper end.
    pub hi: Option<f64>,
    /// How many seeds.
    pub seeds: usize,
}

/// A difference of two methods.
#[derive(Debug, Clone, Serialize)]
pub struct PairedDice {
    /// Mean over the seeds.
    pub diff: f64,
    /// Lower end of its interval.
    pub lo: Option<f64>,
    /// Upper end of it.
    pub hi: Option<f64>,
    /// The same at a threshold of one half.
    pub at_half: Option<Box<PairedDice>>,
    /// Each seed's.
    pub by_seed: BTreeMap<u64, f64>,
}

impl Summary {
    fn new(values: &[f64]) -> Self {
        let (dice, lo, hi) = summary(values);
        Self { dice, lo, hi, seeds: values.len() }
    }
}

impl PairedDice {
    fn new(by_seed: BTreeMap<u64, f64>, at_half: Option<BTreeMap<u64, f64>>) -> Self {
        let (diff, lo, hi) = summary(&by_seed.values().copied().collect::<Vec<_>>());
        Self { diff, lo, hi, at_half: at_half.map(|by_seed| Box::new(Self::new(by_seed, None))), by_seed }
    }
}

/// The runs of a suite, row by row.
struct Runs<'a> {
    suite: &'a Suite,
    results: &'a Results,
}

impl<'a> Runs<'a> {
    fn row(&self, name: &str) -> Option<&'a Row> {
        self.suite.rows.iter().find(|row| row.name == name)
    }

    /// By seed, the run of a row that answers from a sequence alone: its own run for it, or the one run for any.
    fn of(&self, row: &Row, modality: Modality) -> BTreeMap<u64, &'a RunResult> {
        let key = if row.each.is_empty() {
            row.name.clone()
        } else if row.each.contains(&modality) {
            format!("{}{}", row.name, key_ending(modality))
        } else {
            return BTreeMap::new();
        };
        self.results.rows.get(&key).into_iter().flatten().map(|(seed, run)| (*seed, run)).collect()
    }

    /// By seed, the Dice of a row with a sequence alone.
    fn dice(&self, row: &Row, modality: Modality) -> BTreeMap<u64, f64> {
        let value = |(seed, run): (u64, &RunResult)| Some((seed, run.score(modality.name())?.value));
        self.of(row, modality).into_iter().filter_map(value).collect()
    }

    /// The same at a threshold of one half.
    fn dice_at_half(&self, row: &Row, modality: Modality) -> BTreeMap<u64, f64> {
        let value = |(seed, run): (u64, &RunResult)| Some((seed, *run.score(modality.name())?.parts.get(HALF)?));
        self.of(row, modality).into_iter().filter_map(value).collect()
    }

    fn outline_row(&self, row: &Row, modality: Modality) -> Option<OutlineRow> {
        let by_seed = self.dice(row, modality);
        let runs = self.of(row, modality);
        let values: Vec<f64> = by_seed.values().copied().collect();
        let at_half: Vec<f64> = self.dice_at_half(row, modality).into_values().collect();
        let (dice, lo, hi) = summary(&values);
        let held_out: Vec<f64> = runs.values().filter_map(|run| run.held_out.get("ll").copied()).collect();
        let scans = |run: &RunResult| -> BTreeMap<String, f64> {
            let parts = run.score(modality.name()).map(|score| score.parts.clone()).unwrap_or_default();
            parts.into_iter().filter(|(name, _)| name != HALF && name != "threshold").collect()
        };
        let by_scan = runs.iter().map(|(seed, run)| (*seed, scans(run))).filter(|(_, scans)| !scans.is_empty());
        (!values.is_empty()).then(|| OutlineRow {
            method: row.name.clone(),
            label: row.label.clone(),
            modality,
            dice,
            lo,
            hi,
            dice_at_half: summary(&at_half).0,
            seeds: values.len(),
            n_test: runs.values().next().map_or(0, |run| run.n_test),
            published: row.published_each.get(&modality).copied(),
            by_seed,
            by_scan: by_scan.collect(),
            held_out_ll: (!held_out.is_empty()).then(|| summary(&held_out).0),
        })
    }

    /// By sequence, and for the mean over them.
    fn paired(&self, a: &Row, b: &Row) -> BTreeMap<String, PairedDice> {
        let minus = |a: &BTreeMap<u64, f64>, b: &BTreeMap<u64, f64>| -> BTreeMap<u64, f64> {
            a.iter().filter_map(|(seed, value)| Some((*seed, value - b.get(seed)?))).collect()
        };
        let mut all: BTreeMap<String, [BTreeMap<u64, f64>; 2]> = BTreeMap::new();
        for modality in Modality::ALL {
            let at_best = minus(&self.dice(a, modality), &self.dice(b, modality));
            if !at_best.is_empty() {
                let at_half = minus(&self.dice_at_half(a, modality), &self.dice_at_half(b, modality));
                all.insert(modality.name().to_owned(), [at_best, at_half]);
            }
        }
        if all.len() > 1 {
            let mean = |at: usize| -> BTreeMap<u64, f64> {
                let of: Vec<&BTreeMap<u64, f64>> = all.values().map(|both| &both[at]).collect();
                let seeds = of[0].keys().filter(|seed| of.iter().all(|other| other.contains_key(seed)));
                seeds.map(|seed| (*seed, of.iter().map(|other| other[seed]).sum::<f64>() / of.len() as f64)).collect()
            };
            let means = [mean(0), mean(1)];
            all.insert("mean".to_owned(), means);
        }
        all.into_iter().map(|(name, [best, half])| (name, PairedDice::new(best, Some(half)))).collect()
    }

    /// By set of sequences.
    fn subsets(&self, row: &Row) -> BTreeMap<String, Summary> {
        let runs: Vec<&RunResult> =
            self.results.rows.get(&row.name).into_iter().flatten().map(|(_, run)| run).collect();
        ModalitySet::all()
            .into_iter()
            .filter_map(|set| {
                let name = set.name();
                let values: Vec<f64> = runs.iter().filter_map(|run| Some(run.score(&name)?.value)).collect();
                (!values.is_empty()).then(|| (name, Summary::new(&values)))
            })
            .collect()
    }

    /// By sequence of the network and sequence it is given.
    fn unseen(&self, row: &Row) -> BTreeMap<String, BTreeMap<String, Summary>> {
        let of = |own: &Modality| {
            let runs = self.of(row, *own);
            let given = Modality::ALL.into_iter().filter_map(|given| {
                let name = unseen_name(given.name());
                let values: Vec<f64> = runs.values().filter_map(|run| Some(run.score(&name)?.value)).collect();
                (!values.is_empty()).then(|| (given.name().to_owned(), Summary::new(&values)))
            });
            (own.name().to_owned(), given.collect())
        };
        row.each.iter().map(of).collect()
    }
}

impl OutlineTable {
    /// Makes the table; `command` is what made the results.
    pub fn new(suite: &Suite, results: &Results, command: &str) -> Self {
        let runs = Runs { suite, results };
        let rows = suite.rows.iter();
        let in_table = rows.clone().flat_map(|row| Modality::ALL.into_iter().filter_map(|m| runs.outline_row(row, m)));
        let paired = suite.pairs.iter().filter_map(|(a, b)| {
            let both = (runs.row(a)?, runs.row(b)?);
            Some((format!("{a}-{b}"), runs.paired(both.0, both.1)))
        });
        let any = rows.clone().filter(|row| row.each.is_empty());
        let one = rows.filter(|row| !row.each.is_empty());
        let has_folds = suite.config.get("data").and_then(|data| data.get("folds")).is_some();
        let seeds = if suite.split_by_seed && has_folds {
            "a seed tests another fold of the patients and redraws initialisation"
        } else if suite.split_by_seed {
            "a seed divides the patients anew and redraws initialisation"
        } else {
            "a seed redraws training data and initialisation, the test scans are the same"
        };
        Self {
            suite: suite.name.clone(),
            title: suite.title.clone(),
            command: command.to_owned(),
            intervals: format!(
                "Dice for each scan, mean over the test scans, at the threshold chosen on validation; empty truth and empty \
                 outline give 1. 95% Student intervals of the mean over seeds; {seeds}"
            ),
            rows: in_table.collect(),
            paired: paired.collect(),
            subsets: any.map(|row| (row.name.clone(), runs.subsets(row))).filter(|(_, sets)| sets.len() > 1).collect(),
            unseen: one.map(|row| (row.name.clone(), runs.unseen(row))).collect(),
            tuning: results.tuning.clone(),
            protocol: suite.clone(),
        }
    }

    /// Name for people of a row.
    fn label(&self, method: &str) -> &str {
        self.protocol.rows.iter().find(|row| row.name == method).map_or("", |row| row.label.as_str())
    }

    /// The rows with their intervals as a figure, SVG.
    pub fn to_figure(&self) -> String {
        let labels: Vec<String> = self.rows.iter().map(|row| format!("{}, {}", row.label, row.modality)).collect();
        let rows: Vec<ForestRow<'_>> = self
            .rows
            .iter()
            .zip(&labels)
            .map(|(row, label)| ForestRow {
                label,
                value: row.dice,
                interval: row.lo.zip(row.hi),
                published: row.published,
            })
            .collect();
        forest(&self.title, "test Dice with the sequence alone, mean over seeds with its 95% interval", &rows, None)
    }

    /// All sets of sequences of the methods that take them, as a figure, SVG.
    pub fn to_heat_map(&self) -> String {
        let sets = self.measured_sets();
        let columns: Vec<&str> = self.subsets.keys().map(|method| self.label(method)).collect();
        let rows: Vec<String> = sets.iter().map(ToString::to_string).collect();
        let cells: Vec<Vec<Option<HeatCell>>> = sets
            .iter()
            .map(|set| {
                let cell = |of: &BTreeMap<String, Summary>| of.get(&set.name()).map(|found| HeatCell(found.dice));
                self.subsets.values().map(cell).collect()
            })
            .collect();
        heat_map("Test Dice by the sequences that are there", &rows, &columns, &cells)
    }

    /// The sets of sequences that some method was measured with.
    fn measured_sets(&self) -> Vec<ModalitySet> {
        let is_measured = |set: &ModalitySet| self.subsets.values().any(|of| of.contains_key(&set.name()));
        ModalitySet::all().into_iter().filter(is_measured).collect()
    }

    /// The table for a terminal.
    pub fn to_text(&self) -> String {
        let names = self.rows.iter().map(|row| row.label.as_str()).chain(self.paired.keys().map(String::as_str));
        let wide = names.map(|name| name.chars().count()).max().unwrap_or(0) + 2;
        let mut text = format!(
            "{}\n\n{:<wide$}{:<7}{:>7}   95% interval      {:>7}  seeds  paper\n",
            self.title, "test Dice", "", "", "at half"
        );
        let interval = |lo: Option<f64>, hi: Option<f64>| match (lo, hi) {
            (Some(lo), Some(hi)) => format!("{lo:.4} to {hi:.4}"),
            _ => "one seed".to_owned(),
        };
        for row in &self.rows {
            let published = row.published.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
            let _ = writeln!(
                text,
                "{:<wide$}{:<7}{:>7.4}   {:<18}{:>7.4}  {:>5}  {published:>5}",
                row.label,
                row.modality.label(),
                row.dice,
                interval(row.lo, row.hi),
                row.dice_at_half,
                row.seeds
            );
        }
        if !self.paired.is_empty() {
            text.push_str("\ndifferences, same seeds\n");
        }
        let signed = |lo: Option<f64>, hi: Option<f64>| match (lo, hi) {
            (Some(lo), Some(hi)) => format!("{lo:+.4} to {hi:+.4}"),
            _ => "one seed".to_owned(),
        };
        for (name, by_modality) in &self.paired {
            for (modality, found) in by_modality {
                let half = found.at_half.as_ref().map_or(f64::NAN, |half| half.diff);
                let interval = signed(found.lo, found.hi);
                let _ = writeln!(
                    text,
                    "{name:<wide$}{modality:<7}{:>+7.4}   {interval:<20}{half:>+7.4}  {:>3}",
                    found.diff,
                    found.by_seed.len()
                );
            }
        }
        if !self.subsets.is_empty() {
            text.push_str("\nby the sequences that are there\n");
            let header: Vec<String> = self.subsets.keys().map(|method| format!("{method:>14}")).collect();
            let _ = writeln!(text, "{:<30}{}", "", header.concat());
            for set in self.measured_sets() {
                let name = set.name();
                let cells = self.subsets.values().map(|of| match of.get(&name) {
                    Some(found) => format!("{:>14.4}", found.dice),
                    None => format!("{:>14}", "-"),
                });
                let _ = writeln!(text, "{:<30}{}", set.to_string(), cells.collect::<Vec<_>>().concat());
            }
        }
        for (method, of) in self.unseen.iter().filter(|(_, of)| of.values().any(|given| !given.is_empty())) {
            let _ = writeln!(text, "\n{}: given a sequence it was not trained for", self.label(method));
            for (own, given) in of {
                let found: Vec<String> =
                    given.iter().map(|(name, found)| format!("{name} {:.4}", found.dice)).collect();
                let _ = writeln!(text, "  trained for {own:<6} given {}", found.join(", "));
            }
        }
        text.push('\n');
        text.push_str(&self.intervals);
        text
    }
}
