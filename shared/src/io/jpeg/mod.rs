//! JPEG images, as files of their own and inside DICOM: baseline, progressive and lossless.

mod lossless;
mod segments;

use jpeg_decoder::{ColorTransform, Decoder};

use image::metadata::Orientation;

use crate::error::Result;
use crate::io::Radiograph;
use crate::io::format::Origin;
use crate::io::radiograph::{ColourSum, Nature};
use segments::Segments;

pub(crate) const SIGNATURE: &[u8] = b"\xff\xd8\xff";

/// How the samples are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    /// Discrete cosine transform, Huffman codes, one or several scans.
    Cosine,
    /// Prediction from neighbours, Huffman codes.
    Lossless,
}

/// What the frame header says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    process: Process,
    /// Bits of a sample.
    pub(crate) precision: u8,
    /// Width in pixels.
    pub(crate) width: u16,
    /// Height in pixels.
    pub(crate) height: u16,
    /// Colour channels: 1 or 3.
    pub(crate) components: u8,
}

/// What the three channels of a colour image are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channels {
    /// As the markers of the stream say.
    AsMarked,
    /// Luminance and two colour differences.
    YCbCr,
}

/// Reads a JPEG file.
pub(crate) fn read(file: &str, bytes: &[u8]) -> Result<Radiograph> {
    let origin = Origin { file, format: "JPEG" };
    let frame = Frame::parse(origin, bytes)?;
    origin.pixel_count(frame.width.into(), frame.height.into())?;
    let largest = f32::from(u16::MAX >> (16 - frame.precision));
    let (mut pixels, is_coloured) = frame.decode_grey(origin, bytes, Channels::AsMarked)?;
    for p in &mut pixels {
        *p = (*p / largest).clamp(0.0, 1.0);
    }
    let kind = if frame.process == Process::Lossless { "JPEG Lossless" } else { "JPEG" };
    let image = Radiograph {
        width: frame.width.into(),
        height: frame.height.into(),
        pixels,
        source: format!("{kind}, {} bit", frame.precision),
        nature: Nature { is_coloured, ..Nature::default() },
    };
    Ok(image.oriented(orientation(bytes)))
}

/// The orientation in the Exif segment; upright if there is none that can be read.
fn orientation(bytes: &[u8]) -> Orientation {
    Segments::new(bytes)
        .filter(|segment| segment.marker == 0xE1)
        .find_map(|segment| segment.payload.strip_prefix(b"Exif\0\0"))
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms)
}

impl Frame {
    /// Finds the frame header of a stream that is complete: decoders fill what is cut off with grey and say nothing.
    pub(crate) fn parse(origin: Origin<'_>, bytes: &[u8]) -> Result<Self> {
        const CONVERT: &str = "save the image as an ordinary grey or RGB JPEG or PNG";
        let mut segments = Segments::new(bytes);
        // Start of frame; C4, C8 and CC are tables and a reserved code.
        let header = segments.find(|s| matches!(s.marker, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF));
        let is_complete = segments.any(|segment| segment.marker == 0xD9);
        let header = header.ok_or_else(|| origin.damaged("JPEG: there is no frame header"))?;
        let &[precision, h0, h1, w0, w1, components, ..] = header.payload else {
            return Err(origin.damaged("JPEG: the frame header is cut off"));
        };
        let process = match header.marker {
            0xC0..=0xC2 => Process::Cosine,
            0xC3 => Process::Lossless,
            0xC9..=0xCF => return Err(origin.unsupported("arithmetic coding in a JPEG image", CONVERT)),
            _ => return Err(origin.unsupported("a hierarchical JPEG image", CONVERT)),
        };
        match components {
            1 | 3 => {}
            4 => return Err(origin.unsupported("a JPEG image in CMYK colours", CONVERT)),
            n => return Err(origin.unsupported(format!("a JPEG image with {n} colour channels"), CONVERT)),
        }
        match (process, precision) {
            (Process::Cosine, 8) | (Process::Lossless, 2..=16) => {}
            (Process::Cosine, 12) => {
                return Err(origin.unsupported("a lossy JPEG image with 12 bits a sample", CONVERT));
            }
            (_, bits) => return Err(origin.damaged(format!("JPEG: {bits} bits a sample are not possible"))),
        }
        if !is_complete {
            return Err(origin.damaged("JPEG: the data ends before the end of the image"));
        }
        let (width, height) = (u16::from_be_bytes([w0, w1]), u16::from_be_bytes([h0, h1]));
        Ok(Self { process, precision, width, height, components })
    }

    /// The samples of a grey image, the luminance of a colour image, in `0..2^precision`: `[height, width]`; and whether
    /// there are colours.
    ///
    /// The caller has found the size acceptable.
    pub(crate) fn decode_grey(self, origin: Origin<'_>, bytes: &[u8], channels: Channels) -> Result<(Vec<f32>, bool)> {
        let count = usize::from(self.width) * usize::from(self.height);
        let samples: Vec<f32> = match self.process {
            Process::Lossless => lossless::decode(origin, bytes, self)?.into_iter().map(f32::from).collect(),
            Process::Cosine => {
                let mut decoder = Decoder::new(bytes);
                if channels == Channels::YCbCr && self.components == 3 {
                    decoder.set_color_transform(ColorTransform::YCbCr);
                }
                let damaged = |error: jpeg_decoder::Error| origin.damaged(format!("JPEG: {error}"));
                // The decoder takes memory for the size that it finds: it has to be the one that was accepted.
                decoder.read_info().map_err(damaged)?;
                if decoder.info().is_none_or(|info| (info.width, info.height) != (self.width, self.height)) {
                    return Err(origin.damaged("JPEG: the size of the image is ambiguous"));
                }
                let samples = decoder.decode().map_err(damaged)?;
                samples.into_iter().map(f32::from).collect()
            }
        };
        if samples.len() != count * usize::from(self.components) {
            return Err(origin.damaged("JPEG: the number of samples does not fit the size of the image"));
        }
        if self.components == 1 {
            return Ok((samples, false));
        }
        // The lossless process has no colour transform of its own: Y is the luminance already.
        let is_luminance_first = self.process == Process::Lossless && channels == Channels::YCbCr;
        let triples = samples.as_chunks::<3>().0;
        if is_luminance_first {
            return Ok((triples.iter().map(|&[y, _, _]| y).collect(), true));
        }
        let mut colours = ColourSum::default();
        let grey = triples.iter().map(|&rgb| colours.luminance(rgb)).collect();
        Ok((grey, colours.is_coloured(f32::from(u16::MAX >> (16 - self.precision)))))
    }
}
