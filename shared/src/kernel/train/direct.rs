//! Convolution as one matrix product over the pixels of a batch.
//!
//! The taps of a kernel row are neighbours in an image with a border of zeros, so that no matrix of patches is written.
//! Source for that: Dukhan 2019, arXiv 1907.02129.

use std::borrow::Cow;

use super::batch;
use super::conv::Conv;
use super::product::{Packed, TransposedPanel, multiply};
use crate::kernel::gemm::{Segment, Strided, k_blocks};
use crate::kernel::lanes::Simd;
use crate::kernel::real::Real;

/// Rows of the output that one task computes.
const CHUNK_ROWS: usize = 256;
/// Rows whose gradients with respect to their patches are computed before they are added up.
const PATCH_ROWS: usize = 64;
/// Pixels whose products are summed up in registers for the gradient of the weights.
const SUMMED_ROWS: usize = 192;

/// A convolution computed as it is written.
pub(super) struct Direct<'a> {
    conv: &'a Conv,
    simd: Simd,
}

/// The input with its border, and where the patches of the outputs begin.
struct Patches<'a, T: Real> {
    data: Cow<'a, [T]>,
    begins: Vec<u32>,
    /// The rows of a patch.
    segments: Vec<Segment>,
}

impl<'a> Direct<'a> {
    pub(super) fn new(conv: &'a Conv, simd: Simd) -> Self {
        Self { conv, simd }
    }

    /// Values of a patch.
    fn depth(&self) -> usize {
        self.conv.window.taps() * self.conv.c_in
    }

    fn patches<'x, T: Real>(&self, x: &'x [T]) -> Patches<'x, T> {
        let Conv { n, c_in, window, out, .. } = *self.conv;
        let [h, w] = [0, 1].map(|i| window.input[i] + 2 * window.padding[i]);
        let data = if window.padding == [0, 0] {
            Cow::Borrowed(x)
        } else {
            let mut data = vec![T::default(); n * h * w * c_in];
            let (row, image) = (window.input[1] * c_in, window.input[0] * window.input[1] * c_in);
            batch::for_each_chunk(&mut data, h * w * c_in, |i, to| {
                let to = to.chunks_exact_mut(w * c_in).skip(window.padding[0]);
                for (to, from) in to.zip(x[i * image..][..image].chunks_exact(row)) {
                    to[window.padding[1] * c_in..][..row].copy_from_slice(from);
                }
            });
            Cow::Owned(data)
        };
        let mut begins = Vec::with_capacity(self.conv.y_rows());
        for image in 0..n {
            for y in 0..out[0] {
                let row = (image * h + y * window.stride[0]) * w;
                begins.extend((0..out[1]).map(|x| ((row + x * window.stride[1]) * c_in) as u32));
            }
        }
        let [k_h, k_w] = window.kernel;
        let segments = (0..k_h).map(|ky| Segment { at: ky * w * c_in, len: k_w * c_in }).collect();
        Patches { data, begins, segments }
    }

    /// `[C_out, C_in, k_h, k_w]` to `[C_out, k_h, k_w, C_in]`, which is how a patch lies.
    fn by_tap<'w, T: Real>(&self, weight: &'w [T]) -> Cow<'w, [T]> {
        let (taps, c_in) = (self.conv.window.taps(), self.conv.c_in);
        if taps == 1 {
            return Cow::Borrowed(weight);
        }
        let mut by_tap = vec![T::default(); weight.len()];
        batch::for_each_chunk(&mut by_tap, taps * c_in, |o, to| {
            let from = &weight[o * taps * c_in..][..taps * c_in];
            for (tap, to) in to.chunks_exact_mut(c_in).enumerate() {
                for (to, from) in to.iter_mut().zip(from[tap..].iter().step_by(taps)) {
                    *to = *from;
                }
            }
        });
        Cow::Owned(by_tap)
    }

    pub(super) fn forward<T: Real>(&self, x: &[T], weight: &[T]) -> Vec<T> {
        let (depth, c_out) = (self.depth(), self.conv.c_out);
        let packed = Packed::new(self.simd, [depth, c_out], &self.by_tap(weight), [1, depth]);
        let mut y = batch::zeros(self.conv.y_len());
        if self.conv.window.is_pointwise() {
            self.multiply_rows(x, depth, &packed, c_out, &mut y);
            return y;
        }
        let patches = self.patches(x);
        let blocks = k_blocks(T::panel_width(self.simd), patches.segments.iter().copied());
        let columns = packed.columns();
        batch::for_each_chunk(&mut y, CHUNK_ROWS * c_out, |i, y| {
            let begins = &patches.begins[i * CHUNK_ROWS..][..y.len() / c_out];
            let rows: Vec<[u32; 2]> =
                begins.iter().enumerate().map(|(row, &begin)| [begin, (row * columns) as u32]).collect();
            with_whole_vectors(y, c_out, columns, |y| {
                multiply(&patches.data, rows.as_slice(), &blocks, &packed, y);
            });
        });
        y
    }

    /// `C = A B` for dense rows.
    fn multiply_rows<T: Real>(&self, a: &[T], depth: usize, b: &Packed<T>, n: usize, c: &mut [T]) {
        let blocks = k_blocks(T::panel_width(self.simd), [Segment { at: 0, len: depth }]);
        batch::for_each_chunk(c, CHUNK_ROWS * n, |i, c| {
            let count = c.len() / n;
            let a = &a[i * CHUNK_ROWS * depth..][..count * depth];
            with_whole_vectors(c, n, b.columns(), |c| {
                multiply(a, Strided { count, a: depth, c: b.columns() }, &blocks, b, c);
            });
        });
    }

    pub(super) fn input_gradient<T: Real>(&self, dy: &[T], weight: &[T]) -> Vec<T> {
        let Conv { c_in, c_out, window, out, .. } = *self.conv;
        let depth = self.depth();
        let packed = Packed::new(self.simd, [c_out, depth], &self.by_tap(weight), [depth, 1]);
        let mut dx = batch::zeros(self.conv.x_len());
        if window.is_pointwise() {
            self.multiply_rows(dy, c_out, &packed, depth, &mut dx);
            return dx;
        }
        let blocks = k_blocks(T::panel_width(self.simd), [Segment { at: 0, len: c_out }]);
        let (plane, columns) = (out[0] * out[1], packed.columns());
        batch::for_each_chunk(&mut dx, window.input[0] * window.input[1] * c_in, |i, dx| {
            let mut patches = vec![T::default(); PATCH_ROWS.min(plane) * columns];
            for begin in (0..plane).step_by(PATCH_ROWS) {
                let count = PATCH_ROWS.min(plane - begin);
                let dy = &dy[(i * plane + begin) * c_out..][..count * c_out];
                multiply(dy, Strided { count, a: c_out, c: columns }, &blocks, &packed, &mut patches);
                for (position, patch) in (begin..begin + count).zip(patches.chunks_exact(columns)) {
                    self.add_patch(position, patch, dx);
                }
            }
        });
        dx
    }

    /// Adds the gradient of one output's patch to that of its image.
    fn add_patch<T: Real>(&self, position: usize, patch: &[T], dx: &mut [T]) {
        let Conv { c_in, window, out, .. } = *self.conv;
        let (taps_y, y) = window.inside(0, position / out[1]);
        let (taps_x, x) = window.inside(1, position % out[1]);
        for (i, ky) in taps_y.enumerate() {
            let from = &patch[(ky * window.kernel[1] + taps_x.start) * c_in..][..taps_x.len() * c_in];
            let to = &mut dx[((y + i) * window.input[1] + x) * c_in..][..from.len()];
            for (to, from) in to.iter_mut().zip(from) {
                *to += *from;
            }
        }
    }

    pub(super) fn weight_gradient<T: Real>(&self, x: &[T], dy: &[T]) -> Vec<T> {
        let Conv { c_out, .. } = *self.conv;
        let depth = self.depth();
        let patches = self.patches(x);
        let panel_width = T::panel_width(self.simd);
        let columns = depth.next_multiple_of(T::lanes(self.simd));
        // Panel by panel, so that each task owns its part.
        let mut sums = vec![T::default(); c_out * columns];
        let panels_per_task = columns.div_ceil(panel_width).div_ceil(2 * batch::threads());
        batch::for_each_chunk(&mut sums, panels_per_task * panel_width * c_out, |task, sums| {
            let mut b = vec![T::default(); SUMMED_ROWS * panel_width];
            for (block, begins) in patches.begins.chunks(SUMMED_ROWS).enumerate() {
                let a = &dy[block * SUMMED_ROWS * c_out..][..begins.len() * c_out];
                for (i, c) in sums.chunks_mut(panel_width * c_out).enumerate() {
                    let width = c.len() / c_out;
                    let first = (task * panels_per_task + i) * panel_width;
                    let b = &mut b[..begins.len() * width];
                    patches.pack(begins, first..(first + width).min(depth), width, b);
                    T::run(self.simd, TransposedPanel { a, stride: c_out, first: 0, b, width, c });
                }
            }
        });
        self.unpack(&sums, panel_width)
    }

    /// Panels of `[C_out, width]` over the columns of a patch to `[C_out, C_in, k_h, k_w]`.
    fn unpack<T: Real>(&self, panels: &[T], panel_width: usize) -> Vec<T> {
        let Conv { c_in, c_out, window, .. } = *self.conv;
        let (depth, taps) = (self.depth(), window.taps());
        let mut weight = vec![T::default(); c_out * depth];
        batch::for_each_chunk(&mut weight, depth, |o, to| {
            for (i, panel) in panels.chunks(panel_width * c_out).enumerate() {
                let width = panel.len() / c_out;
                let first = i * panel_width;
                let from = &panel[o * width..][..width.min(depth - first)];
                for (column, value) in (first..).zip(from) {
                    to[column % c_in * taps + column / c_in] = *value;
                }
            }
        });
        weight
    }
}

impl<T: Real> Patches<'_, T> {
    /// Copies some columns of some patches into a panel; what lies beyond them stays as it is.
    fn pack(&self, begins: &[u32], columns: std::ops::Range<usize>, width: usize, panel: &mut [T]) {
        let len = self.segments[0].len;
        let first = columns.start / len;
        for (to, &begin) in panel.chunks_exact_mut(width).zip(begins) {
            for (segment, begin_of_segment) in self.segments[first..].iter().zip((first * len..).step_by(len)) {
                if begin_of_segment >= columns.end {
                    break;
                }
                let from = columns.start.max(begin_of_segment);
                let until = columns.end.min(begin_of_segment + len);
                let at = begin as usize + segment.at + from - begin_of_segment;
                to[from - columns.start..until - columns.start].copy_from_slice(&self.data[at..at + until - from]);
            }
        }
    }
}

/// Calls `f` with rows of `columns` values where rows have only `n`: products are written in whole vectors.
fn with_whole_vectors<T: Real>(rows: &mut [T], n: usize, columns: usize, f: impl FnOnce(&mut [T])) {
    if n == columns {
        return f(rows);
    }
    let mut wide = vec![T::default(); rows.len() / n * columns];
    f(&mut wide);
    for (row, wide) in rows.chunks_exact_mut(n).zip(wide.chunks_exact(columns)) {
        row.copy_from_slice(&wide[..n]);
    }
}
