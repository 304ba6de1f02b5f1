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
    /// [`Error::WordVectors`] with the line, for a number that is none or a line shorter than the vectors are.
    pub fn parse(file: &str, text: &str, dim: usize) -> Result<Self> {
        let mut vectors = HashMap::new();
        for (i, line) in text.lines().enumerate() {
            let invalid = |reason: String| Error::WordVectors { file: file.to_owned(), line: i + 1, reason };
            let fields: Vec<&str> = line.split(' ').collect();
            if i == 0 && fields.len() == 2 && fields.iter().all(|f| f.parse::<usize>().is_ok()) {
                continue;
            }
            if line.is_empty() {
                continue;
            }
            let Some(n_word) = fields.len().checked_sub(dim).filter(|&n| n > 0) else {
                return Err(invalid(format!("expected a word and {dim} numbers, found {} fields", fields.len())));
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
        assert_eq!(error.to_string(), "g.txt, line 1: expected a word and 2 numbers, found 2 fields");
        assert!(WordVectors::parse("g.txt", "", 2).is_err());
        assert!(WordVectors::parse("g.txt", "heart NaN 1\n", 2).is_err());
    }
}
