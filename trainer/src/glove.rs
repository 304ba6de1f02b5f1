//! GloVe: word vectors learned from how often words stand near each other in the reports.
//!
//! Source: Pennington, Socher and Manning 2014, "GloVe: Global Vectors for Word Representation", eq. 8 and 9 and section
//! 4.2: the loss `f(X_ij) (w_i · c_j + b_i + d_j - log X_ij)²` over all pairs that occur, minimized by AdaGrad in random
//! order; a word's vector is the sum of its word and its context vector.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shared::prep::report::{PAD, ReportTokenizer, UNKNOWN};

/// What is learned and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GloveConfig {
    /// Length of a vector.
    pub dim: usize,
    /// Words to each side that are near; a word `d` words away counts `1 / d`.
    pub window: usize,
    /// Passes over all pairs.
    pub epochs: usize,
    /// A word gets a vector if it occurs so often.
    pub min_count: usize,
    /// Pairs that occur so often or more weigh 1; rarer ones `(X / x_max)^0.75`.
    pub x_max: f64,
    /// Learning rate of AdaGrad.
    pub learning_rate: f32,
    /// Seed of the initial vectors and of the order of the pairs.
    pub seed: u64,
}

impl Default for GloveConfig {
    fn default() -> Self {
        Self { dim: 300, window: 10, epochs: 50, min_count: 3, x_max: 100.0, learning_rate: 0.05, seed: 0 }
    }
}

/// Exponent of the weight.
const ALPHA: f64 = 0.75;

/// Learned vectors.
#[derive(Debug, Clone)]
pub struct Glove {
    words: Vec<String>,
    /// `[words, dim]`.
    vectors: Vec<f32>,
    dim: usize,
    /// Mean loss of each pass.
    pub losses: Vec<f64>,
}

/// Two words that occur near each other.
#[derive(Debug, Clone, Copy)]
struct Pair {
    word: usize,
    context: usize,
    weight: f32,
    log_count: f32,
}

/// The vectors and biases of one side, and the sums of their squared gradients.
struct Side {
    /// `[words, dim + 1]`: the vector, then the bias.
    values: Vec<f32>,
    squares: Vec<f32>,
}

/// How often words occur near each other, by pair: symmetric.
fn cooccurrences(reports: &[Vec<u32>], window: usize) -> BTreeMap<(u32, u32), f64> {
    let mut counts = BTreeMap::new();
    for report in reports {
        for (at, &word) in report.iter().enumerate() {
            for distance in 1..=window.min(at) {
                let other = report[at - distance];
                let share = 1.0 / distance as f64;
                *counts.entry((word, other)).or_default() += share;
                *counts.entry((other, word)).or_default() += share;
            }
        }
    }
    counts
}

/// Loss of a pair, `½ f r²`, and one AdaGrad step for its two vectors of `dim` numbers and a bias.
fn update(pair: &Pair, words: &mut Side, contexts: &mut Side, dim: usize, learning_rate: f32) -> f64 {
    let stride = dim + 1;
    let (a, b) = (pair.word * stride, pair.context * stride);
    let (w, c) = (&mut words.values[a..][..stride], &mut contexts.values[b..][..stride]);
    let (w_squares, c_squares) = (&mut words.squares[a..][..stride], &mut contexts.squares[b..][..stride]);
    let dot: f32 = w[..dim].iter().zip(&c[..dim]).map(|(w, c)| w * c).sum();
    let residual = dot + w[dim] + c[dim] - pair.log_count;
    let slope = pair.weight * residual;
    for k in 0..stride {
        let (gw, gc) = if k < dim { (slope * c[k], slope * w[k]) } else { (slope, slope) };
        w[k] -= learning_rate * gw / w_squares[k].sqrt();
        c[k] -= learning_rate * gc / c_squares[k].sqrt();
        w_squares[k] += gw * gw;
        c_squares[k] += gc * gc;
    }
    f64::from(0.5 * slope * residual)
}

/// Learns vectors from the texts of reports, split into words as the models split them.
pub fn learn(texts: &[&str], config: &GloveConfig) -> Glove {
    let tokenizer = ReportTokenizer::fit(texts.iter().copied(), config.min_count, None);
    let words = tokenizer.vocabulary();
    let left_out = |id: &u32| matches!(words[*id as usize].as_str(), PAD | UNKNOWN);
    let reports: Vec<Vec<u32>> =
        texts.iter().map(|text| tokenizer.encode(text).into_iter().filter(|id| !left_out(id)).collect()).collect();
    let mut pairs: Vec<Pair> = cooccurrences(&reports, config.window)
        .into_iter()
        .map(|((word, context), count)| Pair {
            word: word as usize,
            context: context as usize,
            weight: (count / config.x_max).powf(ALPHA).min(1.0) as f32,
            log_count: count.ln() as f32,
        })
        .collect();
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let stride = config.dim + 1;
    let mut side = || {
        let bound = 0.5 / config.dim as f32;
        let values = (0..words.len() * stride).map(|_| rng.random_range(-bound..bound)).collect();
        Side { values, squares: vec![1.0; words.len() * stride] }
    };
    let (mut word_side, mut context_side) = (side(), side());
    let mut losses = Vec::with_capacity(config.epochs);
    for _ in 0..config.epochs {
        pairs.shuffle(&mut rng);
        let step = |pair| update(pair, &mut word_side, &mut context_side, config.dim, config.learning_rate);
        losses.push(pairs.iter().map(step).sum::<f64>() / pairs.len().max(1) as f64);
    }
    let (a, b) = (word_side.values.chunks_exact(stride), context_side.values.chunks_exact(stride));
    let vectors = a.zip(b).flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).take(config.dim)).collect();
    Glove { words: words.to_vec(), vectors, dim: config.dim, losses }
}

impl Glove {
    /// Words with their vectors.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &[f32])> {
        let rows = self.words.iter().map(String::as_str).zip(self.vectors.chunks_exact(self.dim));
        rows.filter(|(word, _)| !matches!(*word, PAD | UNKNOWN))
    }

    /// The text format: one line `word v1 … vd` a word.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (word, vector) in self.rows() {
            text.push_str(word);
            for value in vector {
                let _ = write!(text, " {value:.6}");
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use shared::phantom::PhantomSource;
    use shared::prep::word_vectors::WordVectors;

    use super::*;
    use crate::data::phantom;

    #[test]
    fn near_words_count_by_their_distance_and_symmetrically() {
        let counts = cooccurrences(&[vec![2, 3, 2, 4]], 2);
        // 2 and 3: at distance 1 twice; 3 and 4: at distance 2.
        assert_eq!((counts[&(2, 3)], counts[&(3, 2)], counts[&(3, 4)], counts[&(2, 4)]), (2.0, 2.0, 0.5, 1.0));
        assert_eq!(counts.get(&(4, 4)), None);
    }

    #[test]
    fn a_step_goes_down_the_gradient() {
        let dim = 3;
        let pair = Pair { word: 0, context: 0, weight: 0.6, log_count: 1.3 };
        let side = |values: &[f32]| Side { values: values.to_vec(), squares: vec![1.0; dim + 1] };
        let (w, c) = ([0.3, -0.2, 0.5, 0.1], [-0.4, 0.6, 0.2, -0.3]);
        let loss = |w: &[f32], c: &[f32]| update(&pair, &mut side(w), &mut side(c), dim, 0.0);
        let (mut words, mut contexts) = (side(&w), side(&c));
        update(&pair, &mut words, &mut contexts, dim, 1.0);
        for k in 0..=dim {
            let shifted = |delta: f32| {
                let mut w = w;
                w[k] += delta;
                loss(&w, &c)
            };
            let slope = (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
            // The squared gradients begin at 1, so that a first step is as long as the gradient.
            assert!((f64::from(w[k] - words.values[k]) - slope).abs() < 1e-4, "{k}");
        }
        assert!((f64::from(c[1] - contexts.values[1])).abs() > 1e-3);
    }

    #[test]
    fn words_in_the_same_places_come_near_each_other() {
        let texts: Vec<String> = (0..600).map(|i| phantom::report(&PhantomSource::PLAIN, i).text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let config = GloveConfig { dim: 20, epochs: 25, x_max: 20.0, ..GloveConfig::default() };
        let glove = learn(&texts, &config);
        assert!(glove.losses[24] < 0.3 * glove.losses[0], "{:?}", glove.losses);
        assert_eq!(learn(&texts, &config).vectors, glove.vectors);
        let vectors = WordVectors::parse("glove.txt", &glove.to_text(), 20).unwrap();
        let cosine = |a: &str, b: &str| {
            let (a, b) = (vectors.get(a).unwrap(), vectors.get(b).unwrap());
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        assert!(cosine("left", "right") > cosine("left", "hernia") + 0.2, "{}", cosine("left", "right"));
    }
}
