//! Reports to token ids.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use tokenizers::Tokenizer;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::normalizers::utils::Lowercase;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

use crate::error::{Error, Result};
use crate::prep::word_vectors::WordVectors;
use crate::prep::words::{Word, words};

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
///
/// The rules are those of [`words`]; the file format is `tokenizer.json` of Hugging Face's tokenizers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportTokenizer {
    words: Vec<String>,
    ids: HashMap<String, u32>,
}

/// A word of a report, numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id; [`UNKNOWN_ID`] for a word that is not in the vocabulary.
    pub id: u32,
    /// Where it stands in the report, in bytes.
    pub range: Range<usize>,
}

impl ReportTokenizer {
    /// A vocabulary of the words that occur at least `min_count` times in the reports and, where vectors are given,
    /// have one; the more frequent first.
    pub fn fit<'a>(
        reports: impl IntoIterator<Item = &'a str>,
        min_count: usize,
        vectors: Option<&WordVectors>,
    ) -> Self {
        let mut counts = BTreeMap::<String, usize>::new();
        for word in reports.into_iter().flat_map(words) {
            *counts.entry(word.text).or_default() += 1;
        }
        let mut kept: Vec<(String, usize)> = counts
            .into_iter()
            .filter(|(word, count)| {
                *count >= min_count && word != REMOVED && vectors.is_none_or(|v| v.get(word).is_some())
            })
            .collect();
        // Stable: words of one count stay in alphabetical order.
        kept.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let names = [PAD, UNKNOWN].map(str::to_owned).into_iter();
        Self::of(names.chain(kept.into_iter().map(|(word, _)| word)).collect())
    }

    fn of(words: Vec<String>) -> Self {
        let ids = words.iter().cloned().zip(0..).collect();
        Self { words, ids }
    }

    /// The tokenizer whose words by id are these, the padding and the unknown word first.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`] if those two are not first, or a word comes twice or holds white space.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let tokenizer = Self::of(words.into_iter().map(str::to_owned).collect());
        let invalid = |reason: &str| Err(Error::Tokenize { reason: reason.to_owned() });
        if tokenizer.words.get(..2) != Some(&[PAD.to_owned(), UNKNOWN.to_owned()]) {
            return invalid("the vocabulary does not begin with `<pad>` and `<unk>`");
        }
        if tokenizer.ids.len() != tokenizer.words.len() {
            return invalid("a word is in the vocabulary twice");
        }
        if tokenizer.words.iter().any(|word| word.is_empty() || word.contains(char::is_whitespace)) {
            return invalid("a word of the vocabulary is empty or holds white space");
        }
        Ok(tokenizer)
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`] if the text is not such a tokenizer's.
    pub fn from_json(json: &str) -> Result<Self> {
        let tokenizer: Tokenizer =
            json.parse().map_err(|error: tokenizers::Error| Error::Tokenize { reason: error.to_string() })?;
        let mut words: Vec<(u32, String)> =
            tokenizer.get_vocab(false).into_iter().map(|(word, id)| (id, word)).collect();
        words.sort_unstable();
        if words.iter().zip(0..).any(|((id, _), expected)| *id != expected) {
            return Err(Error::Tokenize { reason: "the words' numbers have gaps".to_owned() });
        }
        Self::from_words(words.iter().map(|(_, word)| word.as_str()))
    }

    /// The tokenizer in the `tokenizer.json` format.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`] if it cannot be serialised.
    pub fn to_json(&self) -> Result<String> {
        let failed = |error: tokenizers::Error| Error::Tokenize { reason: error.to_string() };
        let model = WordLevel::builder()
            .vocab(self.words.iter().cloned().zip(0..).collect())
            .unk_token(UNKNOWN.to_owned())
            .build()
            .map_err(failed)?;
        let mut tokenizer = Tokenizer::new(model);
        tokenizer.with_normalizer(Some(Lowercase)).map_err(failed)?;
        tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
        tokenizer.to_string(false).map_err(failed)
    }

    /// Words in the vocabulary, with padding and the unknown word.
    pub fn vocabulary_len(&self) -> usize {
        self.words.len()
    }

    /// The words by id.
    pub fn vocabulary(&self) -> &[String] {
        &self.words
    }

    /// Id of a word, if it is in the vocabulary.
    pub fn id(&self, word: &str) -> Option<u32> {
        self.ids.get(word).copied()
    }

    /// The first [`MAX_TOKENS`] tokens of a report with their places in it.
    pub fn tokens(&self, report: &str) -> Vec<Token> {
        let number = |word: Word| Token { id: self.id(&word.text).unwrap_or(UNKNOWN_ID), range: word.range };
        words(report).into_iter().take(MAX_TOKENS).map(number).collect()
    }

    /// Ids of the first [`MAX_TOKENS`] tokens of a report, unpadded.
    pub fn encode(&self, report: &str) -> Vec<u32> {
        self.tokens(report).into_iter().map(|token| token.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_case_with_punctuation_split_off() -> Result<()> {
        let text = "The XXXX heart (enlarged). No Pneumothorax.";
        let tokenizer = ReportTokenizer::fit([text, text], 2, None);
        let vocabulary = tokenizer.vocabulary();
        assert_eq!(&vocabulary[..3], [PAD, UNKNOWN, "."]);
        let ids = tokenizer.encode("No XXXX heart).");
        let words: Vec<&str> = ids.iter().map(|&id| vocabulary[id as usize].as_str()).collect();
        assert_eq!(words, ["no", UNKNOWN, "heart", ")", "."]);
        let again = ReportTokenizer::from_json(&tokenizer.to_json()?)?;
        assert_eq!(again, tokenizer);
        let places: Vec<Range<usize>> =
            tokenizer.tokens("No XXXX heart).").into_iter().map(|token| token.range).collect();
        assert_eq!(places, [0..2, 3..7, 8..13, 13..14, 14..15]);
        Ok(())
    }

    #[test]
    fn a_vocabulary_without_its_first_two_words_is_refused() {
        for words in [&["the"][..], &[PAD, UNKNOWN, "a", "a"], &[PAD, UNKNOWN, "a b"]] {
            assert!(ReportTokenizer::from_words(words.iter().copied()).is_err(), "{words:?}");
        }
        assert!(ReportTokenizer::from_words([PAD, UNKNOWN, "the"]).is_ok());
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
