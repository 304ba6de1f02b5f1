//! Matrix products of training: a right side packed for one use, and left sides read where they lie, as they are or
//! transposed.

use super::batch;
use crate::kernel::gemm::{Activation, Panel, Rows, Segment, Start};
use crate::kernel::lanes::{Kernel, Lanes, Simd};
use crate::kernel::real::Real;

/// Rows that pass by all panels before the next rows come: their left sides stay in the second-level cache.
const BLOCK_ROWS: usize = 128;
/// Rows of a matrix that are packed together, so that a transposing copy stays in the first-level cache.
const PACK_ROWS: usize = 16;
/// Values of zeros that a product without bias starts from; wider than any panel.
const WIDEST_PANEL: usize = 64;

/// A matrix `[K, N]` in panels of columns, each `[K, panel width]`; the last one may be narrower. Columns are filled up
/// with zeros to whole vectors.
pub(super) struct Packed<T> {
    simd: Simd,
    rows: usize,
    columns: usize,
    data: Vec<T>,
}

impl<T: Real> Packed<T> {
    /// Packs the matrix whose element at row `k`, column `n` is `data[k · row_stride + n · column_stride]`.
    pub(super) fn new(simd: Simd, [rows, n]: [usize; 2], data: &[T], [row_stride, column_stride]: [usize; 2]) -> Self {
        let columns = n.next_multiple_of(T::lanes(simd));
        let panel_width = T::panel_width(simd);
        let mut packed = vec![T::default(); rows * columns];
        batch::for_each_chunk(&mut packed, rows * panel_width, |i, panel| {
            let (begin, width) = (i * panel_width, panel.len() / rows);
            let count = width.min(n - begin);
            for (block, to) in panel.chunks_mut(PACK_ROWS * width).enumerate() {
                let first = block * PACK_ROWS * row_stride + begin * column_stride;
                if column_stride == 1 {
                    for (k, to) in to.chunks_exact_mut(width).enumerate() {
                        to[..count].copy_from_slice(&data[first + k * row_stride..][..count]);
                    }
                } else {
                    for column in 0..count {
                        let from = data[first + column * column_stride..].iter().step_by(row_stride);
                        for (to, from) in to[column..].iter_mut().step_by(width).zip(from) {
                            *to = *from;
                        }
                    }
                }
            }
        });
        Self { simd, rows, columns, data: packed }
    }

    /// `N`, filled up to whole vectors: what a product writes in each row.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }
}

/// `C = A B` for some rows: each is read in pieces, at the offsets of `segments` from where `rows` says that it begins.
/// A row of `C` holds [`Packed::columns`] values.
pub(super) fn multiply<T: Real, R: Rows>(a: &[T], rows: R, blocks: &[Vec<Segment>], b: &Packed<T>, c: &mut [T]) {
    T::run(b.simd, Multiply { a, rows, blocks, b, c });
}

struct Multiply<'a, T, R> {
    a: &'a [T],
    rows: R,
    blocks: &'a [Vec<Segment>],
    b: &'a Packed<T>,
    c: &'a mut [T],
}

impl<T: Real, R: Rows> Kernel<T> for Multiply<'_, T, R> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = T>>(self, lanes: L) {
        let zeros = [T::default(); WIDEST_PANEL];
        let panel_width = L::LEN * L::TILE_VECTORS;
        for begin in (0..self.rows.count()).step_by(BLOCK_ROWS) {
            let end = self.rows.count().min(begin + BLOCK_ROWS);
            let mut k = 0;
            for (i, segments) in self.blocks.iter().enumerate() {
                let k_end = k + segments.iter().map(|segment| segment.len).sum::<usize>();
                for (j, panel) in self.b.data.chunks(self.b.rows * panel_width).enumerate() {
                    let width = panel.len() / self.b.rows;
                    lanes.run(Panel {
                        a: self.a,
                        rows: self.rows,
                        begin,
                        end,
                        segments,
                        weights: &panel[k * width..k_end * width],
                        bias: &zeros[..width],
                        c: self.c,
                        column: j * panel_width,
                        start: if i == 0 { Start::Bias } else { Start::Output },
                        activation: Activation::Identity,
                    });
                }
                k = k_end;
            }
        }
    }
}

/// `C += Aᵀ B` for one panel of `B`.
pub(super) struct TransposedPanel<'a, T> {
    /// Rows of `A`, `stride` apart; the values from `first` on of each are used, as many as `c` has rows.
    pub(super) a: &'a [T],
    pub(super) stride: usize,
    pub(super) first: usize,
    /// As many rows as `A` is long, each as wide as the panel.
    pub(super) b: &'a [T],
    /// Width of the panel.
    pub(super) width: usize,
    /// Rows as wide as the panel.
    pub(super) c: &'a mut [T],
}

impl<T: Real> Kernel<T> for TransposedPanel<'_, T> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = T>>(self, lanes: L) {
        match self.width / L::LEN {
            4 if L::TILE_VECTORS >= 4 => self.tiles::<L, 4>(lanes),
            3 if L::TILE_VECTORS >= 3 => self.tiles::<L, 3>(lanes),
            2 if L::TILE_VECTORS >= 2 => self.tiles::<L, 2>(lanes),
            _ => self.tiles::<L, 1>(lanes),
        }
    }
}

impl<T: Real> TransposedPanel<'_, T> {
    #[inline(always)]
    fn tiles<L: Lanes<Scalar = T>, const V: usize>(mut self, lanes: L) {
        let count = self.c.len() / self.width;
        let mut row = 0;
        while row < count {
            let rows = L::TILE_ROWS.min(count - row);
            match rows {
                8 if L::TILE_ROWS >= 8 => self.tile::<L, 8, V>(lanes, row),
                6.. if L::TILE_ROWS >= 6 => self.tile::<L, 6, V>(lanes, row),
                4.. if L::TILE_ROWS >= 4 => self.tile::<L, 4, V>(lanes, row),
                2.. if L::TILE_ROWS >= 2 => self.tile::<L, 2, V>(lanes, row),
                _ => self.tile::<L, 1, V>(lanes, row),
            }
            row += match rows {
                8 if L::TILE_ROWS >= 8 => 8,
                6.. if L::TILE_ROWS >= 6 => 6,
                4.. if L::TILE_ROWS >= 4 => 4,
                2.. if L::TILE_ROWS >= 2 => 2,
                _ => 1,
            };
        }
    }

    /// `M` rows by `V` vectors, held in registers while all of `A` and `B` pass by.
    #[inline(always)]
    fn tile<L: Lanes<Scalar = T>, const M: usize, const V: usize>(&mut self, lanes: L, row: usize) {
        let width = V * L::LEN;
        let mut sums = [[lanes.splat(T::default()); V]; M];
        let a = self.a[self.first + row..].chunks(self.stride);
        for (a, b) in a.zip(self.b.chunks_exact(width)) {
            let a = &a[..M];
            let mut columns = [lanes.splat(T::default()); V];
            for v in 0..V {
                columns[v] = lanes.load(&b[v * L::LEN..]);
            }
            for i in 0..M {
                let value = lanes.splat(a[i]);
                for v in 0..V {
                    sums[i][v] = lanes.mul_add(value, columns[v], sums[i][v]);
                }
            }
        }
        let c = &mut self.c[row * width..(row + M) * width];
        for i in 0..M {
            for v in 0..V {
                let c = &mut c[i * width + v * L::LEN..];
                lanes.store(c, lanes.add(lanes.load(c), sums[i][v]));
            }
        }
    }
}
