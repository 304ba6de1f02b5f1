//! What an experiment is: one TOML file, checked as a whole before anything runs.

pub mod segmentation;
mod text;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shared::model::classifier::{CrossModalConfig, LossWeights};
use shared::model::resnet::ResNetConfig;
use shared::model::tienet::TieNetConfig;
use shared::prep::image::Preprocessing;
use shared::train::MiGradient;

use crate::data::{Augment, ImageSource, ReportSource};
use crate::error::{Error, Result};

pub use segmentation::SegmentationConfig;
pub(crate) use text::{differences, mistake};
use text::{parse, to_toml};

/// The configuration used when none is given: generated data, a small network, a minute or two on a CPU.
pub const SMOKE: &str = include_str!("../configs/smoke.toml");

/// An experiment of either kind.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one in a program")]
pub enum Experiment {
    /// Findings of x-rays.
    Classification(Config),
    /// Tumours in MRI: a file that says `task = "segmentation"`.
    Segmentation(SegmentationConfig),
}

impl Experiment {
    /// Reads and checks a TOML file.
    ///
    /// # Errors
    ///
    /// [`Error::File`], and those of [`Self::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path, "cannot read the configuration"))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads and checks a TOML text; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// Those of [`Config::parse`] and [`SegmentationConfig::parse`].
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let table: toml::Table = toml::from_str(text).map_err(|error| mistake(file, text, &error))?;
        Ok(if table.contains_key("task") {
            Self::Segmentation(SegmentationConfig::parse(file, text)?)
        } else {
            Self::Classification(Config::parse(file, text)?)
        })
    }
}

/// One experiment on x-rays.
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
    /// Report path, joint embedding and critics; used by `cmim`, `joint` and, for its text encoder, `text`.
    #[serde(default)]
    pub cross_modal: CrossModalConfig,
    /// Weights of the losses; used by `cmim` alone.
    #[serde(default)]
    pub loss: LossWeights,
    /// What writes and reads captions; used by `tienet` alone.
    #[serde(default)]
    pub tienet: TieNetConfig,
    /// Optimization.
    pub training: TrainingConfig,
    /// Variation of the training images.
    #[serde(default)]
    pub augment: Augment,
}

/// What is trained, and what it sees at test time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Images with reports, tied by the mutual-information losses; the image alone at test.
    Cmim,
    /// Images alone.
    ResNet,
    /// An image network that writes a report and reads it; the image alone at test.
    TieNet,
    /// Image and report, both at test too: the ceiling.
    Joint,
    /// The report alone.
    Text,
    /// Images, with place and severity of every finding known in training; the image alone at test. Generated data only.
    Oracle,
}

impl Method {
    /// Whether training needs reports.
    pub fn reads_reports(self) -> bool {
        matches!(self, Self::Cmim | Self::TieNet | Self::Joint | Self::Text)
    }

    /// Whether the image's own path alone gives the answer, which is what the page runs.
    pub fn answers_from_image_path(self) -> bool {
        matches!(self, Self::Cmim | Self::ResNet | Self::Oracle)
    }

    /// Whether the answer needs a report.
    pub fn needs_report_at_test(self) -> bool {
        matches!(self, Self::Joint | Self::Text)
    }

    /// Name as in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cmim => "cmim",
            Self::ResNet => "resnet",
            Self::TieNet => "tienet",
            Self::Joint => "joint",
            Self::Text => "text",
            Self::Oracle => "oracle",
        }
    }
}

/// Images and reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Where studies come from; `--data` on the command line replaces them.
    pub images: Vec<ImageSource>,
    /// Studies for validation. With them or [`Self::test`], [`Self::images`] are all for training; without, they are
    /// split 70/10/20 by patient.
    pub validation: Vec<ImageSource>,
    /// Studies for test.
    pub test: Vec<ImageSource>,
    /// Reports for studies without one of their own, matched by finding set; `--reports` replaces them.
    pub reports: Vec<ReportSource>,
    /// Whose report a study is trained with.
    pub pairing: Pairing,
    /// Of how many training studies, drawn at random, the labels are used; absent: of all.
    pub labelled: Option<usize>,
    /// Of how many training studies, drawn at random, the reports are used; absent: of all.
    pub paired: Option<usize>,
    /// Whether training studies without labels get those that their reports tell, by rules.
    pub labels_from_reports: bool,
    /// Seed of the split by patient and of the two draws above.
    pub split_seed: u64,
    /// A table `image,patient,part` that says which image is for what, instead of a split by seed.
    pub split: Option<PathBuf>,
    /// A word enters the vocabulary if it occurs so often in the training reports.
    pub min_word_count: usize,
    /// A file of GloVe vectors, which then stay as they are. Without one the vectors are learned.
    pub word_vectors: Option<PathBuf>,
    /// A safetensors file with torchvision's tensor names that the image path starts from, its head excepted.
    pub image_weights: Option<PathBuf>,
}

impl DataConfig {
    /// The images of all parts: those for training first, then for validation, then for test.
    pub fn sources(&self) -> Vec<ImageSource> {
        self.images.iter().chain(&self.validation).chain(&self.test).cloned().collect()
    }
}

/// Whose report a study is trained with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pairing {
    /// Its own, or where it has none one of the same finding set.
    #[default]
    Own,
    /// Another patient's: the control that tells pairing from regularisation.
    Shuffled,
}

/// Optimization.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Labelled images per step.
    pub batch_size: usize,
    /// Unlabelled images per step beside them, as far as there are any; absent: as many.
    #[serde(default)]
    pub unlabelled_per_step: Option<usize>,
    /// Learning rate of Adam; 1e-4 in the paper.
    pub learning_rate: f64,
    /// Learning rate of the critics, where it is another.
    #[serde(default)]
    pub critic_learning_rate: Option<f64>,
    /// How the learning rate falls.
    #[serde(default)]
    pub schedule: Schedule,
    /// Whether the gradient of the mutual-information losses is scaled down where it is longer than the other losses'.
    #[serde(default)]
    pub scale_gradient: bool,
    /// Decoupled weight decay.
    #[serde(default)]
    pub weight_decay: f64,
    /// Largest number of passes over the training images.
    pub max_epochs: usize,
    /// Passes without a better validation result after which training stops.
    pub patience: usize,
    /// Passes between checkpoints.
    #[serde(default = "every_epoch")]
    pub checkpoint_every: usize,
    /// Share of the old weights in the running average that is validated and kept, per step; 0 for no average.
    #[serde(default)]
    pub average_decay: f64,
    /// Largest weight of a positive against a negative in the loss; 1 for no re-balancing.
    #[serde(default = "no_rebalancing")]
    pub max_positive_weight: f64,
}

impl TrainingConfig {
    /// What becomes of the gradient of the mutual-information losses.
    pub(crate) fn mi_gradient(&self) -> MiGradient {
        if self.scale_gradient { MiGradient::AtMostTask } else { MiGradient::Whole }
    }

    fn check(&self) -> std::result::Result<(), String> {
        let t = self;
        let critic_rate = t.critic_learning_rate.unwrap_or(t.learning_rate);
        for (name, value, valid, expected) in [
            ("training.batch_size", t.batch_size as f64, t.batch_size >= 2, "at least 2"),
            ("training.max_epochs", t.max_epochs as f64, t.max_epochs >= 1, "at least 1"),
            ("training.patience", t.patience as f64, t.patience >= 1, "at least 1"),
            ("training.learning_rate", t.learning_rate, t.learning_rate > 0.0 && t.learning_rate <= 1.0, "0 to 1"),
            ("training.weight_decay", t.weight_decay, (0.0..1.0).contains(&t.weight_decay), "0 to 1"),
            ("training.average_decay", t.average_decay, (0.0..1.0).contains(&t.average_decay), "0 to below 1"),
            ("training.max_positive_weight", t.max_positive_weight, t.max_positive_weight >= 1.0, "at least 1"),
            ("training.critic_learning_rate", critic_rate, critic_rate > 0.0 && critic_rate <= 1.0, "0 to 1"),
            ("training.checkpoint_every", t.checkpoint_every as f64, t.checkpoint_every >= 1, "at least 1"),
        ] {
            if !valid || !value.is_finite() {
                return Err(format!("{name} is {value}, expected {expected}"));
            }
        }
        Ok(())
    }

    /// What a run saved under `saved` has to have to go on as this one: how long to train may change, since the epochs so
    /// far stay what they are; but not where the rate depends on it.
    #[must_use]
    pub fn continued(&self, saved: &Self) -> Self {
        let max_epochs = match self.schedule {
            Schedule::Constant => self.max_epochs,
            Schedule::Cosine => saved.max_epochs,
        };
        Self { max_epochs, patience: self.patience, ..*saved }
    }
}

fn no_rebalancing() -> f64 {
    1.0
}

fn every_epoch() -> usize {
    1
}

/// How the learning rate falls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Not at all.
    #[default]
    Constant,
    /// As half a cosine, to zero after the last epoch.
    Cosine,
}

impl Config {
    /// Reads and checks a TOML text; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the line for what is not TOML or not a setting, or with the setting that makes no sense.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        parse(file, text, Self::check)
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
        to_toml(&self.name, self)
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
        self.training.check()?;
        let l = &self.loss;
        let (clip, penalty) = (self.cross_modal.score_clip.unwrap_or(1.0), self.cross_modal.score_penalty);
        for (name, value, valid, expected) in [
            ("loss.lambda_ll", l.lambda_ll, l.lambda_ll >= 0.0, "0 or more"),
            ("loss.lambda_lg", l.lambda_lg, l.lambda_lg >= 0.0, "0 or more"),
            ("loss.lambda_gg", l.lambda_gg, l.lambda_gg >= 0.0, "0 or more"),
            ("loss.lambda_joint", l.lambda_joint, l.lambda_joint >= 0.0, "0 or more"),
            ("cross_modal.score_clip", clip, clip > 0.0, "above 0"),
            ("cross_modal.score_penalty", penalty, penalty >= 0.0, "0 or more"),
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
            match Experiment::read(&entry.unwrap().path()).unwrap() {
                Experiment::Classification(config) => {
                    assert_eq!(Config::parse("again", &config.to_toml().unwrap()).unwrap(), config);
                }
                Experiment::Segmentation(config) => {
                    assert_eq!(SegmentationConfig::parse("again", &config.to_toml().unwrap()).unwrap(), config);
                }
            }
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
        let line = 1 + SMOKE.lines().position(|line| line.starts_with("batch_size")).unwrap();
        let said = error("batch_size", "batchsize");
        let expected = format!("x.toml, line {line}, column 1: unknown field `batchsize`, expected one of");
        assert!(said.starts_with(&expected) && said.ends_with("; did you mean `batch_size`?"), "{said}");
        assert!(error("\"cmim\"", "\"cmmi\"").contains("did you mean `cmim`?"));
        assert!(!error("batch_size", "entirely_different").contains("did you mean"));
        assert!(error("[training]", "[training").contains("x.toml, line "));
        assert!(error("learning_rate = 1e-3", "learning_rate = 0.0").contains("training.learning_rate is 0"));
        assert!(error("depth = 18", "depth = 19").contains("19 is not 18, 34 or 50"));
        assert!(error("phantom:xray", "phantom:knee").contains("knee"));
        assert!(error("[training]", "[loss]\nlambda_ll = -0.5\n[training]").contains("loss.lambda_ll is -0.5"));
    }
}
