//! RLE Lossless: each byte of the samples in a segment of its own, run-length coded.
//!
//! Source: PS3.5 annex G.

use super::pixel_format::PixelFormat;
use crate::error::Result;
use crate::io::format::Origin;

/// Samples in little-endian bytes, one plane for each colour.
pub(super) fn decode(origin: Origin<'_>, stream: &[u8], format: &PixelFormat) -> Result<Vec<u8>> {
    const HEADER_LEN: usize = 64;
    let bytes_per_sample = format.bytes_per_sample;
    let n_segments = format.photometric.channels() * bytes_per_sample;
    let header = stream.get(..HEADER_LEN).ok_or_else(|| origin.damaged("RLE: the header is cut off"))?;
    let words: Vec<usize> = header.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word) as usize).collect();
    if words[0] != n_segments {
        return Err(origin.damaged(format!("RLE: {} segments where the image needs {n_segments}", words[0])));
    }
    let mut samples = vec![0; n_segments * format.count];
    for segment in 0..n_segments {
        let start = words[1 + segment];
        let end = if segment + 1 < n_segments { words[2 + segment] } else { stream.len() };
        let coded = stream.get(start..end).filter(|_| start >= HEADER_LEN);
        let coded = coded.ok_or_else(|| origin.damaged(format!("RLE: segment {segment} is not within the data")))?;
        // The highest byte of a sample comes first.
        let (channel, byte) = (segment / bytes_per_sample, bytes_per_sample - 1 - segment % bytes_per_sample);
        let plane = &mut samples[channel * format.count * bytes_per_sample..];
        let mut out = plane.iter_mut().skip(byte).step_by(bytes_per_sample).take(format.count);
        unpack(coded, &mut out).ok_or_else(|| origin.damaged(format!("RLE: segment {segment} ends too early")))?;
    }
    Ok(samples)
}

/// Fills `out`; `None` if the coded bytes are too few. What they hold beyond it is ignored.
fn unpack<'a>(mut coded: &[u8], out: &mut impl ExactSizeIterator<Item = &'a mut u8>) -> Option<()> {
    while out.len() > 0 {
        let (&control, rest) = coded.split_first()?;
        match control {
            0..=127 => {
                let literal = rest.get(..usize::from(control) + 1)?;
                literal.iter().zip(&mut *out).for_each(|(&value, slot)| *slot = value);
                coded = &rest[literal.len()..];
            }
            128 => coded = rest,
            129..=255 => {
                let (&value, rest) = rest.split_first()?;
                out.take(257 - usize::from(control)).for_each(|slot| *slot = value);
                coded = rest;
            }
        }
    }
    Some(())
}
