//! The model card `model.json` beside every weights file: all that inference and a reader of results need to know.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::infer::input_check::InputCheckConfig;
use crate::io::weights::{Encoding, Weights, sha256_hex};
use crate::metric::Interval;
use crate::mi::CriticConfig;
use crate::model::bilinear::BilinearConfig;
use crate::model::resnet::ResNetConfig;
use crate::model::text_cnn::TextCnnConfig;
use crate::prep::image::Preprocessing;
use crate::prep::report::ReportTokenizer;

/// Version of the card's layout; another one is refused.
pub const CARD_VERSION: u32 = 1;

/// What a weights file is, how to feed it, and how well it was measured to work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// [`CARD_VERSION`].
    pub version: u32,
    /// Short name for people.
    pub name: String,
    /// Layers and sizes of the network.
    pub architecture: ResNetConfig,
    /// From a [`crate::io::Radiograph`] to the network's input.
    pub preprocessing: Preprocessing,
    /// One entry per output, in the order of the outputs: the 14 findings in the order of [`Finding::ALL`].
    pub findings: Vec<FindingCard>,
    /// From scores to probabilities; absent in cards of older models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// What was measured and on what; absent until `cmim train` has reached its end.
    pub evaluation: Option<Evaluation>,
    /// How the model reads a report beside the image; absent where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportCard>,
    /// How the model tells whether an image is like those it was trained on; absent in cards of older models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_check: Option<InputCheckCard>,
    /// How the weights came to be.
    pub training: Training,
    /// The file that holds the weights.
    pub weights: WeightsFile,
}

/// How a score becomes a probability: `σ((logit(score) - offset) / temperature)`.
///
/// Positives weigh more than negatives in training, which raises every score; the offset, the logarithm of that weight,
/// takes this back exactly. The temperature is fitted on the validation split (Guo et al. 2017, arXiv 1706.04599).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// One for all findings.
    pub temperature: f32,
    /// One for each finding, in the order of [`Finding::ALL`].
    pub offsets: Vec<f32>,
}

/// Scores this close to 0 and 1 are not told apart.
const SURE: f32 = 1e-6;

impl Calibration {
    fn is_valid(&self) -> bool {
        self.offsets.len() == Finding::COUNT
            && self.offsets.iter().all(|offset| offset.is_finite())
            && self.temperature > 0.0
    }

    /// The logit of a finding's score without the training's weight, before the temperature.
    pub fn logit(&self, finding: Finding, score: f32) -> f32 {
        let score = score.clamp(SURE, 1.0 - SURE);
        (score / (1.0 - score)).ln() - self.offsets.get(finding.index()).copied().unwrap_or(0.0)
    }

    /// The probability of a finding from its score, `0..=1`.
    pub fn probability(&self, finding: Finding, score: f32) -> f32 {
        1.0 / (1.0 + (-self.logit(finding, score) / self.temperature).exp())
    }
}

/// One output of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingCard {
    /// Which finding.
    pub finding: Finding,
    /// Score from which the finding is called present: the highest Youden index on the validation split.
    /// Absent where that split had no case or no control.
    pub threshold: Option<f32>,
    /// Area under the ROC curve on the test split; absent where that split had no case or no control.
    pub auroc: Option<Auroc>,
}

/// A measured area under the ROC curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auroc {
    /// The area, 0.5 for guessing, 1 for perfect order.
    pub auroc: f64,
    /// Lower end of the 95% bootstrap interval, resampled by patient.
    pub lo: f64,
    /// Upper end of it.
    pub hi: f64,
    /// Images with the finding.
    pub n_pos: usize,
    /// All images.
    pub n: usize,
}

/// What was measured on the test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Data and split, in words.
    pub data: String,
    /// Images of the test split.
    pub n: usize,
    /// Patients of the test split.
    pub n_patients: usize,
    /// The findings that enter the macro average: those with at least 20 test images.
    pub macro_findings: Vec<Finding>,
    /// Mean AUC over [`Self::macro_findings`]; absent if there are none.
    pub macro_auroc: Option<Interval>,
    /// The same for the twin trained alike without the mutual-information losses, and the paired difference.
    pub image_only_twin: Option<Twin>,
    /// What the stored encoding of the weights changes in the macro AUC, compressed minus 32-bit.
    pub compression_cost: Option<f64>,
}

/// The twin model that saw the images alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Twin {
    /// Its macro AUC over the same findings and images.
    pub macro_auroc: Interval,
    /// This model minus the twin, resampling the same patients for both.
    pub difference: Interval,
}

/// The report path of a model: the tensors `text.*`, `joint.*`, `joint_head.*` and `critic_ll.*` of its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportCard {
    /// Sizes of the text encoder.
    pub text: TextCnnConfig,
    /// Sizes of the joint embedding.
    pub joint: BilinearConfig,
    /// The critic of local features; absent for a model trained without `L_ll`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critic: Option<CriticConfig>,
    /// The words by id, separated by spaces, `<pad>` and `<unk>` first.
    pub vocabulary: String,
    /// From the scores of image and report to probabilities; absent where it was not fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Threshold and area of each finding with image and report, in the order of [`Finding::ALL`]; empty if nothing was
    /// measured.
    #[serde(default)]
    pub findings: Vec<FindingCard>,
    /// What was measured; absent if nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<ReportEvaluation>,
}

impl ReportCard {
    /// The tokenizer of the vocabulary.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`] if the words are no vocabulary.
    pub fn tokenizer(&self) -> Result<ReportTokenizer> {
        ReportTokenizer::from_words(self.vocabulary.split(' '))
    }
}

/// What was measured of a report path on the test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportEvaluation {
    /// Images, reports and how they were paired, in words.
    pub data: String,
    /// Images of the test split that have a report.
    pub n: usize,
    /// The findings that enter the macro averages: those with at least 20 of these images.
    pub macro_findings: Vec<Finding>,
    /// Mean AUC with image and report.
    pub macro_auroc: Option<Interval>,
    /// Mean AUC of the same images alone.
    pub image_alone: Option<Interval>,
    /// How well the critic's mean score tells the report of an image from one that does not belong to it.
    pub critic: Option<CriticEvaluation>,
}

/// What was measured of a critic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriticEvaluation {
    /// What was told apart, in words.
    pub data: String,
    /// Area under the ROC curve.
    pub auroc: Interval,
    /// Images, each with a report that belongs to it and one that does not.
    pub n: usize,
}

/// The check of the input: the tensors `input_check.*` of the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputCheckCard {
    /// Sizes and limits.
    pub config: InputCheckConfig,
    /// How it was fitted, in words.
    pub data: String,
    /// What it refuses.
    pub measured: Vec<Refused>,
}

/// How many of some images the input check refuses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Which images, in words.
    pub what: String,
    /// Whether they are frontal chest x-rays as the model expects them, so that each one refused is a false alarm.
    pub is_expected: bool,
    /// How many there are.
    pub n: usize,
    /// How many of them are refused.
    pub refused: usize,
}

/// How the weights came to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The command that made the weights (and, where there is one, the twin's).
    pub commands: Vec<String>,
    /// `cmim` or `resnet`, and what else a reader must know, in words.
    pub method: String,
    /// The data sets trained on.
    pub data: Vec<DataSet>,
    /// Random seed.
    pub seed: u64,
    /// Epochs until the weights kept.
    pub epochs: usize,
    /// Version of the trainer.
    pub trainer: String,
}

/// A data set and what its owners allow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSet {
    /// Name of the data set.
    pub name: String,
    /// Images or reports of it in the training split.
    pub n: usize,
    /// Licence or terms.
    pub licence: String,
}

/// The file that holds the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsFile {
    /// Name, relative to the card.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Hash of its bytes, hexadecimal.
    pub sha256: String,
    /// How the numbers are stored.
    pub encoding: Encoding,
}

impl WeightsFile {
    /// Reads the weights and holds them against their hash; `file` is their name in messages.
    ///
    /// # Errors
    ///
    /// [`Error::WeightsHash`] if the bytes are others than the card's, and those of [`Weights::from_safetensors`].
    pub fn read(&self, file: &str, bytes: &[u8]) -> Result<Weights> {
        let found = sha256_hex(bytes);
        if found != self.sha256 {
            return Err(Error::WeightsHash { file: file.to_owned(), expected: self.sha256.clone(), found });
        }
        Weights::from_safetensors(file, bytes)
    }
}

/// A card of either kind from JSON, of this version of the layout.
pub(super) fn parse<T: DeserializeOwned>(file: &str, json: &[u8], version: impl Fn(&T) -> u32) -> Result<T> {
    let invalid = |reason: String| Error::Card { file: file.to_owned(), reason };
    let card: T = serde_json::from_slice(json).map_err(|error| invalid(error.to_string()))?;
    match version(&card) {
        CARD_VERSION => Ok(card),
        other => Err(invalid(format!("version {other} of the layout, this program reads version {CARD_VERSION}"))),
    }
}

/// A card of either kind as indented JSON, ending in a line feed; `file` is that of its weights.
pub(super) fn to_json<T: Serialize>(card: &T, file: &str) -> Result<String> {
    let mut json = serde_json::to_string_pretty(card)
        .map_err(|error| Error::Card { file: file.to_owned(), reason: error.to_string() })?;
    json.push('\n');
    Ok(json)
}

impl ModelCard {
    /// Reads a card and checks it.
    ///
    /// # Errors
    ///
    /// [`Error::Card`] if it is not JSON of this layout and version, or does not list the 14 findings in order.
    pub fn from_json(file: &str, json: &[u8]) -> Result<Self> {
        let invalid = |reason: String| Error::Card { file: file.to_owned(), reason };
        let card = parse(file, json, |card: &Self| card.version)?;
        if !card.findings.iter().map(|entry| entry.finding).eq(Finding::ALL) {
            return Err(invalid("`findings` does not list the 14 findings in their order".to_owned()));
        }
        if let Some(report) = &card.report {
            report.tokenizer().map_err(|error| invalid(error.to_string()))?;
            let findings = report.findings.iter().map(|entry| entry.finding);
            if !report.findings.is_empty() && !findings.eq(Finding::ALL) {
                return Err(invalid("`report.findings` does not list the 14 findings in their order".to_owned()));
            }
        }
        for calibration in [&card.calibration, &card.report.as_ref().and_then(|report| report.calibration.clone())] {
            if calibration.as_ref().is_some_and(|calibration| !calibration.is_valid()) {
                return Err(invalid("`calibration` needs 14 finite offsets and a temperature above 0".to_owned()));
            }
        }
        card.architecture.check().map_err(|error| invalid(error.to_string()))?;
        card.preprocessing.check().map_err(|error| invalid(error.to_string()))?;
        Ok(card)
    }

    /// The card as indented JSON, ending in a line feed.
    ///
    /// # Errors
    ///
    /// [`Error::Card`] if a number in it is not finite.
    pub fn to_json(&self) -> Result<String> {
        to_json(self, &self.weights.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_takes_the_weight_of_the_positives_back() {
        // Odds of 1 to 9, with positives weighing 9 fold, are scored one half.
        let calibration = Calibration { temperature: 1.0, offsets: vec![9f32.ln(); Finding::COUNT] };
        assert!((calibration.probability(Finding::Mass, 0.5) - 0.1).abs() < 1e-6);
        let soft = Calibration { temperature: 2.0, ..calibration };
        assert!((soft.probability(Finding::Mass, 0.5) - 0.25).abs() < 1e-6);
        assert!(soft.probability(Finding::Mass, 1.0) < 1.0 && soft.probability(Finding::Mass, 0.0) > 0.0);
    }
}
