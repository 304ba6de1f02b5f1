//! Mean and variance over several images, element by element.

use super::lanes::{Kernel, Lanes, Simd};
use super::layout::Layout;

/// Which one of several images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nth {
    /// From 1 on.
    pub nth: usize,
    /// How many there are.
    pub of: usize,
}

/// Takes an image after a 2x2 max pool of stride 1 into the mean and the variance of the images before it.
///
/// The pooled image has the image's size: the windows reach over the right and the lower edge by one pixel, which never
/// wins. After the last image the variance is the one with divisor `of - 1`, and 0 for a single image; before it is
/// the sum of squared deviations.
///
/// # Shapes
///
/// - `from`: `[H, W, C]`
/// - `to`: mean and variance, each `[H, W, C]`, parts of one image
///
/// # Panics
///
/// If the layouts do not go together or do not fit the instructions, or a slice is shorter than its layout.
///
/// Source: Welford 1962, Technometrics 4(3).
pub fn pool_into_moments(simd: Simd, nth: Nth, from: (&Layout, &[f32]), to: ([&Layout; 2], &mut [f32])) {
    let [mean, variance] = to.0;
    let sizes = [from.0, mean, variance].map(|layout| (layout.height, layout.width, layout.channels));
    assert!(
        sizes.iter().all(|size| *size == sizes[0])
            && [from.0, mean, variance].iter().all(|layout| layout.holds_vectors(simd.lanes()))
            && mean.len() == variance.len()
            && (1..=nth.of).contains(&nth.nth),
        "layouts do not fit"
    );
    simd.run(PoolIntoMoments { nth, from, to });
}

struct PoolIntoMoments<'a> {
    nth: Nth,
    from: (&'a Layout, &'a [f32]),
    to: ([&'a Layout; 2], &'a mut [f32]),
}

impl Kernel<f32> for PoolIntoMoments<'_> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = f32>>(self, lanes: L) {
        let ((from, image), ([mean_layout, variance_layout], moments)) = (self.from, self.to);
        let Nth { nth, of } = self.nth;
        let share = lanes.splat(1.0 / nth as f32);
        let scale = lanes.splat(if nth == of { 1.0 / (of - 1).max(1) as f32 } else { 1.0 });
        for y in 0..from.height {
            let below = (y + 1).min(from.height - 1);
            for x in 0..from.width {
                let right = (x + 1).min(from.width - 1);
                let window = [from.at(y, x), from.at(y, right), from.at(below, x), from.at(below, right)];
                let (mean_at, variance_at) = (mean_layout.at(y, x), variance_layout.at(y, x));
                for channel in (0..from.padded_channels(L::LEN)).step_by(L::LEN) {
                    let mut value = lanes.load(&image[window[0] + channel..]);
                    for i in 1..4 {
                        value = lanes.max(value, lanes.load(&image[window[i] + channel..]));
                    }
                    let (mut mean, mut spread) = (value, lanes.splat(0.0));
                    if nth > 1 {
                        let before = lanes.load(&moments[mean_at + channel..]);
                        let delta = lanes.sub(value, before);
                        mean = lanes.mul_add(delta, share, before);
                        spread = lanes.load(&moments[variance_at + channel..]);
                        spread = lanes.mul(lanes.mul_add(delta, lanes.sub(value, mean), spread), scale);
                    }
                    lanes.store(&mut moments[mean_at + channel..], mean);
                    lanes.store(&mut moments[variance_at + channel..], spread);
                }
            }
        }
    }
}

/// Takes an image into the mean of several, of which those before it are in there already.
///
/// Only after the last image it is the mean of all.
///
/// # Shapes
///
/// - `from`: `[H, W, C]`
/// - `to`: `[H, W, C]`; its border is left as it is
///
/// # Panics
///
/// If the layouts do not go together or do not fit the instructions, or a slice is shorter than its layout.
pub fn add_into_mean(simd: Simd, nth: Nth, from: (&Layout, &[f32]), to: (&Layout, &mut [f32])) {
    let sizes = [from.0, to.0].map(|layout| (layout.height, layout.width, layout.channels));
    assert!(
        sizes[0] == sizes[1]
            && from.0.holds_vectors(simd.lanes())
            && to.0.holds_vectors(simd.lanes())
            && (1..=nth.of).contains(&nth.nth),
        "layouts do not fit"
    );
    simd.run(AddIntoMean { nth, from, to });
}

struct AddIntoMean<'a> {
    nth: Nth,
    from: (&'a Layout, &'a [f32]),
    to: (&'a Layout, &'a mut [f32]),
}

impl Kernel<f32> for AddIntoMean<'_> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = f32>>(self, lanes: L) {
        let ((from, image), (to, mean)) = (self.from, self.to);
        let share = lanes.splat(1.0 / self.nth.of as f32);
        for y in 0..from.height {
            for x in 0..from.width {
                let (from_at, to_at) = (from.at(y, x), to.at(y, x));
                for channel in (0..from.padded_channels(L::LEN)).step_by(L::LEN) {
                    let value = lanes.load(&image[from_at + channel..]);
                    let sum = if self.nth.nth == 1 {
                        lanes.mul(value, share)
                    } else {
                        lanes.mul_add(value, share, lanes.load(&mean[to_at + channel..]))
                    };
                    lanes.store(&mut mean[to_at + channel..], sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Border;
    use super::super::naive::{self, Planes, assert_close, uniform};
    use super::*;

    #[test]
    fn moments_are_those_of_the_definition() {
        for (channels, height, width, of) in [(5, 4, 7, 1), (16, 3, 3, 2), (20, 6, 5, 4), (3, 1, 1, 3)] {
            let len = channels * height * width;
            // All negative: what lies over the edge must not win.
            let images: Vec<Vec<f32>> =
                (0..of).map(|i| uniform(i as u64, len).iter().map(|value| value - 2.0).collect()).collect();
            let planes: Vec<Planes> = images
                .iter()
                .map(|image| {
                    let data = image.iter().map(|&value| f64::from(value)).collect();
                    naive::pool_in_place(&Planes { channels, height, width, data })
                })
                .collect();
            let expected = naive::moments(&planes);
            for simd in Simd::available() {
                let border = Border { before: 1, after: 1 };
                let from = Layout::new(height, width, channels, simd.lanes(), border).expect("input");
                let room = from.padded_channels(simd.lanes());
                let whole = Layout::new(height, width, room + channels, simd.lanes(), border).expect("output");
                let parts = [0, room].map(|first| whole.part(first, channels).expect("is there"));
                let mut moments = vec![f32::NAN; whole.len()];
                let mut image = vec![0.0; from.len()];
                for (i, planes) in images.iter().enumerate() {
                    from.fill_from_planes(&mut image, planes);
                    let nth = Nth { nth: i + 1, of };
                    pool_into_moments(simd, nth, (&from, &image), ([&parts[0], &parts[1]], &mut moments));
                }
                for (part, expected) in parts.iter().zip(&expected) {
                    let mut found = vec![0.0; len];
                    part.copy_planes(&moments, &mut found);
                    assert_close(&found, &expected.data, 1e-5, &format!("{simd:?} {channels} {of}"));
                }
            }
        }
    }

    #[test]
    fn the_mean_forgets_what_was_there_before() {
        for (channels, height, width, of) in [(5, 4, 7, 1), (16, 3, 3, 3), (1, 2, 1, 4)] {
            let len = channels * height * width;
            let images: Vec<Vec<f32>> = (0..of).map(|i| uniform(i as u64, len)).collect();
            let mean = |at: usize| images.iter().map(|image| f64::from(image[at])).sum::<f64>() / of as f64;
            let expected: Vec<f64> = (0..len).map(mean).collect();
            for simd in Simd::available() {
                let from = Layout::new(height, width, channels, simd.lanes(), Border::default()).expect("input");
                let room = from.padded_channels(simd.lanes());
                let border = Border { before: 1, after: 1 };
                let whole = Layout::new(height, width, room + channels, simd.lanes(), border).expect("output");
                let part = whole.part(room, channels).expect("is there");
                let mut means = vec![f32::NAN; whole.len()];
                let mut image = vec![0.0; from.len()];
                for (i, planes) in images.iter().enumerate() {
                    from.fill_from_planes(&mut image, planes);
                    add_into_mean(simd, Nth { nth: i + 1, of }, (&from, &image), (&part, &mut means));
                }
                let mut found = vec![0.0; len];
                part.copy_planes(&means, &mut found);
                assert_close(&found, &expected, 1e-6, &format!("{simd:?} {channels} {of}"));
                assert!(means[whole.at(0, 0)].is_nan(), "{simd:?}: the other channels are not touched");
            }
        }
    }
}
