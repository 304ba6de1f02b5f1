//! An x-ray image as every reader delivers it.

use image::metadata::Orientation;

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
    /// What else the file says of the picture.
    pub nature: Nature,
}

/// What a file says of its picture beside the grey values: enough to see that it is no chest x-ray.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nature {
    /// Whether the file holds colours. A picture in grey stored with three channels does not; a DICOM image of three
    /// channels always does, since no x-ray is stored so.
    pub is_coloured: bool,
    /// The modality that a DICOM file names: `CR`, `DX`, `CT`.
    pub modality: Option<String>,
    /// The view that a DICOM file names: `PA`, `AP`, `LL`.
    pub view: Option<String>,
}

/// Mean distance between the strongest and the weakest channel from which on a picture counts as coloured: above what
/// lossy compression makes of grey.
const COLOURED: f32 = 0.02;

/// Luminance of a picture in three channels of `0..=1`, and whether it has colours.
#[derive(Default)]
pub(crate) struct ColourSum {
    sum: f64,
    n: usize,
}

impl ColourSum {
    /// Takes a pixel; gives its luminance.
    pub(crate) fn luminance(&mut self, rgb: [f32; 3]) -> f32 {
        let [r, g, b] = rgb;
        self.sum += f64::from(r.max(g).max(b) - r.min(g).min(b));
        self.n += 1;
        luminance(rgb)
    }

    /// Whether the pixels so far are coloured; `white` is the largest value of a channel.
    pub(crate) fn is_coloured(&self, white: f32) -> bool {
        self.sum > f64::from(COLOURED * white) * self.n as f64
    }
}

impl Radiograph {
    /// The pixels in `0..=255`, `[height, width]` row by row.
    pub fn to_grey8(&self) -> Vec<u8> {
        self.pixels.iter().map(|p| (p.clamp(0.0, 1.0) * 255.0).round() as u8).collect()
    }

    /// A copy whose longer side is at most `max_side` pixels, for showing: each pixel is the mean of a block.
    ///
    /// The block is a whole number of pixels, so the result may be up to half as large as it could be. An image that
    /// is small enough already is copied as it is; a `max_side` of 0 counts as 1.
    #[must_use]
    pub fn thumbnail(&self, max_side: usize) -> Self {
        let block = self.width.max(self.height).div_ceil(max_side.max(1)).max(1);
        let (width, height) = (self.width.div_ceil(block), self.height.div_ceil(block));
        let mut pixels = Vec::with_capacity(width * height);
        for top in (0..self.height).step_by(block) {
            let rows = top..(top + block).min(self.height);
            for left in (0..self.width).step_by(block) {
                let columns = left..(left + block).min(self.width);
                let count = rows.len() * columns.len();
                let sum: f32 = rows.clone().flat_map(|y| &self.pixels[y * self.width..][columns.clone()]).sum();
                pixels.push(sum / count as f32);
            }
        }
        Self { width, height, pixels, source: self.source.clone(), nature: self.nature.clone() }
    }

    /// Turned as the camera's note (Exif) asks.
    pub(crate) fn oriented(self, orientation: Orientation) -> Self {
        let (w, h) = (self.width, self.height);
        let swaps_sides = matches!(
            orientation,
            Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
        );
        if orientation == Orientation::NoTransforms {
            return self;
        }
        let (width, height) = if swaps_sides { (h, w) } else { (w, h) };
        let source_of = |x: usize, y: usize| match orientation {
            Orientation::NoTransforms => (x, y),
            Orientation::FlipHorizontal => (w - 1 - x, y),
            Orientation::FlipVertical => (x, h - 1 - y),
            Orientation::Rotate180 => (w - 1 - x, h - 1 - y),
            Orientation::Rotate90 => (y, h - 1 - x),
            Orientation::Rotate270 => (w - 1 - y, x),
            Orientation::Rotate90FlipH => (y, x),
            Orientation::Rotate270FlipH => (w - 1 - y, h - 1 - x),
        };
        let pixels = (0..width * height)
            .map(|i| {
                let (x, y) = source_of(i % width, i / width);
                self.pixels[y * w + x]
            })
            .collect();
        Self { width, height, pixels, source: self.source, nature: self.nature }
    }
}

/// Rec. 601 luminance of red, green and blue, in their unit.
pub(crate) fn luminance([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: usize, pixels: &[f32]) -> Radiograph {
        let height = pixels.len() / width;
        Radiograph { width, height, pixels: pixels.to_vec(), source: "test".to_owned(), nature: Nature::default() }
    }

    #[test]
    fn a_thumbnail_averages_whole_blocks() {
        let small = image(3, &[0.0, 0.5, 1.0, 0.5, 1.0, 0.0]).thumbnail(2);
        assert_eq!((small.width, small.height), (2, 1));
        assert_eq!(small.pixels, [0.5, 0.5]);
        assert_eq!(image(2, &[0.0, 1.0]).thumbnail(8).to_grey8(), [0, 255]);
    }

    #[test]
    fn every_orientation_puts_the_first_pixel_where_exif_says() {
        // Exif orientations 1 to 8 of a 3 x 2 image.
        let expected: [&[f32]; 8] = [
            &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            &[2.0, 1.0, 0.0, 5.0, 4.0, 3.0],
            &[5.0, 4.0, 3.0, 2.0, 1.0, 0.0],
            &[3.0, 4.0, 5.0, 0.0, 1.0, 2.0],
            &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0],
            &[3.0, 0.0, 4.0, 1.0, 5.0, 2.0],
            &[5.0, 2.0, 4.0, 1.0, 3.0, 0.0],
            &[2.0, 5.0, 1.0, 4.0, 0.0, 3.0],
        ];
        for (exif, pixels) in (1..=8).zip(expected) {
            let turned = image(3, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
                .oriented(Orientation::from_exif(exif).expect("one of the eight"));
            assert_eq!(turned.pixels, pixels, "Exif orientation {exif}");
            assert_eq!(turned.width, if exif < 5 { 3 } else { 2 });
        }
    }
}
