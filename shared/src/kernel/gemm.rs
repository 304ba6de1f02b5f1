//! Matrix product with a packed right side and a fused epilogue.
//!
//! The right side, a layer's weights, is packed once into panels as wide as the tile that the registers hold. The left
//! side is read where it lies: a row of it may consist of several pieces at the same offsets from the row's begin,
//! which is all that a convolution over an image with a border of zeros needs, without copying patches.
//!
//! Source: Goto and van de Geijn 2008 for the order of the loops; Dukhan 2019, arXiv 1907.02129, for convolution
//! without copies.

#![allow(unsafe_code, reason = "a bounds check in the innermost loop halves its speed in WebAssembly")]

use super::buffer::Buffer;
use super::lanes::{Kernel, Lanes, Simd};
use super::real::Real;
use crate::error::{Error, Result};

/// Bytes of a packed panel that stay in a cache while rows pass by: in the first level, but for WebAssembly's short
/// vectors, which the second level can feed, so that rows are taken up and put down less often.
const PANEL_BYTES: usize = if cfg!(target_arch = "wasm32") { 64 * 1024 } else { 24 * 1024 };

/// Rows that pass by all panels before the next rows come: their left sides stay in the second-level cache.
const BLOCK_ROWS: usize = 128;

/// What the product is added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The bias alone.
    Bias,
    /// The bias and what the output holds: a residual connection.
    BiasAndOutput,
}

/// What is applied to each element at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// Negative values become zero.
    Relu,
}

/// A matrix `[K, N]` in panels of columns, each `[K, panel width]`; the last one may be narrower. Columns are filled up
/// with zeros to whole vectors.
pub struct PackedMatrix {
    simd: Simd,
    rows: usize,
    columns: usize,
    data: Buffer,
}

impl PackedMatrix {
    /// Packs the elements that a function of row and column gives.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for no rows or no columns, [`Error::OutOfMemory`] if there is no room.
    pub fn new(simd: Simd, rows: usize, columns: usize, element: impl Fn(usize, usize) -> f32) -> Result<Self> {
        if rows == 0 || columns == 0 {
            return Err(Error::Shape {
                what: "matrix",
                expected: "rows and columns".to_owned(),
                found: format!("{rows} x {columns}"),
            });
        }
        // More columns than can be counted are more than there is room for.
        let padded = columns.checked_next_multiple_of(simd.lanes()).unwrap_or(usize::MAX);
        let mut data = Buffer::zeros(rows.saturating_mul(padded))?;
        for (i, panel) in data.chunks_mut(rows * simd.panel_width()).enumerate() {
            let begin = i * simd.panel_width();
            let width = panel.len() / rows;
            for (row, values) in panel.chunks_exact_mut(width).enumerate() {
                for (column, value) in (begin..columns).zip(values) {
                    *value = element(row, column);
                }
            }
        }
        Ok(Self { simd, rows, columns: padded, data })
    }

    /// The instructions it is packed for.
    pub fn simd(&self) -> Simd {
        self.simd
    }

    /// `K`.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// `N`, filled up to whole vectors: what a product writes in each row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// First column and elements of each panel.
    fn panels(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let width = self.simd.panel_width();
        self.data.chunks(self.rows * width).enumerate().map(move |(i, panel)| (i * width, panel))
    }
}

/// `C = A B + bias`, or `C += A B + bias`, with an activation.
///
/// # Shapes
///
/// - `a`: `M` rows of `K`, the first elements of each `a_stride` apart
/// - `b`: `[K, N]`
/// - `bias`: `[N]` with `N` filled up to [`PackedMatrix::columns`]
/// - `c`: `M` rows of [`PackedMatrix::columns`], `c_stride` apart, which must not overlap; `M` is the number of whole
///   rows in it
///
/// # Panics
///
/// If the slices do not have these sizes.
#[expect(clippy::too_many_arguments, reason = "the operands and their strides, in the order of BLAS")]
pub fn gemm(
    a: &[f32],
    a_stride: usize,
    b: &PackedMatrix,
    bias: &[f32],
    c: &mut [f32],
    c_stride: usize,
    base: Base,
    activation: Activation,
) {
    assert!(c_stride >= b.columns, "rows of the output overlap");
    let count = if c.len() < b.columns { 0 } else { (c.len() - b.columns) / c_stride + 1 };
    let rows = Strided { count, a: a_stride, c: c_stride };
    let blocks = k_blocks(b.simd.panel_width(), [Segment { at: 0, len: b.rows }]);
    b.simd.run(Product { a, rows, blocks: &blocks, b, bias, c, base, activation });
}

/// Where each row of `A` and of `C` begins.
pub(crate) trait Rows: Copy {
    /// Number of rows.
    fn count(self) -> usize;
    /// Offset of a row in `A`.
    fn a(self, row: usize) -> usize;
    /// Offset of a row in `C`.
    fn c(self, row: usize) -> usize;
}

/// Rows at equal distances.
#[derive(Clone, Copy)]
pub(crate) struct Strided {
    pub(crate) count: usize,
    pub(crate) a: usize,
    pub(crate) c: usize,
}

impl Rows for Strided {
    #[inline(always)]
    fn count(self) -> usize {
        self.count
    }
    #[inline(always)]
    fn a(self, row: usize) -> usize {
        row * self.a
    }
    #[inline(always)]
    fn c(self, row: usize) -> usize {
        row * self.c
    }
}

/// Offsets in `A` and `C` of each row.
impl Rows for &[[u32; 2]] {
    #[inline(always)]
    fn count(self) -> usize {
        self.len()
    }
    #[inline(always)]
    fn a(self, row: usize) -> usize {
        self[row][0] as usize
    }
    #[inline(always)]
    fn c(self, row: usize) -> usize {
        self[row][1] as usize
    }
}

/// A piece of every row of `A`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Offset from the row's begin.
    pub(crate) at: usize,
    /// Elements.
    pub(crate) len: usize,
}

/// Cuts the pieces of a row into blocks whose part of a panel fits the first-level cache.
pub(crate) fn k_blocks(panel_width: usize, segments: impl IntoIterator<Item = Segment>) -> Vec<Vec<Segment>> {
    let most = PANEL_BYTES / size_of::<f32>() / panel_width;
    let mut blocks: Vec<Vec<Segment>> = Vec::new();
    let mut room = 0;
    for segment in segments {
        // Equal parts rather than full ones and a short rest.
        let len = segment.len.div_ceil(segment.len.div_ceil(most).max(1));
        let mut begin = 0;
        while begin < segment.len {
            let part = Segment { at: segment.at + begin, len: len.min(segment.len - begin) };
            match blocks.last_mut() {
                Some(block) if part.len <= room => block.push(part),
                _ => {
                    blocks.push(vec![part]);
                    room = most;
                }
            }
            room = room.saturating_sub(part.len);
            begin += part.len;
        }
    }
    blocks
}

/// The whole product.
pub(crate) struct Product<'a, R> {
    pub(crate) a: &'a [f32],
    pub(crate) rows: R,
    pub(crate) blocks: &'a [Vec<Segment>],
    pub(crate) b: &'a PackedMatrix,
    pub(crate) bias: &'a [f32],
    pub(crate) c: &'a mut [f32],
    pub(crate) base: Base,
    pub(crate) activation: Activation,
}

impl<R: Rows> Kernel<f32> for Product<'_, R> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = f32>>(self, lanes: L) {
        let width = L::LEN * L::TILE_VECTORS;
        debug_assert_eq!(width, self.b.simd.panel_width());
        let mut begin = 0;
        while begin < self.rows.count() {
            let end = self.rows.count().min(begin + BLOCK_ROWS);
            let mut k = 0;
            for (i, block) in self.blocks.iter().enumerate() {
                let k_end = k + block.iter().map(|segment| segment.len).sum::<usize>();
                let last = i + 1 == self.blocks.len();
                for (column, panel) in self.b.panels() {
                    let width = width.min(self.b.columns - column);
                    lanes.run(Panel {
                        a: self.a,
                        rows: self.rows,
                        begin,
                        end,
                        segments: block,
                        weights: &panel[k * width..k_end * width],
                        bias: &self.bias[column..column + width],
                        c: self.c,
                        column,
                        start: match self.base {
                            _ if i > 0 => Start::Output,
                            Base::Bias => Start::Bias,
                            Base::BiasAndOutput => Start::BiasAndOutput,
                        },
                        activation: if last { self.activation } else { Activation::Identity },
                    });
                }
                k = k_end;
            }
            begin = end;
        }
    }
}

/// What the accumulators of a tile begin with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Bias,
    BiasAndOutput,
    Output,
}

/// The product of some rows with a block of one panel.
pub(crate) struct Panel<'a, T, R> {
    pub(crate) a: &'a [T],
    pub(crate) rows: R,
    /// The first row.
    pub(crate) begin: usize,
    /// After the last row.
    pub(crate) end: usize,
    pub(crate) segments: &'a [Segment],
    /// As many rows as the segments have elements; as wide as `bias`.
    pub(crate) weights: &'a [T],
    pub(crate) bias: &'a [T],
    pub(crate) c: &'a mut [T],
    /// The first column that is written.
    pub(crate) column: usize,
    pub(crate) start: Start,
    pub(crate) activation: Activation,
}

impl<T: Real, R: Rows> Kernel<T> for Panel<'_, T, R> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = T>>(self, lanes: L) {
        match self.bias.len() / L::LEN {
            4 if L::TILE_VECTORS >= 4 => self.tiles::<L, 4>(lanes),
            3 if L::TILE_VECTORS >= 3 => self.tiles::<L, 3>(lanes),
            2 if L::TILE_VECTORS >= 2 => self.tiles::<L, 2>(lanes),
            _ => self.tiles::<L, 1>(lanes),
        }
    }
}

impl<T: Real, R: Rows> Panel<'_, T, R> {
    #[inline(always)]
    fn tiles<L: Lanes<Scalar = T>, const V: usize>(mut self, lanes: L) {
        let mut row = self.begin;
        while row < self.end {
            let rows = L::TILE_ROWS.min(self.end - row);
            match rows {
                8 if L::TILE_ROWS >= 8 => self.tile::<L, 8, V>(lanes, row),
                7 if L::TILE_ROWS >= 7 => self.tile::<L, 7, V>(lanes, row),
                6 if L::TILE_ROWS >= 6 => self.tile::<L, 6, V>(lanes, row),
                5 if L::TILE_ROWS >= 5 => self.tile::<L, 5, V>(lanes, row),
                4 if L::TILE_ROWS >= 4 => self.tile::<L, 4, V>(lanes, row),
                3 if L::TILE_ROWS >= 3 => self.tile::<L, 3, V>(lanes, row),
                2 if L::TILE_ROWS >= 2 => self.tile::<L, 2, V>(lanes, row),
                _ => self.tile::<L, 1, V>(lanes, row),
            }
            row += rows;
        }
    }

    /// `M` rows by `V` vectors, held in registers from the first element of the block to the last.
    #[inline(always)]
    fn tile<L: Lanes<Scalar = T>, const M: usize, const V: usize>(&mut self, lanes: L, row: usize) {
        let width = V * L::LEN;
        let mut a_at = [0; M];
        let mut c_at = [0; M];
        for i in 0..M {
            a_at[i] = self.rows.a(row + i);
            c_at[i] = self.rows.c(row + i) + self.column;
        }
        let mut sums = [[lanes.splat(T::default()); V]; M];
        if self.start != Start::Output {
            for v in 0..V {
                let bias = lanes.load(&self.bias[v * L::LEN..]);
                for sums in &mut sums {
                    sums[v] = bias;
                }
            }
        }
        if self.start != Start::Bias {
            for i in 0..M {
                let c = &self.c[c_at[i]..c_at[i] + width];
                for v in 0..V {
                    sums[i][v] = lanes.add(sums[i][v], lanes.load(&c[v * L::LEN..]));
                }
            }
        }
        let mut panel = self.weights;
        for segment in self.segments {
            let (now, rest) = panel.split_at(segment.len * width);
            panel = rest;
            let mut a: [&[T]; M] = [&[]; M];
            for i in 0..M {
                let begin = a_at[i] + segment.at;
                a[i] = &self.a[begin..begin + segment.len];
            }
            for (k, b) in (0..segment.len).zip(now.chunks_exact(width)) {
                let mut columns = [lanes.splat(T::default()); V];
                for v in 0..V {
                    columns[v] = lanes.load(&b[v * L::LEN..]);
                }
                for i in 0..M {
                    debug_assert!(k < a[i].len());
                    // SAFETY: `k` is below `segment.len`, which every row was cut to above.
                    let value = lanes.splat(unsafe { *a[i].get_unchecked(k) });
                    for v in 0..V {
                        sums[i][v] = lanes.mul_add(value, columns[v], sums[i][v]);
                    }
                }
            }
        }
        let zero = lanes.splat(T::default());
        for i in 0..M {
            let c = &mut self.c[c_at[i]..c_at[i] + width];
            for v in 0..V {
                let value = match self.activation {
                    Activation::Identity => sums[i][v],
                    Activation::Relu => lanes.max(zero, sums[i][v]),
                };
                lanes.store(&mut c[v * L::LEN..], value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::naive::{assert_close, uniform};
    use super::*;

    #[test]
    fn product_is_the_plain_sum() {
        for (m, k, n) in [(1, 1, 1), (2, 7, 16), (3, 400, 5), (7, 33, 70), (13, 1000, 14), (130, 9, 40), (300, 64, 33)]
        {
            let (a, b, bias) = (uniform(1, m * (k + 3)), uniform(2, k * n), uniform(3, n));
            for simd in Simd::available() {
                let packed = PackedMatrix::new(simd, k, n, |row, column| b[row * n + column]).expect("packs");
                let mut padded_bias = vec![0.0; packed.columns()];
                padded_bias[..n].copy_from_slice(&bias);
                let stride = packed.columns() + 2;
                for (base, activation) in [(Base::Bias, Activation::Identity), (Base::BiasAndOutput, Activation::Relu)]
                {
                    let before = uniform(4, m * stride);
                    let mut c = before.clone();
                    gemm(&a, k + 3, &packed, &padded_bias, &mut c, stride, base, activation);
                    let mut expected = Vec::new();
                    let mut found = Vec::new();
                    for i in 0..m {
                        for j in 0..n {
                            let dot = |p: usize| f64::from(a[i * (k + 3) + p]) * f64::from(b[p * n + j]);
                            let sum = f64::from(bias[j]) + (0..k).map(dot).sum::<f64>();
                            expected.push(match base {
                                Base::Bias => sum,
                                Base::BiasAndOutput => (sum + f64::from(before[i * stride + j])).max(0.0),
                            });
                            found.push(c[i * stride + j]);
                        }
                        let gap = i * stride + packed.columns()..(i + 1) * stride;
                        assert_eq!(c[gap.clone()], before[gap], "between the rows nothing is written");
                    }
                    assert_close(&found, &expected, 1e-5, &format!("{simd:?} {m}x{k}x{n} {base:?}"));
                }
            }
        }
    }

    #[test]
    fn a_matrix_without_elements_or_with_too_many_is_an_error() {
        for (rows, columns) in [(0, 3), (3, 0), (1, usize::MAX), (usize::MAX, 1), (usize::MAX / 2, usize::MAX / 2)] {
            let packed = PackedMatrix::new(Simd::best(), rows, columns, |_, _| 0.0);
            assert!(packed.is_err(), "{rows} x {columns}");
        }
    }

    #[test]
    fn blocks_cover_every_element_once_in_order() {
        for simd in Simd::available() {
            let segments = [Segment { at: 0, len: 21 }, Segment { at: 100, len: 21 }, Segment { at: 500, len: 5000 }];
            let parts: Vec<Segment> = k_blocks(simd.panel_width(), segments).concat();
            let elements =
                |parts: &[Segment]| -> Vec<usize> { parts.iter().flat_map(|s| s.at..s.at + s.len).collect() };
            assert_eq!(elements(&parts), elements(&segments));
            let most = PANEL_BYTES / 4 / simd.panel_width();
            for block in k_blocks(simd.panel_width(), segments) {
                assert!(block.iter().map(|segment| segment.len).sum::<usize>() <= most);
            }
        }
    }
}
