//! From stored values to what a viewing station shows, in `0..=1`.
//!
//! Source: PS3.3 C.7.5.1.1.2 (padding), C.11.1 (rescale), C.11.2.1 (window).

use std::ops::RangeInclusive;

use super::attribute::Attribute;
use super::attribute_error;
use super::dataset::Dataset;
use super::pixel_format::{Photometric, PixelFormat};
use crate::error::Result;

/// How the values of an image are shown.
pub(super) enum Display {
    /// Luminance up to the largest value.
    Colour { largest: f32 },
    /// Rescale, window, polarity.
    Grey(Grey),
}

pub(super) struct Grey {
    slope: f64,
    intercept: f64,
    window: Option<Window>,
    /// Stored values that are no part of the picture.
    padding: Option<RangeInclusive<f32>>,
    photometric: Photometric,
}

/// Which rescaled values are black and white, and what lies between.
struct Window {
    center: f64,
    width: f64,
    function: VoiFunction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VoiFunction {
    Linear,
    LinearExact,
    Sigmoid,
}

impl Display {
    pub(super) fn from_dataset(dataset: &Dataset<'_>, format: &PixelFormat) -> Result<Self> {
        if format.photometric.channels() == 3 {
            return Ok(Self::Colour { largest: f32::from(u16::MAX >> (16 - format.bits_stored)) });
        }
        let slope = dataset.number(Attribute::RescaleSlope)?.unwrap_or(1.0);
        if slope == 0.0 {
            return Err(attribute_error(dataset.origin, Attribute::RescaleSlope, "is 0"));
        }
        let padding = dataset.u16(Attribute::PixelPaddingValue)?.map(|value| format.value(value));
        let limit = dataset.u16(Attribute::PixelPaddingRangeLimit)?.map(|value| format.value(value));
        Ok(Self::Grey(Grey {
            slope,
            intercept: dataset.number(Attribute::RescaleIntercept)?.unwrap_or(0.0),
            window: Window::from_dataset(dataset)?,
            padding: padding.map(|p| p.min(limit.unwrap_or(p))..=p.max(limit.unwrap_or(p))),
            photometric: format.photometric,
        }))
    }

    /// Turns stored values into `0..=1`.
    pub(super) fn apply(&self, pixels: &mut [f32]) {
        match self {
            Self::Colour { largest } => pixels.iter_mut().for_each(|p| *p = (*p / largest).clamp(0.0, 1.0)),
            Self::Grey(grey) => grey.apply(pixels),
        }
    }
}

impl Grey {
    fn apply(&self, pixels: &mut [f32]) {
        let is_padding = |p: f32| self.padding.as_ref().is_some_and(|range| range.contains(&p));
        let rescaled = |p: f32| f64::from(p) * self.slope + self.intercept;
        let (low, high) = pixels
            .iter()
            .filter(|p| !is_padding(**p))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &p| (low.min(rescaled(p)), high.max(rescaled(p))));
        for p in pixels {
            if is_padding(*p) {
                *p = 0.0;
                continue;
            }
            let x = rescaled(*p);
            let shown = match &self.window {
                Some(window) => window.shown(x),
                // A blank image is black.
                None if high > low => (x - low) / (high - low),
                None => 0.0,
            };
            *p = shown.clamp(0.0, 1.0) as f32;
            if self.photometric == Photometric::Monochrome1 {
                *p = 1.0 - *p;
            }
        }
    }
}

impl Window {
    /// The first window of the file, if it has one.
    fn from_dataset(dataset: &Dataset<'_>) -> Result<Option<Self>> {
        let origin = dataset.origin;
        let (center, width) = (dataset.number(Attribute::WindowCenter)?, dataset.number(Attribute::WindowWidth)?);
        let (center, width) = match (center, width) {
            (None, None) => return Ok(None),
            (Some(center), Some(width)) => (center, width),
            (Some(_), None) => return Err(attribute_error(origin, Attribute::WindowWidth, "is missing")),
            (None, Some(_)) => return Err(attribute_error(origin, Attribute::WindowCenter, "is missing")),
        };
        let function = match dataset.text(Attribute::VOILUTFunction).as_deref() {
            None | Some("LINEAR") => VoiFunction::Linear,
            Some("LINEAR_EXACT") => VoiFunction::LinearExact,
            Some("SIGMOID") => VoiFunction::Sigmoid,
            Some(other) => {
                let problem = format!("is `{other}`, which the standard does not know");
                return Err(attribute_error(origin, Attribute::VOILUTFunction, problem));
            }
        };
        let is_possible = if function == VoiFunction::Linear { width >= 1.0 } else { width > 0.0 };
        if !is_possible {
            return Err(attribute_error(origin, Attribute::WindowWidth, format!("is {width}, which is too narrow")));
        }
        Ok(Some(Self { center, width, function }))
    }

    /// `0..=1`, or a little beyond.
    fn shown(&self, x: f64) -> f64 {
        let Self { center, width, function } = *self;
        match function {
            VoiFunction::Linear => {
                let half = (width - 1.0) / 2.0;
                if x <= center - 0.5 - half {
                    0.0
                } else if x > center - 0.5 + half {
                    1.0
                } else {
                    (x - (center - 0.5)) / (width - 1.0) + 0.5
                }
            }
            VoiFunction::LinearExact => (x - center) / width + 0.5,
            VoiFunction::Sigmoid => 1.0 / (1.0 + (-4.0 * (x - center) / width).exp()),
        }
    }
}
