//! Word vectors in GloVe's text format.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::prep::report::{PAD, UNKNOWN};

/// Vectors by word, all of one length.
///
/// Source: Pennington et al. 2014, GloVe; one line `word v1 … vd` per word.
#[derive(Debug, Clone)]
pub struct WordVectors {
    dim: usize,
    vectors: HashMap<String, Vec<f32>>,
}

impl WordVectors {
    /// Reads the text format. A first line of word2vec's kind, `count dim`, is passed over; the last `dim` fields of a
    /// line are the vector, since some words contain spaces.
    ///
    /// # Errors
    ///
    /// [`Error::WordVectors`] with the line, for a number that is none, and for vectors that are shorter or longer than
    /// `dim`, by the header or by a line.
    pub fn parse(file: &str, text: &str, dim: usize) -> Result<Self> {
        let mut vectors = HashMap::new();
        for (i, line) in text.lines().enumerate() {
            let invalid = |reason: String| Error::WordVectors { file: file.to_owned(), line: i + 1, reason };
            let fields: Vec<&str> = line.split(' ').collect();
            if i == 0
                && let [count, header_dim] = fields[..]
                && let (Ok(_), Ok(header_dim)) = (count.parse::<usize>(), header_dim.parse::<usize>())
            {
                if header_dim == dim {
                    continue;
                }
                // A word and one number look like a header.
                if dim != 1 {
                    let reason = format!("expected vectors of {dim} numbers, the header says {header_dim}");
                    return Err(invalid(reason));
                }
            }
            if line.is_empty() {
                continue;
            }
            // Behind a word with spaces are `dim` numbers and no more: a longer row of numbers is a longer vector.
            let n_numbers = fields[1..].iter().rev().take_while(|field| is_number(field)).count();
            let n_word = match fields.len().checked_sub(dim) {
                Some(n_word) if n_word == 1 || (n_word > 1 && n_numbers < fields.len() - 1) => n_word,
                _ => {
                    let found = match n_numbers {
                        0 => "no numbers".to_owned(),
                        1 => "1 number".to_owned(),
                        n => format!("{n} numbers"),
                    };
                    return Err(invalid(format!("expected a word and {dim} numbers, found {found}")));
                }
            };
            let vector = fields[n_word..]
                .iter()
                .map(|field| match field.parse::<f32>() {
                    Ok(value) if value.is_finite() => Ok(value),
                    Ok(_) | Err(_) => Err(invalid(format!("`{field}` is not a finite number"))),
                })
                .collect::<Result<Vec<f32>>>()?;
            vectors.insert(fields[..n_word].join(" "), vector);
        }
        if vectors.is_empty() {
            return Err(Error::WordVectors { file: file.to_owned(), line: 1, reason: "no vectors".to_owned() });
        }
        Ok(Self { dim, vectors })
    }

    /// Length of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Vector of a word.
    pub fn get(&self, word: &str) -> Option<&[f32]> {
        self.vectors.get(word).map(Vec::as_slice)
    }

    /// Rows for a vocabulary, `[len, dim]`: zeros for [`PAD`], for words without a vector (and [`UNKNOWN`]) the mean of
    /// the others'.
    pub fn rows(&self, vocabulary: &[String]) -> Vec<f32> {
        let known: Vec<&[f32]> = vocabulary.iter().filter_map(|word| self.get(word)).collect();
        let mut mean = vec![0f32; self.dim];
        for vector in &known {
            for (sum, value) in mean.iter_mut().zip(*vector) {
                *sum += value / known.len() as f32;
            }
        }
        let zero = vec![0f32; self.dim];
        let row = |word: &String| match word.as_str() {
            PAD => &zero,
            UNKNOWN => &mean,
            word => self.vectors.get(word).unwrap_or(&mean),
        };
        vocabulary.iter().flat_map(row).copied().collect()
    }
}

/// Whether a field of a line is a number that a vector can have.
fn is_number(field: &str) -> bool {
    field.parse::<f32>().is_ok_and(f32::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_words_with_spaces_are_read() -> Result<()> {
        let vectors = WordVectors::parse("g.txt", "2 3\nheart 1 2 3\n. . 4 5 6.5\n", 3)?;
        assert_eq!(vectors.get("heart"), Some(&[1.0, 2.0, 3.0][..]));
        assert_eq!(vectors.get(". ."), Some(&[4.0, 5.0, 6.5][..]));
        let rows = vectors.rows(&["<pad>", "<unk>", "heart", "other"].map(str::to_owned));
        assert_eq!(rows, [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
        Ok(())
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = WordVectors::parse("g.txt", "heart 1 2\nlung 1 x\n", 2).expect_err("not a number");
        assert_eq!(error.to_string(), "g.txt, line 2: `x` is not a finite number");
        let error = WordVectors::parse("g.txt", "heart 1\n", 2).expect_err("short");
        assert_eq!(error.to_string(), "g.txt, line 1: expected a word and 2 numbers, found 1 number");
        assert!(WordVectors::parse("g.txt", "", 2).is_err());
        assert!(WordVectors::parse("g.txt", "heart NaN 1\n", 2).is_err());
    }

    #[test]
    fn vectors_of_another_length_are_refused_with_what_was_found() {
        let message = |text: &str, dim| WordVectors::parse("g.txt", text, dim).expect_err("another length").to_string();
        assert_eq!(message("heart 1 2 3\n", 2), "g.txt, line 1: expected a word and 2 numbers, found 3 numbers");
        assert_eq!(message("heart 1 2 3\n", 4), "g.txt, line 1: expected a word and 4 numbers, found 3 numbers");
        assert_eq!(message("a b 1 2\nc 1 2 3 4\n", 2), "g.txt, line 2: expected a word and 2 numbers, found 4 numbers");
        assert_eq!(message("2 300\nheart 1\n", 2), "g.txt, line 1: expected vectors of 2 numbers, the header says 300");
        assert_eq!(message("heart\n", 2), "g.txt, line 1: expected a word and 2 numbers, found no numbers");
    }

    #[test]
    fn vectors_of_one_number_may_look_like_a_header() -> Result<()> {
        let vectors = WordVectors::parse("g.txt", "7 3\nheart 2\n", 1)?;
        assert_eq!((vectors.get("7"), vectors.get("heart")), (Some(&[3.0][..]), Some(&[2.0][..])));
        Ok(())
    }
}
