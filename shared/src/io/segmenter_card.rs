//! The model card of a network that outlines tumours in MRI.

use serde::{Deserialize, Serialize};

use super::card::{self, Training, WeightsFile};
use crate::error::{Error, Result};
use crate::metric::Interval;
use crate::modality::ModalitySet;
use crate::model::segmenter::SegmenterConfig;
use crate::prep::volume::Grid;

/// What a weights file is, how to feed it, and how well it was measured to work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmenterCard {
    /// [`card::CARD_VERSION`].
    pub version: u32,
    /// Short name for people.
    pub name: String,
    /// Layers and sizes of the network, and the sequences it reads.
    pub architecture: SegmenterConfig,
    /// Pixels of the slices.
    pub grid: Grid,
    /// What was measured, for each set of sequences that may be there.
    pub subsets: Vec<SubsetCard>,
    /// Data and split that were measured on, in words.
    pub evaluation: String,
    /// What was measured on other data than those of its training.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Elsewhere>,
    /// How the weights came to be.
    pub training: Training,
    /// The file that holds the weights.
    pub weights: WeightsFile,
}

/// How a model does with certain sequences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubsetCard {
    /// The sequences that are there.
    pub present: ModalitySet,
    /// Probability from which a pixel is called tumour: the highest mean Dice on validation.
    pub threshold: f32,
    /// Mean Dice over the test patients, with its 95% bootstrap interval by patient. Empty truth and empty outline give 1.
    pub dice: Option<Interval>,
    /// The same at a threshold of one half.
    pub dice_at_half: Option<Interval>,
    /// Test patients.
    pub n: usize,
}

/// How a model does on data that its training knew nothing of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// The data, and how they were measured on, in words.
    pub data: String,
    /// What was measured, at the thresholds of [`SegmenterCard::subsets`].
    pub subsets: Vec<SubsetCard>,
}

impl SegmenterCard {
    /// Reads a card and checks it.
    ///
    /// # Errors
    ///
    /// [`Error::Card`] if it is not JSON of this layout and version, or describes an impossible network.
    pub fn from_json(file: &str, json: &[u8]) -> Result<Self> {
        let invalid = |reason: String| Error::Card { file: file.to_owned(), reason };
        let card = card::parse(file, json, |card: &Self| card.version)?;
        card.architecture.check().map_err(|error| invalid(error.to_string()))?;
        card.grid.check().map_err(|error| invalid(error.to_string()))?;
        let multiple = card.architecture.size_multiple();
        if !card.grid.size.is_multiple_of(multiple) {
            return Err(invalid(format!(
                "a grid of {} pixels, this network needs multiples of {multiple}",
                card.grid.size
            )));
        }
        let elsewhere = card.elsewhere.iter().flat_map(|measured| &measured.subsets);
        if card.subsets.iter().chain(elsewhere).any(|subset| !(0.0..=1.0).contains(&subset.threshold)) {
            return Err(invalid("a threshold is not within 0 and 1".to_owned()));
        }
        Ok(card)
    }

    /// The card as indented JSON, ending in a line feed.
    ///
    /// # Errors
    ///
    /// [`Error::Card`] if a number in it is not finite.
    pub fn to_json(&self) -> Result<String> {
        card::to_json(self, &self.weights.file)
    }

    /// What was measured with certain sequences.
    pub fn subset(&self, present: ModalitySet) -> Option<&SubsetCard> {
        self.subsets.iter().find(|subset| subset.present == present)
    }

    /// Probability from which a pixel is called tumour; one half where none was chosen.
    pub fn threshold(&self, present: ModalitySet) -> f32 {
        self.subset(present).map_or(0.5, |subset| subset.threshold)
    }
}
