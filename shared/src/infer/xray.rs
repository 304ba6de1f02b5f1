//! From a radiograph to the scores of the 14 findings, and to what they rest on.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::finding::Finding;
use crate::infer::input_check::{Checked, InputCheck, Looked};
use crate::infer::report::{Agreement, ReadReport, ReportPlan};
use crate::infer::resnet::ResNetPlan;
use crate::infer::tensors::tensor;
use crate::io::{ModelCard, Radiograph, Weights};
use crate::kernel::Simd;

/// A chest x-ray model: its card, its compiled network, and where the weights hold them the report path and the input
/// check.
pub struct XrayClassifier {
    card: ModelCard,
    plan: ResNetPlan,
    /// The head's weight, `[14, C]`.
    head: Vec<f32>,
    report: Option<ReportPlan>,
    check: Option<InputCheck>,
}

/// What the network says of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// Score of each finding, in `0..=1`, in the order of [`Finding::ALL`].
    pub scores: [f32; Finding::COUNT],
    /// The last feature map, from which everything else about this image follows without another run.
    pub features: FeatureMap,
    /// Whether the image is like those of the training; `None` for a model without a check.
    pub checked: Option<Checked>,
}

/// The feature map of an image before pooling.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMap {
    /// Rows and columns.
    pub side: usize,
    /// `[side, side, C]`.
    pub values: Vec<f32>,
}

impl FeatureMap {
    /// The mean over all places, `[C]`.
    pub(super) fn pooled(&self) -> Vec<f32> {
        let n_places = self.side * self.side;
        let mut mean = vec![0.0; self.values.len() / n_places];
        for place in self.values.chunks_exact(mean.len()) {
            mean.iter_mut().zip(place).for_each(|(mean, value)| *mean += value / n_places as f32);
        }
        mean
    }
}

/// What each place of an image adds to the logit of a finding.
///
/// The logit is the mean of the map plus the head's bias, so a value says how much the place speaks for (above 0) or
/// against the finding (below 0). Each place sees more of the image than its share.
///
/// Source: Zhou et al. 2016, arXiv 1512.04150, eq. 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActivationMap {
    /// Rows and columns. The map covers the square that [`crate::prep::image::centre_square`] takes of the image.
    pub side: usize,
    /// `[side, side]`.
    pub values: Vec<f32>,
}

impl XrayClassifier {
    /// Reads a card and its weights, and holds the one against the other.
    ///
    /// # Errors
    ///
    /// Those of the card, of [`WeightsFile::read`](crate::io::card::WeightsFile::read) and of [`Self::new`].
    pub fn from_bytes(card_file: &str, card_json: &[u8], weights: &[u8]) -> Result<Self> {
        let card = ModelCard::from_json(card_file, card_json)?;
        let weights = card.weights.read(&card.weights.file, weights)?;
        Self::new(card, &weights)
    }

    /// Compiles weights already read.
    ///
    /// # Errors
    ///
    /// Those of [`ResNetPlan::new`], and the same for the report path and the input check.
    pub fn new(card: ModelCard, weights: &Weights) -> Result<Self> {
        let simd = Simd::best();
        let channels = card.architecture.out_channels();
        let plan = ResNetPlan::with_simd(simd, &card.architecture, card.preprocessing.size, Finding::COUNT, weights)?;
        let head = tensor(weights, "fc.weight", &[Finding::COUNT, channels])?.to_vec();
        let report = card.report.as_ref().map(|report| ReportPlan::new(simd, report, channels, weights)).transpose()?;
        let check =
            card.input_check.as_ref().map(|check| InputCheck::from_weights(&check.config, weights)).transpose()?;
        Ok(Self { card, plan, head, report, check })
    }

    /// What the model is.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// Rows and columns of the feature map.
    pub fn map_side(&self) -> usize {
        self.plan.map_side()
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

    /// Runs the network on an image.
    ///
    /// # Errors
    ///
    /// Those of [`ResNetPlan::run`].
    pub fn examine(&mut self, image: &Radiograph) -> Result<Examined> {
        let preprocessing = self.card.preprocessing;
        let square = preprocessing.square(image);
        let checked =
            self.check.as_ref().map(|check| check.check(&Looked::new(&square, preprocessing.size), &image.nature));
        let scores = sigmoids(self.plan.run(&preprocessing.normalize(&square))?);
        let features = FeatureMap { side: self.plan.map_side(), values: self.plan.features().to_vec() };
        Ok(Examined { scores, features, checked })
    }

    /// The scores alone.
    ///
    /// # Errors
    ///
    /// Those of [`ResNetPlan::run`].
    pub fn scores(&mut self, image: &Radiograph) -> Result<[f32; Finding::COUNT]> {
        let input = self.card.preprocessing.apply(image);
        Ok(sigmoids(self.plan.run(&input)?))
    }

    /// Which places of an image speak for a finding.
    pub fn activation_map(&self, features: &FeatureMap, finding: Finding) -> ActivationMap {
        let channels = self.head.len() / Finding::COUNT;
        let weight = &self.head[finding.index() * channels..][..channels];
        let place = |place: &[f32]| place.iter().zip(weight).map(|(f, w)| f * w).sum();
        ActivationMap { side: features.side, values: features.values.chunks_exact(channels).map(place).collect() }
    }

    /// Whether the model reads reports.
    pub fn reads_reports(&self) -> bool {
        self.report.is_some()
    }

    /// Reads a report; `None` for a model that reads none.
    pub fn read_report(&self, text: &str) -> Option<ReadReport> {
        Some(self.report.as_ref()?.read(text))
    }

    /// Scores of an image with a report, as [`Examined::scores`]; `None` for a model that reads none.
    ///
    /// # Errors
    ///
    /// [`crate::Error::NonFinite`] if the weights are so large that a logit is.
    pub fn scores_with(&self, features: &FeatureMap, report: &ReadReport) -> Result<Option<[f32; Finding::COUNT]>> {
        self.report.as_ref().map(|plan| plan.logits(features, report).map(|logits| sigmoids(&logits))).transpose()
    }

    /// Which places of an image agree with which words of a report; `None` for a model without a critic.
    pub fn agreement(&self, features: &FeatureMap, report: &ReadReport) -> Option<Agreement> {
        self.report.as_ref()?.agreement(features, report)
    }
}

fn sigmoids(logits: &[f32]) -> [f32; Finding::COUNT] {
    let mut scores = [0.0; Finding::COUNT];
    for (score, logit) in scores.iter_mut().zip(logits) {
        *score = 1.0 / (1.0 + (-logit).exp());
    }
    scores
}
