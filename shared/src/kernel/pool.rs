//! Pooling of one image.

use super::lanes::{Kernel, Lanes, Simd};
use super::layout::Layout;
use crate::error::{Error, Result};

/// Sizes of a square pooling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolShape {
    /// Height and width of the window.
    pub window: usize,
    /// Pixels from one output to the next.
    pub stride: usize,
    /// Pixels by which a window may reach over the image's edge; they never win.
    pub padding: usize,
}

impl PoolShape {
    /// Size of the output along one axis.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if no window fits, or one could lie in the padding alone.
    pub fn out_size(&self, size: usize) -> Result<usize> {
        let padded = size.saturating_add(self.padding).saturating_add(self.padding);
        if self.stride == 0 || self.padding.saturating_mul(2) > self.window || padded < self.window || self.window == 0
        {
            return Err(Error::Shape {
                what: "image of a pooling",
                expected: format!("room for {self:?}"),
                found: format!("{size} pixels"),
            });
        }
        Ok((padded - self.window) / self.stride + 1)
    }

    /// The pixels of a window that lie inside the image, along one axis.
    #[inline(always)]
    fn inside(&self, out: usize, size: usize) -> (usize, usize) {
        let begin = out * self.stride;
        (begin.saturating_sub(self.padding), (begin + self.window - self.padding).min(size))
    }
}

/// The greatest value of each window.
///
/// # Panics
///
/// If the layouts do not fit the shape and the instructions, or a slice is shorter than its layout.
pub fn max_pool(simd: Simd, shape: PoolShape, from: (&Layout, &[f32]), to: (&Layout, &mut [f32])) {
    assert!(
        from.0.channels == to.0.channels
            && from.0.holds_vectors(simd.lanes())
            && to.0.holds_vectors(simd.lanes())
            && shape.out_size(from.0.height).is_ok_and(|height| height == to.0.height)
            && shape.out_size(from.0.width).is_ok_and(|width| width == to.0.width),
        "layouts do not fit {shape:?}"
    );
    simd.run(MaxPool { shape, from, to });
}

struct MaxPool<'a> {
    shape: PoolShape,
    from: (&'a Layout, &'a [f32]),
    to: (&'a Layout, &'a mut [f32]),
}

impl Kernel<f32> for MaxPool<'_> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = f32>>(self, lanes: L) {
        let ((from, input), (to, output)) = (self.from, self.to);
        let channels = to.padded_channels(L::LEN);
        for y in 0..to.height {
            let (top, bottom) = self.shape.inside(y, from.height);
            for x in 0..to.width {
                let (left, right) = self.shape.inside(x, from.width);
                let at = to.at(y, x);
                let pixel = &mut output[at..at + channels];
                for channel in (0..channels).step_by(L::LEN) {
                    let mut greatest = lanes.splat(f32::NEG_INFINITY);
                    for y in top..bottom {
                        for x in left..right {
                            greatest = lanes.max(greatest, lanes.load(&input[from.at(y, x) + channel..]));
                        }
                    }
                    lanes.store(&mut pixel[channel..], greatest);
                }
            }
        }
    }
}

/// The mean of each channel over all pixels, `[stride]`.
///
/// # Panics
///
/// If the layout does not fit the instructions, or a slice is shorter than the layout says.
pub fn global_average_pool(simd: Simd, from: (&Layout, &[f32]), to: &mut [f32]) {
    assert!(from.0.stride.is_multiple_of(simd.lanes()), "pixels are no whole vectors");
    simd.run(GlobalAveragePool { from, to: &mut to[..from.0.stride] });
}

struct GlobalAveragePool<'a> {
    from: (&'a Layout, &'a [f32]),
    to: &'a mut [f32],
}

impl Kernel<f32> for GlobalAveragePool<'_> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = f32>>(self, lanes: L) {
        let (layout, image) = self.from;
        let scale = lanes.splat(1.0 / (layout.height * layout.width) as f32);
        for (i, mean) in self.to.chunks_exact_mut(L::LEN).enumerate() {
            let mut sum = lanes.splat(0.0);
            for y in 0..layout.height {
                for x in 0..layout.width {
                    sum = lanes.add(sum, lanes.load(&image[layout.at(y, x) + i * L::LEN..]));
                }
            }
            lanes.store(mean, lanes.mul(sum, scale));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Border;
    use super::super::naive::{self, Planes, assert_close, uniform};
    use super::*;

    #[test]
    fn pools_are_the_plain_loops() {
        for (channels, height, width, window, stride, padding) in
            [(4, 8, 8, 3, 2, 1), (5, 9, 7, 3, 2, 1), (17, 6, 5, 2, 2, 0), (3, 1, 1, 3, 2, 1), (8, 11, 4, 4, 3, 2)]
        {
            let shape = PoolShape { window, stride, padding };
            // All negative: padding must not win.
            let values: Vec<f32> = uniform(1, channels * height * width).iter().map(|value| value - 2.0).collect();
            let data = values.iter().map(|&value| f64::from(value)).collect();
            let planes = Planes { channels, height, width, data };
            let expected = naive::max_pool(&planes, shape);
            for simd in Simd::available() {
                let border = Border { before: 1, after: 2 };
                let from = Layout::new(height, width, channels, simd.lanes(), border).expect("input");
                let to = Layout::new(expected.height, expected.width, channels, simd.lanes(), border).expect("output");
                let mut image = vec![0.0; from.len()];
                from.fill_from_planes(&mut image, &values);
                let mut pooled = vec![0.0; to.len()];
                max_pool(simd, shape, (&from, &image), (&to, &mut pooled));
                let mut found = Vec::new();
                for c in 0..channels {
                    for i in 0..to.height * to.width {
                        found.push(pooled[to.at(i / to.width, i % to.width) + c]);
                    }
                }
                assert_close(&found, &expected.data, 0.0, &format!("{simd:?} {shape:?}"));

                let mut means = vec![0.0; from.stride];
                global_average_pool(simd, (&from, &image), &mut means);
                let plane = height * width;
                let expected: Vec<f64> = planes
                    .data
                    .chunks(plane)
                    .map(|plane_values| plane_values.iter().sum::<f64>() / plane as f64)
                    .collect();
                assert_close(&means[..channels], &expected, 1e-6, "mean");
            }
        }
    }

    #[test]
    fn windows_that_do_not_fit_are_errors() {
        for (window, stride, padding) in [(5, 1, 0), (3, 0, 1), (3, 1, 2), (0, 1, 0)] {
            assert!(PoolShape { window, stride, padding }.out_size(4).is_err());
        }
    }
}
