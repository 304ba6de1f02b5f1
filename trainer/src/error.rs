//! The error type of the trainer.

use std::path::{Path, PathBuf};

use crate::data::DataError;

/// Result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between a configuration and a trained model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Training or evaluation data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Readers, models, losses.
    #[error(transparent)]
    Shared(#[from] shared::Error),
    /// The tensor library.
    #[error("tensor computation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A device that is not there or cannot be used.
    #[error("--device {device}: {reason}")]
    NoDevice {
        /// As it was asked for.
        device: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A GPU's memory is full.
    #[error("{advice}")]
    FullMemory {
        /// The batch that was too large, and the one that would fit.
        advice: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {action}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A configuration that is not valid.
    #[error("{file}: {reason}")]
    Config {
        /// Name of the file, and where it is known line and column.
        file: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// A model that cannot answer what it was asked.
    #[error("{file}: {reason}")]
    NoAnswer {
        /// Its weights.
        file: String,
        /// What is missing, and what to do.
        reason: String,
    },
    /// A folder that no run has written.
    #[error(
        "{}: this is no training run: there is no config.toml; give the folder that `cmim train --out` was given",
        path.display()
    )]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// The output folder already holds a run.
    #[error("{}: a run is already there; continue it with --resume, or give another --out", path.display())]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// Another program trains in the folder.
    #[error("{}: another program (process {holder}) is training in this folder; wait for it, end it, or give another --out", path.display())]
    RunInUse {
        /// The folder.
        path: PathBuf,
        /// Its process.
        holder: String,
    },
    /// There is nothing to resume, or it was made with other settings.
    #[error("{}: cannot resume: {reason}", path.display())]
    NotResumable {
        /// The checkpoint.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The loss is NaN or infinite.
    #[error(
        "the loss is {loss} in epoch {epoch}, step {step}, on {items}: lower the learning rate, or look at these. The \
         last good checkpoint is kept"
    )]
    NonFiniteLoss {
        /// Its value.
        loss: f32,
        /// Epoch, from 1.
        epoch: usize,
        /// Step of the epoch, from 1.
        step: usize,
        /// Names of the batch's images or slices.
        items: String,
    },
    /// Weights that nothing could be continued from.
    #[error(
        "`{name}` is no longer a finite number after step {step}, in epoch {epoch}: its gradient was too large; lower the \
         learning rate. The last good checkpoint is kept"
    )]
    NonFiniteWeights {
        /// The tensor.
        name: String,
        /// Epoch, from 1.
        epoch: usize,
        /// Steps so far.
        step: usize,
    },
    /// Two models to be compared were scored on different studies.
    #[error("the two models were not scored on the same studies: {reason}")]
    OtherStudies {
        /// The first disagreement.
        reason: String,
    },
    /// A model is to be measured on what it has learnt.
    #[error("{scan}: the model was trained or validated on this scan: give data it has not seen")]
    TrainedOn {
        /// The scan.
        scan: String,
    },
    /// A part of the split is too small to be used.
    #[error("the {part} part of the split has {found} images, at least {needed} are needed: give more data")]
    TooFewImages {
        /// Which part.
        part: &'static str,
        /// Images found.
        found: usize,
        /// Images needed.
        needed: usize,
    },
}

impl Error {
    /// For `map_err` on file operations.
    pub fn file(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), action, source }
    }
}
