//! X-rays in a suite.

use std::collections::BTreeMap;
use std::path::PathBuf;

use shared::Finding;

use super::run::{Experiment, RunResult, Score};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::evaluate::Scored;
use crate::train::{Options, Silent, train};

/// The score of images alone, or of what the method needs.
pub(super) const IMAGE: &str = "image";
/// The score with the reports at hand too.
pub(super) const REPORTS: &str = "reports";

impl Experiment for Config {
    type Shared = ();

    fn parse(file: &str, text: &str) -> Result<Self> {
        Self::parse(file, text)
    }

    fn to_toml(&self) -> Result<String> {
        self.to_toml()
    }

    fn split_by(&mut self, seed: u64) {
        self.data.split_seed = seed;
    }

    fn taught_by(&mut self, _teacher: PathBuf) {}

    fn run(&self, options: &Options, (): &()) -> Result<RunResult> {
        let outcome = train(self, options, &mut Silent)?;
        let mut scores = BTreeMap::from([(IMAGE.to_owned(), areas(&outcome.test)?)]);
        if let Some(with_reports) = &outcome.test_with_reports {
            scores.insert(REPORTS.to_owned(), areas(with_reports)?);
        }
        Ok(RunResult {
            config: String::new(),
            validation: outcome.validation_auroc,
            best_epoch: outcome.best_epoch,
            scores,
            held_out: outcome.held_out,
            n_test: outcome.test.present.len(),
            seconds: 0.0,
        })
    }
}

/// The mean area over the findings that can be measured, and each of them.
fn areas(scored: &Scored) -> Result<Score> {
    let parts: BTreeMap<String, f64> = Finding::ALL
        .into_iter()
        .filter_map(|finding| {
            let (scores, present) = scored.column(finding);
            Some((finding.name().to_owned(), shared::metric::auroc(&scores, &present)?))
        })
        .collect();
    if parts.is_empty() {
        return Err(Error::TooFewImages { part: "test", found: 0, needed: 1 });
    }
    Ok(Score { value: parts.values().sum::<f64>() / parts.len() as f64, parts })
}
