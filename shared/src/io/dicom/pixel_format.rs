//! Size and kind of the pixels, checked before any of them is read.
//!
//! Source: PS3.3 C.7.6.3, the Image Pixel module, where all of these attributes are mandatory.

use super::attribute::Attribute;
use super::attribute_error;
use super::dataset::Dataset;
use crate::error::Result;

/// What a sample means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Photometric {
    /// The smallest value is white.
    Monochrome1,
    /// The smallest value is black.
    Monochrome2,
    /// Red, green and blue.
    Rgb,
    /// Red, green and blue, which the JPEG 2000 stream holds transformed.
    Ybr2000,
    /// Luminance and two colour differences.
    YbrFull,
    /// The same, with half the colour differences in each row.
    YbrFull422,
}

/// Size and kind of the pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct PixelFormat {
    /// At least 1.
    pub(super) rows: u16,
    /// At least 1.
    pub(super) columns: u16,
    /// `rows * columns`.
    pub(super) count: usize,
    pub(super) photometric: Photometric,
    /// 1 or 2.
    pub(super) bytes_per_sample: usize,
    /// 1 to 16.
    pub(super) bits_stored: u16,
    /// Position of the lowest stored bit.
    pub(super) low_bit: u16,
    pub(super) sign: Sign,
    pub(super) layout: Layout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Unsigned,
    TwosComplement,
}

/// Where the colours of a pixel stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Side by side.
    ByPixel,
    /// One plane for each colour.
    ByPlane,
}

impl Photometric {
    pub(super) fn channels(self) -> usize {
        if matches!(self, Self::Monochrome1 | Self::Monochrome2) { 1 } else { 3 }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Monochrome1 => "MONOCHROME1",
            Self::Monochrome2 => "MONOCHROME2",
            Self::Rgb | Self::Ybr2000 => "RGB",
            Self::YbrFull | Self::YbrFull422 => "YBR",
        }
    }
}

impl PixelFormat {
    pub(super) fn from_dataset(dataset: &Dataset<'_>) -> Result<Self> {
        const CONVERT: &str = "export the image as MONOCHROME2 with 8 to 16 bits";
        let origin = dataset.origin;
        let (rows, columns) = (dataset.required_u16(Attribute::Rows)?, dataset.required_u16(Attribute::Columns)?);
        for (attribute, value) in [(Attribute::Rows, rows), (Attribute::Columns, columns)] {
            if value == 0 {
                return Err(attribute_error(origin, attribute, "is 0"));
            }
        }
        let count = origin.pixel_count(columns.into(), rows.into())?;
        let photometric = photometric(dataset)?;
        let samples = dataset.required_u16(Attribute::SamplesPerPixel)?;
        if usize::from(samples) != photometric.channels() {
            let problem = format!("is {samples}, which does not fit {}", photometric.name());
            return Err(attribute_error(origin, Attribute::SamplesPerPixel, problem));
        }
        let bits_allocated = dataset.required_u16(Attribute::BitsAllocated)?;
        if !matches!(bits_allocated, 8 | 16) {
            return Err(origin.unsupported(format!("an image with {bits_allocated} bits allocated"), CONVERT));
        }
        let bits_stored = dataset.required_u16(Attribute::BitsStored)?;
        if !(1..=bits_allocated).contains(&bits_stored) {
            let problem = format!("is {bits_stored}, of {bits_allocated} bits allocated");
            return Err(attribute_error(origin, Attribute::BitsStored, problem));
        }
        let high_bit = dataset.required_u16(Attribute::HighBit)?;
        if !(bits_stored - 1..bits_allocated).contains(&high_bit) {
            let problem = format!("is {high_bit}, with {bits_stored} bits stored of {bits_allocated}");
            return Err(attribute_error(origin, Attribute::HighBit, problem));
        }
        let sign = match dataset.required_u16(Attribute::PixelRepresentation)? {
            0 => Sign::Unsigned,
            1 if photometric.channels() == 1 => Sign::TwosComplement,
            other => {
                let problem = format!("is {other}, which does not fit {}", photometric.name());
                return Err(attribute_error(origin, Attribute::PixelRepresentation, problem));
            }
        };
        let layout = match dataset.u16(Attribute::PlanarConfiguration)? {
            Some(1) if photometric.channels() == 3 => Layout::ByPlane,
            _ => Layout::ByPixel,
        };
        let frames = dataset.number(Attribute::NumberOfFrames)?.unwrap_or(1.0);
        if frames != 1.0 {
            if frames < 1.0 {
                return Err(attribute_error(origin, Attribute::NumberOfFrames, format!("is {frames}")));
            }
            return Err(origin.unsupported(format!("an image with {frames} frames"), "export the one frame to be read"));
        }
        Ok(Self {
            rows,
            columns,
            count,
            photometric,
            bytes_per_sample: usize::from(bits_allocated / 8),
            bits_stored,
            low_bit: high_bit + 1 - bits_stored,
            sign,
            layout,
        })
    }

    /// The value of the stored bits, which are the lowest of `bits`.
    pub(super) fn value(&self, bits: u16) -> f32 {
        let unused = 16 - u32::from(self.bits_stored);
        match self.sign {
            Sign::Unsigned => f32::from(bits << unused >> unused),
            Sign::TwosComplement => f32::from((bits << unused) as i16 >> unused),
        }
    }
}

fn photometric(dataset: &Dataset<'_>) -> Result<Photometric> {
    let attribute = Attribute::PhotometricInterpretation;
    let name = dataset.text(attribute).ok_or_else(|| attribute_error(dataset.origin, attribute, "is missing"))?;
    match name.as_str() {
        "MONOCHROME1" => Ok(Photometric::Monochrome1),
        "MONOCHROME2" => Ok(Photometric::Monochrome2),
        "RGB" => Ok(Photometric::Rgb),
        "YBR_ICT" | "YBR_RCT" => Ok(Photometric::Ybr2000),
        "YBR_FULL" => Ok(Photometric::YbrFull),
        "YBR_FULL_422" => Ok(Photometric::YbrFull422),
        _ => {
            let what = format!("the photometric interpretation {name}");
            Err(dataset.origin.unsupported(what, "export the image as MONOCHROME2 or RGB"))
        }
    }
}
