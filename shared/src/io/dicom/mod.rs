//! DICOM images: one frame, grey (MONOCHROME1 and 2) or colour, 8 to 16 bit.
//!
//! The stored values go through the modality rescale and the window of the file, as on a viewing station
//! (PS3.3 C.11.1 and C.11.2). Of several windows the first counts; without one, the smallest value of the image is
//! black and the largest white. MONOCHROME1 is inverted. Padding is black. Colour becomes luminance. Lookup tables
//! (Modality LUT and VOI LUT sequences), overlays and shutters are not applied.
//!
//! The data set is read by this module rather than by a general DICOM library: files come from anywhere, and in the
//! browser a panic, a stack overflow or a failed allocation ends the program. Here nothing recurses, and no memory is
//! taken that the size of the file and of the image does not justify.

mod attribute;
mod dataset;
mod display;
mod jpeg2000;
mod pixel_format;
mod pixels;
mod rle;
mod transfer_syntax;

pub(crate) use dataset::is_dicom;

use crate::error::{Error, Result};
use crate::io::Radiograph;
use crate::io::format::Origin;
use crate::io::radiograph::Nature;
use attribute::Attribute;
use dataset::Dataset;
use display::Display;
use pixel_format::PixelFormat;

/// Reads a DICOM file, with or without preamble and file meta information.
pub(crate) fn read(file: &str, bytes: &[u8]) -> Result<Radiograph> {
    let origin = Origin { file, format: "DICOM" };
    let dataset = Dataset::parse(origin, bytes)?;
    let format = PixelFormat::from_dataset(&dataset)?;
    let display = Display::from_dataset(&dataset, &format)?;
    let mut pixels = pixels::decode(&dataset, &format)?;
    display.apply(&mut pixels);
    let source =
        format!("DICOM, {}, {}, {} bit", dataset.syntax.label(), format.photometric.name(), format.bits_stored);
    let nature = Nature {
        is_coloured: format.photometric.channels() > 1,
        modality: dataset.text(Attribute::Modality),
        view: dataset.text(Attribute::ViewPosition),
    };
    Ok(Radiograph { width: format.columns.into(), height: format.rows.into(), pixels, source, nature })
}

/// An attribute that is needed is absent or impossible.
fn attribute_error(origin: Origin<'_>, attribute: Attribute, problem: impl Into<String>) -> Error {
    Error::DicomAttribute { file: origin.file.to_owned(), tag: attribute.to_string(), problem: problem.into() }
}
