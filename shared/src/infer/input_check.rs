//! Is this a frontal chest x-ray like those of the training data? Asked before a score is believed.
//!
//! The training images, reduced to a few pixels and standardised, span a space of few dimensions ("eigen-x-rays", after
//! Turk and Pentland 1991). An image is unlike them if it shows what that space cannot express, if it lies far out in
//! the space, if its shades are distributed otherwise, or if it has no detail at all. The limits come from validation
//! images. What a file says of itself (colours, a DICOM modality or view) counts too.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::infer::subspace::Subspace;
use crate::io::Weights;
use crate::io::radiograph::{Nature, Radiograph};
use crate::io::weights::NamedTensor;
use crate::prep::image::{Normalization, Preprocessing};

/// Height and width of the reduced image.
const SIDE: usize = 32;
/// Components kept.
const COMPONENTS: usize = 48;
/// Shades: so many values of the sorted pixels.
const SHADES: usize = 16;
/// Added to the variance of the shades, so that no direction in which they hardly vary decides alone.
const SHADE_FLOOR: f32 = 0.01;
/// Share of the validation images that each limit lets pass.
const PASSES: f64 = 0.995;
/// The least detail that passes, as a share of that of the smoothest validation image.
const LEAST_DETAIL: f32 = 0.5;
/// Names of the tensors.
const PIXELS: &str = "input_check.pixels";
const SHADES_NAME: &str = "input_check.shades";

/// Sizes and limits, as a card holds them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputCheckConfig {
    /// Height and width of the reduced image.
    pub side: usize,
    /// Components of the pixels.
    pub components: usize,
    /// Values of the sorted pixels.
    pub shades: usize,
    /// Components of the shades.
    pub shade_components: usize,
    /// What passes.
    pub limits: Measures,
}

/// What is measured of an image; as limits: the largest values that pass, of the detail the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measures {
    /// Share of the image that the training images cannot express, `0..=1` or little more.
    pub residual: f32,
    /// Squared distance from the mean training image along what they vary in, 1 on average.
    pub distance: f32,
    /// The same of the shades, regardless of where they are.
    pub shades: f32,
    /// Mean square of what differs between a pixel and those around it.
    pub detail: f32,
}

/// Why an image is not taken for a frontal chest x-ray.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is in colours.
    Colours,
    /// The file names a modality that is no radiography.
    Modality(String),
    /// The file names a view that is not frontal.
    View(String),
    /// It shows what no training image shows.
    Strange,
    /// What it shows is arranged as in no training image: another part of the body, upside down, in negative.
    Far,
    /// Its shades are distributed as in no training image.
    Shades,
    /// It has no detail.
    Blank,
}

/// What came of the check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// What was measured.
    pub measures: Measures,
    /// Why it is no frontal chest x-ray like those of the training data; empty if it may be one.
    pub reasons: Vec<Reason>,
}

impl Checked {
    /// Whether nothing speaks against the image.
    pub fn passes(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// The check, fitted to training images.
#[derive(Debug, Clone, PartialEq)]
pub struct InputCheck {
    pixels: Subspace,
    shades: Subspace,
    limits: Measures,
}

/// An image in the form in which it is looked at.
#[derive(Debug, Clone)]
pub struct Looked {
    /// `[SIDE, SIDE]`, zero mean, unit variance.
    pixels: Vec<f32>,
    /// `[SHADES]`, rising.
    shades: Vec<f32>,
    detail: f32,
}

impl InputCheck {
    /// Fits to training images and sets the limits by validation images. Without a validation image nothing but a blank
    /// image is refused.
    pub fn fit(training: Vec<Looked>, validation: &[Looked]) -> Self {
        let (pixels, shades): (Vec<_>, Vec<_>) = training.into_iter().map(|image| (image.pixels, image.shades)).unzip();
        let limits = Measures { residual: f32::MAX, distance: f32::MAX, shades: f32::MAX, detail: 0.0 };
        // No more components than a quarter of the images: the rest would be noise, and expressed exactly.
        let mut check = Self {
            pixels: Subspace::fit(&pixels, SIDE * SIDE, COMPONENTS.min(pixels.len() / 4)),
            shades: Subspace::fit(&shades, SHADES, SHADES),
            limits,
        };
        let measured: Vec<Measures> = validation.iter().map(|image| check.measure(image)).collect();
        let limit = |value: fn(&Measures) -> f32| {
            let mut values: Vec<f32> = measured.iter().map(value).collect();
            values.sort_by(f32::total_cmp);
            let at = (PASSES * values.len() as f64).ceil() as usize;
            values.get(at.saturating_sub(1)).copied().unwrap_or(f32::MAX)
        };
        check.limits = Measures {
            residual: limit(|m| m.residual),
            distance: limit(|m| m.distance),
            shades: limit(|m| m.shades),
            detail: measured.iter().map(|m| m.detail).reduce(f32::min).map_or(0.0, |least| LEAST_DETAIL * least),
        };
        check
    }

    fn measure(&self, image: &Looked) -> Measures {
        let (residual, distance) = self.pixels.place(&image.pixels, 0.0);
        Measures { residual, distance, shades: self.shades.place(&image.shades, SHADE_FLOOR).1, detail: image.detail }
    }

    /// Checks an image and what its file says.
    pub fn check(&self, image: &Looked, nature: &Nature) -> Checked {
        let measures = self.measure(image);
        let mut reasons: Vec<Reason> = Vec::new();
        reasons.extend(nature.is_coloured.then_some(Reason::Colours));
        reasons.extend(nature.modality.clone().filter(|name| !may_be_radiograph(name)).map(Reason::Modality));
        reasons.extend(nature.view.clone().filter(|name| is_lateral(name)).map(Reason::View));
        let limits = &self.limits;
        let seen = [
            // A blank image has no other property.
            (measures.detail <= limits.detail, Reason::Blank),
            (measures.residual > limits.residual, Reason::Strange),
            (measures.distance > limits.distance, Reason::Far),
            (measures.shades > limits.shades, Reason::Shades),
        ];
        reasons.extend(seen.into_iter().filter(|(holds, _)| *holds).map(|(_, reason)| reason));
        Checked { measures, reasons }
    }

    /// Sizes and limits for a card.
    pub fn config(&self) -> InputCheckConfig {
        InputCheckConfig {
            side: SIDE,
            components: self.pixels.n_components(),
            shades: SHADES,
            shade_components: self.shades.n_components(),
            limits: self.limits,
        }
    }

    /// The tensors for a weights file.
    pub fn tensors(&self) -> Vec<(String, NamedTensor)> {
        [self.pixels.tensors(PIXELS), self.shades.tensors(SHADES_NAME)].concat()
    }

    /// Takes what [`Self::tensors`] gave from the weights.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Shape`] for other sizes than this program's, and those of a missing or misshapen tensor.
    pub fn from_weights(config: &InputCheckConfig, weights: &Weights) -> Result<Self> {
        if (config.side, config.shades) != (SIDE, SHADES) {
            return Err(crate::Error::Shape {
                what: "input check",
                expected: format!("{SIDE} pixels a side and {SHADES} shades"),
                found: format!("{} and {}", config.side, config.shades),
            });
        }
        Ok(Self {
            pixels: Subspace::from_weights(weights, PIXELS, SIDE * SIDE, config.components)?,
            shades: Subspace::from_weights(weights, SHADES_NAME, SHADES, config.shade_components)?,
            limits: config.limits,
        })
    }
}

/// Modalities that a chest x-ray may come under: computed and digital radiography, fluoroscopy, and what says nothing.
fn may_be_radiograph(modality: &str) -> bool {
    matches!(modality, "CR" | "DX" | "RG" | "RF" | "OT" | "SC")
}

/// Views from the side.
fn is_lateral(view: &str) -> bool {
    let view = view.to_ascii_uppercase();
    matches!(view.as_str(), "LL" | "RL" | "LAT") || view.contains("LATERAL")
}

impl Looked {
    /// Looks at a square of `size` x `size` pixels in `0..=1`.
    pub fn new(square: &[f32], size: usize) -> Self {
        let image = Radiograph {
            width: size,
            height: size,
            pixels: square.to_vec(),
            source: String::new(),
            nature: Nature::default(),
        };
        let reduce = Preprocessing { size: SIDE, channels: 1, normalization: Normalization::PerImage };
        let pixels = reduce.apply(&image);
        let mut sorted = pixels.clone();
        sorted.sort_by(f32::total_cmp);
        let shades = (0..SHADES).map(|i| sorted[(2 * i + 1) * sorted.len() / (2 * SHADES)]).collect();
        let mut detail = 0.0;
        for y in 1..SIDE - 1 {
            for x in 1..SIDE - 1 {
                let at = y * SIDE + x;
                let around = pixels[at - 1] + pixels[at + 1] + pixels[at - SIDE] + pixels[at + SIDE];
                detail += (pixels[at] - around / 4.0).powi(2);
            }
        }
        Self { pixels, shades, detail: detail / ((SIDE - 2) * (SIDE - 2)) as f32 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::kernel::naive::uniform;

    const SIZE: usize = 40;

    /// A bright disc on a dark ground, its place and size a little different each time, with some noise.
    fn disc(seed: u64) -> Vec<f32> {
        let r = uniform(seed, 3 + SIZE * SIZE);
        let (cx, cy, radius) = (20.0 + 3.0 * r[0], 14.0 + 3.0 * r[1], 9.0 + 2.0 * r[2]);
        (0..SIZE * SIZE)
            .map(|i| {
                let (x, y) = ((i % SIZE) as f32, (i / SIZE) as f32);
                let inside = (radius - (x - cx).hypot(y - cy)).clamp(-2.0, 2.0) / 4.0 + 0.5;
                0.1 + 0.7 * inside + 0.05 * r[3 + i]
            })
            .collect()
    }

    fn looked(square: &[f32]) -> Looked {
        Looked::new(square, SIZE)
    }

    fn all(squares: &[Vec<f32>]) -> Vec<Looked> {
        squares.iter().map(|square| looked(square)).collect()
    }

    fn discs(seeds: std::ops::Range<u64>) -> Vec<Vec<f32>> {
        seeds.map(disc).collect()
    }

    fn fitted() -> InputCheck {
        InputCheck::fit(all(&discs(1..200)), &all(&discs(200..300)))
    }

    #[test]
    fn what_is_like_the_training_passes_and_the_rest_does_not() {
        let check = fitted();
        let flagged = |images: Vec<Vec<f32>>| {
            let n = images.len();
            let refused = images.iter().filter(|square| !check.check(&looked(square), &Nature::default()).passes());
            (refused.count(), n)
        };
        let (refused, n) = flagged(discs(300..400));
        assert!(refused * 10 <= n, "{refused} of {n} alike images are refused");
        let upside_down = discs(300..340).into_iter().map(|square| square.into_iter().rev().collect()).collect();
        assert_eq!(flagged(upside_down), (40, 40));
        let negative = discs(300..340).into_iter().map(|square| square.iter().map(|p| 1.0 - p).collect()).collect();
        assert_eq!(flagged(negative), (40, 40));
        let noise = (1..20).map(|seed| uniform(seed, SIZE * SIZE)).collect();
        assert_eq!(flagged(noise), (19, 19));
        let gradient = (0..SIZE * SIZE).map(|i| (i % SIZE) as f32 / SIZE as f32).collect();
        assert_eq!(flagged(vec![gradient, vec![0.5; SIZE * SIZE]]), (2, 2));
    }

    #[test]
    fn what_the_file_says_counts() {
        let check = fitted();
        let square = disc(350);
        assert!(check.check(&looked(&square), &Nature::default()).passes());
        let nature = Nature { is_coloured: true, modality: Some("CT".to_owned()), view: Some("LATERAL".to_owned()) };
        let reasons = check.check(&looked(&square), &nature).reasons;
        let expected = [Reason::Colours, Reason::Modality("CT".to_owned()), Reason::View("LATERAL".to_owned())];
        assert_eq!(reasons, expected);
        let x_ray = Nature { is_coloured: false, modality: Some("DX".to_owned()), view: Some("PA".to_owned()) };
        assert!(check.check(&looked(&square), &x_ray).passes());
    }

    #[test]
    fn it_survives_being_stored() -> Result<()> {
        let check = fitted();
        let weights = Weights::new("test", BTreeMap::from_iter(check.tensors()))?;
        assert_eq!(InputCheck::from_weights(&check.config(), &weights)?, check);
        let other = InputCheckConfig { components: 3, ..check.config() };
        assert!(matches!(InputCheck::from_weights(&other, &weights), Err(crate::Error::WrongTensor { .. })));
        Ok(())
    }
}
