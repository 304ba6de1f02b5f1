//! Convolution as a matrix product: the geometry, and images to columns and back.

use super::real::Real;

/// Sizes of a two-dimensional convolution or pooling; one-dimensional ones have a height of 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Height and width of the input.
    pub(crate) input: [usize; 2],
    /// Height and width of the kernel.
    pub(crate) kernel: [usize; 2],
    /// Step down and across.
    pub(crate) stride: [usize; 2],
    /// Zeros above and below, left and right.
    pub(crate) padding: [usize; 2],
}

impl Window {
    /// Height and width of the output; `None` if the kernel does not fit the padded input.
    pub(crate) fn output(&self) -> Option<[usize; 2]> {
        let side = |i: usize| {
            let room = (self.input[i] + 2 * self.padding[i]).checked_sub(self.kernel[i])?;
            Some(room.checked_div(self.stride[i])? + 1)
        };
        Some([side(0)?, side(1)?])
    }

    /// Whether a column matrix would be the image itself.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }

    /// Output positions `lo..hi` along axis `i` whose tap `k` lies inside the input.
    pub(crate) fn valid(&self, i: usize, k: usize, n_out: usize) -> (usize, usize) {
        let (stride, padding) = (self.stride[i], self.padding[i]);
        let lo = padding.saturating_sub(k).div_ceil(stride);
        let hi = (self.input[i] + padding).saturating_sub(k).div_ceil(stride).min(n_out);
        (lo.min(hi), hi)
    }
}

/// Calls `f(row, source, target, len)` for every run of kernel taps that lies inside the image: `row` of the column
/// matrix, `source` offset in the channel plane, `target` offset in the row.
fn for_each_run(w: &Window, [oh, ow]: [usize; 2], mut f: impl FnMut(usize, usize, usize, usize)) {
    for ky in 0..w.kernel[0] {
        let (y_lo, y_hi) = w.valid(0, ky, oh);
        for kx in 0..w.kernel[1] {
            let (x_lo, x_hi) = w.valid(1, kx, ow);
            if x_lo == x_hi {
                continue;
            }
            for oy in y_lo..y_hi {
                let iy = oy * w.stride[0] + ky - w.padding[0];
                let ix = x_lo * w.stride[1] + kx - w.padding[1];
                f(ky * w.kernel[1] + kx, iy * w.input[1] + ix, oy * ow + x_lo, x_hi - x_lo);
            }
        }
    }
}

/// Writes one image `[C, H, W]` as columns `[C · kernel, ·]`: rows of `row_len`, from position `offset` of each row.
pub(crate) fn im2col<T: Real>(w: &Window, image: &[T], columns: &mut [T], row_len: usize, offset: usize) {
    let Some(out) = w.output() else { return };
    let (plane, taps, n_out) = (w.input[0] * w.input[1], w.kernel[0] * w.kernel[1], out[0] * out[1]);
    for (channel, rows) in image.chunks_exact(plane).zip(columns.chunks_exact_mut(taps * row_len)) {
        if w.padding != [0, 0] {
            for row in rows.chunks_exact_mut(row_len) {
                row[offset..offset + n_out].fill(T::default());
            }
        }
        for_each_run(w, out, |row, source, target, len| {
            let target = &mut rows[row * row_len + offset + target..][..len];
            if w.stride[1] == 1 {
                target.copy_from_slice(&channel[source..source + len]);
            } else {
                for (value, pixel) in target.iter_mut().zip(channel[source..].iter().step_by(w.stride[1])) {
                    *value = *pixel;
                }
            }
        });
    }
}

/// The transpose of [`im2col`]: adds the columns back onto the image.
pub(crate) fn col2im<T: Real>(w: &Window, columns: &[T], row_len: usize, offset: usize, image: &mut [T]) {
    let Some(out) = w.output() else { return };
    let (plane, taps) = (w.input[0] * w.input[1], w.kernel[0] * w.kernel[1]);
    for (channel, rows) in image.chunks_exact_mut(plane).zip(columns.chunks_exact(taps * row_len)) {
        for_each_run(w, out, |row, source, target, len| {
            let values = &rows[row * row_len + offset + target..][..len];
            if w.stride[1] == 1 {
                for (pixel, value) in channel[source..source + len].iter_mut().zip(values) {
                    *pixel += *value;
                }
            } else {
                for (pixel, value) in channel[source..].iter_mut().step_by(w.stride[1]).zip(values) {
                    *pixel += *value;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_hold_each_tap_and_add_back_transposed() {
        let w = Window { input: [5, 4], kernel: [3, 2], stride: [2, 1], padding: [1, 1] };
        let [oh, ow] = w.output().expect("fits");
        assert_eq!([oh, ow], [3, 5]);
        let image: Vec<f64> = (0..2 * 20).map(|i| i as f64 + 1.0).collect();
        let mut columns = vec![f64::NAN; 2 * 6 * oh * ow];
        im2col(&w, &image, &mut columns, oh * ow, 0);
        let mut back = vec![0.0; image.len()];
        col2im(&w, &columns, oh * ow, 0, &mut back);
        let mut expected_back = vec![0.0; image.len()];
        for c in 0..2 {
            for ky in 0..3 {
                for kx in 0..2 {
                    for oy in 0..oh {
                        for ox in 0..ow {
                            let (y, x) = ((oy * 2 + ky).wrapping_sub(1), (ox + kx).wrapping_sub(1));
                            let value = columns[((c * 3 + ky) * 2 + kx) * oh * ow + oy * ow + ox];
                            if y < 5 && x < 4 {
                                let at = c * 20 + y * 4 + x;
                                assert_eq!(value, image[at]);
                                expected_back[at] += value;
                            } else {
                                assert_eq!(value, 0.0);
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(back, expected_back);
    }

    #[test]
    fn a_kernel_larger_than_the_input_has_no_output() {
        let w = Window { input: [2, 2], kernel: [3, 3], stride: [1, 1], padding: [0, 0] };
        assert_eq!(w.output(), None);
    }
}
