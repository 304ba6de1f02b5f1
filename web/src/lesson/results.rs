//! What was measured over several seeds: `trainer/results/table2-phantom.json`, which comes with the page.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Where the file lies, relative to the page.
pub const FILE: &str = "results/table2-phantom.json";

/// The part of the table that the lesson shows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Table {
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

impl Table {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// If it is another file.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_table_is_read() {
        let table = Table::from_json(include_str!("../../../trainer/results/table2-phantom.json")).expect("a table");
        assert_eq!(table.n(), Some((10, 100)));
        for sequence in ["flair", "t1", "t1c", "t2", "mean"] {
            let difference = table.cmim_minus_unet(sequence).expect("measured");
            assert!(difference.lo < difference.value && difference.value < difference.hi, "{difference:?}");
        }
        assert!(!Difference { value: 0.1, lo: -0.1, hi: 0.3 }.exceeds_spread());
        assert!(Difference { value: -0.2, lo: -0.3, hi: -0.1 }.exceeds_spread());
    }
}
