//! Max and average pooling of a batch, and their gradients.

use super::batch;
use super::window::Window;
use crate::kernel::lanes::{Kernel, Lanes, Simd};
use crate::kernel::real::Real;

/// The greatest value of each window and channel of `x` `[N, H, W, C]`, and which tap it is; the first of equals, as in
/// PyTorch. The padding never wins. The kernel has at most 255 taps.
pub(crate) fn max<T: Real>(window: &Window, out: [usize; 2], channels: usize, x: &[T]) -> (Vec<T>, Vec<u8>) {
    let image = window.input[0] * window.input[1] * channels;
    let row = out[1] * channels;
    let rows = x.len() / image * out[0];
    let (mut y, mut winners) = (batch::zeros(rows * row), batch::zeros(rows * row));
    let pieces: Vec<_> = y.chunks_mut(row).zip(winners.chunks_mut(row)).enumerate().collect();
    batch::for_each_with(
        pieces,
        || (),
        |(), (i, (y, winners))| {
            let x = &x[i / out[0] * image..][..image];
            T::run(Simd::best(), MaxRow { window, row: i % out[0], channels, x, y, winners });
        },
    );
    (y, winners)
}

/// One row of the output.
struct MaxRow<'a, T> {
    window: &'a Window,
    row: usize,
    channels: usize,
    x: &'a [T],
    y: &'a mut [T],
    winners: &'a mut [u8],
}

impl<T: Real> Kernel<T> for MaxRow<'_, T> {
    // The compiler vectorises this as it stands; `run` lets it use the machine's instructions.
    #[inline(always)]
    fn compute<L: Lanes<Scalar = T>>(self, _lanes: L) {
        let (taps_y, top) = self.window.inside(0, self.row);
        let pixels = self.y.chunks_exact_mut(self.channels).zip(self.winners.chunks_exact_mut(self.channels));
        for (column, (y, winners)) in pixels.enumerate() {
            let (taps_x, left) = self.window.inside(1, column);
            let mut is_first = true;
            for (i, ky) in taps_y.clone().enumerate() {
                for (j, kx) in taps_x.clone().enumerate() {
                    let tap = (ky * self.window.kernel[1] + kx) as u8;
                    let at = ((top + i) * self.window.input[1] + left + j) * self.channels;
                    let x = &self.x[at..at + self.channels];
                    if is_first {
                        y.copy_from_slice(x);
                        winners.fill(tap);
                        is_first = false;
                    } else {
                        for ((y, winner), &x) in y.iter_mut().zip(winners.iter_mut()).zip(x) {
                            *winner = if x > *y { tap } else { *winner };
                            *y = if x > *y { x } else { *y };
                        }
                    }
                }
            }
        }
    }
}

/// Gradient of `x` from that of the maxima.
pub(crate) fn max_gradient<T: Real>(
    window: &Window,
    out: [usize; 2],
    channels: usize,
    winners: &[u8],
    dy: &[T],
) -> Vec<T> {
    let (image, plane) = (window.input[0] * window.input[1] * channels, out[0] * out[1] * channels);
    let mut dx = batch::zeros(dy.len() / plane * image);
    batch::for_each_chunk(&mut dx, image, |i, dx| {
        let pixels = winners[i * plane..][..plane].chunks_exact(channels).zip(dy[i * plane..].chunks_exact(channels));
        for (position, (winners, dy)) in pixels.enumerate() {
            let corner = [position / out[1] * window.stride[0], position % out[1] * window.stride[1]];
            for (c, (&winner, dy)) in winners.iter().zip(dy).enumerate() {
                let y = corner[0] + winner as usize / window.kernel[1] - window.padding[0];
                let x = corner[1] + winner as usize % window.kernel[1] - window.padding[1];
                dx[(y * window.input[1] + x) * channels + c] += *dy;
            }
        }
    });
    dx
}

/// The mean of each window and channel of `x` `[N, H, W, C]`; what lies in the padding does not count.
pub(crate) fn average<T: Real>(window: &Window, out: [usize; 2], channels: usize, x: &[T]) -> Vec<T> {
    let (image, plane) = (window.input[0] * window.input[1] * channels, out[0] * out[1] * channels);
    let mut y = vec![T::default(); x.len() / image * plane];
    batch::for_each_chunk(&mut y, plane, |i, y| {
        let x = &x[i * image..][..image];
        for_each_tap(window, out, |position, pixel, share| {
            let to = &mut y[position * channels..][..channels];
            for (to, from) in to.iter_mut().zip(&x[pixel * channels..]) {
                *to += *from * T::of(share);
            }
        });
    });
    y
}

/// Gradient of `x` from that of the means.
pub(crate) fn average_gradient<T: Real>(window: &Window, out: [usize; 2], channels: usize, dy: &[T]) -> Vec<T> {
    let (image, plane) = (window.input[0] * window.input[1] * channels, out[0] * out[1] * channels);
    let mut dx = batch::zeros(dy.len() / plane * image);
    batch::for_each_chunk(&mut dx, image, |i, dx| {
        let dy = &dy[i * plane..][..plane];
        for_each_tap(window, out, |position, pixel, share| {
            let to = &mut dx[pixel * channels..][..channels];
            for (to, from) in to.iter_mut().zip(&dy[position * channels..]) {
                *to += *from * T::of(share);
            }
        });
    });
    dx
}

/// Calls `f(output position, input pixel, 1 / pixels in the window)` for every tap inside the image.
fn for_each_tap(window: &Window, out: [usize; 2], mut f: impl FnMut(usize, usize, f64)) {
    for oy in 0..out[0] {
        let (taps_y, y) = window.inside(0, oy);
        for ox in 0..out[1] {
            let (taps_x, x) = window.inside(1, ox);
            let share = 1.0 / (taps_y.len() * taps_x.len()).max(1) as f64;
            for i in 0..taps_y.len() {
                for j in 0..taps_x.len() {
                    f(oy * out[1] + ox, (y + i) * window.input[1] + x + j, share);
                }
            }
        }
    }
}
