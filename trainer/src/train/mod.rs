//! The training loop: batches made ahead, steps, validation, early stopping, checkpoints, and the results at the end.

mod average;
mod classify;
pub(crate) mod curves;
mod loader;
mod records;
mod run;
pub mod segment;
mod stream;
mod task;

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::Device;

pub use classify::{Outcome, WholeModel, train};
pub use records::read as read_records;
use serde::{Deserialize, Serialize};

/// Where a run goes and how it begins.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder for the model, the checkpoint and the metrics.
    pub out: PathBuf,
    /// Whether the folder's checkpoint is continued.
    pub start: Start,
    /// Folder of the image-only twin, compared with on the test split.
    pub twin: Option<PathBuf>,
    /// The command line, for the model card.
    pub command: String,
    /// What trains.
    pub device: Device,
}

/// How a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From new weights, in a folder without a run.
    Fresh,
    /// From the folder's checkpoint.
    Resume,
    /// From the folder's checkpoint if there is one.
    ResumeIfAny,
}

/// Where a run reports to while it goes on.
pub trait Observer {
    /// The data are read; `steps` optimizer steps at most lie ahead after `done` already taken.
    fn begin(&mut self, summary: &str, done: usize, steps: usize);
    /// One optimizer step is done.
    fn step(&mut self);
    /// One pass over the training images is done.
    fn epoch(&mut self, record: &EpochRecord);
}

/// Says nothing of its epochs.
pub struct Silent;

impl Observer for Silent {
    fn begin(&mut self, _summary: &str, _done: usize, _steps: usize) {}
    fn step(&mut self) {}
    fn epoch(&mut self, _record: &EpochRecord) {}
}

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Optimizer steps so far.
    pub step: usize,
    /// Mean of the weighted sum of all losses.
    pub loss: f64,
    /// Means of the losses by name, unweighted: `findings` (of the path that is tested), `joint` (of image and report
    /// together), `ll`, `lg`, `gg` (mutual information), `words` (captions), `places` (the oracle's).
    pub losses: BTreeMap<String, f64>,
    /// Mutual-information losses of validation studies with their own reports.
    pub held_out: BTreeMap<String, f64>,
    /// What the mutual-information losses would be for a critic that knows nothing: `2 ln 2` for Jensen-Shannon.
    pub chance: BTreeMap<String, f64>,
    /// Share of the training images or slices of the epoch that had a partner of another modality.
    pub paired: f64,
    /// Name of the validation measure: `AUC`, the mean over the findings with at least 5 validation images, or `Dice`.
    pub measure: String,
    /// The validation result.
    pub validation: Option<f64>,
    /// Whether that is the best so far.
    pub best: bool,
    /// Duration of the epoch.
    pub seconds: f64,
    /// Share of the steps' time spent waiting for images.
    pub waiting: f64,
}
