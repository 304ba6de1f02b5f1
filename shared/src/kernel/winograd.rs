//! Winograd's convolutions: 3x3 kernels of stride 1 with a fraction of the multiplications.
//!
//! A tile of `IN` x `IN` inputs `d` and the kernel `g` give `OUT` x `OUT` outputs `A'[(G g G') * (B' d B)]A`, where `*`
//! multiplies element by element, so that over the channels each of the elements is a matrix product of its own. Larger
//! tiles take fewer multiplications and more weights. Outputs differ from the direct sum by about 1e-6 of their scale,
//! or 1e-5 with 6x6 outputs.
//!
//! Source: Lavin and Gray 2016, arXiv 1509.09308, section 4.3.

#![allow(unsafe_code, reason = "a bounds check at each of a tile's elements takes as long as its arithmetic")]

pub(crate) mod minimal;

use super::buffer::Buffer;
use super::conv::ConvShape;
use super::gemm::{Activation, Base, Panel, Segment, Start, Strided, k_blocks};
use super::lanes::{Kernel, Lanes, Simd};
use super::layout::{Border, Layout};
use crate::error::{Error, Result};
use minimal::{F2, F4, F6, Minimal};

/// Floats of transformed inputs and products that stay in the second-level cache.
const BLOCK_FLOATS: usize = 60_000;

/// Fewest tiles that are transformed together, if there are so many: each block of tiles reads all weights anew.
const LEAST_TILES: usize = 32;

/// Floats of a cache line.
const LINE: usize = 16;

/// Reading a weight takes as long as so many multiplications with it: about what a core does while a float comes from
/// the third-level cache.
const WEIGHT_COST: usize = 8;

/// Outputs that are computed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tile {
    /// 2x2: 16 multiplications instead of 36.
    Two,
    /// 4x4: 36 instead of 144.
    Four,
    /// 6x6: 64 instead of 324.
    Six,
}

/// Evaluates an expression with the transforms of a tile, and the sides of its inputs and outputs.
macro_rules! with_minimal {
    ($tile:expr, $minimal:ident, $in:ident, $out:ident => $body:expr) => {
        match $tile {
            Tile::Two => {
                type $minimal = F2;
                const $in: usize = 4;
                const $out: usize = 2;
                $body
            }
            Tile::Four => {
                type $minimal = F4;
                const $in: usize = 6;
                const $out: usize = 4;
                $body
            }
            Tile::Six => {
                type $minimal = F6;
                const $in: usize = 8;
                const $out: usize = 6;
                $body
            }
        }
    };
}

impl Tile {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Two, Self::Four, Self::Six];

    /// The fastest for a convolution, if one of them is possible and faster than the direct sum.
    pub(crate) fn best(shape: &ConvShape, height: usize, width: usize) -> Option<Self> {
        let possible = (shape.kernel, shape.stride, shape.padding) == (3, 1, 1);
        // Transforms cost as much per channel as products with about a dozen channels.
        if !possible || shape.in_channels.min(shape.out_channels) < 16 {
            return None;
        }
        let direct = height.saturating_mul(width).saturating_add(WEIGHT_COST).saturating_mul(9);
        let cost = |tile: &Self| {
            let tiles = height.div_ceil(tile.side()).saturating_mul(width.div_ceil(tile.side()));
            tiles.saturating_add(WEIGHT_COST).saturating_mul(tile.points())
        };
        Self::ALL.into_iter().min_by_key(cost).filter(|tile| cost(tile) < direct)
    }

    /// Height and width.
    pub(crate) fn side(self) -> usize {
        with_minimal!(self, _M, _IN, OUT => OUT)
    }

    /// Elements of the transformed inputs: multiplications for each pair of channels.
    fn points(self) -> usize {
        with_minimal!(self, _M, IN, _OUT => IN * IN)
    }

    /// The zeros that an input needs around it: the last tiles may reach over the edge.
    pub(crate) fn border(self, height: usize, width: usize) -> Border {
        let after = |size: usize| (self.side() - size % self.side()) % self.side() + 1;
        Border { before: 1, after: after(height).max(after(width)) }
    }
}

/// A 3x3 convolution with transformed weights.
pub(crate) struct Winograd {
    simd: Simd,
    tile: Tile,
    input: Layout,
    output: Layout,
    /// Tiles in a row of the image.
    columns: usize,
    /// Tiles in all.
    tiles: usize,
    /// Tiles that are transformed together.
    block: usize,
    /// For each point panels of output channels, each `[C_in, panel width]`; the last one may be narrower.
    weights: Buffer,
    /// Parts of the input channels for the matrix product.
    segments: Vec<Vec<Segment>>,
}

impl Winograd {
    /// Transforms weights `[C_out, C_in, 3, 3]`; the layouts are checked by the caller.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the kernel is not 3x3 with stride 1 and padding 1 or the input's pixels are no whole
    /// vectors, [`Error::OutOfMemory`] if there is no room.
    pub(crate) fn new(
        simd: Simd,
        shape: ConvShape,
        tile: Tile,
        [input, output]: [Layout; 2],
        weight: &[f32],
    ) -> Result<Self> {
        let whole = input.stride.is_multiple_of(simd.lanes()) && input.offset == 0;
        if (shape.kernel, shape.stride, shape.padding) != (3, 1, 1) || !whole {
            return Err(Error::Shape {
                what: "convolution by Winograd's algorithm",
                expected: format!("3x3, stride 1, padding 1, pixels of whole vectors of {}", simd.lanes()),
                found: format!("{shape:?}, pixels of {}", input.stride),
            });
        }
        let (c_in, c_out, n_points) = (shape.in_channels, shape.out_channels, tile.points());
        let columns_out = output.padded_channels(simd.lanes());
        let matrix = c_in.saturating_mul(columns_out);
        let mut weights = Buffer::zeros(n_points.saturating_mul(matrix))?;
        for n in 0..c_out {
            let first = n - n % simd.panel_width();
            let width = simd.panel_width().min(columns_out - first);
            for c in 0..c_in {
                let kernel = &weight[(n * c_in + c) * 9..][..9];
                let at = first * c_in + c * width + n - first;
                let put = |point: usize, value| weights[point * matrix + at] = value;
                with_minimal!(tile, M, IN, OUT => transform_kernel::<M, IN, OUT>(kernel, put));
            }
        }
        let columns = input.width.div_ceil(tile.side());
        let tiles = columns * input.height.div_ceil(tile.side());
        let most = (BLOCK_FLOATS / (n_points * (input.stride + columns_out))).max(LEAST_TILES);
        let block = tiles.div_ceil(tiles.div_ceil(most));
        let segments = k_blocks(simd.panel_width(), [Segment { at: 0, len: c_in }]);
        Ok(Self { simd, tile, input, output, columns, tiles, block, weights, segments })
    }

    /// Floats of working memory that [`Self::run`] needs.
    pub(crate) fn scratch_len(&self) -> usize {
        let stride = point_stride(self.block, self.input.stride)
            + point_stride(self.block, self.output.padded_channels(self.simd.lanes()));
        self.tile.points() * stride
    }

    /// Computes the output image; leaves its border as it is.
    pub(crate) fn run(
        &self,
        input: &[f32],
        output: &mut [f32],
        scratch: &mut [f32],
        bias: &[f32],
        base: Base,
        activation: Activation,
    ) {
        with_minimal!(self.tile, M, IN, OUT => self.simd.run(Run::<M, IN, OUT> {
            plan: self, minimal: M {}, input, output, scratch, bias, base, activation
        }));
    }

    /// Row and column of a tile's first pixel.
    #[inline(always)]
    fn origin(&self, tile: usize, side: usize) -> (usize, usize) {
        (tile / self.columns * side, tile % self.columns * side)
    }
}

/// Floats from one point to the next: an odd number of cache lines, so that the points of a tile, which are read and
/// written together, never meet in the same part of the cache.
#[inline(always)]
fn point_stride(tiles: usize, pixel: usize) -> usize {
    ((tiles * pixel).div_ceil(LINE) | 1) * LINE
}

/// Gives `G g G'`, row by row, to a function of index and value.
fn transform_kernel<M: Minimal<IN, OUT>, const IN: usize, const OUT: usize>(
    kernel: &[f32],
    mut put: impl FnMut(usize, f32),
) {
    let mut half = [[0.0; 3]; IN];
    for (row, g) in half.iter_mut().zip(M::KERNEL) {
        for (x, value) in row.iter_mut().enumerate() {
            *value = (0..3).map(|y| g[y] * f64::from(kernel[y * 3 + x])).sum::<f64>();
        }
    }
    for point in 0..IN * IN {
        let (row, g) = (half[point / IN], M::KERNEL[point % IN]);
        put(point, (0..3).map(|x| row[x] * g[x]).sum::<f64>() as f32);
    }
}

/// The whole convolution: for each block of tiles the inputs are transformed, multiplied point by point, and the
/// products transformed back.
struct Run<'a, M, const IN: usize, const OUT: usize> {
    plan: &'a Winograd,
    minimal: M,
    input: &'a [f32],
    output: &'a mut [f32],
    scratch: &'a mut [f32],
    bias: &'a [f32],
    base: Base,
    activation: Activation,
}

impl<M: Minimal<IN, OUT>, const IN: usize, const OUT: usize> Kernel<f32> for Run<'_, M, IN, OUT> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = f32>>(self, lanes: L) {
        let (plan, minimal) = (self.plan, self.minimal);
        let zeros = [0.0; 64];
        let (c_in, pixel, columns) = (plan.input.channels, plan.input.stride, plan.output.padded_channels(L::LEN));
        let panel_width = L::LEN * L::TILE_VECTORS;
        let mut begin = 0;
        while begin < plan.tiles {
            let end = plan.tiles.min(begin + plan.block);
            let count = end - begin;
            let [a_stride, c_stride] = [point_stride(count, pixel), point_stride(count, columns)];
            let (inputs, products) = self.scratch.split_at_mut(IN * IN * a_stride);
            lanes.run(TransformInput::<M, IN, OUT> { plan, minimal, image: self.input, begin, end, points: inputs });
            for point in 0..IN * IN {
                let a = &inputs[point * a_stride..][..count * pixel];
                let c = &mut products[point * c_stride..][..count * columns];
                let weights = &plan.weights[point * c_in * columns..][..c_in * columns];
                let mut k = 0;
                for (j, segments) in plan.segments.iter().enumerate() {
                    let k_end = k + segments.iter().map(|segment| segment.len).sum::<usize>();
                    for (i, panel) in weights.chunks(c_in * panel_width).enumerate() {
                        let width = panel.len() / c_in;
                        lanes.run(Panel {
                            a,
                            rows: Strided { count, a: pixel, c: columns },
                            begin: 0,
                            end: count,
                            segments,
                            weights: &panel[k * width..k_end * width],
                            bias: &zeros[..width],
                            c,
                            column: i * panel_width,
                            start: if j == 0 { Start::Bias } else { Start::Output },
                            activation: Activation::Identity,
                        });
                    }
                    k = k_end;
                }
            }
            lanes.run(TransformOutput::<M, IN, OUT> {
                plan,
                minimal,
                image: self.output,
                begin,
                end,
                points: products,
                bias: self.bias,
                base: self.base,
                activation: self.activation,
            });
            begin = end;
        }
    }
}

/// `B' d B` of some tiles: the image to `[points, tiles, C]`.
struct TransformInput<'a, M, const IN: usize, const OUT: usize> {
    plan: &'a Winograd,
    #[expect(dead_code, reason = "says which transforms")]
    minimal: M,
    image: &'a [f32],
    begin: usize,
    end: usize,
    points: &'a mut [f32],
}

impl<M: Minimal<IN, OUT>, const IN: usize, const OUT: usize> Kernel<f32> for TransformInput<'_, M, IN, OUT> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = f32>>(self, lanes: L) {
        let layout = self.plan.input;
        let (row, pixel) = (layout.row_stride(), layout.stride);
        let count = self.end - self.begin;
        assert!(pixel.is_multiple_of(L::LEN), "pixels are no whole vectors");
        let stride = point_stride(count, pixel);
        let points = &mut self.points[..IN * IN * stride];
        for tile in 0..count {
            let (y, x) = self.plan.origin(self.begin + tile, OUT);
            let corner = layout.at(y, x) - row - pixel;
            let image = &self.image[corner..corner + (IN - 1) * row + IN * pixel];
            for channel in (0..pixel).step_by(L::LEN) {
                let mut half = [[lanes.splat(0.0); IN]; IN];
                for j in 0..IN {
                    let mut column = [lanes.splat(0.0); IN];
                    for i in 0..IN {
                        // SAFETY: `channel + LEN` is at most `pixel`, so this ends within the last pixel of row `i`,
                        // and the image was cut to the last pixel of the last row.
                        column[i] = unsafe { load_at(lanes, image, i * row + j * pixel + channel) };
                    }
                    let column = M::input(lanes, column);
                    for i in 0..IN {
                        half[i][j] = column[i];
                    }
                }
                for i in 0..IN {
                    let values = M::input(lanes, half[i]);
                    for j in 0..IN {
                        let at = (i * IN + j) * stride + tile * pixel + channel;
                        // SAFETY: as above; `points` was cut to `IN * IN` times a stride of at least `count` pixels.
                        unsafe { store_at(lanes, points, at, values[j]) };
                    }
                }
            }
        }
    }
}

/// `A' m A` of some tiles, with bias, residual and activation: `[points, tiles, C]` to the image.
struct TransformOutput<'a, M, const IN: usize, const OUT: usize> {
    plan: &'a Winograd,
    #[expect(dead_code, reason = "says which transforms")]
    minimal: M,
    image: &'a mut [f32],
    begin: usize,
    end: usize,
    points: &'a [f32],
    bias: &'a [f32],
    base: Base,
    activation: Activation,
}

impl<M: Minimal<IN, OUT>, const IN: usize, const OUT: usize> Kernel<f32> for TransformOutput<'_, M, IN, OUT> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = f32>>(self, lanes: L) {
        let layout = self.plan.output;
        let pixel = layout.padded_channels(L::LEN);
        let count = self.end - self.begin;
        let stride = point_stride(count, pixel);
        let points = &self.points[..IN * IN * stride];
        let zero = lanes.splat(0.0);
        for tile in 0..count {
            let (y, x) = self.plan.origin(self.begin + tile, OUT);
            let (rows, columns) = (OUT.min(layout.height - y), OUT.min(layout.width - x));
            for channel in (0..pixel).step_by(L::LEN) {
                let bias = lanes.load(&self.bias[channel..]);
                let mut half = [[zero; IN]; OUT];
                for j in 0..IN {
                    let mut column = [zero; IN];
                    for i in 0..IN {
                        let at = (i * IN + j) * stride + tile * pixel + channel;
                        // SAFETY: `channel + LEN` is at most `pixel`, and `points` was cut to `IN * IN` times a stride
                        // of at least `count` pixels.
                        column[i] = unsafe { load_at(lanes, points, at) };
                    }
                    let column = M::output(lanes, column);
                    for i in 0..OUT {
                        half[i][j] = column[i];
                    }
                }
                for i in 0..rows {
                    let values = M::output(lanes, half[i]);
                    for j in 0..columns {
                        let at = layout.at(y + i, x + j) + channel;
                        let to = &mut self.image[at..at + L::LEN];
                        let mut value = lanes.add(values[j], bias);
                        if self.base == Base::BiasAndOutput {
                            value = lanes.add(value, lanes.load(to));
                        }
                        if self.activation == Activation::Relu {
                            value = lanes.max(zero, value);
                        }
                        lanes.store(to, value);
                    }
                }
            }
        }
    }
}

/// Reads a vector without a check.
///
/// # Safety
///
/// `from` holds a vector at `at`.
#[inline(always)]
unsafe fn load_at<L: Lanes<Scalar = f32>>(lanes: L, from: &[f32], at: usize) -> L::Vector {
    debug_assert!(at + L::LEN <= from.len());
    // SAFETY: the caller's.
    lanes.load(unsafe { from.get_unchecked(at..at + L::LEN) })
}

/// Writes a vector without a check.
///
/// # Safety
///
/// `to` has room for a vector at `at`.
#[inline(always)]
unsafe fn store_at<L: Lanes<Scalar = f32>>(lanes: L, to: &mut [f32], at: usize, vector: L::Vector) {
    debug_assert!(at + L::LEN <= to.len());
    // SAFETY: the caller's.
    lanes.store(unsafe { to.get_unchecked_mut(at..at + L::LEN) }, vector);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tile_suits_the_image() {
        let best = |channels: usize, kernel: usize, stride: usize, size: usize| {
            let padding = kernel / 2;
            let shape = ConvShape { in_channels: channels, out_channels: channels, kernel, stride, padding };
            Tile::best(&shape, size, size)
        };
        assert_eq!(best(512, 3, 1, 7), Some(Tile::Two));
        assert_eq!(best(256, 3, 1, 14), Some(Tile::Four));
        assert_eq!(best(64, 3, 1, 56), Some(Tile::Six));
        assert_eq!(best(256, 3, 1, 30), Some(Tile::Six));
        for (channels, kernel, stride, size) in [(8, 3, 1, 56), (64, 1, 1, 56), (64, 3, 2, 56), (64, 3, 1, 1)] {
            assert_eq!(best(channels, kernel, stride, size), None, "{channels} {kernel} {stride} {size}");
        }
    }
}
