//! The report as second modality: what it says beside the image, and which of its words agree with which place.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::infer::critic::CriticPlan;
use crate::infer::dense::Dense;
use crate::infer::program::check_finite;
use crate::infer::tensors::tensor;
use crate::infer::text::{TextFeatures, TextPlan};
use crate::infer::xray::FeatureMap;
use crate::io::Weights;
use crate::io::card::ReportCard;
use crate::kernel::{Activation, Simd};
use crate::prep::report::{ReportTokenizer, Token, UNKNOWN_ID};

/// Text encoder, joint embedding with its head, and critic:
/// [`CrossModalClassifier`](crate::model::classifier::CrossModalClassifier) without its image path.
pub(super) struct ReportPlan {
    tokenizer: ReportTokenizer,
    text: TextPlan,
    project_image: Dense,
    project_text: Dense,
    /// From the products of both projections to the logits: the embedding and the head in one.
    head: Dense,
    critic: Option<CriticPlan>,
}

/// A report as the model reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadReport {
    /// Its words, at most [`MAX_TOKENS`](crate::prep::report::MAX_TOKENS); the rest is not read.
    pub words: Vec<ReadWord>,
    /// The words that each position of the critic's scores stands for.
    pub spans: Vec<Range<usize>>,
    features: TextFeatures,
}

/// A word of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadWord {
    /// Where it stands in the text, in bytes.
    pub range: Range<usize>,
    /// Whether the model has learned it; all others are one and the same word to it.
    pub is_known: bool,
}

/// How well each place of an image agrees with each part of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Rows and columns of the image's map.
    pub side: usize,
    /// Positions of the report.
    pub n_positions: usize,
    /// The critic's scores, `[side · side, n_positions]`: above 0 the critic takes the two for parts of one
    /// examination, below 0 for parts of different ones.
    pub scores: Vec<f32>,
}

impl ReportPlan {
    /// Compiles what a card describes, beside an image path of `c_image` channels.
    ///
    /// # Errors
    ///
    /// [`Error::MissingTensor`] or [`Error::WrongTensor`] if the weights are not the card's, [`Error::Shape`] for
    /// impossible sizes, [`Error::Tokenize`] for a vocabulary that is none.
    pub(super) fn new(simd: Simd, card: &ReportCard, c_image: usize, weights: &Weights) -> Result<Self> {
        let tokenizer = card.tokenizer()?;
        let c_text = card.text.out_channels()?;
        let text = TextPlan::new(simd, &card.text, tokenizer.vocabulary_len(), weights)?;
        let critic = card.critic.map(|config| CriticPlan::new(simd, [c_image, c_text], config, weights)).transpose()?;
        let side = card.joint.side;
        Ok(Self {
            text,
            project_image: Dense::linear(simd, weights, "joint.a", [c_image, side])?,
            project_text: Dense::linear(simd, weights, "joint.b", [c_text, side])?,
            head: joint_head(simd, card, weights)?,
            critic,
            tokenizer,
        })
    }

    /// Reads a report. Without any word it counts as one unknown word, as in training.
    pub(super) fn read(&self, report: &str) -> ReadReport {
        let tokens = self.tokenizer.tokens(report);
        let mut ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
        if ids.is_empty() {
            ids.push(UNKNOWN_ID);
        }
        let word = |Token { id, range }| ReadWord { range, is_known: id != UNKNOWN_ID };
        ReadReport {
            words: tokens.into_iter().map(word).collect(),
            spans: self.text.spans(ids.len()),
            features: self.text.run(&ids),
        }
    }

    /// Logits of image and report together.
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`] if the weights are so large that the logits are.
    pub(super) fn logits(&self, image: &FeatureMap, report: &ReadReport) -> Result<Vec<f32>> {
        let pooled = image.pooled();
        let a = self.project_image.run(&pooled, pooled.len(), 1, Activation::Identity);
        let global = &report.features.global;
        let b = self.project_text.run(global, global.len(), 1, Activation::Identity);
        let products: Vec<f32> = a.iter().flat_map(|a| b.iter().map(move |b| a * b)).collect();
        let logits = self.head.run(&products, products.len(), 1, Activation::Identity);
        check_finite("logits of image and report", &logits)?;
        Ok(logits)
    }

    /// The critic's scores; `None` for a model without a critic.
    pub(super) fn agreement(&self, image: &FeatureMap, report: &ReadReport) -> Option<Agreement> {
        let n_positions = report.spans.len();
        let n_places = image.side * image.side;
        let scores = self.critic.as_ref()?.scores([&image.values, &report.features.local], [n_places, n_positions]);
        Some(Agreement { side: image.side, n_positions, scores })
    }
}

/// `head · embedding`: both are linear in the products of the projections.
fn joint_head(simd: Simd, card: &ReportCard, weights: &Weights) -> Result<Dense> {
    let (out, k) = (card.joint.out, Finding::COUNT);
    let n_products = card.joint.side.checked_mul(card.joint.side).filter(|_| out > 0).ok_or_else(|| Error::Shape {
        what: "joint embedding",
        expected: "sizes above 0 that can be counted".to_owned(),
        found: format!("{:?}", card.joint),
    })?;
    let embedding = tensor(weights, "joint.weight", &[n_products, out])?;
    let embedding_bias = tensor(weights, "joint.bias", &[out])?;
    let head = tensor(weights, "joint_head.weight", &[k, out])?;
    let head_bias = tensor(weights, "joint_head.bias", &[k])?;
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let mut weight = Vec::with_capacity(k * n_products);
    let mut bias = Vec::with_capacity(k);
    for (row, constant) in head.chunks_exact(out).zip(head_bias) {
        weight.extend(embedding.chunks_exact(out).map(|column| dot(row, column) as f32));
        bias.push((f64::from(*constant) + dot(row, embedding_bias)) as f32);
    }
    Dense::new(simd, &weight, &bias)
}

#[cfg(test)]
mod tests;
