//! The training loop: batches, steps, validation, early stopping, checkpoints, and the card at the end.

mod average;
mod batch;
mod finish;
mod model;
mod run;

use std::path::PathBuf;

use serde::Serialize;

pub use run::train;

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
}

/// How a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From new weights, in a folder without a run.
    Fresh,
    /// From the folder's checkpoint.
    Resume,
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

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, Serialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Optimizer steps so far.
    pub step: usize,
    /// Mean of the weighted sum of all losses.
    pub loss: f64,
    /// Cross-entropy of the image path.
    pub loss_findings: f64,
    /// Cross-entropy of the head that reads image and report.
    pub loss_joint: Option<f64>,
    /// `L_ll`; `2 ln 2` is chance.
    pub loss_ll: Option<f64>,
    /// `L_lg`; `2 ln 2` is chance.
    pub loss_lg: Option<f64>,
    /// Share of the training images that had a report.
    pub paired: f64,
    /// Mean area over the findings with at least 5 validation images.
    pub validation_auroc: Option<f64>,
    /// Whether that is the best so far.
    pub best: bool,
    /// Duration of the epoch.
    pub seconds: f64,
}
