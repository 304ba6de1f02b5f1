//! From a [`Radiograph`] of any size to the network's input.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::io::Radiograph;

/// How a radiograph becomes network input: centre square, area average to `size`, normalisation, channels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Height and width of the input, in pixels.
    pub size: usize,
    /// Input channels: 1, or 3 equal ones for weights that began as ImageNet's.
    pub channels: usize,
    /// Brightness and contrast.
    pub normalization: Normalization,
}

/// Brightness and contrast of the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// Zero mean and unit variance of each image: no data set keeps a brightness of its own.
    PerImage,
    /// The mean and standard deviation that torchvision's ImageNet weights expect, per channel.
    ImageNet,
}

/// Largest side a model may ask for: 4096 pixels.
const MAX_SIZE: usize = 4096;

impl Preprocessing {
    /// Checks that the values make sense.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a size of 0 or beyond 4096, or channels other than 1 or 3.
    pub fn check(&self) -> Result<()> {
        if !(1..=MAX_SIZE).contains(&self.size) {
            return Err(Error::Shape {
                what: "preprocessing size",
                expected: format!("1 to {MAX_SIZE}"),
                found: self.size.to_string(),
            });
        }
        if !matches!(self.channels, 1 | 3) {
            return Err(Error::Shape {
                what: "preprocessing channels",
                expected: "1 or 3".to_owned(),
                found: self.channels.to_string(),
            });
        }
        Ok(())
    }

    /// The centre square reduced to `size` x `size`, still in `0..=1`: `[size, size]` row by row.
    ///
    /// Each output pixel is the mean of the input area it covers; a smaller image is enlarged bilinearly.
    pub fn square(&self, image: &Radiograph) -> Vec<f32> {
        let [left, top, side] = centre_square(image.width, image.height);
        let taps = resampling_taps(side, self.size);
        // Rows first: [side, size], then columns: [size, size].
        let mut rows = vec![0f32; side * self.size];
        for (y, out) in rows.chunks_exact_mut(self.size).enumerate() {
            let row = &image.pixels[(top + y) * image.width + left..][..side];
            for (value, (first, weights)) in out.iter_mut().zip(&taps) {
                *value = weights.iter().zip(&row[*first..]).map(|(w, p)| w * p).sum();
            }
        }
        let mut square = vec![0f32; self.size * self.size];
        for (out, (first, weights)) in square.chunks_exact_mut(self.size).zip(&taps) {
            for (weight, row) in weights.iter().zip(rows[first * self.size..].chunks_exact(self.size)) {
                for (value, p) in out.iter_mut().zip(row) {
                    *value += weight * p;
                }
            }
        }
        square
    }

    /// Network input of a square: `[channels, size, size]`.
    pub fn normalize(&self, square: &[f32]) -> Vec<f32> {
        match self.normalization {
            Normalization::PerImage => {
                let n = square.len().max(1) as f64;
                let mean = square.iter().map(|&p| f64::from(p)).sum::<f64>() / n;
                let variance = square.iter().map(|&p| (f64::from(p) - mean).powi(2)).sum::<f64>() / n;
                // A blank image stays all zero.
                let scale = 1.0 / variance.sqrt().max(1e-4);
                let plane: Vec<f32> = square.iter().map(|&p| ((f64::from(p) - mean) * scale) as f32).collect();
                plane.repeat(self.channels)
            }
            Normalization::ImageNet => {
                const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
                const STD: [f32; 3] = [0.229, 0.224, 0.225];
                (0..self.channels).flat_map(|c| square.iter().map(move |p| (p - MEAN[c]) / STD[c])).collect()
            }
        }
    }

    /// [`Self::square`], then [`Self::normalize`].
    pub fn apply(&self, image: &Radiograph) -> Vec<f32> {
        self.normalize(&self.square(image))
    }
}

/// Left, top and side of the square in the middle of an image: all that a model sees of it.
pub fn centre_square(width: usize, height: usize) -> [usize; 3] {
    let side = width.min(height);
    [(width - side) / 2, (height - side) / 2, side]
}

/// For each output position the first input position and the weights, which add up to 1.
fn resampling_taps(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let ratio = from as f64 / to as f64;
    (0..to)
        .map(|i| {
            if ratio > 1.0 {
                let (start, end) = (i as f64 * ratio, ((i + 1) as f64 * ratio).min(from as f64));
                let (first, last) = (start.floor() as usize, (end.ceil() as usize).min(from));
                let cover = |p: usize| ((p + 1) as f64).min(end) - (p as f64).max(start);
                (first, (first..last).map(|p| (cover(p) / (end - start)) as f32).collect())
            } else {
                let centre = ((i as f64 + 0.5) * ratio - 0.5).clamp(0.0, (from - 1) as f64);
                let first = (centre.floor() as usize).min(from.saturating_sub(2));
                let t = (centre - first as f64) as f32;
                (first, if from == 1 { vec![1.0] } else { vec![1.0 - t, t] })
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::radiograph::Nature;

    fn prep(size: usize) -> Preprocessing {
        Preprocessing { size, channels: 1, normalization: Normalization::PerImage }
    }

    fn image(width: usize, height: usize, f: impl Fn(usize, usize) -> f32) -> Radiograph {
        let pixels = (0..width * height).map(|i| f(i % width, i / width)).collect();
        Radiograph { width, height, pixels, source: "test".to_owned(), nature: Nature::default() }
    }

    #[test]
    fn halving_averages_four_pixels() {
        let square = prep(2).square(&image(4, 4, |x, y| (y * 4 + x) as f32));
        assert_eq!(square, [2.5, 4.5, 10.5, 12.5]);
    }

    #[test]
    fn an_uneven_reduction_keeps_the_mean() {
        let square = prep(3).square(&image(7, 7, |x, _| x as f32));
        let mean = square.iter().sum::<f32>() / 9.0;
        assert!((mean - 3.0).abs() < 1e-5, "{mean}");
    }

    #[test]
    fn the_centre_square_is_used() {
        let square = prep(2).square(&image(6, 2, |x, _| x as f32));
        assert_eq!(square, [2.0, 3.0, 2.0, 3.0]);
    }

    #[test]
    fn enlarging_interpolates_and_stays_in_range() {
        let square = prep(4).square(&image(2, 2, |x, _| x as f32));
        assert_eq!(&square[..4], [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(prep(3).square(&image(1, 1, |_, _| 0.7)), [0.7; 9]);
    }

    #[test]
    fn per_image_normalization_standardises_and_survives_a_blank_image() {
        let input = prep(8).apply(&image(16, 16, |x, y| (x + 3 * y) as f32 / 64.0));
        let mean = input.iter().sum::<f32>() / 64.0;
        let variance = input.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 64.0;
        assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4, "{mean} {variance}");
        assert!(prep(8).apply(&image(16, 16, |_, _| 0.5)).iter().all(|v| v.abs() < 1e-2));
    }

    #[test]
    fn three_channels_follow_torchvision() {
        let prep = Preprocessing { size: 1, channels: 3, normalization: Normalization::ImageNet };
        let input = prep.apply(&image(1, 1, |_, _| 0.485));
        assert_eq!(input[0], 0.0);
        assert!((input[1] - (0.485 - 0.456) / 0.224).abs() < 1e-6);
    }
}
