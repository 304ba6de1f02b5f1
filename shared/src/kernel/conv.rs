//! Convolution of one image: batch norm folded, weights packed, bias, residual and activation in the same pass.

use super::buffer::Buffer;
use super::gemm::{Activation, Base, PackedMatrix, Product, Segment, k_blocks};
use super::lanes::Simd;
use super::layout::{Border, Layout};
use super::winograd::{Tile, Winograd};
use crate::error::{Error, Result};

/// Sizes of a convolution with a square kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Pixels from one output to the next.
    pub stride: usize,
    /// Zeros at each side.
    pub padding: usize,
}

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// One matrix product.
    Direct,
    /// One matrix product whose rows answer for so many neighbouring pixels, at least one: where there are few output
    /// channels, one pixel alone would leave most of a vector empty. The output is an image whose pixels hold the channels
    /// of that many neighbours, one neighbour after the other; read it with [`Layout::copy_neighbours`].
    SideBySide(usize),
    /// Winograd's: fewer multiplications, for 3x3 kernels of stride 1 and padding 1.
    Winograd(Tile),
}

impl Algorithm {
    /// Pixels whose channels lie side by side in the output.
    pub fn neighbours(self) -> usize {
        match self {
            Self::SideBySide(n) => n.max(1),
            Self::Direct | Self::Winograd(_) => 1,
        }
    }
}

impl ConvShape {
    /// Size of the output along one axis.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if no kernel fits or the stride is zero.
    pub fn out_size(&self, size: usize) -> Result<usize> {
        let padded = size.saturating_add(self.padding.saturating_mul(2));
        if self.kernel == 0 || self.stride == 0 || padded < self.kernel {
            return Err(Error::Shape {
                what: "image of a convolution",
                expected: format!("room for a {0} x {0} kernel of stride {1}", self.kernel, self.stride),
                found: format!("{padded} pixels with padding"),
            });
        }
        Ok((padded - self.kernel) / self.stride + 1)
    }

    /// The faster algorithm for an image.
    pub fn algorithm(&self, height: usize, width: usize) -> Algorithm {
        Tile::best(self, height, width).map_or(Algorithm::Direct, Algorithm::Winograd)
    }

    /// Like [`Self::algorithm`], for a reader that takes neighbours' channels side by side.
    pub fn algorithm_of_few(&self, simd: Simd, height: usize, width: usize) -> Algorithm {
        let neighbours = simd.lanes() / self.out_channels.max(1);
        match self.algorithm(height, width) {
            Algorithm::Direct if neighbours > 1 && self.kernel > 1 => Algorithm::SideBySide(neighbours),
            algorithm => algorithm,
        }
    }

    /// Layout of the output, without a border.
    ///
    /// # Errors
    ///
    /// Those of [`Self::out_size`] and [`Layout::new`].
    pub fn output(&self, simd: Simd, algorithm: Algorithm, height: usize, width: usize) -> Result<Layout> {
        let (height, width, n) = (self.out_size(height)?, self.out_size(width)?, algorithm.neighbours());
        let channels = self.out_channels.saturating_mul(n);
        Layout::new(height, width.div_ceil(n), channels, simd.lanes(), Border::default())
    }

    /// The zeros that an input needs around it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::out_size`].
    pub fn border(&self, algorithm: Algorithm, height: usize, width: usize) -> Result<Border> {
        if let Algorithm::Winograd(tile) = algorithm {
            return Ok(tile.border(height, width));
        }
        let mut after = 0;
        for (size, n) in [(height, 1), (width, algorithm.neighbours())] {
            // The last neighbours may lie beyond the edge.
            let outputs = self.out_size(size)?.div_ceil(n).saturating_mul(n);
            let reach = (outputs - 1).saturating_mul(self.stride).saturating_add(self.kernel);
            after = after.max(reach.saturating_sub(self.padding.saturating_add(size)));
        }
        Ok(Border { before: self.padding, after })
    }
}

/// A convolution with its weights, between images of known layout.
pub struct Conv2d {
    input: Layout,
    output: Layout,
    bias: Buffer,
    weights: Weights,
}

enum Weights {
    Direct { packed: PackedMatrix, blocks: Vec<Vec<Segment>>, rows: Vec<[u32; 2]> },
    Winograd(Winograd),
}

impl Conv2d {
    /// Packs weights.
    ///
    /// # Shapes
    ///
    /// - `weight`: `[C_out, C_in, kernel, kernel]`
    /// - `bias`: `[C_out]`
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the sizes do not go together or the input's border is too narrow,
    /// [`Error::OutOfMemory`] if there is no room for the packed weights.
    pub fn new(
        simd: Simd,
        shape: ConvShape,
        algorithm: Algorithm,
        [input, output]: [Layout; 2],
        weight: &[f32],
        bias: &[f32],
    ) -> Result<Self> {
        let n = algorithm.neighbours();
        let taps = shape.kernel.saturating_mul(shape.kernel);
        let sizes = [
            (
                "weights of a convolution",
                taps.saturating_mul(shape.in_channels.saturating_mul(shape.out_channels)),
                weight.len(),
            ),
            ("bias of a convolution", shape.out_channels, bias.len()),
            ("input channels of a convolution", shape.in_channels, input.channels),
            ("output channels of a convolution", shape.out_channels.saturating_mul(n), output.channels),
            ("output height of a convolution", shape.out_size(input.height)?, output.height),
            ("output width of a convolution", shape.out_size(input.width)?.div_ceil(n), output.width),
        ];
        for (what, expected, found) in sizes {
            if expected != found {
                return Err(Error::Shape { what, expected: expected.to_string(), found: found.to_string() });
            }
        }
        if !output.holds_vectors(simd.lanes()) {
            return Err(Error::Shape {
                what: "output channels of a convolution",
                expected: format!("room for whole vectors of {}", simd.lanes()),
                found: format!("{output:?}"),
            });
        }
        let border = shape.border(algorithm, input.height, input.width)?;
        if border.union(input.border) != input.border {
            return Err(Error::Shape {
                what: "border around the input of a convolution",
                expected: format!("{border:?}"),
                found: format!("{:?}", input.border),
            });
        }
        let mut padded_bias = Buffer::zeros(output.padded_channels(simd.lanes()))?;
        for neighbour in padded_bias[..output.channels].chunks_exact_mut(shape.out_channels) {
            neighbour.copy_from_slice(bias);
        }
        let weights = match algorithm {
            Algorithm::Direct | Algorithm::SideBySide(_) => direct(simd, shape, n, input, output, weight)?,
            Algorithm::Winograd(tile) => Weights::Winograd(Winograd::new(simd, shape, tile, [input, output], weight)?),
        };
        Ok(Self { input, output, bias: padded_bias, weights })
    }

    /// Floats of working memory that [`Self::run`] needs.
    pub fn scratch_len(&self) -> usize {
        match &self.weights {
            Weights::Direct { .. } => 0,
            Weights::Winograd(winograd) => winograd.scratch_len(),
        }
    }

    /// Computes the output image; leaves its border as it is.
    ///
    /// # Panics
    ///
    /// If the slices are shorter than the layouts and [`Self::scratch_len`] say.
    pub fn run(&self, input: &[f32], output: &mut [f32], scratch: &mut [f32], base: Base, activation: Activation) {
        let (input, output) = (&input[..self.input.len()], &mut output[..self.output.len()]);
        match &self.weights {
            Weights::Direct { packed, blocks, rows } => packed.simd().run(Product {
                a: input,
                rows: rows.as_slice(),
                blocks,
                b: packed,
                bias: &self.bias,
                c: output,
                base,
                activation,
            }),
            Weights::Winograd(winograd) => winograd.run(input, output, scratch, &self.bias, base, activation),
        }
    }
}

/// The taps of a kernel row read neighbouring pixels, so they are one piece of the image: for the outputs of `n`
/// neighbours the piece that all of them read.
fn direct(simd: Simd, shape: ConvShape, n: usize, input: Layout, output: Layout, weight: &[f32]) -> Result<Weights> {
    let ConvShape { in_channels, out_channels, kernel, stride, padding } = shape;
    let piece = (kernel - 1 + (n - 1) * stride) * input.stride + in_channels;
    let segments = (0..kernel).map(|ky| Segment { at: ky * input.row_stride(), len: piece });
    let blocks = k_blocks(simd.panel_width(), segments);
    let packed = PackedMatrix::new(simd, kernel * piece, n * out_channels, |k, column| {
        let (ky, within) = (k / piece, k % piece);
        let (x, channel) = (within / input.stride, within % input.stride);
        let (neighbour, out_channel) = (column / out_channels, column % out_channels);
        // Between the taps lie the zeros that fill a pixel up to whole vectors; beside them the taps of the neighbours.
        match x.checked_sub(neighbour * stride) {
            Some(kx) if kx < kernel && channel < in_channels => {
                weight[((out_channel * in_channels + channel) * kernel + ky) * kernel + kx]
            }
            _ => 0.0,
        }
    })?;
    let first_tap = input.at(0, 0) - padding * (input.row_stride() + input.stride);
    let mut rows: Vec<[u32; 2]> = Vec::new();
    let count = output.height * output.width;
    rows.try_reserve_exact(count)
        .map_err(|_source| Error::OutOfMemory { bytes: count.saturating_mul(size_of::<[u32; 2]>()) })?;
    for y in 0..output.height {
        for x in 0..output.width {
            let a = first_tap + y * stride * input.row_stride() + x * n * stride * input.stride;
            rows.push([a as u32, output.at(y, x) as u32]);
        }
    }
    Ok(Weights::Direct { packed, blocks, rows })
}

#[cfg(test)]
mod tests {
    use super::super::naive::{self, Planes, assert_close, uniform};
    use super::*;

    /// Image of random values, as planes and laid out, with noise where the output will be written.
    fn image(seed: u64, layout: &Layout) -> (Planes, Buffer) {
        let (channels, height, width) = (layout.channels, layout.height, layout.width);
        let values = uniform(seed, channels * height * width);
        let mut laid_out = Buffer::zeros(layout.len()).expect("memory");
        layout.fill_from_planes(&mut laid_out, &values);
        let data = values.into_iter().map(f64::from).collect();
        (Planes { channels, height, width, data }, laid_out)
    }

    fn dense_planes(layout: &Layout, image: &[f32]) -> Vec<f32> {
        let mut planes = Vec::new();
        for c in 0..layout.channels {
            for y in 0..layout.height {
                planes.extend((0..layout.width).map(|x| image[layout.at(y, x) + c]));
            }
        }
        planes
    }

    /// Runs a convolution on every instruction set and holds it to the plain loop.
    fn check(shape: ConvShape, algorithm: Algorithm, height: usize, width: usize, tolerance: f64) {
        let weight = uniform(1, shape.out_channels * shape.in_channels * shape.kernel * shape.kernel);
        let bias = uniform(2, shape.out_channels);
        for simd in Simd::available() {
            let border = shape.border(algorithm, height, width).expect("border");
            let wider = border.union(Border { before: 2, after: 3 });
            let (oh, ow) = (shape.out_size(height).expect("fits"), shape.out_size(width).expect("fits"));
            for (border, out_border) in [(border, Border::default()), (wider, Border { before: 1, after: 2 })] {
                let input = Layout::new(height, width, shape.in_channels, simd.lanes(), border).expect("input");
                let output = Layout::new(oh, ow, shape.out_channels, simd.lanes(), out_border).expect("output");
                let conv = Conv2d::new(simd, shape, algorithm, [input, output], &weight, &bias).expect("convolution");
                let (planes, x) = image(3, &input);
                let product = naive::conv2d(&planes, shape, &weight, &bias);
                let mut scratch = vec![f32::NAN; conv.scratch_len()];
                for base in [Base::Bias, Base::BiasAndOutput] {
                    for activation in [Activation::Identity, Activation::Relu] {
                        let (before, mut y) = image(4, &output);
                        conv.run(&x, &mut y, &mut scratch, base, activation);
                        let sum = if base == Base::Bias { product.clone() } else { product.add(&before) };
                        let expected = if activation == Activation::Relu { sum.relu() } else { sum };
                        let what = format!("{simd:?} {algorithm:?} {shape:?} {height}x{width} {base:?} {activation:?}");
                        assert_close(&dense_planes(&output, &y), &expected.data, tolerance, &what);
                        let cleared = y.to_vec();
                        output.clear_border(&mut y);
                        assert_eq!(&*y, &*cleared, "{what}: the border stays zero");
                    }
                }
            }
        }
    }

    #[test]
    fn direct_convolution_is_the_plain_sum() {
        let sizes = [
            (1, 5, 7, 2, 3, 9, 10),
            (3, 20, 7, 2, 3, 13, 11),
            (4, 8, 1, 1, 0, 5, 7),
            (12, 36, 1, 2, 0, 7, 4),
            (5, 3, 3, 1, 1, 1, 1),
            (16, 17, 3, 2, 1, 8, 9),
            (6, 4, 2, 1, 0, 6, 5),
            (7, 33, 5, 3, 2, 10, 8),
            (150, 70, 3, 1, 1, 4, 3),
            (900, 6, 1, 1, 0, 12, 12),
        ];
        for (in_channels, out_channels, kernel, stride, padding, height, width) in sizes {
            let shape = ConvShape { in_channels, out_channels, kernel, stride, padding };
            check(shape, Algorithm::Direct, height, width, 1e-5);
        }
    }

    #[test]
    fn neighbours_side_by_side_are_the_plain_sum() {
        for (in_channels, out_channels, kernel, stride, padding, height, width) in
            [(16, 2, 21, 1, 10, 9, 14), (3, 3, 5, 1, 2, 4, 7), (5, 1, 4, 2, 1, 11, 13), (1, 2, 3, 1, 1, 1, 1)]
        {
            let shape = ConvShape { in_channels, out_channels, kernel, stride, padding };
            let weight = uniform(1, out_channels * in_channels * kernel * kernel);
            let bias = uniform(2, out_channels);
            for simd in Simd::available() {
                for n in [1, 3, 8] {
                    let algorithm = Algorithm::SideBySide(n);
                    let border = shape.border(algorithm, height, width).expect("border");
                    let input = Layout::new(height, width, in_channels, simd.lanes(), border).expect("input");
                    let output = shape.output(simd, algorithm, height, width).expect("output");
                    let conv =
                        Conv2d::new(simd, shape, algorithm, [input, output], &weight, &bias).expect("convolution");
                    let (planes, x) = image(3, &input);
                    let mut y = Buffer::zeros(output.len()).expect("memory");
                    conv.run(&x, &mut y, &mut [], Base::Bias, Activation::Identity);
                    let expected = naive::conv2d(&planes, shape, &weight, &bias);
                    let mut found = vec![f32::NAN; expected.data.len()];
                    output.copy_neighbours(n, &y, &mut found, expected.width);
                    assert_close(&found, &expected.data, 1e-5, &format!("{simd:?} {shape:?} {n}"));
                }
            }
        }
    }

    #[test]
    fn winograd_convolution_is_the_plain_sum() {
        let sizes = [(1, 1, 1, 1), (4, 12, 4, 4), (3, 20, 6, 5), (16, 33, 9, 13), (420, 8, 5, 3), (40, 40, 17, 30)];
        for (in_channels, out_channels, height, width) in sizes {
            let shape = ConvShape { in_channels, out_channels, kernel: 3, stride: 1, padding: 1 };
            for (tile, tolerance) in [(Tile::Two, 1e-5), (Tile::Four, 2e-5), (Tile::Six, 5e-5)] {
                check(shape, Algorithm::Winograd(tile), height, width, tolerance);
            }
        }
    }

    #[test]
    fn an_image_without_whole_vectors_is_read_too() {
        let shape = ConvShape { in_channels: 3, out_channels: 8, kernel: 7, stride: 2, padding: 3 };
        let weight = uniform(5, 8 * 3 * 49);
        for simd in Simd::available() {
            let border = shape.border(Algorithm::Direct, 12, 12).expect("border");
            let input = Layout::new(12, 12, 3, 1, border).expect("input");
            let output = Layout::new(6, 6, 8, simd.lanes(), Border::default()).expect("output");
            let conv =
                Conv2d::new(simd, shape, Algorithm::Direct, [input, output], &weight, &[0.5; 8]).expect("convolution");
            let (planes, x) = image(6, &input);
            let mut y = Buffer::zeros(output.len()).expect("memory");
            conv.run(&x, &mut y, &mut [], Base::Bias, Activation::Identity);
            let expected = naive::conv2d(&planes, shape, &weight, &[0.5; 8]);
            assert_close(&dense_planes(&output, &y), &expected.data, 1e-5, "stem");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let simd = Simd::best();
        let shape = ConvShape { in_channels: 4, out_channels: 4, kernel: 3, stride: 1, padding: 1 };
        let border = Border { before: 1, after: 1 };
        let layout = |h, c, border| Layout::new(h, 4, c, simd.lanes(), border).expect("a small image");
        let good = [layout(4, 4, border), layout(4, 4, border)];
        let build = |shape, images, weight: &[f32], bias: &[f32]| {
            Conv2d::new(simd, shape, Algorithm::Direct, images, weight, bias).map(|_conv| ())
        };
        assert!(build(shape, good, &[0.0; 144], &[0.0; 4]).is_ok());
        let none = Border::default();
        for result in [
            build(shape, good, &[0.0; 143], &[0.0; 4]),
            build(shape, good, &[0.0; 144], &[0.0; 5]),
            build(shape, [layout(4, 4, none), good[1]], &[0.0; 144], &[0.0; 4]),
            build(shape, [good[0], layout(5, 4, border)], &[0.0; 144], &[0.0; 4]),
            build(shape, [layout(4, 40, border), good[1]], &[0.0; 144], &[0.0; 4]),
            build(shape, [good[0], layout(4, 40, border)], &[0.0; 144], &[0.0; 4]),
            build(ConvShape { stride: 0, ..shape }, good, &[0.0; 144], &[0.0; 4]),
            build(ConvShape { kernel: 0, ..shape }, good, &[], &[0.0; 4]),
        ] {
            assert!(matches!(result, Err(Error::Shape { .. })), "{result:?}");
        }
        let strided = ConvShape { stride: 2, ..shape };
        let winograd = Conv2d::new(simd, strided, Algorithm::Winograd(Tile::Four), good, &[0.0; 144], &[0.0; 4]);
        assert!(winograd.is_err());
    }
}
