//! Which kind of image the bytes are, told by the bytes alone: names and extensions say nothing reliable.

use crate::error::{Error, Result};
use crate::io::{Radiograph, dicom, jpeg, png};

/// Largest image read into memory, in millions of pixels: three times the largest digital radiograph.
pub const MAX_MEGAPIXELS: u64 = 64;

/// Reads an x-ray image: PNG, JPEG or DICOM, whatever the file is called.
///
/// Colour becomes luminance (Rec. 601 weights), transparency is laid over black, the orientation that a camera noted
/// (Exif) is applied, and DICOM grey values go through the rescale and window of the file (see [`dicom`]). An image
/// is refused from its header, before memory is taken, if it has more than [`MAX_MEGAPIXELS`].
///
/// `file` is the name to use in messages.
///
/// # Errors
///
/// [`Error::EmptyFile`], [`Error::UnknownFormat`], [`Error::Damaged`], [`Error::TooManyPixels`];
/// [`Error::Unsupported`] for animations, several frames, CMYK and other valid but unreadable features;
/// [`Error::DicomAttribute`] and [`Error::TransferSyntax`] for DICOM files.
pub fn read_radiograph(file: &str, bytes: &[u8]) -> Result<Radiograph> {
    if bytes.is_empty() {
        return Err(Error::EmptyFile { file: file.to_owned() });
    }
    if bytes.starts_with(png::SIGNATURE) {
        png::read(file, bytes)
    } else if bytes.starts_with(jpeg::SIGNATURE) {
        jpeg::read(file, bytes)
    } else if dicom::is_dicom(bytes) {
        dicom::read(file, bytes)
    } else {
        Err(Error::UnknownFormat { file: file.to_owned(), found: describe(bytes) })
    }
}

/// Openings of files that people mistake for x-ray images or volumes: offset, bytes, words.
const OTHER_FORMATS: [(usize, &[u8], &str); 23] = [
    (0, png::SIGNATURE, "a PNG image"),
    (0, jpeg::SIGNATURE, "a JPEG image"),
    (128, b"DICM", "a DICOM file"),
    (0, b"GIF8", "a GIF image"),
    (8, b"WEBP", "a WebP image"),
    (0, b"BM", "a BMP image"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (4, b"ftypavif", "an AVIF image"),
    (4, b"ftyphei", "a HEIC image"),
    (4, b"ftypmif1", "a HEIC image"),
    (4, b"ftyp", "a video"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (0, b"\xffO\xffQ", "a JPEG 2000 image"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (0, b"8BPS", "a Photoshop image"),
    (344, b"n+1\0", "a NIfTI volume"),
    (344, b"ni1\0", "a NIfTI header"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive or office document"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"NRRD", "an NRRD volume"),
    (0, b"ObjectType = Image", "a MetaImage volume"),
];

/// What bytes that are not what was expected look like, in words.
pub(crate) fn describe(bytes: &[u8]) -> String {
    let known = OTHER_FORMATS.iter().find(|(at, magic, _)| bytes.get(*at..).is_some_and(|b| b.starts_with(magic)));
    if let Some((_, _, words)) = known {
        return (*words).to_owned();
    }
    let start = &bytes[..bytes.len().min(512)];
    if is_text(start) {
        let opening = String::from_utf8_lossy(start).trim_start().to_ascii_lowercase();
        let markup = [("<!doctype html", "an HTML page"), ("<html", "an HTML page"), ("<svg", "an SVG drawing")];
        let words = markup.iter().find(|(tag, _)| opening.starts_with(tag)).map_or("text", |(_, words)| words);
        return words.to_owned();
    }
    let hex: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("its first bytes are {}", hex.join(" "))
}

/// UTF-8 (a character may be cut at the end) without control characters other than white space.
fn is_text(start: &[u8]) -> bool {
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty() && valid.chars().all(|c| !c.is_control() || c.is_whitespace())
}

/// The file and format that messages name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) file: &'a str,
    pub(crate) format: &'static str,
}

impl Origin<'_> {
    pub(crate) fn damaged(self, reason: impl Into<String>) -> Error {
        Error::Damaged { file: self.file.to_owned(), format: self.format, reason: reason.into() }
    }

    pub(crate) fn unsupported(self, what: impl Into<String>, remedy: &'static str) -> Error {
        Error::Unsupported { file: self.file.to_owned(), what: what.into(), remedy }
    }

    /// Number of pixels of an image that is neither empty nor too large.
    pub(crate) fn pixel_count(self, width: u32, height: u32) -> Result<usize> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 {
            return Err(self.damaged(format!("the image is {width} x {height} pixels")));
        }
        if pixels > MAX_MEGAPIXELS * 1_000_000 {
            return Err(Error::TooManyPixels {
                file: self.file.to_owned(),
                width: width.into(),
                height: height.into(),
                max_megapixels: MAX_MEGAPIXELS,
            });
        }
        Ok(pixels as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_named() {
        for (bytes, words) in [
            (&b"GIF89a\x01\0"[..], "a GIF image"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "a WebP image"),
            (b"%PDF-1.7", "a PDF document"),
            (b"PK\x03\x04\x14\0", "a ZIP archive or office document"),
            (b" \n<!DOCTYPE html><html>", "an HTML page"),
            ("Befund: unauffällig".as_bytes(), "text"),
            (b"\x01\x02\xfe", "its first bytes are 01 02 fe"),
        ] {
            let error = read_radiograph("x.png", bytes).expect_err("not an image");
            assert!(
                matches!(&error, Error::UnknownFormat { file, found } if file == "x.png" && found == words),
                "{error}"
            );
        }
        assert!(matches!(read_radiograph("x", b""), Err(Error::EmptyFile { .. })));
    }

    #[test]
    fn text_may_be_cut_inside_a_character() {
        assert!(is_text(&"aä".as_bytes()[..2]));
        assert!(!is_text(b"a\xe4b"));
    }
}
