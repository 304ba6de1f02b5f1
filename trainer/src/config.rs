//! What an experiment is: one TOML file, checked as a whole before anything runs.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shared::model::classifier::CrossModalConfig;
use shared::model::resnet::ResNetConfig;
use shared::prep::image::Preprocessing;

use crate::data::{Augment, ImageSource, ReportSource};
use crate::error::{Error, Result};

/// The configuration used when none is given: generated data, a small network, a minute or two on a CPU.
pub const SMOKE: &str = include_str!("../configs/smoke.toml");

/// One experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Short name for people.
    pub name: String,
    /// What is trained.
    pub method: Method,
    /// Seed of the weights, the order of the images, their variation and their partners.
    pub seed: u64,
    /// Images and reports.
    #[serde(default)]
    pub data: DataConfig,
    /// From an image to the network's input.
    pub preprocessing: Preprocessing,
    /// The image path.
    pub image: ResNetConfig,
    /// What trains with the image path; used by `cmim` alone.
    #[serde(default)]
    pub cross_modal: CrossModalConfig,
    /// Weights of the losses; used by `cmim` alone.
    #[serde(default)]
    pub loss: LossConfig,
    /// Optimization.
    pub training: TrainingConfig,
    /// Variation of the training images.
    #[serde(default)]
    pub augment: Augment,
}

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Images with reports, tied by the mutual-information losses.
    Cmim,
    /// Images alone.
    ResNet,
}

/// Images and reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Where images come from; `--data` on the command line replaces them.
    pub images: Vec<ImageSource>,
    /// Where reports come from; `--reports` on the command line replaces them.
    pub reports: Vec<ReportSource>,
    /// Seed of the split by patient.
    pub split_seed: u64,
    /// A word enters the vocabulary if it occurs so often in the reports.
    pub min_word_count: usize,
    /// A file of GloVe vectors, which then stay as they are. Without one the vectors are learned.
    pub word_vectors: Option<PathBuf>,
    /// A safetensors file with torchvision's tensor names that the image path starts from, its head excepted.
    pub image_weights: Option<PathBuf>,
}

/// Weights of the losses beside the image path's own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// `λ_ll`: local image features against local report features.
    pub lambda_ll: f64,
    /// `λ_lg`: local image features against the global features of both.
    pub lambda_lg: f64,
    /// Findings predicted from image and report together.
    pub lambda_joint: f64,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { lambda_ll: 0.1, lambda_lg: 0.1, lambda_joint: 0.5 }
    }
}

/// Optimization.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Images per step.
    pub batch_size: usize,
    /// Learning rate of Adam; 1e-4 in the paper.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    #[serde(default)]
    pub weight_decay: f64,
    /// Largest number of passes over the training images.
    pub max_epochs: usize,
    /// Passes without a better validation result after which training stops.
    pub patience: usize,
    /// Share of the old weights in the running average that is validated and kept, per step; 0 for no average.
    #[serde(default)]
    pub average_decay: f64,
    /// Largest weight of a positive against a negative in the loss; 1 for no re-balancing.
    pub max_positive_weight: f64,
}

impl Config {
    /// Reads and checks a TOML text; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the line for what is not TOML or not a setting, or with the setting that makes no sense.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let invalid = |reason: String| Error::Config { file: file.to_owned(), reason };
        let config: Self = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
        config.check().map_err(invalid)?;
        Ok(config)
    }

    /// Reads and checks a TOML file.
    ///
    /// # Errors
    ///
    /// [`Error::File`], and those of [`Self::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path, "cannot read the configuration"))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// The resolved configuration as TOML.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a value has no TOML form.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::Config { file: self.name.clone(), reason: error.to_string() })
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.image.check().map_err(|error| error.to_string())?;
        self.preprocessing.check().map_err(|error| error.to_string())?;
        self.augment.check().map_err(|error| error.to_string())?;
        if self.image.in_channels != self.preprocessing.channels {
            return Err(format!(
                "preprocessing.channels is {}, image.in_channels {}: they must be equal",
                self.preprocessing.channels, self.image.in_channels
            ));
        }
        let t = &self.training;
        let l = &self.loss;
        for (name, value, valid, expected) in [
            ("training.batch_size", t.batch_size as f64, t.batch_size >= 2, "at least 2"),
            ("training.max_epochs", t.max_epochs as f64, t.max_epochs >= 1, "at least 1"),
            ("training.patience", t.patience as f64, t.patience >= 1, "at least 1"),
            ("training.learning_rate", t.learning_rate, t.learning_rate > 0.0 && t.learning_rate <= 1.0, "0 to 1"),
            ("training.weight_decay", t.weight_decay, (0.0..1.0).contains(&t.weight_decay), "0 to 1"),
            ("training.average_decay", t.average_decay, (0.0..1.0).contains(&t.average_decay), "0 to below 1"),
            ("training.max_positive_weight", t.max_positive_weight, t.max_positive_weight >= 1.0, "at least 1"),
            ("loss.lambda_ll", l.lambda_ll, l.lambda_ll >= 0.0, "0 or more"),
            ("loss.lambda_lg", l.lambda_lg, l.lambda_lg >= 0.0, "0 or more"),
            ("loss.lambda_joint", l.lambda_joint, l.lambda_joint >= 0.0, "0 or more"),
        ] {
            if !valid || !value.is_finite() {
                return Err(format!("{name} is {value}, expected {expected}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_configurations_are_valid_and_round_trip() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
        let mut n = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let config = Config::read(&entry.unwrap().path()).unwrap();
            assert_eq!(Config::parse("again", &config.to_toml().unwrap()).unwrap(), config);
            n += 1;
        }
        assert!(n >= 3);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |from: &str, to: &str| {
            assert!(SMOKE.contains(from), "{from}");
            Config::parse("x.toml", &SMOKE.replace(from, to)).expect_err("invalid").to_string()
        };
        assert!(error("batch_size", "batchsize").contains("batchsize"));
        assert!(error("learning_rate = 1e-3", "learning_rate = 0.0").contains("training.learning_rate is 0"));
        assert!(error("depth = 18", "depth = 19").contains("19 is not 18, 34 or 50"));
        assert!(error("phantom:xray", "phantom:knee").contains("knee"));
    }
}
