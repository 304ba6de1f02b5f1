//! Where an image lies in memory.

use crate::error::{Error, Result};

/// Pixels of zeros around an image, so that a convolution reads its padding like any other pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Border {
    /// Above and to the left.
    pub before: usize,
    /// Below and to the right.
    pub after: usize,
}

impl Border {
    /// Wide enough for both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { before: self.before.max(other.before), after: self.after.max(other.after) }
    }
}

/// An image `[H, W, C]` with the channels of a pixel side by side, a border of zeros, and room for whole vectors; or some
/// of its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Floats from one pixel to the next; those after the channels are zeros.
    pub stride: usize,
    /// Floats of a pixel before its first channel: not 0 where this is [`Self::part`] of a wider image.
    pub offset: usize,
    /// The zeros around the image.
    pub border: Border,
}

impl Layout {
    /// Lays out an image whose pixels begin at multiples of `lanes` floats.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if a size is zero or the image needs more than 2^32 floats (or 2^29 where pointers have 32
    /// bits).
    pub fn new(height: usize, width: usize, channels: usize, lanes: usize, border: Border) -> Result<Self> {
        let unfit = || Error::Shape {
            what: "image of a network",
            expected: "at least one pixel and channel, and few enough to count their floats in 32 bits".to_owned(),
            found: format!("{height} x {width} x {channels}"),
        };
        if height == 0 || width == 0 || channels == 0 {
            return Err(unfit());
        }
        let stride = channels.checked_next_multiple_of(lanes).ok_or_else(unfit)?;
        let layout = Self { height, width, channels, stride, offset: 0, border };
        let with_border = |size: usize| size.checked_add(border.before)?.checked_add(border.after);
        let limit = (isize::MAX as usize / size_of::<f32>()).min(u32::MAX as usize);
        with_border(height)
            .zip(with_border(width))
            .and_then(|(rows, columns)| rows.checked_mul(columns)?.checked_mul(stride))
            .filter(|&len| len <= limit)
            .ok_or_else(unfit)?;
        Ok(layout)
    }

    /// Some channels of this image as an image of their own, in the same memory.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if there are no such channels.
    pub fn part(&self, first: usize, channels: usize) -> Result<Self> {
        if channels == 0 || first.checked_add(channels).is_none_or(|end| end > self.channels) {
            return Err(Error::Shape {
                what: "channels of an image",
                expected: format!("some of {}", self.channels),
                found: format!("{channels} from {first} on"),
            });
        }
        Ok(Self { channels, offset: self.offset + first, ..*self })
    }

    /// Floats of a pixel that are written where whole vectors are.
    pub(crate) fn padded_channels(&self, lanes: usize) -> usize {
        self.channels.next_multiple_of(lanes)
    }

    /// Whether vectors may be written to each pixel without touching what does not belong to it.
    pub(crate) fn holds_vectors(&self, lanes: usize) -> bool {
        let end = self.offset + self.padded_channels(lanes);
        self.stride.is_multiple_of(lanes) && self.offset.is_multiple_of(lanes) && end <= self.stride
    }

    /// Floats from one row to the next.
    pub fn row_stride(&self) -> usize {
        (self.border.before + self.width + self.border.after) * self.stride
    }

    /// Floats in all.
    pub fn len(&self) -> usize {
        (self.border.before + self.height + self.border.after) * self.row_stride()
    }

    /// Never: an image has at least one pixel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Offset of a pixel's first channel.
    pub fn at(&self, y: usize, x: usize) -> usize {
        (y + self.border.before) * self.row_stride() + (x + self.border.before) * self.stride + self.offset
    }

    /// Writes the zeros around the image; around all channels where this is a part of them.
    pub fn clear_border(&self, image: &mut [f32]) {
        if self.border == Border::default() {
            return;
        }
        let row = self.width * self.stride;
        let mut end_of_last = 0;
        for y in 0..self.height {
            let begin = self.at(y, 0) - self.offset;
            image[end_of_last..begin].fill(0.0);
            end_of_last = begin + row;
        }
        image[end_of_last..self.len()].fill(0.0);
    }

    /// Copies `[C, H, W]` values into the image, zeros into all else.
    pub fn fill_from_planes(&self, image: &mut [f32], planes: &[f32]) {
        image[..self.len()].fill(0.0);
        for (channel, plane) in planes.chunks_exact(self.height * self.width).enumerate().take(self.channels) {
            for (y, row) in plane.chunks_exact(self.width).enumerate() {
                let to = &mut image[self.at(y, 0) + channel..];
                for (pixel, value) in to.chunks_mut(self.stride).zip(row) {
                    pixel[0] = *value;
                }
            }
        }
    }

    /// Copies the image out as `[C, H, W]`.
    pub fn copy_planes(&self, image: &[f32], planes: &mut [f32]) {
        let plane = self.height * self.width;
        for i in 0..plane {
            let at = self.at(i / self.width, i % self.width);
            let pixel = &image[at..at + self.channels];
            for (value, to) in pixel.iter().zip(planes[i..].iter_mut().step_by(plane)) {
                *to = *value;
            }
        }
    }

    /// Copies out as `[C, H, width]` an image each of whose pixels holds the channels of `n` neighbours: those of
    /// [`Algorithm::SideBySide`](super::Algorithm::SideBySide). What lies beyond the width is left out.
    pub fn copy_neighbours(&self, n: usize, image: &[f32], planes: &mut [f32], width: usize) {
        let channels = self.channels / n;
        for (at, row) in planes.chunks_exact_mut(width).enumerate() {
            let (channel, y) = (at / self.height, at % self.height);
            for (x, value) in row.iter_mut().enumerate() {
                *value = image[self.at(y, x / n) + x % n * channels + channel];
            }
        }
    }

    /// Copies the image out as `[H, W, C]` without border or gaps.
    pub fn copy_dense(&self, image: &[f32], dense: &mut [f32]) {
        for (i, pixel) in dense.chunks_exact_mut(self.channels).enumerate() {
            let at = self.at(i / self.width, i % self.width);
            pixel.copy_from_slice(&image[at..at + self.channels]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_lies_among_the_other_channels() {
        let whole = Layout::new(2, 2, 8, 4, Border { before: 1, after: 0 }).expect("a small image");
        let part = whole.part(4, 3).expect("is there");
        assert_eq!((part.at(0, 0), part.at(1, 1), part.len()), (whole.at(0, 0) + 4, whole.at(1, 1) + 4, whole.len()));
        assert!(part.holds_vectors(4) && !part.holds_vectors(8));
        assert!(!whole.part(2, 2).expect("is there").holds_vectors(4));
        let mut image = vec![1.0; whole.len()];
        part.clear_border(&mut image);
        assert_eq!(image.iter().filter(|&&value| value == 1.0).count(), 2 * 2 * 8);
        image[part.at(0, 1) + 2] = 5.0;
        let mut planes = vec![0.0; 12];
        part.copy_planes(&image, &mut planes);
        assert_eq!(planes, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 5.0, 1.0, 1.0]);
        for (first, channels) in [(0, 0), (0, 9), (8, 1), (usize::MAX, 2)] {
            assert!(matches!(whole.part(first, channels), Err(Error::Shape { .. })));
        }
    }

    #[test]
    fn planes_go_in_and_dense_pixels_come_out() {
        let layout = Layout::new(2, 3, 2, 4, Border { before: 1, after: 2 }).expect("a small image");
        assert_eq!((layout.stride, layout.row_stride(), layout.len()), (4, 24, 120));
        let planes: Vec<f32> = (1..=12).map(|i| i as f32).collect();
        let mut image = vec![9.0; layout.len()];
        layout.fill_from_planes(&mut image, &planes);
        assert_eq!(image.iter().filter(|&&value| value != 0.0).count(), 12);
        let mut dense = vec![0.0; 12];
        layout.copy_dense(&image, &mut dense);
        assert_eq!(dense, [1.0, 7.0, 2.0, 8.0, 3.0, 9.0, 4.0, 10.0, 5.0, 11.0, 6.0, 12.0]);

        let filled = image.clone();
        let mut dirty = vec![9.0; layout.len()];
        for y in 0..2 {
            let at = layout.at(y, 0);
            dirty[at..at + 12].copy_from_slice(&filled[at..at + 12]);
        }
        layout.clear_border(&mut dirty);
        assert_eq!(dirty, filled);
    }

    #[test]
    fn impossible_sizes_are_errors() {
        let none = Border::default();
        for (h, w, c) in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (usize::MAX, 2, 2), (1 << 20, 1 << 20, 1)] {
            assert!(matches!(Layout::new(h, w, c, 4, none), Err(Error::Shape { .. })), "{h} x {w} x {c}");
        }
        let wide = Border { before: usize::MAX, after: 1 };
        assert!(Layout::new(1, 1, 1, 4, wide).is_err());
    }
}
