//! An x-ray image as every reader delivers it.

/// One grey image, upright, in the sense of a viewing station: 0 is black (air), 1 is white (bone).
#[derive(Debug, Clone, PartialEq)]
pub struct Radiograph {
    /// Width in pixels, at least 1.
    pub width: usize,
    /// Height in pixels, at least 1.
    pub height: usize,
    /// `[height, width]` row by row, each in `0..=1`.
    pub pixels: Vec<f32>,
    /// What the file was, for people: `PNG, 8 bit`, `DICOM, JPEG Lossless, MONOCHROME1, 12 bit`.
    pub source: String,
}
