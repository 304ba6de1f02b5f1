//! The reports of a run: every text once, its tokens, and which of them a study is trained with.

use candle_core::{Device, Tensor};
use rand::Rng;
use shared::FindingSet;
use shared::nn::Parameters;
use shared::prep::report::{ReportTokenizer, UNKNOWN_ID};
use shared::prep::word_vectors::WordVectors;

use super::batch::{Draw, draw};
use crate::config::{Config, Method, Pairing};
use crate::data::augment::augment_report;
use crate::data::pairs::{self, PairKey};
use crate::data::{Augment, Pairs, Reports, Study};
use crate::error::{Error, Result};

/// Reports ready to be paired.
pub(super) struct ReportData {
    pub(super) tokenizer: ReportTokenizer,
    /// Token ids of each text: the studies' own reports, then the reports to be matched.
    tokens: Vec<Vec<u32>>,
    text_groups: Vec<usize>,
    /// The text of each study's own report.
    own: Vec<Option<usize>>,
    /// The text that each study is trained with, where it is not drawn anew each time.
    partner: Vec<Option<usize>>,
    matched: Pairs,
    /// Where the reports to be matched begin.
    first_matched: usize,
    pairing: Pairing,
    /// The token that ends a sentence.
    period: Option<u32>,
}

impl ReportData {
    /// Token ids of every text.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Vec<u32>> {
        self.tokens.iter()
    }

    /// Numbers the reports of all studies and of the report sources. The vocabulary is that of what is trained with:
    /// `train` and the report sources.
    pub(super) fn new(config: &Config, studies: &[Study], train: &[usize], parameters: &Parameters) -> Result<Self> {
        let reports = Reports::load(&config.data.reports)?.reports;
        let mut texts: Vec<&str> = Vec::new();
        let mut own = vec![None; studies.len()];
        for (own, study) in own.iter_mut().zip(studies) {
            if let Some(report) = &study.report {
                *own = Some(texts.len());
                texts.push(report);
            }
        }
        let first_matched = texts.len();
        texts.extend(reports.iter().map(|report| report.text.as_str()));
        let mut partner = vec![None; studies.len()];
        let with_report: Vec<usize> = train.iter().copied().filter(|&i| own[i].is_some()).collect();
        let used = draw(&with_report, config.data.paired, config, Draw::Paired);
        match config.data.pairing {
            Pairing::Own => used.iter().for_each(|&i| partner[i] = own[i]),
            Pairing::Shuffled => {
                let patients: Vec<u32> = used.iter().map(|&i| studies[i].patient).collect();
                let others = pairs::shuffled(&patients, &mut Draw::Shuffle.generator(config));
                used.iter().zip(others).for_each(|(&i, other)| partner[i] = own[used[other]]);
            }
        }
        if used.is_empty() && reports.is_empty() {
            let reason = format!(
                "method `{}` needs reports: none of the images has one; add `--reports openi:DIR`, or `reports` under \
                 [data]",
                config.method.name()
            );
            return Err(Error::Config { file: config.name.clone(), reason });
        }
        let learned: Vec<&str> =
            used.iter().filter_map(|&i| own[i]).chain(first_matched..texts.len()).map(|t| texts[t]).collect();
        let tokenizer = tokenizer(config, &learned, parameters)?;
        let tokens = texts.iter().map(|text| tokenizer.encode(text)).collect();
        Ok(Self {
            tokens,
            text_groups: pairs::text_groups(texts.iter().copied()),
            own,
            partner,
            matched: Pairs::new(&reports),
            first_matched,
            pairing: config.data.pairing,
            period: tokenizer.id("."),
            tokenizer,
        })
    }

    /// The tokens of a text.
    pub(super) fn tokens(&self, text: usize) -> Vec<u32> {
        self.tokens[text].clone()
    }

    /// The tokens of a text, varied for training.
    pub(super) fn varied(&self, text: usize, config: &Augment, rng: &mut impl Rng) -> Vec<u32> {
        augment_report(&self.tokens[text], self.period, UNKNOWN_ID, config, rng)
    }

    /// The text of a study's own report, and what decides about its negatives.
    pub(super) fn own_pair(&self, index: usize, study: &Study) -> Option<(usize, PairKey)> {
        let text = self.own[index]?;
        Some((text, PairKey { patient: study.patient, matched: None, text_group: self.text_groups[text] }))
    }

    /// The text that a study is trained with this time, and what decides about its negatives.
    pub(super) fn partner(
        &self,
        index: usize,
        study: &Study,
        labels: Option<FindingSet>,
        rng: &mut impl Rng,
    ) -> Option<(usize, PairKey)> {
        let (text, matched) = match (self.partner[index], self.pairing) {
            (Some(text), _) => (text, None),
            (None, _) if self.own[index].is_some() => return None,
            (None, Pairing::Own) => (self.first_matched + self.matched.draw(labels?, rng)?, labels),
            (None, Pairing::Shuffled) => (self.first_matched + self.matched.draw_unmatched(rng)?, labels),
        };
        Some((text, PairKey { patient: study.patient, matched, text_group: self.text_groups[text] }))
    }

    /// How many training studies have a report of their own, and how many can be given one with the same findings.
    pub(super) fn n_paired(&self, studies: &[Study], train: &[usize]) -> (usize, usize) {
        let own = train.iter().filter(|&&i| self.partner[i].is_some()).count();
        let others = train.iter().filter(|&&i| self.own[i].is_none()).filter_map(|&i| studies[i].findings);
        (own, self.matched.n_with_partner(others))
    }

    /// How many reports come from report sources.
    pub(super) fn n_matched(&self) -> usize {
        self.tokens.len() - self.first_matched
    }
}

/// The tokenizer of the reports, and for given word vectors their rows in `parameters`.
fn tokenizer(config: &Config, texts: &[&str], parameters: &Parameters) -> Result<ReportTokenizer> {
    let (dim, name) = match config.method {
        Method::TieNet => (config.tienet.word_dim, "embedding.weight"),
        _ => (config.cross_modal.text.word_dim, "text.embedding.weight"),
    };
    let vectors = config
        .data
        .word_vectors
        .as_deref()
        .map(|path| -> Result<WordVectors> {
            let text = std::fs::read_to_string(path).map_err(Error::file(path, "cannot read the word vectors"))?;
            Ok(WordVectors::parse(&path.display().to_string(), &text, dim)?)
        })
        .transpose()?;
    let tokenizer = ReportTokenizer::fit(texts.iter().copied(), config.data.min_word_count, vectors.as_ref());
    if let Some(vectors) = vectors {
        let vocabulary = tokenizer.vocabulary();
        let rows = Tensor::from_vec(vectors.rows(vocabulary), (vocabulary.len(), dim), &Device::Cpu)?;
        parameters.set(name, &rows)?;
    }
    Ok(tokenizer)
}
