//! Generated x-rays with reports, ready for the models.

use candle_core::{Device, Tensor};
use shared::phantom::{PhantomSource, xray};
use shared::prep::image::{Normalization, Preprocessing};
use shared::prep::report::{ReportTokenizer, TokenBatch};
use shared::train::PairedBatch;
use shared::{Finding, FindingSet, Result};

/// How an x-ray becomes network input.
pub(super) const PREPROCESSING: Preprocessing =
    Preprocessing { size: 32, channels: 1, normalization: Normalization::PerImage };

/// A report's findings are named in plain words, all of them; its x-ray shows them faintly.
const SOURCE: PhantomSource = PhantomSource { difficulty: 70, detail: 0, ..PhantomSource::PLAIN };

/// Words that occur less often in the training reports are unknown words.
const MIN_WORD_COUNT: usize = 2;

/// X-rays with their reports and findings.
pub(super) struct Pairs {
    /// Network input, one after the other: `[N, 1, size, size]`.
    images: Vec<f32>,
    texts: Vec<String>,
    /// The reports' tokens; none before [`Self::tokenize`].
    reports: Vec<Vec<u32>>,
    findings: Vec<FindingSet>,
}

impl Pairs {
    /// The first `n` pairs of a seed.
    pub(super) fn generate(n: usize, seed: u64) -> Self {
        let source = PhantomSource { n, seed, ..SOURCE };
        let size = PREPROCESSING.size;
        let image =
            |index| PREPROCESSING.normalize(&PREPROCESSING.square(&xray::examination(&source, index, size).image));
        Self {
            images: (0..n).flat_map(image).collect(),
            texts: (0..n).map(|index| xray::report(&source, index)).collect(),
            reports: Vec::new(),
            findings: (0..n).map(|index| xray::labels(&source, index)).collect(),
        }
    }

    /// Numbers the words of the reports.
    pub(super) fn vocabulary(&self) -> ReportTokenizer {
        ReportTokenizer::fit(self.texts.iter().map(String::as_str), MIN_WORD_COUNT, None)
    }

    /// Turns the reports into numbers of words.
    pub(super) fn tokenize(&mut self, tokenizer: &ReportTokenizer) {
        self.reports = self.texts.iter().map(|text| tokenizer.encode(text)).collect();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.findings.len()
    }

    /// Network input of some pairs: `[N, 1, size, size]`.
    pub(super) fn images(&self, indices: &[usize]) -> Result<Tensor> {
        let size = PREPROCESSING.size;
        let values: Vec<f32> =
            indices.iter().flat_map(|&index| &self.images[index * size * size..][..size * size]).copied().collect();
        Ok(Tensor::from_vec(values, (indices.len(), 1, size, size), &Device::Cpu)?)
    }

    /// The reports of some pairs.
    pub(super) fn reports(&self, indices: &[usize]) -> TokenBatch {
        TokenBatch::new(indices.iter().map(|&index| self.reports[index].as_slice()))
    }

    /// Findings of some pairs, `[N, K]`, 0 or 1.
    pub(super) fn targets(&self, indices: &[usize]) -> Result<Tensor> {
        let values: Vec<f32> = indices.iter().flat_map(|&index| self.findings[index].to_targets()).collect();
        Ok(Tensor::from_vec(values, (indices.len(), Finding::COUNT), &Device::Cpu)?)
    }

    /// Whether each pair has a finding.
    pub(super) fn present(&self, finding: Finding) -> Vec<bool> {
        self.findings.iter().map(|findings| findings.contains(finding)).collect()
    }

    /// Some pairs for the mutual-information losses: others are negatives where neither patient nor text are the same.
    pub(super) fn paired(&self, indices: &[usize]) -> PairedBatch {
        let patient = |index: usize| index / xray::IMAGES_PER_PATIENT;
        let differ = |a: usize, b: usize| patient(a) != patient(b) && self.texts[a] != self.texts[b];
        PairedBatch {
            rows: (0..indices.len() as u32).collect(),
            reports: self.reports(indices),
            negatives: indices
                .iter()
                .flat_map(|&a| indices.iter().map(move |&b| (a, b)))
                .map(|(a, b)| differ(a, b))
                .collect(),
        }
    }
}

/// How much a positive of each finding counts, `[K]`: as many negatives as there are for one, up to ten.
pub(super) fn positive_weights(pairs: &Pairs, labelled: &[usize]) -> Result<Tensor> {
    let weights = Finding::ALL.map(|finding| {
        let n_pos = labelled.iter().filter(|&&index| pairs.findings[index].contains(finding)).count();
        ((labelled.len() - n_pos) as f32 / n_pos.max(1) as f32).clamp(1.0, 10.0)
    });
    Ok(Tensor::from_slice(&weights, Finding::COUNT, &Device::Cpu)?)
}
