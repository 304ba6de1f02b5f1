//! From coded pixel data to the values of the pixels.
//!
//! Source: PS3.5 chapter 8.

use std::borrow::Cow;

use super::attribute::Attribute;
use super::dataset::{Dataset, Encoding, PixelData};
use super::pixel_format::{Layout, Photometric, PixelFormat};
use super::transfer_syntax::PixelCoding;
use super::{attribute_error, jpeg2000, rle};
use crate::error::Result;
use crate::io::format::Origin;
use crate::io::jpeg;
use crate::io::radiograph::luminance;

/// Stored values of a grey image, luminance of a colour image: `[rows, columns]`.
pub(super) fn decode(dataset: &Dataset<'_>, format: &PixelFormat) -> Result<Vec<f32>> {
    let origin = dataset.origin;
    let Some(data) = &dataset.pixel_data else {
        if [Attribute::FloatPixelData, Attribute::DoubleFloatPixelData].iter().any(|&a| dataset.bytes(a).is_some()) {
            return Err(origin.unsupported("an image of floating-point numbers", "export it with whole numbers"));
        }
        return Err(attribute_error(origin, Attribute::PixelData, "is missing"));
    };
    match (dataset.syntax.pixels, data) {
        (PixelCoding::Native, PixelData::Native { bytes, in_words }) => {
            let needed = format.count * format.photometric.channels() * format.bytes_per_sample;
            if format.photometric == Photometric::YbrFull422 {
                return Err(origin.unsupported("uncompressed YBR_FULL_422", "export the image as MONOCHROME2 or RGB"));
            }
            let Some(bytes) = bytes.get(..needed + needed % 2).or_else(|| bytes.get(..needed)) else {
                let problem = format!("holds {} bytes where the image needs {needed}", bytes.len());
                return Err(attribute_error(origin, Attribute::PixelData, problem));
            };
            let encoding = dataset.syntax.encoding;
            let bytes = if encoding == Encoding::ExplicitBig && *in_words && format.bytes_per_sample == 1 {
                // Two 8-bit samples to a word, the first in its lower half.
                Cow::Owned(bytes.as_chunks().0.iter().flat_map(|&[a, b]| [b, a]).collect())
            } else {
                Cow::Borrowed(bytes)
            };
            Ok(grey_of_native(&bytes, format, encoding, format.layout))
        }
        (PixelCoding::Native, PixelData::Encapsulated(_)) => {
            Err(origin.damaged("the pixels are compressed although the transfer syntax says they are not"))
        }
        (_, PixelData::Native { .. }) => {
            Err(origin.damaged("the pixels are not in fragments although the transfer syntax says they are compressed"))
        }
        (coding, PixelData::Encapsulated(fragments)) => {
            // One frame: its fragments only have to be joined.
            let stream = match fragments.as_slice() {
                [] => return Err(attribute_error(origin, Attribute::PixelData, "holds no fragment")),
                [one] => Cow::Borrowed(*one),
                many => Cow::Owned(many.concat()),
            };
            match coding {
                PixelCoding::Rle => {
                    let planes = rle::decode(origin, &stream, format)?;
                    Ok(grey_of_native(&planes, format, Encoding::ExplicitLittle, Layout::ByPlane))
                }
                PixelCoding::Jpeg2000 => jpeg2000::decode_grey(origin, &stream, format),
                _ => decode_jpeg(origin, &stream, format),
            }
        }
    }
}

/// From samples of `bytes_per_sample` bytes, of which the caller has made sure there are enough.
fn grey_of_native(bytes: &[u8], format: &PixelFormat, encoding: Encoding, layout: Layout) -> Vec<f32> {
    let sample = |i: usize| {
        let word = if format.bytes_per_sample == 1 {
            u16::from(bytes[i])
        } else {
            encoding.u16([bytes[2 * i], bytes[2 * i + 1]])
        };
        format.value(word >> format.low_bit)
    };
    let n = format.count;
    let is_rgb = matches!(format.photometric, Photometric::Rgb | Photometric::Ybr2000);
    match (format.photometric.channels(), layout) {
        (3, Layout::ByPixel) if is_rgb => (0..n).map(|i| luminance([0, 1, 2].map(|c| sample(3 * i + c)))).collect(),
        (3, Layout::ByPlane) if is_rgb => (0..n).map(|i| luminance([0, 1, 2].map(|c| sample(c * n + i)))).collect(),
        // Of luminance and colour differences the first is the grey value.
        (3, Layout::ByPixel) => (0..n).map(|i| sample(3 * i)).collect(),
        _ => (0..n).map(sample).collect(),
    }
}

fn decode_jpeg(origin: Origin<'_>, stream: &[u8], format: &PixelFormat) -> Result<Vec<f32>> {
    if !stream.starts_with(jpeg::SIGNATURE) {
        return Err(origin.damaged("the compressed pixels are no JPEG stream"));
    }
    let frame = jpeg::Frame::parse(origin, stream)?;
    let size = (frame.width, frame.height, usize::from(frame.components));
    if size != (format.columns, format.rows, format.photometric.channels()) {
        return Err(origin.damaged(format!(
            "the JPEG stream is {} x {} with {} channels, the attributes say {} x {} with {}",
            size.0,
            size.1,
            size.2,
            format.columns,
            format.rows,
            format.photometric.channels()
        )));
    }
    let is_ybr = matches!(format.photometric, Photometric::YbrFull | Photometric::YbrFull422);
    let channels = if is_ybr { jpeg::Channels::YCbCr } else { jpeg::Channels::AsMarked };
    let (mut pixels, _is_coloured) = frame.decode_grey(origin, stream, channels)?;
    if format.photometric.channels() == 1 {
        for p in &mut pixels {
            *p = format.value(*p as u16);
        }
    }
    Ok(pixels)
}
