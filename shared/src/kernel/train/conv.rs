//! Convolution of a batch and its two gradients. A transposed convolution is the first gradient, and its gradients are
//! the other two.

use super::batch;
use super::direct::Direct;
use super::window::Window;
use super::winograd::Winograd;
use crate::kernel::lanes::Simd;
use crate::kernel::real::Real;

/// Sizes of one convolution: `x` `[N, H, W, C_in]`, `weight` `[C_out, C_in, k_h, k_w]`, `y` `[N, H', W', C_out]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Conv {
    /// Images.
    pub(crate) n: usize,
    /// Channels of the input.
    pub(crate) c_in: usize,
    /// Channels of the output.
    pub(crate) c_out: usize,
    /// Geometry.
    pub(crate) window: Window,
    /// Height and width of the output.
    pub(crate) out: [usize; 2],
}

/// Why sizes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The kernel does not fit the padded input, or a size is zero.
    Kernel,
    /// A tensor would have more elements than can be addressed.
    TooLarge,
}

impl Conv {
    /// Checks that the sizes go together.
    pub(crate) fn new(n: usize, [c_in, c_out]: [usize; 2], window: Window) -> Result<Self, Unfit> {
        if c_in == 0 || c_out == 0 {
            return Err(Unfit::Kernel);
        }
        let out = window.output().ok_or(Unfit::Kernel)?;
        let padded = |i: usize| window.input[i] + 2 * window.padding[i];
        let sizes: [&[usize]; 3] = [
            &[n, padded(0), padded(1), c_in],
            &[n, out[0], out[1], c_out],
            &[c_out, window.kernel[0], window.kernel[1], c_in],
        ];
        // Offsets in an image are kept in 32 bits.
        let fits = |sizes: &[usize]| {
            sizes
                .iter()
                .try_fold(1_usize, |product, &size| product.checked_mul(size))
                .is_some_and(|len| u32::try_from(len).is_ok() && len <= isize::MAX as usize / size_of::<f64>())
        };
        if sizes.into_iter().all(fits) { Ok(Self { n, c_in, c_out, window, out }) } else { Err(Unfit::TooLarge) }
    }

    /// Values of the input.
    pub(crate) fn x_len(&self) -> usize {
        self.n * self.window.input[0] * self.window.input[1] * self.c_in
    }

    /// Rows of the output's matrix: pixels of all images.
    pub(super) fn y_rows(&self) -> usize {
        self.n * self.out[0] * self.out[1]
    }

    /// Values of the output.
    pub(crate) fn y_len(&self) -> usize {
        self.y_rows() * self.c_out
    }

    /// `y` of `x`.
    pub(crate) fn forward<T: Real>(&self, x: &[T], weight: &[T], bias: Option<&[T]>) -> Vec<T> {
        let simd = Simd::best();
        let mut y = match Winograd::if_it_pays::<T>(self, simd) {
            Some(winograd) => winograd.forward(x, weight),
            None => Direct::new(self, simd).forward(x, weight),
        };
        if let Some(bias) = bias {
            add_bias(&mut y, bias);
        }
        y
    }

    /// Gradient of `x` from that of `y`.
    pub(crate) fn input_gradient<T: Real>(&self, dy: &[T], weight: &[T]) -> Vec<T> {
        let simd = Simd::best();
        match Winograd::if_it_pays::<T>(self, simd) {
            Some(winograd) => winograd.input_gradient(dy, weight),
            None => Direct::new(self, simd).input_gradient(dy, weight),
        }
    }

    /// Gradient of `weight` from `x` and the gradient of `y`.
    pub(crate) fn weight_gradient<T: Real>(&self, x: &[T], dy: &[T]) -> Vec<T> {
        let simd = Simd::best();
        match Winograd::if_it_pays::<T>(self, simd) {
            Some(winograd) => winograd.weight_gradient(x, dy),
            None => Direct::new(self, simd).weight_gradient(x, dy),
        }
    }
}

/// Rows that one task works on; fixed, so that sums do not depend on the number of threads.
const CHUNK_ROWS: usize = 4096;

/// Adds a bias to every row.
pub(crate) fn add_bias<T: Real>(rows: &mut [T], bias: &[T]) {
    batch::for_each_chunk(rows, CHUNK_ROWS * bias.len(), |_, rows| {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                *value += *bias;
            }
        }
    });
}

/// Gradient of the bias: the sum over all rows.
pub(crate) fn bias_gradient<T: Real>(rows: &[T], channels: usize) -> Vec<T> {
    let chunk = CHUNK_ROWS * channels;
    let parts = batch::map(rows.len().div_ceil(chunk), |i| {
        let mut sum = vec![T::default(); channels];
        for row in rows[i * chunk..rows.len().min((i + 1) * chunk)].chunks_exact(channels) {
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += *value;
            }
        }
        sum
    });
    let mut total = vec![0f64; channels];
    for part in parts {
        for (total, part) in total.iter_mut().zip(part) {
            *total += part.to_f64();
        }
    }
    total.into_iter().map(T::of).collect()
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn uniform<T: Real>(seed: u64, len: usize) -> Vec<T> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..len).map(|_| T::of(rng.random_range(-1.0..1.0))).collect()
    }

    /// Calls `f(x offset, weight offset, y offset)` for every product of the plain sum.
    fn for_each_product(conv: &Conv, mut f: impl FnMut(usize, usize, usize)) {
        let Window { input: [h, w], kernel: [kh, kw], stride, padding } = conv.window;
        let [oh, ow] = conv.out;
        for n in 0..conv.n {
            for oy in 0..oh {
                for ox in 0..ow {
                    for ky in 0..kh {
                        for kx in 0..kw {
                            let (y, x) = (oy * stride[0] + ky, ox * stride[1] + kx);
                            let (Some(y), Some(x)) = (y.checked_sub(padding[0]), x.checked_sub(padding[1])) else {
                                continue;
                            };
                            if y >= h || x >= w {
                                continue;
                            }
                            for o in 0..conv.c_out {
                                for c in 0..conv.c_in {
                                    f(
                                        ((n * h + y) * w + x) * conv.c_in + c,
                                        ((o * conv.c_in + c) * kh + ky) * kw + kx,
                                        ((n * oh + oy) * ow + ox) * conv.c_out + o,
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn assert_close<T: Real>(what: &str, found: &[T], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len(), "{what}");
        let scale = expected.iter().fold(1e-3f64, |scale, value| scale.max(value.abs()));
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            let found = found.to_f64();
            assert!((found - expected).abs() <= tolerance * scale, "{what}: element {i} is {found}, not {expected}");
        }
    }

    fn check<T: Real>(conv: &Conv, tolerance: f64) {
        let weight_len = conv.c_out * conv.c_in * conv.window.taps();
        let (x, weight, dy): (Vec<T>, Vec<T>, Vec<T>) =
            (uniform(1, conv.x_len()), uniform(2, weight_len), uniform(3, conv.y_len()));
        let (mut y, mut dx, mut dw) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; weight.len()]);
        for_each_product(conv, |i, j, k| {
            y[k] += x[i].to_f64() * weight[j].to_f64();
            dx[i] += dy[k].to_f64() * weight[j].to_f64();
            dw[j] += dy[k].to_f64() * x[i].to_f64();
        });
        for simd in Simd::available() {
            let close = |what: &str, found: &[T], expected: &[f64], tolerance: f64| {
                assert_close(&format!("{simd:?} {conv:?} {what}"), found, expected, tolerance);
            };
            let direct = Direct::new(conv, simd);
            close("forward", &direct.forward(&x, &weight), &y, tolerance);
            close("input", &direct.input_gradient(&dy, &weight), &dx, tolerance);
            close("weight", &direct.weight_gradient(&x, &dy), &dw, tolerance);
            if let Some(winograd) = Winograd::if_possible::<T>(conv, simd) {
                let tolerance = 5.0 * tolerance;
                close("Winograd forward", &winograd.forward(&x, &weight), &y, tolerance);
                close("Winograd input", &winograd.input_gradient(&dy, &weight), &dx, tolerance);
                close("Winograd weight", &winograd.weight_gradient(&x, &dy), &dw, tolerance);
            }
        }
    }

    #[test]
    fn every_way_is_the_plain_sum() {
        // n, c_in, c_out, input, kernel, stride, padding
        let cases = [
            (1, 1, 1, [1, 1], [1, 1], [1, 1], [0, 0]),
            (2, 3, 4, [5, 7], [3, 3], [1, 1], [1, 1]),
            (3, 16, 48, [9, 6], [3, 3], [1, 1], [1, 1]),
            (2, 33, 20, [4, 8], [3, 3], [1, 1], [1, 1]),
            (3, 2, 5, [6, 7], [3, 3], [2, 2], [1, 1]),
            (5, 40, 70, [6, 5], [1, 1], [1, 1], [0, 0]),
            (4, 24, 16, [7, 4], [1, 1], [2, 2], [0, 0]),
            (2, 3, 64, [19, 16], [7, 7], [2, 2], [3, 3]),
            (3, 300, 9, [1, 11], [1, 5], [1, 2], [0, 2]),
            (2, 6, 5, [3, 5], [2, 2], [2, 2], [0, 0]),
            (2, 4, 3, [8, 9], [3, 2], [3, 1], [2, 1]),
        ];
        for (n, c_in, c_out, input, kernel, stride, padding) in cases {
            let window = Window { input, kernel, stride, padding };
            let conv = Conv::new(n, [c_in, c_out], window).expect("fits");
            check::<f32>(&conv, 1e-5);
            check::<f64>(&conv, 1e-13);
        }
    }

    #[test]
    fn sizes_that_do_not_go_together_are_refused() {
        let window = Window { input: [4, 4], kernel: [3, 3], stride: [1, 1], padding: [0, 0] };
        assert!(Conv::new(1, [1, 1], window).is_ok());
        assert_eq!(Conv::new(1, [0, 1], window), Err(Unfit::Kernel));
        assert_eq!(Conv::new(1, [1, 1], Window { kernel: [5, 5], ..window }), Err(Unfit::Kernel));
        assert_eq!(Conv::new(1 << 40, [1, 1], window), Err(Unfit::TooLarge));
        let wide = Window { input: [usize::MAX / 8, 4], ..window };
        assert_eq!(Conv::new(1, [8, 8], wide), Err(Unfit::TooLarge));
    }
}
