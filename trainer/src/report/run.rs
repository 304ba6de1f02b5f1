//! The folder of a run.

use std::path::{Path, PathBuf};

use crate::config::{Experiment, TrainingConfig};
use crate::error::{Error, Result};
use crate::model_dir::{CARD, CONFIG, WHOLE_WEIGHTS};
use crate::train::{EpochRecord, read_records};

/// A run as its folder tells of it.
pub(super) struct Run {
    pub(super) path: PathBuf,
    pub(super) experiment: Experiment,
    /// The resolved configuration as it was written.
    pub(super) config: String,
    pub(super) records: Vec<EpochRecord>,
}

impl Run {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let file = path.join(CONFIG);
        if !file.is_file() {
            return Err(Error::NoRun { path: path.to_owned() });
        }
        let config = std::fs::read_to_string(&file).map_err(Error::file(&file, "cannot read the configuration"))?;
        let experiment = Experiment::parse(&file.display().to_string(), &config)?;
        Ok(Self { path: path.to_owned(), experiment, config, records: read_records(path)? })
    }

    /// Whether the run has come to its end: what it leaves then is there.
    pub(super) fn is_finished(&self) -> bool {
        let last = match &self.experiment {
            Experiment::Classification(config) if !config.method.answers_from_image_path() => WHOLE_WEIGHTS,
            _ => CARD,
        };
        self.path.join(last).is_file()
    }

    /// The best epoch so far.
    pub(super) fn best(&self) -> Option<&EpochRecord> {
        EpochRecord::best_of(&self.records)
    }

    /// How far the run is, in a sentence or two.
    pub(super) fn state(&self) -> String {
        let (n, most) = (self.records.len(), self.training().max_epochs);
        let best = self.best().map(|record| match record.validation {
            Some(value) => format!("epoch {} (validation {} {value:.3})", record.epoch, record.measure),
            None => format!("epoch {}", record.epoch),
        });
        match (self.is_finished(), best) {
            (true, Some(best)) => {
                format!("Finished after {n} of at most {most} epochs. The weights are those of the best one, {best}.")
            }
            (true, None) => "Finished. Its metrics are not there any more, so there are no curves.".to_owned(),
            (false, Some(best)) => format!(
                "Not finished: {n} of at most {most} epochs so far, the best of which is {best}. Results and samples of the \
                 test part come when the run has ended."
            ),
            (false, None) => format!("Not finished: no epoch of at most {most} is recorded yet."),
        }
    }

    pub(super) fn name(&self) -> &str {
        match &self.experiment {
            Experiment::Classification(config) => &config.name,
            Experiment::Segmentation(config) => &config.name,
        }
    }

    pub(super) fn seed(&self) -> u64 {
        match &self.experiment {
            Experiment::Classification(config) => config.seed,
            Experiment::Segmentation(config) => config.seed,
        }
    }

    /// Name of the method, with the sequence that a method of one sequence is made for.
    pub(super) fn method(&self) -> String {
        match &self.experiment {
            Experiment::Classification(config) => config.method.name().to_owned(),
            Experiment::Segmentation(config) => match config.modality {
                Some(modality) => format!("{}, {modality}", config.method.name()),
                None => config.method.name().to_owned(),
            },
        }
    }

    /// The sources of images or volumes, each as it is written and in words, and of reports.
    pub(super) fn sources(&self) -> Vec<String> {
        match &self.experiment {
            Experiment::Classification(config) => {
                let images = config.data.sources();
                let images = images.iter().map(|source| format!("{source}: {}", source.what()));
                images.chain(config.data.reports.iter().map(|source| format!("{source}: reports"))).collect()
            }
            Experiment::Segmentation(config) => {
                config.data.sources().iter().map(|source| format!("{source}: {}", source.what())).collect()
            }
        }
    }

    fn training(&self) -> &TrainingConfig {
        match &self.experiment {
            Experiment::Classification(config) => &config.training,
            Experiment::Segmentation(config) => &config.training,
        }
    }
}
