//! Random changes of a training image, and of its report, that leave the findings as they are.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, Normal};
use serde::{Deserialize, Serialize};

use super::error::{DataError, Result};

/// How strongly training images are varied. Zero switches a change off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Largest shift along each axis, as a fraction of the side: 0 to 0.5.
    pub shift: f32,
    /// Largest enlargement or reduction, as a fraction: 0 to 0.9.
    pub zoom: f32,
    /// Largest rotation in degrees: 0 to 180.
    pub rotation_deg: f32,
    /// Probability of mirroring left and right: 0 to 1. Off, because the heart has a side.
    pub flip: f32,
    /// Largest value added to all pixels: 0 to 1.
    pub brightness: f32,
    /// Largest relative change of the distance to the mean: 0 to 0.9.
    pub contrast: f32,
    /// Largest relative change of the exponent of the pixel values: 0 to 0.9.
    pub gamma: f32,
    /// Standard deviation of Gaussian noise: 0 to 1.
    pub noise: f32,
    /// Probability that a rectangle is replaced by the image's mean: 0 to 1.
    pub erase: f32,
    /// Largest side of that rectangle, as a fraction of the image's: 0 to 1.
    pub erase_side: f32,
    /// Probability that a word of a report is replaced by the unknown word: 0 to 0.9.
    pub drop_words: f32,
    /// Probability that a report's sentences come in random order: 0 to 1.
    pub shuffle_sentences: f32,
}

impl Default for Augment {
    fn default() -> Self {
        Self {
            shift: 0.05,
            zoom: 0.1,
            rotation_deg: 7.0,
            flip: 0.0,
            brightness: 0.1,
            contrast: 0.15,
            gamma: 0.2,
            noise: 0.01,
            erase: 0.25,
            erase_side: 0.3,
            drop_words: 0.0,
            shuffle_sentences: 0.0,
        }
    }
}

impl Augment {
    /// No change at all.
    pub const NONE: Self = Self {
        shift: 0.0,
        zoom: 0.0,
        rotation_deg: 0.0,
        flip: 0.0,
        brightness: 0.0,
        contrast: 0.0,
        gamma: 0.0,
        noise: 0.0,
        erase: 0.0,
        erase_side: 0.0,
        drop_words: 0.0,
        shuffle_sentences: 0.0,
    };

    /// Checks that every value is in its range.
    ///
    /// # Errors
    ///
    /// [`DataError::Augmentation`] with the first one that is not.
    pub fn check(&self) -> Result<()> {
        for (name, value, max, expected) in [
            ("shift", self.shift, 0.5, "0 to 0.5"),
            ("zoom", self.zoom, 0.9, "0 to 0.9"),
            ("rotation_deg", self.rotation_deg, 180.0, "0 to 180"),
            ("flip", self.flip, 1.0, "0 to 1"),
            ("brightness", self.brightness, 1.0, "0 to 1"),
            ("contrast", self.contrast, 0.9, "0 to 0.9"),
            ("gamma", self.gamma, 0.9, "0 to 0.9"),
            ("noise", self.noise, 1.0, "0 to 1"),
            ("erase", self.erase, 1.0, "0 to 1"),
            ("erase_side", self.erase_side, 1.0, "0 to 1"),
            ("drop_words", self.drop_words, 0.9, "0 to 0.9"),
            ("shuffle_sentences", self.shuffle_sentences, 1.0, "0 to 1"),
        ] {
            if !(0.0..=max).contains(&value) {
                return Err(DataError::Augmentation { name, value, expected });
            }
        }
        Ok(())
    }
}

/// Varies a square image in place: position, then brightness, then noise, then a rectangle erased.
///
/// `config` must have passed [`Augment::check`].
///
/// # Shapes
///
/// - `square`: `[size, size]` row by row, in `0..=1` before and after
pub fn augment(square: &mut [f32], size: usize, config: &Augment, rng: &mut impl Rng) {
    debug_assert_eq!(square.len(), size * size, "a square of {size} pixels a side");
    place(square, size, config, rng);
    shade(square, config, rng);
    if let Some(noise) = Normal::new(0.0, config.noise).ok().filter(|_| config.noise > 0.0) {
        for p in square.iter_mut() {
            *p = (*p + noise.sample(rng)).clamp(0.0, 1.0);
        }
    }
    if chance(config.erase, rng) {
        erase(square, size, config.erase_side, rng);
    }
}

/// Varies a report: its sentences, which end with the token `period`, in another order, then words replaced by
/// `unknown`.
pub fn augment_report(
    tokens: &[u32],
    period: Option<u32>,
    unknown: u32,
    config: &Augment,
    rng: &mut impl Rng,
) -> Vec<u32> {
    let mut sentences: Vec<&[u32]> = tokens.split_inclusive(|&token| Some(token) == period).collect();
    if chance(config.shuffle_sentences, rng) {
        sentences.shuffle(rng);
    }
    let mut varied = sentences.concat();
    if config.drop_words > 0.0 {
        varied.iter_mut().filter(|_| chance(config.drop_words, rng)).for_each(|token| *token = unknown);
    }
    varied
}

/// Uniform in `-limit..=limit`.
fn symmetric(limit: f32, rng: &mut impl Rng) -> f32 {
    rng.random_range(-1.0..=1.0f32) * limit
}

/// True with this probability.
fn chance(probability: f32, rng: &mut impl Rng) -> bool {
    rng.random_range(0.0..1.0f32) < probability
}

/// Shift, zoom, rotation about the centre, mirroring: one bilinear resampling, the border continued outwards.
fn place(square: &mut [f32], size: usize, config: &Augment, rng: &mut impl Rng) {
    let side = size as f32;
    let (dx, dy) = (symmetric(config.shift, rng) * side, symmetric(config.shift, rng) * side);
    let zoom = 1.0 + symmetric(config.zoom, rng);
    let (sin, cos) = symmetric(config.rotation_deg, rng).to_radians().sin_cos();
    let mirror = if chance(config.flip, rng) { -1.0 } else { 1.0 };
    if (dx, dy, zoom, sin, mirror) == (0.0, 0.0, 1.0, 0.0, 1.0) {
        return;
    }
    let source = square.to_vec();
    let centre = (side - 1.0) / 2.0;
    for (i, value) in square.iter_mut().enumerate() {
        // The input position that this output position shows.
        let (x, y) = ((i % size) as f32 - centre - dx, (i / size) as f32 - centre - dy);
        let (x, y) = ((cos * x + sin * y) / zoom * mirror, (cos * y - sin * x) / zoom);
        *value = bilinear(&source, size, x + centre, y + centre);
    }
}

/// The image between its pixels; outside it, its border.
fn bilinear(image: &[f32], size: usize, x: f32, y: f32) -> f32 {
    let last = (size - 1) as f32;
    let (x, y) = (x.clamp(0.0, last), y.clamp(0.0, last));
    let (x0, y0) = (x as usize, y as usize);
    let (x1, y1) = ((x0 + 1).min(size - 1), (y0 + 1).min(size - 1));
    let (tx, ty) = (x - x0 as f32, y - y0 as f32);
    let row = |y: usize| image[y * size + x0] * (1.0 - tx) + image[y * size + x1] * tx;
    row(y0) * (1.0 - ty) + row(y1) * ty
}

/// Gamma, contrast about the mean, brightness.
fn shade(square: &mut [f32], config: &Augment, rng: &mut impl Rng) {
    let gamma = 1.0 + symmetric(config.gamma, rng);
    let contrast = 1.0 + symmetric(config.contrast, rng);
    let brightness = symmetric(config.brightness, rng);
    if (gamma, contrast, brightness) == (1.0, 1.0, 0.0) {
        return;
    }
    for p in square.iter_mut() {
        *p = p.powf(gamma);
    }
    let mean = mean(square);
    for p in square.iter_mut() {
        *p = ((*p - mean) * contrast + mean + brightness).clamp(0.0, 1.0);
    }
}

/// Replaces a rectangle by the image's mean. Source: Zhong et al. 2017, "Random erasing data augmentation".
fn erase(square: &mut [f32], size: usize, max_side: f32, rng: &mut impl Rng) {
    let mean = mean(square);
    let longest = ((size as f32 * max_side) as usize).min(size);
    let (width, height) = (rng.random_range(0..=longest), rng.random_range(0..=longest));
    let (left, top) = (rng.random_range(0..=size - width), rng.random_range(0..=size - height));
    for row in square.chunks_exact_mut(size).skip(top).take(height) {
        row[left..left + width].fill(mean);
    }
}

fn mean(square: &[f32]) -> f32 {
    square.iter().sum::<f32>() / square.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const SIZE: usize = 33;

    /// A bright disc right of the centre on a dark slope.
    fn picture() -> Vec<f32> {
        (0..SIZE * SIZE)
            .map(|i| {
                let (x, y) = ((i % SIZE) as f32 - 22.0, (i / SIZE) as f32 - 16.0);
                if x * x + y * y < 16.0 { 0.9 } else { (i / SIZE) as f32 * 0.01 }
            })
            .collect()
    }

    /// Centre of the bright pixels.
    fn disc(image: &[f32]) -> (f32, f32) {
        let bright: Vec<usize> = (0..image.len()).filter(|&i| image[i] > 0.6).collect();
        let n = bright.len() as f32;
        (
            bright.iter().map(|i| (i % SIZE) as f32).sum::<f32>() / n,
            bright.iter().map(|i| (i / SIZE) as f32).sum::<f32>() / n,
        )
    }

    fn varied(config: &Augment, seed: u64) -> Vec<f32> {
        let mut image = picture();
        augment(&mut image, SIZE, config, &mut ChaCha8Rng::seed_from_u64(seed));
        image
    }

    #[test]
    fn the_seed_decides() {
        let config = Augment::default();
        config.check().unwrap();
        assert_eq!(varied(&config, 1), varied(&config, 1));
        assert_ne!(varied(&config, 1), varied(&config, 2));
        assert_eq!(varied(&Augment::NONE, 1), picture());
    }

    #[test]
    fn values_stay_in_range_at_the_strongest() {
        let config = Augment {
            shift: 0.5,
            zoom: 0.9,
            rotation_deg: 180.0,
            flip: 0.5,
            brightness: 1.0,
            contrast: 0.9,
            gamma: 0.9,
            noise: 1.0,
            erase: 1.0,
            erase_side: 1.0,
            ..Augment::NONE
        };
        config.check().unwrap();
        for seed in 0..50 {
            assert!(varied(&config, seed).iter().all(|p| (0.0..=1.0).contains(p)), "seed {seed}");
        }
    }

    #[test]
    fn a_shift_is_bounded_and_goes_everywhere() {
        let config = Augment { shift: 0.1, ..Augment::NONE };
        let centres: Vec<(f32, f32)> = (0..40).map(|seed| disc(&varied(&config, seed))).collect();
        let largest = 0.1 * SIZE as f32 + 0.6;
        assert!(centres.iter().all(|(x, y)| (x - 22.0).abs() <= largest && (y - 16.0).abs() <= largest), "{centres:?}");
        assert!(centres.iter().any(|(x, _)| *x > 23.5) && centres.iter().any(|(x, _)| *x < 20.5), "{centres:?}");
    }

    #[test]
    fn only_a_flip_changes_the_side() {
        let never = Augment { flip: 0.0, ..Augment::default() };
        assert!((0..40).all(|seed| disc(&varied(&never, seed)).0 > 18.0));
        let (x, y) = disc(&varied(&Augment { flip: 1.0, ..Augment::NONE }, 0));
        assert!((x - 10.0).abs() < 0.01 && (y - 16.0).abs() < 0.01, "{x} {y}");
    }

    #[test]
    fn a_half_turn_and_a_zoom_move_the_disc_as_they_should() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let turned: Vec<(f32, f32)> = (0..200)
            .map(|_| {
                let mut image = picture();
                augment(&mut image, SIZE, &Augment { rotation_deg: 180.0, ..Augment::NONE }, &mut rng);
                disc(&image)
            })
            .collect();
        // The disc stays on its circle of radius 6 about the centre and comes all the way round.
        assert!(turned.iter().all(|(x, y)| ((x - 16.0).hypot(y - 16.0) - 6.0).abs() < 0.6), "{turned:?}");
        assert!(turned.iter().any(|(x, _)| *x < 11.0));
        let config = Augment { zoom: 0.5, ..Augment::NONE };
        let radii: Vec<f32> = (0..40).map(|seed| disc(&varied(&config, seed)).0 - 16.0).collect();
        assert!(radii.iter().all(|r| (2.5..9.5).contains(r)) && radii.iter().any(|r| *r > 7.0), "{radii:?}");
    }

    #[test]
    fn erasing_fills_a_bounded_rectangle_with_the_mean() {
        let config = Augment { erase: 1.0, erase_side: 0.5, ..Augment::NONE };
        let (original, mut n_changed) = (picture(), 0);
        let mean = mean(&original);
        for seed in 0..20 {
            let image = varied(&config, seed);
            let changed: Vec<usize> = (0..image.len()).filter(|&i| image[i] != original[i]).collect();
            assert!(changed.iter().all(|&i| image[i] == mean));
            let columns = changed.iter().map(|i| i % SIZE);
            let width = columns.clone().max().unwrap_or(0) - columns.min().unwrap_or(0);
            assert!(width <= SIZE / 2, "{width}");
            n_changed += changed.len();
        }
        assert!(n_changed > 100, "{n_changed}");
    }

    #[test]
    fn a_varied_report_has_the_same_sentences_and_some_unknown_words() {
        let tokens = [5, 6, 2, 7, 2, 8, 9, 10, 2];
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        assert_eq!(augment_report(&tokens, Some(2), 1, &Augment::NONE, &mut rng), tokens);
        let shuffle = Augment { shuffle_sentences: 1.0, ..Augment::NONE };
        let all: Vec<Vec<u32>> = (0..40).map(|_| augment_report(&tokens, Some(2), 1, &shuffle, &mut rng)).collect();
        assert!(all.iter().all(|report| report.windows(4).any(|w| w == [8, 9, 10, 2]) && report.len() == 9));
        assert!(all.iter().any(|report| report.starts_with(&[8, 9, 10, 2])));
        let drop = Augment { drop_words: 0.5, ..Augment::NONE };
        let unknown: usize = (0..100)
            .map(|_| augment_report(&tokens, None, 1, &drop, &mut rng).iter().filter(|&&token| token == 1).count())
            .sum();
        assert!((370..530).contains(&unknown), "{unknown} of 900");
    }

    #[test]
    fn parameters_are_checked_and_named() {
        let error = Augment { zoom: 1.5, ..Augment::default() }.check().unwrap_err().to_string();
        assert!(error.contains("`zoom` is 1.5, expected 0 to 0.9"), "{error}");
        assert!(Augment { noise: f32::NAN, ..Augment::default() }.check().is_err());
        assert!(toml::from_str::<Augment>("zom = 0.1").is_err());
        assert_eq!(toml::from_str::<Augment>("zoom = 0.2").unwrap(), Augment { zoom: 0.2, ..Augment::default() });
    }
}
