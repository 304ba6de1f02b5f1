//! From a radiograph to the scores of the 14 findings.

use crate::error::Result;
use crate::finding::Finding;
use crate::infer::resnet::ResNetPlan;
use crate::io::{ModelCard, Radiograph, Weights};

/// A chest x-ray model: its card and its compiled network.
pub struct XrayClassifier {
    card: ModelCard,
    plan: ResNetPlan,
}

impl XrayClassifier {
    /// Reads a card and its weights, and holds the one against the other.
    ///
    /// # Errors
    ///
    /// Those of the card, of [`WeightsFile::read`](crate::io::card::WeightsFile::read) and of [`ResNetPlan::new`].
    pub fn from_bytes(card_file: &str, card_json: &[u8], weights: &[u8]) -> Result<Self> {
        let card = ModelCard::from_json(card_file, card_json)?;
        let weights = card.weights.read(&card.weights.file, weights)?;
        Self::new(card, &weights)
    }

    /// Compiles weights already read.
    ///
    /// # Errors
    ///
    /// Those of [`ResNetPlan::new`].
    pub fn new(card: ModelCard, weights: &Weights) -> Result<Self> {
        let plan = ResNetPlan::new(&card.architecture, card.preprocessing.size, Finding::COUNT, weights)?;
        Ok(Self { card, plan })
    }

    /// What the model is.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// Runs the network on a black image, for what a first run prepares outside of it: the code that a browser compiles
    /// while it runs, the pages of memory. Changes no result.
    pub fn warm_up(&mut self) {
        let preprocessing = &self.card.preprocessing;
        let channels = self.card.architecture.in_channels;
        let image = vec![0.0; channels * preprocessing.size * preprocessing.size];
        // Weights that no image can pass are reported for the first real one.
        let _ = self.plan.run(&image);
    }

    /// Score of each finding, in `0..=1`, in the order of [`Finding::ALL`].
    ///
    /// # Errors
    ///
    /// Those of [`ResNetPlan::run`].
    pub fn scores(&mut self, image: &Radiograph) -> Result<[f32; Finding::COUNT]> {
        let input = self.card.preprocessing.apply(image);
        let logits = self.plan.run(&input)?;
        let mut scores = [0.0; Finding::COUNT];
        for (score, logit) in scores.iter_mut().zip(logits) {
            *score = 1.0 / (1.0 + (-logit).exp());
        }
        Ok(scores)
    }
}
