//! Winograd's F(4x4, 3x3): 3x3 convolution of stride 1 with 36 instead of 144 multiplications per 4x4 outputs.
//!
//! A tile of 6x6 inputs `d` and the kernel `g` give 4x4 outputs `A'[(G g G') * (B' d B)]A`, where `*` multiplies element
//! by element, so that over the channels each of the 36 elements is a matrix product of its own. Outputs differ from
//! the direct sum by about 1e-6 of their scale.
//!
//! Source: Lavin and Gray 2016, arXiv 1509.09308, section 4.3.

use super::buffer::Buffer;
use super::conv::ConvShape;
use super::gemm::{Activation, Base, Panel, Segment, Start, Strided, k_blocks};
use super::lanes::{Kernel, Lanes, Simd};
use super::layout::{Border, Layout};
use super::real::Real;
use crate::error::{Error, Result};

/// Side of the outputs of a tile.
pub(super) const OUT: usize = 4;
/// Side of the inputs of a tile.
pub(super) const IN: usize = 6;
/// Elements of a transformed tile.
pub(super) const POINTS: usize = IN * IN;

/// Floats of transformed inputs that stay in the second-level cache.
const BLOCK_FLOATS: usize = 150_000;

/// Fewest tiles for which it pays: with fewer, reading four times the weights costs more than the multiplications
/// saved.
const LEAST_TILES: usize = 8;

/// The transform `G` of the kernel.
const KERNEL_TRANSFORM: [[f64; 3]; IN] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// A 3x3 convolution with transformed weights.
pub(crate) struct Winograd {
    simd: Simd,
    input: Layout,
    output: Layout,
    /// Tiles in a row of the image.
    columns: usize,
    /// Tiles in all.
    tiles: usize,
    /// Tiles that are transformed together.
    block: usize,
    /// Panels of output channels, each `[36, C_in, panel width]`; the last one may be narrower.
    weights: Buffer,
    /// Parts of the input channels for the matrix product.
    segments: Vec<Vec<Segment>>,
}

impl Winograd {
    /// Whether it is possible and faster than the direct sum.
    pub(crate) fn pays(shape: &ConvShape, height: usize, width: usize) -> bool {
        let possible = shape.kernel == 3 && shape.stride == 1 && shape.padding == 1;
        // Transforms cost as much per channel as products with about a dozen channels.
        possible
            && shape.in_channels.min(shape.out_channels) >= 16
            && height.div_ceil(OUT).saturating_mul(width.div_ceil(OUT)) >= LEAST_TILES
    }

    /// The zeros that an input needs around it: the last tiles may reach over the edge.
    pub(crate) fn border(height: usize, width: usize) -> Border {
        let after = |size: usize| (OUT - size % OUT) % OUT + 1;
        Border { before: 1, after: after(height).max(after(width)) }
    }

    /// Transforms weights `[C_out, C_in, 3, 3]`; the layouts are checked by the caller.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the kernel is not 3x3 with stride 1 and padding 1 or the input's pixels are no whole
    /// vectors, [`Error::OutOfMemory`] if there is no room.
    pub(crate) fn new(simd: Simd, shape: ConvShape, [input, output]: [Layout; 2], weight: &[f32]) -> Result<Self> {
        if (shape.kernel, shape.stride, shape.padding) != (3, 1, 1) || !input.stride.is_multiple_of(simd.lanes()) || input.offset != 0 {
            return Err(Error::Shape {
                what: "convolution by Winograd's algorithm",
                expected: format!("3x3, stride 1, padding 1, pixels of whole vectors of {}", simd.lanes()),
                found: format!("{shape:?}, pixels of {}", input.stride),
            });
        }
        let (c_in, c_out) = (shape.in_channels, shape.out_channels);
        let mut weights = Buffer::zeros(POINTS.saturating_mul(c_in).saturating_mul(output.padded_channels(simd.lanes())))?;
        for (i, panel) in weights.chunks_mut(POINTS * c_in * simd.panel_width()).enumerate() {
            let width = panel.len() / (POINTS * c_in);
            let first = i * simd.panel_width();
            for n in first..c_out.min(first + width) {
                for c in 0..c_in {
                    let kernel = &weight[(n * c_in + c) * 9..][..9];
                    for (point, value) in transform_kernel(kernel).iter().enumerate() {
                        panel[(point * c_in + c) * width + n - first] = *value;
                    }
                }
            }
        }
        let columns = input.width.div_ceil(OUT);
        let tiles = columns * input.height.div_ceil(OUT);
        let most = (BLOCK_FLOATS / (POINTS * input.stride)).max(LEAST_TILES);
        let block = tiles.div_ceil(tiles.div_ceil(most));
        let segments = k_blocks(simd.panel_width(), [Segment { at: 0, len: c_in }]);
        Ok(Self { simd, input, output, columns, tiles, block, weights, segments })
    }

    /// Floats of working memory that [`Self::run`] needs.
    pub(crate) fn scratch_len(&self) -> usize {
        POINTS * self.block * (self.input.stride + self.simd.panel_width())
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
        self.simd.run(Run { plan: self, input, output, scratch, bias, base, activation });
    }

    /// Row and column of a tile's first pixel.
    #[inline(always)]
    fn origin(&self, tile: usize) -> (usize, usize) {
        (tile / self.columns * OUT, tile % self.columns * OUT)
    }
}

/// `G g G'`, row by row.
fn transform_kernel(kernel: &[f32]) -> [f32; POINTS] {
    let mut half = [[0.0; 3]; IN];
    for (row, g) in half.iter_mut().zip(KERNEL_TRANSFORM) {
        for (x, value) in row.iter_mut().enumerate() {
            *value = (0..3).map(|y| g[y] * f64::from(kernel[y * 3 + x])).sum();
        }
    }
    let mut points = [0.0; POINTS];
    for (point, value) in points.iter_mut().enumerate() {
        let (row, g) = (half[point / IN], KERNEL_TRANSFORM[point % IN]);
        *value = (0..3).map(|x| row[x] * g[x]).sum::<f64>() as f32;
    }
    points
}

/// The whole convolution: for each block of tiles the inputs are transformed once, then panel by panel multiplied and
/// transformed back while the products are still in the cache.
struct Run<'a> {
    plan: &'a Winograd,
    input: &'a [f32],
    output: &'a mut [f32],
    scratch: &'a mut [f32],
    bias: &'a [f32],
    base: Base,
    activation: Activation,
}

impl Kernel<f32> for Run<'_> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = f32>>(self, lanes: L) {
        let plan = self.plan;
        let zeros = [0.0; 64];
        let c_in = plan.input.channels;
        let panel_len = POINTS * c_in * L::LEN * L::TILE_VECTORS;
        let mut begin = 0;
        while begin < plan.tiles {
            let end = plan.tiles.min(begin + plan.block);
            let count = end - begin;
            let (inputs, rest) = self.scratch.split_at_mut(POINTS * count * plan.input.stride);
            lanes.run(TransformInput { plan, image: self.input, begin, end, points: inputs });
            for (i, weights) in plan.weights.chunks(panel_len).enumerate() {
                let width = weights.len() / (POINTS * c_in);
                let products = &mut rest[..POINTS * count * width];
                for point in 0..POINTS {
                    let mut k = point * c_in;
                    for (j, segments) in plan.segments.iter().enumerate() {
                        let k_end = k + segments.iter().map(|segment| segment.len).sum::<usize>();
                        lanes.run(Panel {
                            a: &inputs[point * count * plan.input.stride..][..count * plan.input.stride],
                            rows: Strided { count, a: plan.input.stride, c: width },
                            begin: 0,
                            end: count,
                            segments,
                            weights: &weights[k * width..k_end * width],
                            bias: &zeros[..width],
                            c: &mut products[point * count * width..][..count * width],
                            column: 0,
                            start: if j == 0 { Start::Bias } else { Start::Output },
                            activation: Activation::Identity,
                        });
                        k = k_end;
                    }
                }
                lanes.run(TransformOutput {
                    plan,
                    image: self.output,
                    begin,
                    end,
                    points: products,
                    channel: i * L::LEN * L::TILE_VECTORS,
                    bias: &self.bias[i * L::LEN * L::TILE_VECTORS..][..width],
                    base: self.base,
                    activation: self.activation,
                });
            }
            begin = end;
        }
    }
}

/// `B' d B` of some tiles: the image to `[36, tiles, C]`.
struct TransformInput<'a> {
    plan: &'a Winograd,
    image: &'a [f32],
    begin: usize,
    end: usize,
    points: &'a mut [f32],
}

impl Kernel<f32> for TransformInput<'_> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = f32>>(self, lanes: L) {
        let layout = self.plan.input;
        let (row, pixel) = (layout.row_stride(), layout.stride);
        let point_stride = (self.end - self.begin) * pixel;
        for tile in self.begin..self.end {
            let (y, x) = self.plan.origin(tile);
            let corner = layout.at(y, x) - row - pixel;
            let image = &self.image[corner..corner + 5 * row + 6 * pixel];
            let points = &mut self.points[(tile - self.begin) * pixel..];
            for channel in (0..pixel).step_by(L::LEN) {
                let mut half = [[lanes.splat(0.0); IN]; IN];
                for j in 0..IN {
                    let mut column = [lanes.splat(0.0); IN];
                    for i in 0..IN {
                        column[i] = lanes.load(&image[i * row + j * pixel + channel..]);
                    }
                    let column = input_transform(lanes, column);
                    for i in 0..IN {
                        half[i][j] = column[i];
                    }
                }
                for i in 0..IN {
                    let values = input_transform(lanes, half[i]);
                    for j in 0..IN {
                        lanes.store(&mut points[(i * IN + j) * point_stride + channel..], values[j]);
                    }
                }
            }
        }
    }
}

/// One dimension of `B'`.
#[inline(always)]
pub(super) fn input_transform<L: Lanes>(lanes: L, d: [L::Vector; IN]) -> [L::Vector; IN] {
    let [two, four, minus_two, minus_four, minus_five] =
        [2.0, 4.0, -2.0, -4.0, -5.0].map(|value| lanes.splat(Real::of(value)));
    let first = lanes.mul_add(four, d[0], lanes.mul_add(minus_five, d[2], d[4]));
    let even = lanes.mul_add(minus_four, d[2], d[4]);
    let odd = lanes.mul_add(minus_four, d[1], d[3]);
    let (sum, difference) = (lanes.add(even, odd), lanes.sub(even, odd));
    let even = lanes.sub(d[4], d[2]);
    let odd = lanes.sub(d[3], d[1]);
    let last = lanes.mul_add(four, d[1], lanes.mul_add(minus_five, d[3], d[5]));
    [first, sum, difference, lanes.mul_add(two, odd, even), lanes.mul_add(minus_two, odd, even), last]
}

/// `A' m A` of some tiles and channels, with bias, residual and activation: `[36, tiles, panel width]` to the image.
struct TransformOutput<'a> {
    plan: &'a Winograd,
    image: &'a mut [f32],
    begin: usize,
    end: usize,
    points: &'a [f32],
    /// The first channel.
    channel: usize,
    bias: &'a [f32],
    base: Base,
    activation: Activation,
}

impl Kernel<f32> for TransformOutput<'_> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = f32>>(self, lanes: L) {
        let layout = self.plan.output;
        let width = self.bias.len();
        let point_stride = (self.end - self.begin) * width;
        let zero = lanes.splat(0.0);
        for tile in self.begin..self.end {
            let (y, x) = self.plan.origin(tile);
            let points = &self.points[(tile - self.begin) * width..];
            let (rows, columns) = (OUT.min(layout.height - y), OUT.min(layout.width - x));
            for within in (0..width).step_by(L::LEN) {
                let bias = lanes.load(&self.bias[within..]);
                let mut half = [[zero; IN]; OUT];
                for j in 0..IN {
                    let mut column = [zero; IN];
                    for i in 0..IN {
                        column[i] = lanes.load(&points[(i * IN + j) * point_stride + within..]);
                    }
                    let column = output_transform(lanes, column);
                    for i in 0..OUT {
                        half[i][j] = column[i];
                    }
                }
                for i in 0..rows {
                    let values = output_transform(lanes, half[i]);
                    for j in 0..columns {
                        let at = layout.at(y + i, x + j) + self.channel + within;
                        let pixel = &mut self.image[at..at + L::LEN];
                        let mut value = lanes.add(values[j], bias);
                        if self.base == Base::BiasAndOutput {
                            value = lanes.add(value, lanes.load(pixel));
                        }
                        if self.activation == Activation::Relu {
                            value = lanes.max(zero, value);
                        }
                        lanes.store(pixel, value);
                    }
                }
            }
        }
    }
}

/// One dimension of `A'`.
#[inline(always)]
pub(super) fn output_transform<L: Lanes>(lanes: L, m: [L::Vector; IN]) -> [L::Vector; OUT] {
    let [two, four, eight] = [2.0, 4.0, 8.0].map(|value| lanes.splat(Real::of(value)));
    let (sum, difference) = (lanes.add(m[1], m[2]), lanes.sub(m[1], m[2]));
    let (far_sum, far_difference) = (lanes.add(m[3], m[4]), lanes.sub(m[3], m[4]));
    [
        lanes.add(m[0], lanes.add(sum, far_sum)),
        lanes.mul_add(two, far_difference, difference),
        lanes.mul_add(four, far_sum, sum),
        lanes.add(lanes.mul_add(eight, far_difference, difference), m[5]),
    ]
}
