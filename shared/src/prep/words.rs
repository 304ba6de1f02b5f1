//! The words of a report.

use std::ops::Range;

use unicode_categories::UnicodeCategories;

/// A word or a punctuation mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// In lower case.
    pub text: String,
    /// Where it stands in the text, in bytes.
    pub range: Range<usize>,
}

/// The lower-case words and punctuation marks of a text: split at white space, every punctuation mark a word of its own.
///
/// The rules are those of the normalizer `Lowercase` and of the pre-tokenizer `BertPreTokenizer` of Hugging Face's
/// tokenizers, to which a test holds them; that library itself is too large for a page.
pub fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    // Whether the last word may grow.
    let mut is_open = false;
    for (at, original) in text.char_indices() {
        let end = at + original.len_utf8();
        for c in original.to_lowercase() {
            if c.is_whitespace() {
                is_open = false;
            } else if c.is_ascii_punctuation() || c.is_punctuation() {
                words.push(Word { text: c.to_string(), range: at..end });
                is_open = false;
            } else if let (true, Some(word)) = (is_open, words.last_mut()) {
                word.text.push(c);
                word.range.end = end;
            } else {
                words.push(Word { text: c.to_string(), range: at..end });
                is_open = true;
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::normalizers::utils::Lowercase;
    use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
    use tokenizers::{NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

    use super::*;

    fn by_the_library(text: &str) -> Vec<(String, Range<usize>)> {
        let mut normalized = NormalizedString::from(text);
        Lowercase.normalize(&mut normalized).expect("lower case");
        let mut split = PreTokenizedString::from(normalized);
        BertPreTokenizer.pre_tokenize(&mut split).expect("splits");
        let parts = split.get_splits(OffsetReferential::Original, OffsetType::Byte);
        parts.into_iter().map(|(word, (begin, end), _)| (word.to_owned(), begin..end)).collect()
    }

    fn check(text: &str) {
        let found: Vec<(String, Range<usize>)> = words(text).into_iter().map(|word| (word.text, word.range)).collect();
        assert_eq!(found, by_the_library(text), "{text:?}");
    }

    #[test]
    fn words_and_marks_are_split() {
        for text in [
            "",
            " \t\n",
            "No acute disease.",
            "The XXXX heart (enlarged): T-spine, 2.5cm; \u{201e}Erguss\u{201c}…",
            "\u{130}stanbul \u{3a3}\u{3a3} Straße \u{a0}x\u{2003}y \u{3000}",
        ] {
            check(text);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_split_as_by_the_library(text in any::<String>()) {
            check(&text);
        }

        #[test]
        fn a_text_like_a_report_is_split_as_by_the_library(text in "[A-Za-z0-9 .,;:()\\-/'\\n\\t\u{a0}ÄÖÜßéİΣ–—„“…]{0,80}") {
            check(&text);
        }
    }
}
