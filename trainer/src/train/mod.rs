//! The training loop: batches made ahead, steps, validation, early stopping, checkpoints, and the results at the end.

mod average;
mod classify;
pub(crate) mod curves;
mod folder;
mod loader;
mod records;
mod run;
pub mod segment;
mod state;
mod stream;
mod sums;
mod task;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use candle_core::Device;

pub use classify::{Outcome, WholeModel, train};
pub use records::read as read_records;
use serde::{Deserialize, Serialize};
use sums::Sums;

/// Time between checkpoints inside of an epoch, unless it is said otherwise.
pub const CHECKPOINT_AFTER: Duration = Duration::from_mins(10);

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
    /// Time between checkpoints inside of an epoch.
    pub checkpoint_after: Duration,
}

/// How a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From new weights, in a folder without a run.
    Fresh,
    /// From the folder's checkpoint if there is one.
    Resume,
}

/// Where a run reports to while it goes on.
pub trait Observer {
    /// The data are read, described in `summary`. The epochs of `records` and `done` steps are past, out of `steps` that
    /// no patience cuts short.
    fn begin(&mut self, summary: &str, records: &[EpochRecord], done: usize, steps: usize);
    /// Something that a person should know.
    fn note(&mut self, text: &str);
    /// One step is done.
    fn step(&mut self, record: &StepRecord);
    /// One pass over the training images is done.
    fn epoch(&mut self, record: &EpochRecord);
}

/// Says nothing of its epochs.
pub struct Silent;

impl Observer for Silent {
    fn begin(&mut self, _summary: &str, _records: &[EpochRecord], _done: usize, _steps: usize) {}
    fn note(&mut self, _text: &str) {}
    fn step(&mut self, _record: &StepRecord) {}
    fn epoch(&mut self, _record: &EpochRecord) {}
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepRecord {
    /// Images or slices.
    pub items: usize,
    /// Weighted sum of all losses; `None` if there was nothing to learn from.
    pub loss: Option<f32>,
    /// How far the mutual-information losses are below those of a critic that knows nothing, in nats, summed; `None`
    /// without such losses.
    pub information: Option<f64>,
}

/// An epoch that has begun, at a step in the midst of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenEpoch {
    /// Steps taken in it.
    steps: usize,
    /// Random words drawn for locations.
    locations: u64,
    sums: Sums,
    /// Duration of the steps, and how much of it was waiting for the loader.
    seconds: f64,
    waited: f64,
}

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
