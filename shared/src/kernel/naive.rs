//! The plainest way to compute what the kernels compute, in 64 bits, to hold them to.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::conv::ConvShape;
use super::pool::PoolShape;

/// `[C, H, W]` values.
#[derive(Debug, Clone)]
pub(crate) struct Planes {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) data: Vec<f64>,
}

impl Planes {
    /// The value at signed coordinates, if that is inside.
    fn get(&self, channel: usize, y: isize, x: isize) -> Option<f64> {
        let inside = (0..self.height as isize).contains(&y) && (0..self.width as isize).contains(&x);
        inside.then(|| self.data[(channel * self.height + y as usize) * self.width + x as usize])
    }

    /// Makes planes of what a function of channel, row and column gives.
    fn map(channels: usize, height: usize, width: usize, mut f: impl FnMut(usize, isize, isize) -> f64) -> Self {
        let mut data = Vec::with_capacity(channels * height * width);
        for c in 0..channels {
            for y in 0..height as isize {
                for x in 0..width as isize {
                    data.push(f(c, y, x));
                }
            }
        }
        Self { channels, height, width, data }
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        let data = self.data.iter().zip(&other.data).map(|(a, b)| a + b).collect();
        Self { data, ..*self }
    }

    pub(crate) fn relu(&self) -> Self {
        Self { data: self.data.iter().map(|value| value.max(0.0)).collect(), ..*self }
    }
}

/// Convolution with weights `[C_out, C_in, kernel, kernel]`.
pub(crate) fn conv2d(x: &Planes, shape: ConvShape, weight: &[f32], bias: &[f32]) -> Planes {
    let k = shape.kernel;
    let size = |n: usize| (n + 2 * shape.padding - k) / shape.stride + 1;
    Planes::map(shape.out_channels, size(x.height), size(x.width), |n, y, x0| {
        let mut sum = f64::from(bias[n]);
        for c in 0..shape.in_channels {
            for ky in 0..k {
                for kx in 0..k {
                    let iy = y * shape.stride as isize + ky as isize - shape.padding as isize;
                    let ix = x0 * shape.stride as isize + kx as isize - shape.padding as isize;
                    let w = f64::from(weight[((n * shape.in_channels + c) * k + ky) * k + kx]);
                    sum += w * x.get(c, iy, ix).unwrap_or(0.0);
                }
            }
        }
        sum
    })
}

/// Greatest value of each window.
pub(crate) fn max_pool(x: &Planes, shape: PoolShape) -> Planes {
    let size = |n: usize| (n + 2 * shape.padding - shape.window) / shape.stride + 1;
    Planes::map(x.channels, size(x.height), size(x.width), |c, y, x0| {
        let mut greatest = f64::NEG_INFINITY;
        for ky in 0..shape.window {
            for kx in 0..shape.window {
                let iy = y * shape.stride as isize + ky as isize - shape.padding as isize;
                let ix = x0 * shape.stride as isize + kx as isize - shape.padding as isize;
                greatest = greatest.max(x.get(c, iy, ix).unwrap_or(f64::NEG_INFINITY));
            }
        }
        greatest
    })
}

/// Seeded uniform values in `-1..1`.
pub(crate) fn uniform(seed: u64, len: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Asserts that values are equal up to a part of their scale, the greatest magnitude expected.
pub(crate) fn assert_close(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: lengths");
    let scale = expected.iter().fold(1e-6, |scale: f64, value| scale.max(value.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*a) - b).abs() <= tolerance * scale, "{what}: element {i} is {a}, expected {b}");
    }
}
