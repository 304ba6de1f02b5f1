//! PNG images: 1 to 16 bit, grey, palette, RGB, with or without transparency.

use std::io::Cursor;

use image::codecs::png::PngDecoder;
use image::error::{ImageError, LimitErrorKind};
use image::metadata::Orientation;
use image::{ImageDecoder, Limits};

use crate::error::{Error, Result};
use crate::io::Radiograph;
use crate::io::format::Origin;
use crate::io::radiograph::{ColourSum, Nature};

pub(crate) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Colour type of the header: indices into a palette of 8-bit colours.
const PALETTE: u8 = 3;

/// Most memory the decoder may take for itself (its row buffers and the texts it unpacks): 64 MiB.
const MAX_DECODER_BYTES: u64 = 64 << 20;

/// Reads a PNG image. Transparency is laid over black, the value of air; animations are refused.
pub(crate) fn read(file: &str, bytes: &[u8]) -> Result<Radiograph> {
    let origin = Origin { file, format: "PNG" };
    // The first chunk stands at a fixed place: its length, its name, then width, height, bits and kind of colour.
    let [w0, w1, w2, w3, h0, h1, h2, h3, bits, kind] = bytes
        .get(12..)
        .and_then(|rest| rest.strip_prefix(b"IHDR"))
        .and_then(|rest| rest.first_chunk().copied())
        .ok_or_else(|| origin.damaged("the header chunk is missing"))?;
    let (width, height) = (u32::from_be_bytes([w0, w1, w2, w3]), u32::from_be_bytes([h0, h1, h2, h3]));
    // The bits of a palette image are those of its indices.
    let bits = if kind == PALETTE { 8 } else { bits };
    let count = origin.pixel_count(width, height)?;

    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let mut decoder =
        PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(|error| decoder_error(origin, &error))?;
    if decoder.is_apng().map_err(|error| decoder_error(origin, &error))? {
        return Err(origin.unsupported("an animated PNG image", "save one frame of it as a still image"));
    }
    let color = decoder.color_type();
    // An unreadable note on the orientation is no reason to refuse the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut data = vec![0; count * usize::from(color.bytes_per_pixel())];
    if decoder.total_bytes() != data.len() as u64 {
        return Err(origin.damaged("the header contradicts itself"));
    }
    decoder.read_image(&mut data).map_err(|error| decoder_error(origin, &error))?;

    let channels = usize::from(color.channel_count());
    let mut colours = ColourSum::default();
    let pixels = if color.bytes_per_pixel() / color.channel_count() == 2 {
        // The decoder delivers 16-bit samples in the byte order of the machine.
        let sample = |pair: &[u8]| f32::from(u16::from_ne_bytes([pair[0], pair[1]])) / 65535.0;
        data.chunks_exact(2 * channels).map(|pixel| grey(&mut colours, pixel.chunks_exact(2).map(sample))).collect()
    } else {
        let sample = |&value: &u8| f32::from(value) / 255.0;
        data.chunks_exact(channels).map(|pixel| grey(&mut colours, pixel.iter().map(sample))).collect()
    };
    let image = Radiograph {
        width: width as usize,
        height: height as usize,
        pixels,
        source: format!("PNG, {bits} bit"),
        nature: Nature { is_coloured: colours.is_coloured(1.0), ..Nature::default() },
    };
    Ok(image.oriented(orientation))
}

/// Luminance times opacity of a pixel with one to four channels in `0..=1`.
fn grey(colours: &mut ColourSum, samples: impl Iterator<Item = f32>) -> f32 {
    let mut channels = [1.0; 4];
    let count = channels.iter_mut().zip(samples).map(|(channel, sample)| *channel = sample).count();
    let [r, g, b, a] = channels;
    match count {
        1 => r,
        2 => r * g,
        3 => colours.luminance([r, g, b]),
        _ => colours.luminance([r, g, b]) * a,
    }
}

fn decoder_error(origin: Origin<'_>, error: &ImageError) -> Error {
    match error {
        ImageError::Limits(limit) if matches!(limit.kind(), LimitErrorKind::InsufficientMemory) => {
            origin.damaged("unpacking it would take more memory than an image of its size needs")
        }
        other => origin.damaged(other.to_string()),
    }
}
