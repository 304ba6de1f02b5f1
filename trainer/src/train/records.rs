//! The record of a run, read back.

use std::path::Path;

use super::EpochRecord;
use super::run::METRICS;
use crate::data::DataError;
use crate::error::{Error, Result};

/// The epochs that the metrics of a run's folder tell of; none before the first is written.
///
/// # Errors
///
/// [`Error::File`] if the file cannot be read, [`DataError::Row`] with the line that is no record.
pub fn read(run: &Path) -> Result<Vec<EpochRecord>> {
    let path = run.join(METRICS);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.map_err(Error::file(&path, "cannot read the metrics"))?,
    };
    let record = |(line, text): (u64, &str)| {
        serde_json::from_str(text).map_err(|error| {
            let reason = format!("this is no record of an epoch: {error}");
            DataError::Row { file: path.display().to_string(), line, reason }.into()
        })
    };
    (1..).zip(text.lines()).map(record).collect()
}

impl EpochRecord {
    /// The best of a run's epochs so far; `None` before the first.
    pub fn best_of(records: &[Self]) -> Option<&Self> {
        records.iter().rfind(|record| record.best)
    }
}
