//! Enlarging the images of a batch by a whole factor, and the gradients.

use super::batch;
use crate::kernel::real::Real;

/// How values between pixels are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest pixel's.
    Nearest,
    /// Linear along both axes, pixels being areas: PyTorch's `align_corners=False`.
    Bilinear,
}

/// The pixels that one output along an axis is made of, and their shares.
#[derive(Debug, Clone, Copy)]
struct Mix {
    at: [usize; 2],
    share: [f64; 2],
}

/// What each output along an axis of `size` pixels is made of.
fn mixes(interpolation: Interpolation, size: usize, factor: usize) -> Vec<Mix> {
    let of = |out: usize| match interpolation {
        Interpolation::Nearest => Mix { at: [out / factor; 2], share: [1.0, 0.0] },
        Interpolation::Bilinear => {
            let position = ((out as f64 + 0.5) / factor as f64 - 0.5).max(0.0);
            let first = (position as usize).min(size - 1);
            let far = position - first as f64;
            Mix { at: [first, (first + 1).min(size - 1)], share: [1.0 - far, far] }
        }
    };
    (0..size * factor).map(of).collect()
}

/// Calls `f(output pixel, input pixel, share)` for every input that an output is made of.
fn for_each_share(
    interpolation: Interpolation,
    [h, w]: [usize; 2],
    factor: usize,
    mut f: impl FnMut(usize, usize, f64),
) {
    let (rows, columns) = (mixes(interpolation, h, factor), mixes(interpolation, w, factor));
    for (y, row) in rows.iter().enumerate() {
        for (x, column) in columns.iter().enumerate() {
            for i in 0..2 {
                for j in 0..2 {
                    let share = row.share[i] * column.share[j];
                    if share > 0.0 {
                        f(y * columns.len() + x, row.at[i] * w + column.at[j], share);
                    }
                }
            }
        }
    }
}

/// `[N, H, W, C]` to `[N, factor·H, factor·W, C]`.
pub(crate) fn enlarge<T: Real>(
    interpolation: Interpolation,
    size: [usize; 2],
    channels: usize,
    factor: usize,
    x: &[T],
) -> Vec<T> {
    let image = size[0] * size[1] * channels;
    let mut y = vec![T::default(); x.len() * factor * factor];
    batch::for_each_chunk(&mut y, image * factor * factor, |i, y| {
        let x = &x[i * image..][..image];
        for_each_share(interpolation, size, factor, |out, pixel, share| {
            let to = &mut y[out * channels..][..channels];
            for (to, from) in to.iter_mut().zip(&x[pixel * channels..]) {
                *to += *from * T::of(share);
            }
        });
    });
    y
}

/// Gradient of the small images from that of the large.
pub(crate) fn enlarge_gradient<T: Real>(
    interpolation: Interpolation,
    size: [usize; 2],
    channels: usize,
    factor: usize,
    dy: &[T],
) -> Vec<T> {
    let image = size[0] * size[1] * channels;
    let mut dx = vec![T::default(); dy.len() / (factor * factor)];
    batch::for_each_chunk(&mut dx, image, |i, dx| {
        let dy = &dy[i * image * factor * factor..][..image * factor * factor];
        for_each_share(interpolation, size, factor, |out, pixel, share| {
            let to = &mut dx[pixel * channels..][..channels];
            for (to, from) in to.iter_mut().zip(&dy[out * channels..]) {
                *to += *from * T::of(share);
            }
        });
    });
    dx
}
