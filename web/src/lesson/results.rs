//! What was measured over several seeds: two files of `trainer/results`, which come with the page.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::browser::{fetch, text_of};

/// A file of results that comes with the page.
pub trait Results: Sized + for<'de> Deserialize<'de> {
    /// Where it lies, relative to the page.
    const FILE: &str;

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// If it is another file.
    fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Fetches and reads the file.
    ///
    /// # Errors
    ///
    /// A sentence that names it.
    #[allow(async_fn_in_trait, reason = "called in the page's one thread")]
    async fn fetch() -> Result<Self, String> {
        let text = text_of(&fetch(Self::FILE).await?).await?;
        Self::from_json(&text).map_err(|error| format!("{}: {error}", Self::FILE))
    }
}

/// Dice of MRI: `table2-phantom.json`, as far as the lesson shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DiceTable {
    /// The command that made it.
    pub command: String,
    rows: Vec<Row>,
    paired: BTreeMap<String, BTreeMap<String, Difference>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Row {
    method: String,
    seeds: usize,
    n_test: usize,
}

/// One method's Dice minus another's, over the same seeds, with its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Difference {
    /// Mean over the seeds.
    #[serde(rename = "diff")]
    pub value: f64,
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

impl Difference {
    /// Whether the interval leaves out 0: the difference exceeds the spread over seeds.
    pub fn exceeds_spread(&self) -> bool {
        self.lo > 0.0 || self.hi < 0.0
    }
}

impl Results for DiceTable {
    const FILE: &str = "results/table2-phantom.json";
}

impl DiceTable {
    /// CMIM minus the same network trained on its sequence alone: `flair`, `t1`, `t1c`, `t2`, and `mean` over the four.
    pub fn cmim_minus_unet(&self, sequence: &str) -> Option<Difference> {
        self.paired.get("cmim-unet1")?.get(sequence).copied()
    }

    /// Seeds, and test patients of each.
    pub fn n(&self) -> Option<(usize, usize)> {
        let row = self.rows.iter().find(|row| row.method == "cmim")?;
        Some((row.seeds, row.n_test))
    }
}

/// Areas under the ROC curve of x-rays with reports: `table1-phantom.json`, as far as the lesson shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AurocTable {
    /// The command that made it.
    pub command: String,
    rows: Vec<AurocRow>,
}

/// A method's mean area over seeds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AurocRow {
    method: String,
    /// Mean over the seeds.
    pub macro_auroc: f64,
    /// Lower end of its 95% interval.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
    /// Seeds.
    pub seeds: usize,
    /// Test images of each.
    pub n_test: usize,
}

impl Results for AurocTable {
    const FILE: &str = "results/table1-phantom.json";
}

impl AurocTable {
    /// The row of a method by its name in the file.
    pub fn row(&self, method: &str) -> Option<&AurocRow> {
        self.rows.iter().find(|row| row.method == method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_table_is_read() {
        let table =
            DiceTable::from_json(include_str!("../../../trainer/results/table2-phantom.json")).expect("a table");
        assert_eq!(table.n(), Some((10, 100)));
        for sequence in ["flair", "t1", "t1c", "t2", "mean"] {
            let difference = table.cmim_minus_unet(sequence).expect("measured");
            assert!(difference.lo < difference.value && difference.value < difference.hi, "{difference:?}");
        }
        assert!(!Difference { value: 0.1, lo: -0.1, hi: 0.3 }.exceeds_spread());
        assert!(Difference { value: -0.2, lo: -0.3, hi: -0.1 }.exceeds_spread());
    }

    #[test]
    fn the_committed_areas_are_read() {
        let table =
            AurocTable::from_json(include_str!("../../../trainer/results/table1-phantom.json")).expect("a table");
        for method in ["cmim", "resnet", "tienet", "text", "joint", "cmim-with-reports"] {
            let row = table.row(method).unwrap_or_else(|| panic!("no {method}"));
            assert!(row.lo < row.macro_auroc && row.macro_auroc < row.hi && row.seeds > 1, "{row:?}");
        }
    }
}
