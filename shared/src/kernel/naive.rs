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

/// Transposed convolution with weights `[C_in, C_out, 2, 2]` and stride 2.
pub(crate) fn conv_transpose2d(x: &Planes, weight: &[f32], bias: &[f32]) -> Planes {
    Planes::map(bias.len(), x.height * 2, x.width * 2, |n, y, x0| {
        let mut sum = f64::from(bias[n]);
        for c in 0..x.channels {
            let w = weight[((c * bias.len() + n) * 2 + y as usize % 2) * 2 + x0 as usize % 2];
            sum += f64::from(w) * x.get(c, y / 2, x0 / 2).unwrap_or(0.0);
        }
        sum
    })
}

/// Greatest value of each 2x2 window, stride 1, at the same resolution: windows reach over the lower and right edge.
pub(crate) fn pool_in_place(x: &Planes) -> Planes {
    Planes::map(x.channels, x.height, x.width, |c, y, x0| {
        let window = [(y, x0), (y, x0 + 1), (y + 1, x0), (y + 1, x0 + 1)];
        window.into_iter().filter_map(|(y, x0)| x.get(c, y, x0)).fold(f64::NEG_INFINITY, f64::max)
    })
}

/// Mean over some images, and variance with divisor `count - 1`; 0 for a single one.
pub(crate) fn moments(images: &[Planes]) -> [Planes; 2] {
    let count = images.len() as f64;
    let of = |i: usize| images.iter().map(move |image| image.data[i]);
    let mean: Vec<f64> = (0..images[0].data.len()).map(|i| of(i).sum::<f64>() / count).collect();
    let square = |i: usize| of(i).map(|value| (value - mean[i]).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    let variance = (0..mean.len()).map(square).collect();
    [mean, variance].map(|data: Vec<f64>| Planes { data, ..images[0] })
}

/// Channels of one image, then those of another.
pub(crate) fn concat(a: &Planes, b: &Planes) -> Planes {
    Planes { channels: a.channels + b.channels, data: [&*a.data, &*b.data].concat(), ..*a }
}

/// Batch norm by its definition, with a weight, a bias, a mean and a variance per channel.
pub(crate) fn batch_norm(x: &Planes, [weight, bias, mean, variance]: [&[f32]; 4]) -> Planes {
    let plane = x.height * x.width;
    let normed = x.data.iter().enumerate().map(|(i, value)| {
        let c = i / plane;
        let [weight, bias, mean, variance] = [weight[c], bias[c], mean[c], variance[c]].map(f64::from);
        (value - mean) / (variance + 1e-5).sqrt() * weight + bias
    });
    Planes { data: normed.collect(), ..*x }
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
