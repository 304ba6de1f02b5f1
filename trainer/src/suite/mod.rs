//! A suite: several methods trained over several seeds under one protocol, and the table of their results.
//!
//! The protocol is a TOML file that is fixed before the first run: [`Suite`]. [`run`] trains what is missing, so that an
//! interrupted suite goes on where it was; [`table`] makes the table.

mod classification;
pub mod outlines;
mod run;
mod segmentation;
pub mod table;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use shared::Modality;
use toml::{Table, Value};

use crate::config::mistake;
use crate::error::{Error, Result};

pub use run::{Experiment, Progress, RunResult, Score, run};

/// The table of the paper's classification methods on generated data, and the controls beside it.
pub const TABLE1: &str = include_str!("../../suites/table1-phantom.toml");

/// The table of the paper's segmentation methods on generated data, and the controls beside it.
pub const TABLE2: &str = include_str!("../../suites/table2-phantom.toml");

/// What is compared, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Short name, also of the files with results.
    pub name: String,
    /// One line above the table.
    pub title: String,
    /// The seeds that are reported. A seed redraws data, initialisation and order; methods share it.
    pub seeds: Seeds,
    /// What is chosen on validation before the first reported run.
    #[serde(default)]
    pub tuning: Option<Tuning>,
    /// The methods.
    pub rows: Vec<Row>,
    /// Rows whose difference is reported, the first minus the second.
    #[serde(default)]
    pub pairs: Vec<(String, String)>,
    /// Whether each seed divides the data anew, or takes another fold of them for test, instead of drawing others.
    #[serde(default)]
    pub split_by_seed: bool,
    /// The experiment all rows share: an [`Experiment`] in which `{seed}` stands for the seed and `{modality}` for the
    /// sequence that a row is trained for.
    pub config: Table,
}

/// Consecutive seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seeds {
    /// The first.
    pub first: u64,
    /// How many.
    pub n: u64,
}

impl Seeds {
    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = u64> {
        self.first..self.first + self.n
    }
}

/// What is chosen on validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Seeds of their own: none is reported.
    pub seeds: Seeds,
    /// What is chosen for each.
    pub groups: Vec<Group>,
}

/// Settings of which those with the best mean validation area over the tuning seeds are chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Rows refer to it.
    pub name: String,
    /// What the candidates are tried with.
    pub set: Table,
    /// The settings to choose from.
    pub candidates: Vec<Table>,
    /// The sequences that each candidate is trained for, one after the other; the choice is one for all.
    #[serde(default)]
    pub each: Vec<Modality>,
    /// The row whose network teaches.
    #[serde(default)]
    pub teacher: Option<String>,
}

/// A method of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Name in files.
    pub name: String,
    /// Name for people.
    pub label: String,
    /// What the paper reports of it, on its own data.
    #[serde(default)]
    pub published: Option<f64>,
    /// The group whose choice it takes.
    #[serde(default)]
    pub tuned: Option<String>,
    /// The row whose model is measured again, with the reports at hand too; nothing is trained.
    #[serde(default)]
    pub with_reports_of: Option<String>,
    /// What the paper reports of it for each sequence, on its own data.
    #[serde(default)]
    pub published_each: BTreeMap<Modality, f64>,
    /// The sequences that it is trained for, one after the other.
    #[serde(default)]
    pub each: Vec<Modality>,
    /// The row whose network, of the same seed, teaches it.
    #[serde(default)]
    pub teacher: Option<String>,
    /// Only so many of the seeds; absent: all.
    #[serde(default)]
    pub seeds: Option<u64>,
    /// How it differs from the shared experiment.
    #[serde(default)]
    pub set: Table,
}

impl Suite {
    /// Reads and checks a protocol; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for what is not TOML or not a setting, a name that refers to nothing, or a row whose experiment
    /// is not valid.
    pub fn parse<E: Experiment>(file: &str, text: &str) -> Result<Self> {
        let invalid = |reason: String| Error::Config { file: file.to_owned(), reason };
        let suite: Self = toml::from_str(text).map_err(|error| mistake(file, text, &error))?;
        suite.check().map_err(invalid)?;
        for (i, row) in suite.rows.iter().enumerate().filter(|(_, row)| row.with_reports_of.is_none()) {
            suite
                .config::<E>(&[&row.set], suite.seeds.first, row.each.first().copied())
                .map_err(|error| invalid(format!("row {}: {error}", i + 1)))?;
        }
        Ok(suite)
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// [`Error::File`], and those of [`Self::parse`].
    pub fn read<E: Experiment>(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path, "cannot read the protocol"))?;
        Self::parse::<E>(&path.display().to_string(), &text)
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.seeds.n < 1 || self.rows.is_empty() {
            return Err("a suite needs at least one seed and one row".to_owned());
        }
        let row = |name: &String| {
            let known = self.rows.iter().any(|row| &row.name == name);
            if known { Ok(()) } else { Err(format!("there is no row `{name}`")) }
        };
        for (a, b) in &self.pairs {
            row(a).and(row(b))?;
        }
        for (i, candidate) in self.rows.iter().enumerate() {
            candidate.with_reports_of.iter().chain(&candidate.teacher).try_for_each(row)?;
            if self.rows[..i].iter().any(|other| other.name == candidate.name) {
                return Err(format!("there are two rows `{}`", candidate.name));
            }
            if let Some(group) = &candidate.tuned
                && !self.tuning.iter().flat_map(|tuning| &tuning.groups).any(|other| &other.name == group)
            {
                return Err(format!("row `{}`: there is no group `{group}`", candidate.name));
            }
        }
        if let Some(tuning) = &self.tuning {
            if tuning.seeds.iter().any(|seed| self.seeds.iter().any(|other| other == seed)) {
                return Err("the tuning seeds must not be reported seeds".to_owned());
            }
            tuning.groups.iter().filter_map(|group| group.teacher.as_ref()).try_for_each(row)?;
            if tuning.groups.iter().any(|group| group.candidates.is_empty()) {
                return Err("a tuning group needs candidates".to_owned());
            }
        }
        Ok(())
    }

    /// The experiment of a seed, with changes one after the other.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if it is not valid.
    pub fn config<E: Experiment>(&self, changes: &[&Table], seed: u64, modality: Option<Modality>) -> Result<E> {
        let mut table = self.config.clone();
        for change in changes {
            merge(&mut table, change);
        }
        table.insert("seed".to_owned(), Value::Integer(seed as i64));
        let mut text = table.to_string().replace("{seed}", &seed.to_string());
        if let Some(modality) = modality {
            text = text.replace("{modality}", modality.name());
        }
        let mut config = E::parse(&self.name, &text)?;
        if self.split_by_seed {
            config.split_by(seed);
        }
        Ok(config)
    }
}

/// Puts the values of `change` into `table`, table by table.
fn merge(table: &mut Table, change: &Table) {
    for (key, value) in change {
        match (table.get_mut(key), value) {
            (Some(Value::Table(inner)), Value::Table(change)) => merge(inner, change),
            _ => {
                table.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Method, SegmentationConfig};

    #[test]
    fn the_committed_protocols_are_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites");
        let mut n = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if std::fs::read_to_string(&path).unwrap().contains("task = \"segmentation\"") {
                Suite::read::<SegmentationConfig>(&path).unwrap();
            } else {
                Suite::read::<Config>(&path).unwrap();
            }
            n += 1;
        }
        assert!(n >= 2);
    }

    #[test]
    fn a_change_reaches_into_tables_and_the_seed_into_names() {
        let suite = Suite::parse::<Config>("t", TABLE1).unwrap();
        let change: Table = toml::from_str("method = \"cmim\"\nloss = { lambda_ll = 0.07 }").unwrap();
        let config = suite.config::<Config>(&[&change], 113, None).unwrap();
        assert_eq!((config.method, config.seed, config.loss.lambda_ll), (Method::Cmim, 113, 0.07));
        assert_eq!(config.loss.lambda_lg, suite.config::<Config>(&[], 113, None).unwrap().loss.lambda_lg);
        assert!(config.data.images[0].to_string().contains("seed=113"));
    }

    #[test]
    fn names_that_refer_to_nothing_are_named() {
        let error = |from: &str, to: &str| {
            assert!(TABLE1.contains(from), "{from}");
            Suite::parse::<Config>("t.toml", &TABLE1.replace(from, to)).expect_err("invalid").to_string()
        };
        assert!(error("[\"cmim\", \"resnet\"]", "[\"cmim\", \"vgg\"]").contains("no row `vgg`"));
        assert!(error("tuned = \"cmim\"", "tuned = \"cmin\"").contains("no group `cmin`"));
        assert!(error("batch_size = 16", "batch_size = 1").contains("training.batch_size is 1"));
    }
}
