//! Transposed 2x2 convolution of stride 2: every pixel becomes four.

use super::buffer::Buffer;
use super::gemm::{Activation, Base, PackedMatrix, Product, Segment, k_blocks};
use super::lanes::Simd;
use super::layout::Layout;
use crate::error::{Error, Result};

/// Height and width of the kernel, and pixels from one input's outputs to the next's.
const SIDE: usize = 2;

/// Pixels that all four positions are computed of before the next ones come.
const BLOCK_ROWS: usize = 128;

/// A transposed convolution with its weights, between images of known layout: one matrix product for each of the four
/// positions, whose rows are written where they belong.
pub struct ConvTranspose2d {
    input: Layout,
    output: Layout,
    bias: Buffer,
    /// A position's offset in the output, and its weights.
    taps: Vec<(usize, PackedMatrix)>,
    blocks: Vec<Vec<Segment>>,
    rows: Vec<[u32; 2]>,
}

impl ConvTranspose2d {
    /// Packs weights.
    ///
    /// # Shapes
    ///
    /// - `weight`: `[C_in, C_out, 2, 2]`
    /// - `bias`: `[C_out]`
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the sizes do not go together, [`Error::OutOfMemory`] if there is no room for the packed
    /// weights.
    pub fn new(simd: Simd, [input, output]: [Layout; 2], weight: &[f32], bias: &[f32]) -> Result<Self> {
        let (c_in, c_out) = (input.channels, output.channels);
        let sizes = [
            (
                "weights of a transposed convolution",
                c_in.saturating_mul(c_out).saturating_mul(SIDE * SIDE),
                weight.len(),
            ),
            ("bias of a transposed convolution", c_out, bias.len()),
            ("output height of a transposed convolution", input.height * SIDE, output.height),
            ("output width of a transposed convolution", input.width * SIDE, output.width),
        ];
        for (what, expected, found) in sizes {
            if expected != found {
                return Err(Error::Shape { what, expected: expected.to_string(), found: found.to_string() });
            }
        }
        if !output.holds_vectors(simd.lanes()) {
            return Err(Error::Shape {
                what: "output channels of a transposed convolution",
                expected: format!("room for whole vectors of {}", simd.lanes()),
                found: format!("{output:?}"),
            });
        }
        let mut padded_bias = Buffer::zeros(output.padded_channels(simd.lanes()))?;
        padded_bias[..c_out].copy_from_slice(bias);
        let mut taps = Vec::with_capacity(SIDE * SIDE);
        for tap in 0..SIDE * SIDE {
            let packed = PackedMatrix::new(simd, c_in, c_out, |k, n| weight[(k * c_out + n) * SIDE * SIDE + tap])?;
            taps.push((tap / SIDE * output.row_stride() + tap % SIDE * output.stride, packed));
        }
        let count = input.height * input.width;
        let mut rows: Vec<[u32; 2]> = Vec::new();
        rows.try_reserve_exact(count)
            .map_err(|_source| Error::OutOfMemory { bytes: count.saturating_mul(size_of::<[u32; 2]>()) })?;
        for y in 0..input.height {
            for x in 0..input.width {
                rows.push([input.at(y, x) as u32, output.at(y * SIDE, x * SIDE) as u32]);
            }
        }
        let blocks = k_blocks(simd.panel_width(), [Segment { at: 0, len: c_in }]);
        Ok(Self { input, output, bias: padded_bias, taps, blocks, rows })
    }

    /// Computes the output image; leaves its border and its other channels as they are.
    ///
    /// # Panics
    ///
    /// If the slices are shorter than the layouts say.
    pub fn run(&self, input: &[f32], output: &mut [f32]) {
        let (input, output) = (&input[..self.input.len()], &mut output[..self.output.len()]);
        for rows in self.rows.chunks(BLOCK_ROWS) {
            for (offset, packed) in &self.taps {
                packed.simd().run(Product {
                    a: input,
                    rows,
                    blocks: &self.blocks,
                    b: packed,
                    bias: &self.bias,
                    c: &mut output[*offset..],
                    base: Base::Bias,
                    activation: Activation::Identity,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Border;
    use super::super::naive::{self, Planes, assert_close, uniform};
    use super::*;

    #[test]
    fn transposed_convolution_is_the_plain_sum_and_keeps_other_channels() {
        for (c_in, c_out, height, width) in
            [(1, 1, 1, 1), (3, 5, 4, 7), (40, 33, 5, 6), (700, 8, 3, 2), (16, 16, 13, 11)]
        {
            let weight = uniform(1, c_in * c_out * 4);
            let bias = uniform(2, c_out);
            let values = uniform(3, c_in * height * width);
            let data = values.iter().map(|&value| f64::from(value)).collect();
            let expected = naive::conv_transpose2d(&Planes { channels: c_in, height, width, data }, &weight, &bias);
            for simd in Simd::available() {
                let border = Border { before: 1, after: 2 };
                let input = Layout::new(height, width, c_in, simd.lanes(), border).expect("input");
                let room = c_out.next_multiple_of(simd.lanes());
                let whole = Layout::new(height * 2, width * 2, 2 * room, simd.lanes(), border).expect("output");
                for first in [0, room] {
                    let output = whole.part(first, c_out).expect("is there");
                    let conv = ConvTranspose2d::new(simd, [input, output], &weight, &bias).expect("convolution");
                    let mut x = vec![0.0; input.len()];
                    input.fill_from_planes(&mut x, &values);
                    let mut y = vec![7.0; whole.len()];
                    conv.run(&x, &mut y);
                    let mut found = vec![0.0; expected.data.len()];
                    output.copy_planes(&y, &mut found);
                    assert_close(&found, &expected.data, 1e-5, &format!("{simd:?} {c_in} to {c_out}"));
                    let written = height * width * 4 * room;
                    let untouched = y.iter().filter(|&&value| value == 7.0).count();
                    assert!(untouched >= whole.len() - written, "{simd:?}: the other channels and the border");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let simd = Simd::best();
        let layout = |h, w, c| Layout::new(h, w, c, simd.lanes(), Border::default()).expect("a small image");
        let build = |images, weights, biases| {
            ConvTranspose2d::new(simd, images, &vec![0.0; weights], &vec![0.0; biases]).map(|_conv| ())
        };
        let (input, output) = (layout(3, 4, 5), layout(6, 8, 2));
        assert!(build([input, output], 40, 2).is_ok());
        let dense = Layout::new(6, 8, 2, 1, Border::default()).expect("a small image");
        for result in [
            build([input, output], 39, 2),
            build([input, output], 40, 3),
            build([input, layout(7, 8, 2)], 40, 2),
            build([input, layout(6, 7, 2)], 40, 2),
            build([input, dense], 40, 2),
        ] {
            assert!(matches!(result, Err(Error::Shape { .. })), "{result:?}");
        }
    }
}
