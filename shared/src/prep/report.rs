//! Reports to token ids.

use std::collections::BTreeMap;

use tokenizers::models::wordlevel::WordLevel;
use tokenizers::normalizers::utils::Lowercase;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Tokenizer,
};

use crate::error::{Error, Result};
use crate::prep::word_vectors::WordVectors;

/// Name of the padding token, whose id is 0 and whose vector is zero.
pub const PAD: &str = "<pad>";
/// Name of the token for words without a vector, whose id is 1.
pub const UNKNOWN: &str = "<unk>";
/// Its id.
pub const UNKNOWN_ID: u32 = 1;
/// Longest report in tokens; the rest is cut off.
pub const MAX_TOKENS: usize = 128;
/// What stands for a word removed to protect the patient.
const REMOVED: &str = "xxxx";

/// Tokens of several reports, padded to one width.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    /// `[N, width]` row by row; 0 is padding.
    pub ids: Vec<u32>,
    /// Tokens of each report, at least 1.
    pub lens: Vec<usize>,
    /// Tokens per row.
    pub width: usize,
}

impl TokenBatch {
    /// Cuts reports to [`MAX_TOKENS`] and pads them to the longest. A report without tokens becomes one unknown word.
    pub fn new<'a>(reports: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let cut =
            |report: &'a [u32]| if report.is_empty() { &[UNKNOWN_ID] } else { &report[..report.len().min(MAX_TOKENS)] };
        let reports: Vec<&[u32]> = reports.into_iter().map(cut).collect();
        let width = reports.iter().map(|report| report.len()).max().unwrap_or(1);
        let mut ids = Vec::with_capacity(reports.len() * width);
        for report in &reports {
            ids.extend_from_slice(report);
            ids.resize(ids.len() + width - report.len(), 0);
        }
        Self { ids, lens: reports.iter().map(|report| report.len()).collect(), width }
    }
}

/// Splits reports into lower-case words and punctuation marks and numbers them.
pub struct ReportTokenizer {
    tokenizer: Tokenizer,
}

/// Lower-case words and punctuation marks of a text.
fn words(text: &str) -> Result<Vec<String>> {
    let failed = |error: tokenizers::Error| Error::Tokenize { reason: error.to_string() };
    let mut normalized = NormalizedString::from(text);
    Lowercase.normalize(&mut normalized).map_err(failed)?;
    let mut split = PreTokenizedString::from(normalized);
    BertPreTokenizer.pre_tokenize(&mut split).map_err(failed)?;
    let parts = split.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
    Ok(parts.into_iter().map(|(word, _, _)| word.to_owned()).collect())
}

impl ReportTokenizer {
    /// A vocabulary of the words that occur at least `min_count` times in the reports and, where vectors are given,
    /// have one; the more frequent first.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`] if a report cannot be split.
    pub fn fit<'a>(
        reports: impl IntoIterator<Item = &'a str>,
        min_count: usize,
        vectors: Option<&WordVectors>,
    ) -> Result<Self> {
        let mut counts = BTreeMap::<String, usize>::new();
        for report in reports {
            for word in words(report)? {
                *counts.entry(word).or_default() += 1;
            }
        }
        let mut kept: Vec<(String, usize)> = counts
            .into_iter()
            .filter(|(word, count)| {
                *count >= min_count && word != REMOVED && vectors.is_none_or(|v| v.get(word).is_some())
            })
            .collect();
        // Stable: words of one count stay in alphabetical order.
        kept.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let names = [PAD, UNKNOWN].map(str::to_owned).into_iter().chain(kept.into_iter().map(|(word, _)| word));
        let failed = |error: tokenizers::Error| Error::Tokenize { reason: error.to_string() };
        let model = WordLevel::builder()
            .vocab(names.zip(0u32..).collect())
            .unk_token(UNKNOWN.to_owned())
            .build()
            .map_err(failed)?;
        let mut tokenizer = Tokenizer::new(model);
        tokenizer.with_normalizer(Some(Lowercase)).map_err(failed)?;
        tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
        Ok(Self { tokenizer })
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`] if the text is not a tokenizer's.
    pub fn from_json(json: &str) -> Result<Self> {
        let tokenizer =
            json.parse().map_err(|error: tokenizers::Error| Error::Tokenize { reason: error.to_string() })?;
        Ok(Self { tokenizer })
    }

    /// The tokenizer in the `tokenizer.json` format.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`] if it cannot be serialised.
    pub fn to_json(&self) -> Result<String> {
        self.tokenizer.to_string(false).map_err(|error| Error::Tokenize { reason: error.to_string() })
    }

    /// Words in the vocabulary, with padding and the unknown word.
    pub fn vocabulary_len(&self) -> usize {
        self.tokenizer.get_vocab_size(false)
    }

    /// The words by id.
    pub fn vocabulary(&self) -> Vec<String> {
        let mut words: Vec<(u32, String)> =
            self.tokenizer.get_vocab(false).into_iter().map(|(word, id)| (id, word)).collect();
        words.sort_unstable();
        words.into_iter().map(|(_, word)| word).collect()
    }

    /// Id of a word, if it is in the vocabulary.
    pub fn id(&self, word: &str) -> Option<u32> {
        self.tokenizer.token_to_id(word)
    }

    /// Ids of the first [`MAX_TOKENS`] tokens of a report, unpadded.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`] if the text cannot be split.
    pub fn encode(&self, report: &str) -> Result<Vec<u32>> {
        let encoding =
            self.tokenizer.encode(report, false).map_err(|error| Error::Tokenize { reason: error.to_string() })?;
        Ok(encoding.get_ids().iter().copied().take(MAX_TOKENS).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_case_with_punctuation_split_off() -> Result<()> {
        let text = "The XXXX heart (enlarged). No Pneumothorax.";
        let tokenizer = ReportTokenizer::fit([text, text], 2, None)?;
        let vocabulary = tokenizer.vocabulary();
        assert_eq!(&vocabulary[..3], [PAD, UNKNOWN, "."]);
        let ids = tokenizer.encode("No XXXX heart).")?;
        let words: Vec<&str> = ids.iter().map(|&id| vocabulary[id as usize].as_str()).collect();
        assert_eq!(words, ["no", UNKNOWN, "heart", ")", "."]);
        let again = ReportTokenizer::from_json(&tokenizer.to_json()?)?;
        assert_eq!(again.encode("No XXXX heart).")?, ids);
        assert_eq!(again.vocabulary_len(), vocabulary.len());
        Ok(())
    }

    #[test]
    fn a_batch_is_padded_and_cut() {
        let long = vec![3u32; 200];
        let batch = TokenBatch::new([&[2, 3][..], &[], &long]);
        assert_eq!(batch.lens, [2, 1, MAX_TOKENS]);
        assert_eq!(batch.ids.len(), 3 * MAX_TOKENS);
        assert_eq!(&batch.ids[..3], [2, 3, 0]);
        assert_eq!(batch.ids[MAX_TOKENS], 1);
        assert_eq!(
            TokenBatch::new([&[2, 3][..], &[]]),
            TokenBatch { ids: vec![2, 3, 1, 0], lens: vec![2, 1], width: 2 }
        );
    }
}
