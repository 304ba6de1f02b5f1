//! JPEG 2000 pixel data.
//!
//! Source: ITU-T T.800, annex A.

use hayro_jpeg2000::{ComponentData, DecodeSettings, DecoderContext, Image};

use super::pixel_format::{PixelFormat, Sign};
use crate::error::Result;
use crate::io::format::Origin;
use crate::io::radiograph::luminance;

/// Most tiles a codestream can number.
const MAX_TILES: u64 = 65535;

/// Smallest precinct accepted, as a power of two: the decoder keeps a record for each.
const MIN_PRECINCT_EXPONENT: u8 = 4;

/// Stored values of a grey image, luminance of a colour image: `[rows, columns]`.
pub(super) fn decode_grey(origin: Origin<'_>, stream: &[u8], format: &PixelFormat) -> Result<Vec<f32>> {
    let damaged = |reason: &str| origin.damaged(format!("JPEG 2000: {reason}"));
    // Files that hold the codestream in a box are not allowed, but exist.
    let codestream = codestream(stream).ok_or_else(|| damaged("there is no codestream"))?;
    let siz = Siz::parse(codestream).ok_or_else(|| damaged("the header is cut off or impossible"))?;
    let channels = format.photometric.channels();
    if (siz.width, siz.height, siz.components.len()) != (format.columns.into(), format.rows.into(), channels) {
        return Err(damaged(&format!(
            "the stream is {} x {} with {} channels, the attributes say {} x {} with {channels}",
            siz.width,
            siz.height,
            siz.components.len(),
            format.columns,
            format.rows,
        )));
    }
    check_precincts(codestream).ok_or_else(|| damaged("the coding parameters are cut off or impossible"))?;

    let settings = DecodeSettings { resolve_palette_indices: false, strict: true, target_resolution: None };
    let image = Image::new(codestream, &settings).map_err(|error| damaged(&error.to_string()))?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|error| damaged(&error.to_string()))?;
    let planes: Vec<&[f32]> = decoded.components().iter().map(ComponentData::samples).collect();
    if planes.len() != channels || planes.iter().any(|plane| plane.len() != format.count) {
        return Err(damaged("the number of samples does not fit the size of the image"));
    }
    Ok(match planes.as_slice() {
        [r, g, b] => {
            let (r, g, b) = ((*r).iter(), (*g).iter(), (*b).iter());
            r.zip(g).zip(b).map(|((&r, &g), &b)| luminance([r, g, b].map(|v| siz.components[0].clamp(v)))).collect()
        }
        _ => planes[0].iter().map(|&v| siz.components[0].value(v, format)).collect(),
    })
}

/// The codestream itself, or the one in a JP2 file.
fn codestream(stream: &[u8]) -> Option<&[u8]> {
    const START: &[u8] = b"\xffO\xffQ";
    let at = stream.windows(START.len()).position(|window| window == START)?;
    Some(&stream[at..])
}

/// Bits and sign of the samples of a component.
struct Component {
    bits: u8,
    sign: Sign,
}

impl Component {
    /// A decoded sample without the overshoot of lossy coding, in `0..2^bits`.
    fn clamp(&self, sample: f32) -> f32 {
        sample.round().clamp(0.0, f32::from(u16::MAX >> (16 - self.bits)))
    }

    /// The stored value of a decoded sample, to which the decoder has added half the range in any case.
    fn value(&self, sample: f32, format: &PixelFormat) -> f32 {
        let sample = self.clamp(sample);
        match self.sign {
            Sign::Unsigned => format.value(sample as u16),
            Sign::TwosComplement => sample - f32::from(1u16 << (self.bits - 1)),
        }
    }
}

/// Image and tile size.
struct Siz {
    width: u32,
    height: u32,
    components: Vec<Component>,
}

impl Siz {
    /// `None` for a header that is cut off, for offsets and subsampling (of no use in DICOM), and for too many tiles.
    fn parse(codestream: &[u8]) -> Option<Self> {
        // Two markers, the length of the second and the capabilities come first.
        let (words, rest) = codestream.get(8..)?.split_at_checked(32)?;
        let words: Vec<u32> = words.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word)).collect();
        let &[width, height, 0, 0, tile_width, tile_height, 0, 0] = words.as_slice() else { return None };
        if tile_width == 0 || tile_height == 0 {
            return None;
        }
        let tiles = u64::from(width.div_ceil(tile_width)) * u64::from(height.div_ceil(tile_height));
        let n = u16::from_be_bytes(*rest.first_chunk()?);
        let components: Option<Vec<_>> =
            rest[2..].as_chunks::<3>().0.iter().take(n.into()).map(|&bytes| component(bytes)).collect();
        let components = components.filter(|components| components.len() == usize::from(n))?;
        (tiles <= MAX_TILES).then_some(Self { width, height, components })
    }
}

fn component([depth, dx, dy]: [u8; 3]) -> Option<Component> {
    let bits = (depth & 0x7F) + 1;
    let sign = if depth & 0x80 == 0 { Sign::Unsigned } else { Sign::TwosComplement };
    (bits <= 16 && dx == 1 && dy == 1).then_some(Component { bits, sign })
}

/// Walks the headers of the codestream and its tile-parts; `None` if one is cut off or asks for tiny precincts.
fn check_precincts(codestream: &[u8]) -> Option<()> {
    let mut at = 2;
    // Where the present tile-part began and its length.
    let mut tile_part = (0, 0);
    loop {
        let marker = u16::from_be_bytes(*codestream.get(at..)?.first_chunk()?);
        match marker {
            // End of the codestream.
            0xFFD9 => return Some(()),
            // Start of data: on to the next tile-part; length 0 is the last one, to the end.
            0xFF93 => {
                let (start, length) = tile_part;
                if length == 0 {
                    return Some(());
                }
                let end = start + length;
                if end == codestream.len() {
                    // Only the end marker is missing.
                    return Some(());
                }
                if end <= at {
                    return None;
                }
                at = end;
                continue;
            }
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes(*codestream.get(at + 2..)?.first_chunk()?));
        let payload = codestream.get(at + 4..at + 2 + length)?;
        let precincts = match marker {
            // Start of a tile-part.
            0xFF90 => {
                tile_part = (at, u32::from_be_bytes(*payload.get(2..)?.first_chunk()?) as usize);
                &[][..]
            }
            // Coding style: default, and of a component (fewer than 257 of them).
            0xFF52 if payload.first()? & 1 == 1 => payload.get(10..)?,
            0xFF53 if payload.get(1)? & 1 == 1 => payload.get(7..)?,
            _ => &[],
        };
        if precincts.iter().any(|&size| size & 0x0F < MIN_PRECINCT_EXPONENT || size >> 4 < MIN_PRECINCT_EXPONENT) {
            return None;
        }
        at += 2 + length;
    }
}
