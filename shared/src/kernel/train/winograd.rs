//! Winograd's F(4x4, 3x3) for a batch, forward and for both gradients.
//!
//! With `U = G g G'` for the kernel, `V = B' d B` for a 6x6 tile of the input and `M = A dy A'` for a 4x4 tile of the
//! output's gradient, the output is `A' (Σ U V) A`, summed over channels, and the kernel's gradient is
//! `G' (Σ V M) G`, summed over tiles. The input's gradient is a convolution with the kernel turned by half.
//!
//! Source: Lavin and Gray 2016, arXiv 1509.09308, sections 4.1 and 4.3.

use std::ops::Range;

use super::batch;
use super::conv::Conv;
use super::product::TransposedPanel;
use crate::kernel::gemm::{Activation, Panel, Segment, Start, Strided, k_blocks};
use crate::kernel::lanes::{Kernel, Lanes, Simd};
use crate::kernel::real::Real;
use crate::kernel::winograd::minimal::{F4, Minimal};

/// Side of the outputs of a tile.
const OUT: usize = 4;
/// Side of the inputs of a tile.
const IN: usize = 6;
/// Elements of a transformed tile.
const POINTS: usize = IN * IN;

/// Taps of the kernel.
const TAPS: usize = 9;
/// Fewest channels for which it pays: the transforms cost as much per channel as products with about a dozen.
const LEAST_CHANNELS: usize = 16;
/// Channels from which on blocks hold twice the tiles: reading the kernel's four times as many numbers must pay.
const MANY_CHANNELS: usize = 192;
/// Tiles that are transformed together, so that they stay in the cache.
const BLOCK_TILES: usize = 64;

/// A 3x3 convolution of stride 1 and padding 1.
pub(super) struct Winograd<'a> {
    conv: &'a Conv,
    simd: Simd,
    /// Tiles down and across an image.
    tiles: [usize; 2],
}

/// The kernel, transformed: panels of columns, each `[36, K, panel width]`, for products over `K`.
struct Kernels<T> {
    data: Vec<T>,
    rows: usize,
    columns: usize,
}

/// Some rows of tiles, counted over the whole batch, and the rows of the output that they cover.
struct Block<'y, T> {
    rows: Range<usize>,
    output: &'y mut [T],
}

impl<'a> Winograd<'a> {
    /// If the convolution is one that this algorithm computes, in whole vectors of `T`.
    pub(super) fn if_possible<T: Real>(conv: &'a Conv, simd: Simd) -> Option<Self> {
        let window = &conv.window;
        let possible = (window.kernel, window.stride, window.padding) == ([3, 3], [1, 1], [1, 1])
            && conv.c_in.is_multiple_of(T::lanes(simd))
            && conv.c_out.is_multiple_of(T::lanes(simd));
        possible.then(|| Self { conv, simd, tiles: conv.out.map(|size| size.div_ceil(OUT)) })
    }

    /// If it is faster than the plain sum, too.
    pub(super) fn if_it_pays<T: Real>(conv: &'a Conv, simd: Simd) -> Option<Self> {
        let pays = conv.c_in.min(conv.c_out) >= LEAST_CHANNELS && conv.out.iter().all(|&size| size > OUT);
        if pays { Self::if_possible::<T>(conv, simd) } else { None }
    }

    /// `y` of `x`.
    pub(super) fn forward<T: Real>(&self, x: &[T], weight: &[T]) -> Vec<T> {
        let c_in = self.conv.c_in;
        let kernels = self.transform_kernels(c_in, self.conv.c_out, |k, n, to| {
            to.copy_from_slice(&weight[(n * c_in + k) * TAPS..][..TAPS]);
        });
        self.run(x, &kernels)
    }

    /// Gradient of `x` from that of `y`.
    pub(super) fn input_gradient<T: Real>(&self, dy: &[T], weight: &[T]) -> Vec<T> {
        let c_in = self.conv.c_in;
        let kernels = self.transform_kernels(self.conv.c_out, c_in, |k, n, to| {
            for (to, from) in to.iter_mut().zip(weight[(k * c_in + n) * TAPS..][..TAPS].iter().rev()) {
                *to = *from;
            }
        });
        self.run(dy, &kernels)
    }

    /// Transforms the kernels that `kernel(k, n, taps)` gives for input `k` and output `n`.
    fn transform_kernels<T: Real>(
        &self,
        rows: usize,
        columns: usize,
        kernel: impl Fn(usize, usize, &mut [T]) + Sync + Send,
    ) -> Kernels<T> {
        let panel_width = T::panel_width(self.simd);
        let mut data = vec![T::default(); POINTS * rows * columns];
        batch::for_each_chunk(&mut data, POINTS * rows * panel_width, |i, panel| {
            let width = panel.len() / (POINTS * rows);
            let mut taps = vec![T::default(); TAPS * width];
            for k in 0..rows {
                for n in 0..width {
                    let mut of_one = [T::default(); TAPS];
                    kernel(k, i * panel_width + n, &mut of_one);
                    for (to, from) in taps[n..].iter_mut().step_by(width).zip(of_one) {
                        *to = from;
                    }
                }
                T::run(self.simd, TransformKernels { taps: &taps, width, row: k, rows, panel });
            }
        });
        Kernels { data, rows, columns }
    }

    /// Tiles that are worked on together.
    fn block_tiles(&self) -> usize {
        if self.conv.c_in.max(self.conv.c_out) >= MANY_CHANNELS { 2 * BLOCK_TILES } else { BLOCK_TILES }
    }

    /// Rows of tiles in the whole batch.
    fn tile_rows(&self) -> usize {
        self.conv.n * self.tiles[0]
    }

    /// Convolves images of `kernels.rows` channels to images of `kernels.columns`.
    fn run<T: Real>(&self, x: &[T], kernels: &Kernels<T>) -> Vec<T> {
        let [height, width] = self.conv.out;
        let mut y = batch::zeros(self.conv.n * height * width * kernels.columns);
        // Small images make few tiles: then every thread gets a share of them.
        let share = self.tile_rows().div_ceil(batch::threads());
        let rows_per_block = (self.block_tiles() / self.tiles[1]).clamp(1, share.max(1));
        let mut blocks = Vec::new();
        let mut rest = y.as_mut_slice();
        for begin in (0..self.tile_rows()).step_by(rows_per_block) {
            let rows = begin..self.tile_rows().min(begin + rows_per_block);
            let lines: usize = rows.clone().map(|row| OUT.min(height - row % self.tiles[0] * OUT)).sum();
            let (output, after) = rest.split_at_mut(lines * width * kernels.columns);
            rest = after;
            blocks.push(Block { rows, output });
        }
        let tiles = rows_per_block * self.tiles[1];
        let panel_width = T::panel_width(self.simd);
        let scratch = || {
            let points = vec![T::default(); POINTS * tiles * kernels.rows];
            (points, vec![T::default(); POINTS * tiles * panel_width])
        };
        batch::for_each_with(blocks, scratch, |(points, products), block| {
            let count = block.rows.len() * self.tiles[1];
            let points = &mut points[..POINTS * count * kernels.rows];
            let Block { rows, output } = block;
            let from = Tiles { winograd: self, image: x, channels: kernels.rows, rows: rows.clone() };
            T::run(self.simd, TransformTiles::<T, IN> { from, panel_width: kernels.rows, points });
            T::run(self.simd, MultiplyBlock { winograd: self, points, kernels, products, rows, output });
        });
        y
    }

    /// Gradient of the kernel from `x` and the gradient of `y`.
    pub(super) fn weight_gradient<T: Real>(&self, x: &[T], dy: &[T]) -> Vec<T> {
        let Conv { c_in, c_out, .. } = *self.conv;
        let panel_width = T::panel_width(self.simd);
        let mut sums = vec![T::default(); POINTS * c_out * c_in];
        let rows_per_block = (self.block_tiles() / self.tiles[1]).max(1);
        let n_blocks = self.tile_rows().div_ceil(rows_per_block);
        let at_once = batch::threads();
        for first in (0..n_blocks).step_by(at_once) {
            let transformed = batch::map(at_once.min(n_blocks - first), |i| {
                let begin = (first + i) * rows_per_block;
                let rows = begin..self.tile_rows().min(begin + rows_per_block);
                let tiles = rows.len() * self.tiles[1];
                let mut inputs = vec![T::default(); POINTS * tiles * c_in];
                let from = Tiles { winograd: self, image: x, channels: c_in, rows: rows.clone() };
                T::run(self.simd, TransformTiles::<T, IN> { from, panel_width, points: &mut inputs });
                let mut outputs = vec![T::default(); POINTS * tiles * c_out];
                let from = Tiles { winograd: self, image: dy, channels: c_out, rows };
                T::run(self.simd, TransformTiles::<T, OUT> { from, panel_width: c_out, points: &mut outputs });
                (tiles, inputs, outputs)
            });
            batch::for_each_chunk(&mut sums, c_out * c_in, |point, sums| {
                for (tiles, inputs, outputs) in &transformed {
                    let a = &outputs[point * tiles * c_out..][..tiles * c_out];
                    let inputs = &inputs[point * tiles * c_in..][..tiles * c_in];
                    let panels = inputs.chunks(tiles * panel_width).zip(sums.chunks_mut(c_out * panel_width));
                    for (b, c) in panels {
                        let width = b.len() / tiles;
                        T::run(self.simd, TransposedPanel { a, stride: c_out, first: 0, b, width, c });
                    }
                }
            });
        }
        let mut weight = vec![T::default(); c_out * c_in * TAPS];
        batch::for_each_chunk(&mut weight, c_in * TAPS, |row, weight| {
            T::run(self.simd, TransformSums { sums: &sums, rows: c_out, row, weight });
        });
        weight
    }
}

/// The taps of one row of kernels `[9, width]` to its place in a panel.
struct TransformKernels<'a, T> {
    taps: &'a [T],
    width: usize,
    row: usize,
    rows: usize,
    panel: &'a mut [T],
}

impl<T: Real> Kernel<T> for TransformKernels<'_, T> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = T>>(self, lanes: L) {
        let zero = lanes.splat(T::default());
        for n in (0..self.width).step_by(L::LEN) {
            let mut half = [[zero; 3]; IN];
            for x in 0..3 {
                let mut column = [zero; 3];
                for y in 0..3 {
                    column[y] = lanes.load(&self.taps[(y * 3 + x) * self.width + n..]);
                }
                let column = kernel_transform(lanes, column);
                for i in 0..IN {
                    half[i][x] = column[i];
                }
            }
            for i in 0..IN {
                let values = kernel_transform(lanes, half[i]);
                for j in 0..IN {
                    let at = ((i * IN + j) * self.rows + self.row) * self.width + n;
                    lanes.store(&mut self.panel[at..], values[j]);
                }
            }
        }
    }
}

/// One dimension of `G`.
#[inline(always)]
fn kernel_transform<L: Lanes>(lanes: L, g: [L::Vector; 3]) -> [L::Vector; IN] {
    let [quarter, sixth, minus_sixth, twelfth, twenty_fourth] =
        [1.0 / 4.0, 1.0 / 6.0, -1.0 / 6.0, 1.0 / 12.0, 1.0 / 24.0].map(|value| lanes.splat(Real::of(value)));
    let ends = lanes.add(g[0], g[2]);
    let even = lanes.mul_add(twenty_fourth, g[0], lanes.mul(sixth, g[2]));
    let odd = lanes.mul(twelfth, g[1]);
    [
        lanes.mul(quarter, g[0]),
        lanes.mul(minus_sixth, lanes.add(ends, g[1])),
        lanes.mul(minus_sixth, lanes.sub(ends, g[1])),
        lanes.add(even, odd),
        lanes.sub(even, odd),
        g[2],
    ]
}

/// One dimension of `G'`.
#[inline(always)]
fn kernel_transform_back<L: Lanes>(lanes: L, u: [L::Vector; IN]) -> [L::Vector; 3] {
    let [quarter, sixth, minus_sixth, twelfth, twenty_fourth] =
        [1.0 / 4.0, 1.0 / 6.0, -1.0 / 6.0, 1.0 / 12.0, 1.0 / 24.0].map(|value| lanes.splat(Real::of(value)));
    let (near, far) = (lanes.add(u[1], u[2]), lanes.add(u[3], u[4]));
    let near_scaled = lanes.mul(minus_sixth, near);
    [
        lanes.mul_add(twenty_fourth, far, lanes.mul_add(quarter, u[0], near_scaled)),
        lanes.mul_add(sixth, lanes.sub(u[2], u[1]), lanes.mul(twelfth, lanes.sub(u[3], u[4]))),
        lanes.add(lanes.mul_add(sixth, far, near_scaled), u[5]),
    ]
}

/// One dimension of `A`.
#[inline(always)]
fn gradient_transform<L: Lanes>(lanes: L, d: [L::Vector; OUT]) -> [L::Vector; IN] {
    let [two, four, eight] = [2.0, 4.0, 8.0].map(|value| lanes.splat(Real::of(value)));
    let (even, odd) = (lanes.add(d[0], d[2]), lanes.add(d[1], d[3]));
    let far_even = lanes.mul_add(four, d[2], d[0]);
    let far_odd = lanes.mul_add(eight, d[3], lanes.mul(two, d[1]));
    [d[0], lanes.add(even, odd), lanes.sub(even, odd), lanes.add(far_even, far_odd), lanes.sub(far_even, far_odd), d[3]]
}

/// Some rows of tiles of a batch of images.
struct Tiles<'a, T> {
    winograd: &'a Winograd<'a>,
    /// `[N, H, W, channels]`.
    image: &'a [T],
    channels: usize,
    rows: Range<usize>,
}

/// Tiles of `SIDE` by `SIDE` pixels to their 36 points: 6 for tiles of the input, each a pixel larger at every side than
/// its tile of the output; 4 for those of the output's gradient.
///
/// Written are, point by point, panels of channels `[tiles, panel width]`.
struct TransformTiles<'a, T, const SIDE: usize> {
    from: Tiles<'a, T>,
    panel_width: usize,
    points: &'a mut [T],
}

impl<T: Real, const SIDE: usize> Kernel<T> for TransformTiles<'_, T, SIDE> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = T>>(self, lanes: L) {
        let Tiles { winograd, image, channels, rows } = self.from;
        let [height, width] = winograd.conv.out;
        let [tiles_down, tiles_across] = winograd.tiles;
        let count = rows.len() * tiles_across;
        let margin = (SIDE - OUT) / 2;
        let mut at_edge = vec![T::default(); SIDE * SIDE * channels];
        for (i, row) in rows.enumerate() {
            let (n, y) = (row / tiles_down, row % tiles_down * OUT);
            let image = &image[n * height * width * channels..][..height * width * channels];
            for column in 0..tiles_across {
                let x = column * OUT;
                let inside = y >= margin && x >= margin && y - margin + SIDE <= height && x - margin + SIDE <= width;
                let (pixels, stride) = if inside {
                    (&image[((y - margin) * width + x - margin) * channels..], width * channels)
                } else {
                    copy_edge::<T, SIDE>(image, [height, width, channels], [y, x], &mut at_edge);
                    (at_edge.as_slice(), SIDE * channels)
                };
                let tile = i * tiles_across + column;
                lanes.run(TransformTile::<T, SIDE> {
                    pixels,
                    stride,
                    channels,
                    tile,
                    count,
                    panel_width: self.panel_width,
                    points: self.points,
                });
            }
        }
    }
}

/// Copies a tile that reaches over the image's edge, with zeros for what lies outside.
fn copy_edge<T: Real, const SIDE: usize>(
    image: &[T],
    [height, width, channels]: [usize; 3],
    [y, x]: [usize; 2],
    tile: &mut [T],
) {
    let margin = (SIDE - OUT) / 2;
    tile.fill(T::default());
    let (first, last) = (x.saturating_sub(margin), width.min(x + SIDE - margin));
    for i in 0..SIDE {
        let Some(y) = (y + i).checked_sub(margin).filter(|&y| y < height) else { continue };
        let from = &image[(y * width + first) * channels..(y * width + last) * channels];
        tile[(i * SIDE + first + margin - x) * channels..][..from.len()].copy_from_slice(from);
    }
}

struct TransformTile<'a, T, const SIDE: usize> {
    /// From the tile's first pixel on; rows of pixels are `stride` apart.
    pixels: &'a [T],
    stride: usize,
    channels: usize,
    /// Which tile of how many.
    tile: usize,
    count: usize,
    panel_width: usize,
    points: &'a mut [T],
}

impl<T: Real, const SIDE: usize> Kernel<T> for TransformTile<'_, T, SIDE> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = T>>(self, lanes: L) {
        let zero = lanes.splat(T::default());
        let point_stride = self.count * self.channels;
        for first in (0..self.channels).step_by(self.panel_width) {
            let width = self.panel_width.min(self.channels - first);
            let base = first * self.count + self.tile * width;
            for within in (0..width).step_by(L::LEN) {
                let mut half = [[zero; SIDE]; IN];
                for j in 0..SIDE {
                    let mut column = [zero; SIDE];
                    for i in 0..SIDE {
                        column[i] = lanes.load(&self.pixels[i * self.stride + j * self.channels + first + within..]);
                    }
                    let column = to_points(lanes, column);
                    for i in 0..IN {
                        half[i][j] = column[i];
                    }
                }
                for i in 0..IN {
                    let values = to_points(lanes, half[i]);
                    for j in 0..IN {
                        lanes.store(&mut self.points[(i * IN + j) * point_stride + base + within..], values[j]);
                    }
                }
            }
        }
    }
}

/// One dimension of `B'` for six values, of `A` for four.
#[inline(always)]
fn to_points<L: Lanes, const SIDE: usize>(lanes: L, values: [L::Vector; SIDE]) -> [L::Vector; IN] {
    if SIDE == IN {
        F4::input(lanes, std::array::from_fn(|i| values[i]))
    } else {
        gradient_transform(lanes, std::array::from_fn(|i| values[i]))
    }
}

/// The products of some tiles with all kernels, transformed back while they are in the cache.
struct MultiplyBlock<'a, T> {
    winograd: &'a Winograd<'a>,
    points: &'a [T],
    kernels: &'a Kernels<T>,
    products: &'a mut [T],
    rows: Range<usize>,
    output: &'a mut [T],
}

impl<T: Real> Kernel<T> for MultiplyBlock<'_, T> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = T>>(self, lanes: L) {
        let depth = self.kernels.rows;
        let panel_width = L::LEN * L::TILE_VECTORS;
        let zeros = [T::default(); 64];
        let count = self.points.len() / (POINTS * depth);
        let blocks = k_blocks(panel_width, [Segment { at: 0, len: depth }]);
        for (i, panel) in self.kernels.data.chunks(POINTS * depth * panel_width).enumerate() {
            let width = panel.len() / (POINTS * depth);
            let products = &mut self.products[..POINTS * count * width];
            for point in 0..POINTS {
                let mut k = point * depth;
                for (j, segments) in blocks.iter().enumerate() {
                    let k_end = k + segments.iter().map(|segment| segment.len).sum::<usize>();
                    lanes.run(Panel {
                        a: &self.points[point * count * depth..][..count * depth],
                        rows: Strided { count, a: depth, c: width },
                        begin: 0,
                        end: count,
                        segments,
                        weights: &panel[k * width..k_end * width],
                        bias: &zeros[..width],
                        c: &mut products[point * count * width..][..count * width],
                        column: 0,
                        start: if j == 0 { Start::Bias } else { Start::Output },
                        activation: Activation::Identity,
                    });
                    k = k_end;
                }
            }
            lanes.run(TransformProducts {
                winograd: self.winograd,
                products,
                width,
                rows: self.rows.clone(),
                first: i * panel_width,
                channels: self.kernels.columns,
                output: self.output,
            });
        }
    }
}

/// The 36 products of some tiles, for one panel of channels, to their 4x4 pixels.
struct TransformProducts<'a, T> {
    winograd: &'a Winograd<'a>,
    /// `[36, tiles, width]`.
    products: &'a [T],
    width: usize,
    rows: Range<usize>,
    /// The panel's first channel.
    first: usize,
    channels: usize,
    output: &'a mut [T],
}

impl<T: Real> Kernel<T> for TransformProducts<'_, T> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = T>>(self, lanes: L) {
        let zero = lanes.splat(T::default());
        let [height, width] = self.winograd.conv.out;
        let [tiles_down, tiles_across] = self.winograd.tiles;
        let point_stride = self.products.len() / POINTS;
        let mut line = 0;
        for (i, row) in self.rows.enumerate() {
            let lines = OUT.min(height - row % tiles_down * OUT);
            for column in 0..tiles_across {
                let points = &self.products[(i * tiles_across + column) * self.width..];
                let columns = OUT.min(width - column * OUT);
                for within in (0..self.width).step_by(L::LEN) {
                    let mut half = [[zero; IN]; OUT];
                    for j in 0..IN {
                        let mut values = [zero; IN];
                        for i in 0..IN {
                            values[i] = lanes.load(&points[(i * IN + j) * point_stride + within..]);
                        }
                        let values = F4::output(lanes, values);
                        for i in 0..OUT {
                            half[i][j] = values[i];
                        }
                    }
                    for y in 0..lines {
                        let values = F4::output(lanes, half[y]);
                        for x in 0..columns {
                            let pixel = (line + y) * width + column * OUT + x;
                            lanes.store(&mut self.output[pixel * self.channels + self.first + within..], values[x]);
                        }
                    }
                }
            }
            line += lines;
        }
    }
}

/// The summed products of one output channel, `[36, panels, C_out, panel width]`, to its kernels `[C_in, 3, 3]`.
struct TransformSums<'a, T> {
    sums: &'a [T],
    rows: usize,
    row: usize,
    weight: &'a mut [T],
}

impl<T: Real> Kernel<T> for TransformSums<'_, T> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = T>>(self, lanes: L) {
        let zero = lanes.splat(T::default());
        let columns = self.weight.len() / TAPS;
        let panel_width = L::LEN * L::TILE_VECTORS;
        let point_stride = self.rows * columns;
        let mut taps = [T::default(); 64];
        for n in (0..columns).step_by(L::LEN) {
            let first = n - n % panel_width;
            let width = panel_width.min(columns - first);
            let at = first * self.rows + self.row * width + n - first;
            let mut half = [[zero; IN]; 3];
            for j in 0..IN {
                let mut values = [zero; IN];
                for i in 0..IN {
                    values[i] = lanes.load(&self.sums[(i * IN + j) * point_stride + at..]);
                }
                let values = kernel_transform_back(lanes, values);
                for y in 0..3 {
                    half[y][j] = values[y];
                }
            }
            for y in 0..3 {
                let values = kernel_transform_back(lanes, half[y]);
                for x in 0..3 {
                    lanes.store(&mut taps, values[x]);
                    let to = self.weight[n * TAPS + y * 3 + x..].iter_mut().step_by(TAPS);
                    for (to, from) in to.zip(&taps[..L::LEN]) {
                        *to = *from;
                    }
                }
            }
        }
    }
}
