//! What a segmentation experiment is.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shared::mi::TermConfig;
use shared::model::hemis::HemisConfig;
use shared::model::segmenter::SegmenterConfig;
use shared::prep::volume::Grid;
use shared::{Modality, ModalitySet};

use super::{Pairing, TrainingConfig};
use crate::data::VolumeSource;
use crate::data::volumes::SliceAugment;
use crate::error::Result;

/// One experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentationConfig {
    /// Always `segmentation`: tells this experiment from one on x-rays.
    pub task: Segmentation,
    /// Short name for people.
    pub name: String,
    /// What is trained.
    pub method: SegmentationMethod,
    /// The one sequence that is there at test; for methods that are made for one.
    #[serde(default)]
    pub modality: Option<Modality>,
    /// Seed of the weights, the order of the slices and their variation.
    pub seed: u64,
    /// Volumes.
    pub data: VolumeConfig,
    /// Pixels of the slices.
    pub grid: Grid,
    /// Channels of each level of every U-Net, the finest first.
    #[serde(default = "default_widths")]
    pub widths: Vec<usize>,
    /// Sizes of HeMIS.
    #[serde(default)]
    pub hemis: HemisConfig,
    /// What ties the one sequence to all.
    #[serde(default)]
    pub tie: TieConfig,
    /// Optimization.
    pub training: TrainingConfig,
    /// Variation of the training slices.
    #[serde(default)]
    pub augment: SliceAugment,
}

fn default_widths() -> Vec<usize> {
    vec![32, 64, 128, 256, 512]
}

/// The word that marks an experiment on MRI.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Segmentation {
    /// The only one.
    #[default]
    Segmentation,
}

/// What is trained, and what it sees at test time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentationMethod {
    /// A U-Net on one sequence, tied to all by mutual information.
    Cmim,
    /// A U-Net on one sequence alone; without one, on all of them: the ceiling, and the teacher of the others.
    Unet,
    /// A U-Net on one sequence that also learns the teacher's soft masks.
    Distill,
    /// A U-Net on one sequence whose features are drawn to the teacher's.
    Match,
    /// HeMIS, with its curriculum; any sequences at test.
    Hemis,
    /// A U-Net on all sequences, what is missing filled with its mean; any sequences at test.
    Mean,
    /// The teacher, what is missing guessed by a network for each voxel; any sequences at test.
    Mlp,
    /// A U-Net with an encoder for each sequence, tied to all by mutual information; any sequences at test.
    Fusion,
}

impl SegmentationMethod {
    /// Name as in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cmim => "cmim",
            Self::Unet => "unet",
            Self::Distill => "distill",
            Self::Match => "match",
            Self::Hemis => "hemis",
            Self::Mean => "mean",
            Self::Mlp => "mlp",
            Self::Fusion => "fusion",
        }
    }

    /// Whether it is made for one sequence.
    fn needs_modality(self) -> bool {
        matches!(self, Self::Cmim | Self::Distill | Self::Match)
    }

    /// Whether it may be made for one sequence.
    fn takes_modality(self) -> bool {
        self.needs_modality() || self == Self::Unet
    }
}

/// Volumes and what is used of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VolumeConfig {
    /// Where volumes come from; `--data` on the command line replaces them.
    pub volumes: Vec<VolumeSource>,
    /// Volumes for validation. With them or [`Self::test`], [`Self::volumes`] are all for training; without, they are
    /// split 70/10/20 by patient, or into [`Self::folds`].
    pub validation: Vec<VolumeSource>,
    /// Volumes for test.
    pub test: Vec<VolumeSource>,
    /// The sequences that exist in these data.
    pub sequences: ModalitySet,
    /// Into how many folds the patients are dealt: one is for test, the next for validation.
    pub folds: Option<usize>,
    /// Which fold is for test, from 0; counted on from the beginning again beyond the last.
    pub fold: usize,
    /// Seed of the split by patient and of whose outlines are used.
    pub split_seed: u64,
    /// Of how many training patients, drawn at random, the outlines are used; absent: of all.
    pub labelled: Option<usize>,
    /// Slices without enhancing tumour in each epoch, for each one with it, drawn at random; absent: all of them.
    pub empty_per_tumour: Option<f64>,
    /// Folder of the run that trained the all-sequence U-Net. Absent: it is trained first, in the folder `teacher` of
    /// the run.
    pub teacher: Option<PathBuf>,
}

impl Default for VolumeConfig {
    fn default() -> Self {
        Self {
            volumes: Vec::new(),
            validation: Vec::new(),
            test: Vec::new(),
            sequences: ModalitySet::ALL,
            folds: None,
            fold: 0,
            split_seed: 0,
            labelled: None,
            empty_per_tumour: None,
            teacher: None,
        }
    }
}

impl VolumeConfig {
    /// The volumes of all parts: those for training first, then for validation, then for test.
    pub fn sources(&self) -> Vec<VolumeSource> {
        self.volumes.iter().chain(&self.validation).chain(&self.test).cloned().collect()
    }
}

/// What ties the one sequence to all of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TieConfig {
    /// Weight of the loss that ties: `λ_ll` of CMIM, of the soft masks, or of the features' distance.
    pub lambda: f64,
    /// Whose all-sequence features: the patient's own, or another's, the placebo.
    pub partner: Pairing,
    /// Whether the all-sequence path is trained before and stays as it is, or is trained at the same time.
    pub teacher: Teacher,
    /// Locations drawn from each map; absent: all of them.
    pub locations: Option<usize>,
    /// Critic and estimator.
    pub term: TermConfig,
}

impl Default for TieConfig {
    fn default() -> Self {
        Self {
            lambda: 0.1,
            partner: Pairing::Own,
            teacher: Teacher::Frozen,
            locations: None,
            term: TermConfig::default(),
        }
    }
}

/// How the all-sequence path comes to its weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Teacher {
    /// Trained before.
    #[default]
    Frozen,
    /// Trained at the same time, by its own cross-entropy and by mutual information.
    Joint,
}

impl SegmentationConfig {
    /// Reads and checks a TOML text; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) with the line for what is not TOML or not a setting, or with the setting that makes no sense.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        super::parse(file, text, Self::check)
    }

    /// The resolved configuration as TOML.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) if a value has no TOML form.
    pub fn to_toml(&self) -> Result<String> {
        super::to_toml(&self.name, self)
    }

    /// What exists at test time.
    pub fn segmenter(&self) -> SegmenterConfig {
        let (inputs, widths) = (self.data.sequences, self.widths.clone());
        match (self.method, self.modality) {
            (SegmentationMethod::Hemis, _) => SegmenterConfig::Hemis(self.hemis),
            (SegmentationMethod::Fusion, _) => SegmenterConfig::FusionUnet { widths },
            (SegmentationMethod::Mean, _) => SegmenterConfig::Mean { inputs, widths },
            (SegmentationMethod::Mlp, _) => SegmenterConfig::Mlp { inputs, widths },
            (_, Some(modality)) => SegmenterConfig::Unet { inputs: ModalitySet::one(modality), widths },
            (_, None) => SegmenterConfig::Unet { inputs, widths },
        }
    }

    /// Whether training needs the all-sequence U-Net's weights.
    pub fn needs_teacher(&self) -> bool {
        match self.method {
            SegmentationMethod::Cmim | SegmentationMethod::Fusion => self.tie.teacher == Teacher::Frozen,
            SegmentationMethod::Distill | SegmentationMethod::Match | SegmentationMethod::Mlp => true,
            SegmentationMethod::Unet | SegmentationMethod::Hemis | SegmentationMethod::Mean => false,
        }
    }

    /// The experiment that trains the all-sequence U-Net for this one.
    #[must_use]
    pub fn of_teacher(&self) -> Self {
        let mut teacher = self.clone();
        teacher.name = format!("{}: all sequences", self.name);
        teacher.method = SegmentationMethod::Unet;
        teacher.modality = None;
        teacher.data.teacher = None;
        teacher
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.grid.check().map_err(|error| error.to_string())?;
        self.segmenter().check().map_err(|error| error.to_string())?;
        self.hemis.check().map_err(|error| error.to_string())?;
        self.training.check()?;
        self.augment.check()?;
        let method = self.method.name();
        match self.modality {
            None if self.method.needs_modality() => {
                return Err(format!("method `{method}` needs `modality`: the sequence that is there at test"));
            }
            Some(_) if !self.method.takes_modality() => {
                return Err(format!("method `{method}` takes any sequences at test: leave out `modality`"));
            }
            Some(modality) if !self.data.sequences.contains(modality) => {
                return Err(format!("modality {modality} is not among data.sequences, {}", self.data.sequences));
            }
            _ => {}
        }
        if self.method == SegmentationMethod::Hemis && self.hemis.n_classes != 2 {
            return Err(format!("hemis.n_classes is {}, expected 2", self.hemis.n_classes));
        }
        let multiple = self.segmenter().size_multiple();
        if !self.grid.size.is_multiple_of(multiple) {
            return Err(format!("grid.size is {}, expected a multiple of {multiple} for these widths", self.grid.size));
        }
        let (tie, data) = (&self.tie, &self.data);
        let empty = data.empty_per_tumour.unwrap_or(0.0);
        for (name, value, valid, expected) in [
            ("tie.lambda", tie.lambda, tie.lambda >= 0.0, "0 or more"),
            ("tie.locations", tie.locations.unwrap_or(1) as f64, tie.locations != Some(0), "at least 1"),
            ("data.empty_per_tumour", empty, empty >= 0.0, "0 or more"),
            ("data.folds", data.folds.unwrap_or(3) as f64, data.folds.is_none_or(|n| n >= 3), "at least 3"),
            (
                "training.max_positive_weight",
                self.training.max_positive_weight,
                self.training.max_positive_weight == 1.0,
                "1: outlines are not re-balanced",
            ),
        ] {
            if !valid || !value.is_finite() {
                return Err(format!("{name} is {value}, expected {expected}"));
            }
        }
        Ok(())
    }
}
