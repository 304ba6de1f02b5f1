//! Grey images of one byte a pixel.

use shared::io::Radiograph;

/// A grey image: 0 is black, 255 is white.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grey {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `[height, width]` row by row.
    pub pixels: Vec<u8>,
}

/// A grey image of two bytes a pixel: 0 is black, 65535 is white.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grey16 {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `[height, width]` row by row.
    pub pixels: Vec<u16>,
}

impl Grey {
    /// A copy whose longer side has at most `max_side` pixels, each the mean of the block it stands for.
    ///
    /// A smaller image keeps its size.
    pub fn reduce(image: &Radiograph, max_side: usize) -> Self {
        let (width, height, means) = reduced(image, max_side);
        let grey = |mean: f32| (mean * 255.0).round().clamp(0.0, 255.0) as u8;
        Self { width, height, pixels: means.into_iter().map(grey).collect() }
    }

    /// Red, green, blue and opacity of every pixel: `[height, width, 4]`, as a canvas wants it.
    pub fn to_rgba(&self) -> Vec<u8> {
        self.pixels.iter().flat_map(|&value| [value, value, value, 255]).collect()
    }
}

impl Grey16 {
    /// As [`Grey::reduce`].
    pub fn reduce(image: &Radiograph, max_side: usize) -> Self {
        let (width, height, means) = reduced(image, max_side);
        let grey = |mean: f32| (mean * 65535.0).round().clamp(0.0, 65535.0) as u16;
        Self { width, height, pixels: means.into_iter().map(grey).collect() }
    }

    /// Two bytes a pixel, the lower first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.pixels.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// What [`Self::to_bytes`] gave; black where bytes are missing.
    pub fn from_bytes(width: usize, height: usize, bytes: &[u8]) -> Self {
        let mut pixels: Vec<u16> = bytes.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect();
        pixels.resize(width * height, 0);
        Self { width, height, pixels }
    }
}

/// Width, height and means of blocks of an image whose longer side shall have at most `max_side` pixels.
fn reduced(image: &Radiograph, max_side: usize) -> (usize, usize, Vec<f32>) {
    let longer = image.width.max(image.height).max(1);
    let side = longer.min(max_side);
    // Never 0, however narrow the image.
    let (width, height) = ((image.width * side / longer).max(1), (image.height * side / longer).max(1));
    let columns = blocks(image.width, width);
    let mut means = Vec::with_capacity(width * height);
    for (top, bottom) in blocks(image.height, height) {
        let rows = &image.pixels[top * image.width..bottom * image.width];
        for &(left, right) in &columns {
            let sum: f32 = rows.chunks_exact(image.width).flat_map(|row| &row[left..right]).sum();
            means.push(sum / ((right - left) * (bottom - top)) as f32);
        }
    }
    (width, height, means)
}

/// Cuts `0..from` into `to <= from` parts as equal as whole numbers allow: `(start, end)` of each.
fn blocks(from: usize, to: usize) -> Vec<(usize, usize)> {
    (0..to).map(|i| (i * from / to, (i + 1) * from / to)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::io::radiograph::Nature;

    fn image(width: usize, height: usize, f: impl Fn(usize, usize) -> f32) -> Radiograph {
        let pixels = (0..width * height).map(|i| f(i % width, i / width)).collect();
        Radiograph { width, height, pixels, source: "test".to_owned(), nature: Nature::default() }
    }

    #[test]
    fn a_small_image_keeps_its_pixels() {
        let grey = Grey::reduce(&image(3, 2, |x, y| (x + 3 * y) as f32 / 5.0), 8);
        assert_eq!((grey.width, grey.height), (3, 2));
        assert_eq!(grey.pixels, [0, 51, 102, 153, 204, 255]);
    }

    #[test]
    fn a_large_image_is_averaged_in_blocks() {
        let grey = Grey::reduce(&image(4, 4, |x, y| if (x / 2 + y / 2) % 2 == 0 { 1.0 } else { 0.2 }), 2);
        assert_eq!(grey.pixels, [255, 51, 51, 255]);
        let grey = Grey::reduce(&image(4, 2, |x, _| (x % 2) as f32), 2);
        assert_eq!((grey.width, grey.height, grey.pixels), (2, 1, vec![128, 128]));
    }

    #[test]
    fn the_aspect_ratio_stays_and_no_side_vanishes() {
        let grey = Grey::reduce(&image(3000, 2000, |_, _| 0.5), 1024);
        assert_eq!((grey.width, grey.height), (1024, 682));
        let grey = Grey::reduce(&image(5000, 1, |_, _| 0.5), 1024);
        assert_eq!((grey.width, grey.height), (1024, 1));
        assert!(grey.pixels.iter().all(|&value| value == 128));
    }

    #[test]
    fn a_canvas_gets_opaque_grey() {
        let grey = Grey { width: 2, height: 1, pixels: vec![0, 200] };
        assert_eq!(grey.to_rgba(), [0, 0, 0, 255, 200, 200, 200, 255]);
    }
}
