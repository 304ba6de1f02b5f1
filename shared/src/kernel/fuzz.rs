//! From any bytes to a kernel on a random shape, held to the plain loop, and to sizes that may make no sense: for
//! `cargo test` and for `fuzz/`.

use super::conv::{Algorithm, Conv2d, ConvShape};
use super::conv_transpose::ConvTranspose2d;
use super::gemm::{Activation, Base, PackedMatrix, gemm};
use super::lanes::Simd;
use super::layout::{Border, Layout};
use super::moments::{Nth, pool_into_moments};
use super::naive::{self, Planes, uniform};
use super::pool::{PoolShape, max_pool};
use super::winograd::Tile;
use crate::error::Result;

/// Greatest difference, relative to the greatest value; Winograd's larger tiles lose a digit.
const TOLERANCE: f64 = 1e-4;

/// Choices read from bytes; after the last byte every choice is the first.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    /// A number of a range.
    fn of(&mut self, range: std::ops::RangeInclusive<usize>) -> usize {
        let byte = usize::from(self.0.next().copied().unwrap_or(0));
        range.start() + byte % (range.end() - range.start() + 1)
    }

    /// One of some values.
    fn one<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.of(0..=values.len() - 1)]
    }

    fn border(&mut self) -> Border {
        Border { before: self.of(0..=3), after: self.of(0..=3) }
    }
}

/// What a kernel computed, and what it should have.
struct Outcome {
    what: String,
    found: Vec<f32>,
    expected: Vec<f64>,
}

/// Runs the kernel, the shape and the instructions that some bytes stand for.
///
/// # Errors
///
/// Those of the kernels for shapes that do not fit.
///
/// # Panics
///
/// If the kernel's result is not that of the plain loop, or it touches what is not its own.
pub fn check(bytes: &[u8]) -> Result<()> {
    let mut choices = Choices(bytes.iter());
    let simd = choices.one(&Simd::available());
    let Outcome { what, found, expected } = match choices.of(0..=5) {
        0 => product(simd, &mut choices)?,
        1 => convolution(simd, &mut choices)?,
        2 => transposed_convolution(simd, &mut choices)?,
        3 => pooling(simd, &mut choices)?,
        4 => convolution_of_neighbours(simd, &mut choices)?,
        _ => moments(simd, &mut choices)?,
    };
    naive::assert_close(&found, &expected, TOLERANCE, &format!("{simd:?} {what}"));
    Ok(())
}

/// Hands the sizes that some bytes stand for, from none to more than can be counted, to all that checks sizes, which
/// must refuse or accept them.
///
/// # Panics
///
/// If something fails instead, or accepts what makes no sense.
pub fn check_sizes(bytes: &[u8]) {
    const SIZES: [usize; 12] = [0, 1, 2, 3, 4, 8, 17, 64, 1 << 16, u32::MAX as usize, usize::MAX / 2, usize::MAX];
    let mut choices = Choices(bytes.iter());
    let mut size = || choices.one(&SIZES);
    let simd = Simd::best();
    let shape =
        ConvShape { in_channels: size(), out_channels: size(), kernel: size(), stride: size(), padding: size() };
    let pool = PoolShape { window: size(), stride: size(), padding: size() };
    let (height, width) = (size(), size());
    let side_by_side = Algorithm::SideBySide(size());
    let pooled = pool.out_size(height);
    assert!(pooled.is_err() || (pool.window > 0 && pool.stride > 0), "{pool:?}");
    let out = [height, width].map(|size| shape.out_size(size).unwrap_or(0));
    // Mostly sizes that go together: others are refused early.
    let mut or_another = |likely: usize| if size() == 0 { size() } else { likely };
    let mut layout = |height: usize, width: usize, channels: usize| {
        let border = Border { before: or_another(shape.padding), after: or_another(shape.padding) };
        Layout::new(or_another(height), or_another(width), or_another(channels), simd.lanes(), border)
    };
    let images = [layout(height, width, shape.in_channels), layout(out[0], out[1], shape.out_channels)];
    let elements =
        [shape.out_channels, shape.kernel, shape.kernel].into_iter().fold(shape.in_channels, usize::saturating_mul);
    let values = uniform(1, 64 * 64);
    let [weight, bias] = [elements, shape.out_channels].map(|len| &values[..or_another(len).min(values.len())]);
    if let [Ok(input), Ok(output)] = images {
        for algorithm in [Algorithm::Direct, side_by_side].into_iter().chain(Tile::ALL.map(Algorithm::Winograd)) {
            let conv = Conv2d::new(simd, shape, algorithm, [input, output], weight, bias);
            assert!(conv.is_err() || weight.len() == elements, "{shape:?}");
        }
        drop(ConvTranspose2d::new(simd, [input, output], weight, bias));
        drop(input.part(shape.in_channels, shape.out_channels));
    }
    let (rows, columns) = (shape.in_channels, shape.out_channels);
    // What this machine may have room for is left out: it would take long to fill.
    if !(1 << 20..1 << 50).contains(&(rows as u64).saturating_mul(columns as u64)) {
        let packed = PackedMatrix::new(simd, rows, columns, |_row, _column| 0.0);
        assert!(packed.is_err() || (rows > 0 && columns > 0), "{rows} x {columns}");
    }
}

/// An image among other channels, which are not a number and must stay so.
struct Canvas {
    lanes: usize,
    whole: Layout,
    part: Layout,
    data: Vec<f32>,
}

impl Canvas {
    fn new(simd: Simd, choices: &mut Choices, [channels, height, width]: [usize; 3], border: Border) -> Result<Self> {
        let lanes = simd.lanes();
        let (before, after) = (choices.of(0..=1) * lanes, choices.of(0..=1) * lanes);
        let room = channels.next_multiple_of(lanes);
        let whole = Layout::new(height, width, before + room + after, lanes, border)?;
        let part = whole.part(before, channels)?;
        Ok(Self { lanes, whole, part, data: vec![f32::NAN; whole.len()] })
    }

    /// The image, and that nothing else has changed.
    fn read(&self) -> Vec<f32> {
        let Layout { height, width, channels, .. } = self.part;
        let mut planes = vec![0.0; channels * height * width];
        self.part.copy_planes(&self.data, &mut planes);
        self.check_surroundings();
        planes
    }

    fn check_surroundings(&self) {
        let Layout { height, width, .. } = self.part;
        let others = self.data.iter().filter(|value| value.is_nan()).count();
        let own = height * width * self.part.padded_channels(self.lanes);
        assert!(others >= self.whole.len() - own, "other channels or the border were written");
    }
}

/// Random planes, and the same laid out.
fn image(seed: u64, layout: &Layout) -> (Planes, Vec<f32>) {
    let Layout { height, width, channels, .. } = *layout;
    let values = uniform(seed, channels * height * width);
    let mut laid_out = vec![0.0; layout.len()];
    layout.fill_from_planes(&mut laid_out, &values);
    (Planes { channels, height, width, data: values.into_iter().map(f64::from).collect() }, laid_out)
}

fn product(simd: Simd, choices: &mut Choices) -> Result<Outcome> {
    let (m, k, n) = (choices.of(1..=40), choices.of(1..=255) * choices.of(1..=4), choices.of(1..=100));
    let a_stride = k + choices.of(0..=5);
    let (a, b, bias) = (uniform(1, m * a_stride), uniform(2, k * n), uniform(3, n));
    let packed = PackedMatrix::new(simd, k, n, |row, column| b[row * n + column])?;
    let columns = packed.columns();
    let stride = columns + choices.of(0..=5);
    let mut padded_bias = bias.clone();
    padded_bias.resize(columns, 0.0);
    let (base, activation) = ends(choices);
    let before = uniform(4, m * stride);
    let mut c = before.clone();
    gemm(&a, a_stride, &packed, &padded_bias, &mut c, stride, base, activation);
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for (i, row) in c.chunks(stride).enumerate() {
        assert_eq!(row[columns..], before[i * stride..][columns..stride], "between the rows");
        for j in 0..n {
            let dot = |p: usize| f64::from(a[i * a_stride + p]) * f64::from(b[p * n + j]);
            let mut sum = f64::from(bias[j]) + (0..k).map(dot).sum::<f64>();
            if base == Base::BiasAndOutput {
                sum += f64::from(before[i * stride + j]);
            }
            found.push(row[j]);
            expected.push(if activation == Activation::Relu { sum.max(0.0) } else { sum });
        }
    }
    Ok(Outcome { what: format!("product of {m} x {k} x {n}"), found, expected })
}

fn ends(choices: &mut Choices) -> (Base, Activation) {
    let base = choices.one(&[Base::Bias, Base::BiasAndOutput]);
    (base, choices.one(&[Activation::Identity, Activation::Relu]))
}

fn convolution(simd: Simd, choices: &mut Choices) -> Result<Outcome> {
    let (in_channels, out_channels) = (choices.of(1..=70), choices.of(1..=70));
    let (height, width) = (choices.of(1..=20), choices.of(1..=20));
    let algorithm = choices.one(&[
        Algorithm::Direct,
        Algorithm::Winograd(Tile::Two),
        Algorithm::Winograd(Tile::Four),
        Algorithm::Winograd(Tile::Six),
    ]);
    let shape = if algorithm == Algorithm::Direct {
        let (kernel, stride, padding) = (choices.of(1..=7), choices.of(1..=3), choices.of(0..=3));
        ConvShape { in_channels, out_channels, kernel, stride, padding }
    } else {
        ConvShape { in_channels, out_channels, kernel: 3, stride: 1, padding: 1 }
    };
    let border = shape.border(algorithm, height, width)?.union(choices.border());
    // The direct sum also reads pixels that are not whole vectors.
    let lanes = if algorithm == Algorithm::Direct { choices.one(&[1, simd.lanes()]) } else { simd.lanes() };
    let input = Layout::new(height, width, in_channels, lanes, border)?;
    let out_border = choices.border();
    let size = [out_channels, shape.out_size(height)?, shape.out_size(width)?];
    let mut output = Canvas::new(simd, choices, size, out_border)?;
    let weight = uniform(1, out_channels * in_channels * shape.kernel * shape.kernel);
    let bias = uniform(2, out_channels);
    let conv = Conv2d::new(simd, shape, algorithm, [input, output.part], &weight, &bias)?;
    let (planes, x) = image(3, &input);
    let mut sum = naive::conv2d(&planes, shape, &weight, &bias);
    let (base, activation) = ends(choices);
    if base == Base::BiasAndOutput {
        let (before, _) = image(4, &output.part);
        for (i, pixel) in before.data.chunks(size[1] * size[2]).enumerate() {
            for (j, value) in pixel.iter().enumerate() {
                output.data[output.part.at(j / size[2], j % size[2]) + i] = *value as f32;
            }
        }
        sum = sum.add(&before);
    }
    conv.run(&x, &mut output.data, &mut vec![f32::NAN; conv.scratch_len()], base, activation);
    let expected = if activation == Activation::Relu { sum.relu() } else { sum }.data;
    let what = format!("{algorithm:?} {shape:?} of {height} x {width}, {base:?}, {activation:?}");
    Ok(Outcome { what, found: output.read(), expected })
}

fn convolution_of_neighbours(simd: Simd, choices: &mut Choices) -> Result<Outcome> {
    let (in_channels, out_channels) = (choices.of(1..=40), choices.of(1..=5));
    let (height, width, n) = (choices.of(1..=20), choices.of(1..=20), choices.of(1..=9));
    let (kernel, stride, padding) = (choices.of(1..=7), choices.of(1..=3), choices.of(0..=3));
    let shape = ConvShape { in_channels, out_channels, kernel, stride, padding };
    let algorithm = Algorithm::SideBySide(n);
    let border = shape.border(algorithm, height, width)?.union(choices.border());
    let input = Layout::new(height, width, in_channels, choices.one(&[1, simd.lanes()]), border)?;
    let out_border = choices.border();
    let (out_height, out_width) = (shape.out_size(height)?, shape.out_size(width)?);
    let mut output = Canvas::new(simd, choices, [n * out_channels, out_height, out_width.div_ceil(n)], out_border)?;
    let weight = uniform(1, out_channels * in_channels * kernel * kernel);
    let bias = uniform(2, out_channels);
    let (planes, x) = image(3, &input);
    let conv = Conv2d::new(simd, shape, algorithm, [input, output.part], &weight, &bias)?;
    conv.run(&x, &mut output.data, &mut [], Base::Bias, Activation::Identity);
    output.check_surroundings();
    let mut found = vec![0.0; out_channels * out_height * out_width];
    output.part.copy_neighbours(n, &output.data, &mut found, out_width);
    let expected = naive::conv2d(&planes, shape, &weight, &bias).data;
    Ok(Outcome { what: format!("{algorithm:?} {shape:?} of {height} x {width}"), found, expected })
}

fn transposed_convolution(simd: Simd, choices: &mut Choices) -> Result<Outcome> {
    let (c_in, c_out) = (choices.of(1..=255), choices.of(1..=70));
    let (height, width) = (choices.of(1..=15), choices.of(1..=15));
    let input = Layout::new(height, width, c_in, choices.one(&[1, simd.lanes()]), choices.border())?;
    let border = choices.border();
    let mut output = Canvas::new(simd, choices, [c_out, 2 * height, 2 * width], border)?;
    let (weight, bias) = (uniform(1, c_in * c_out * 4), uniform(2, c_out));
    let (planes, x) = image(3, &input);
    ConvTranspose2d::new(simd, [input, output.part], &weight, &bias)?.run(&x, &mut output.data);
    let expected = naive::conv_transpose2d(&planes, &weight, &bias).data;
    let what = format!("transposed convolution of {height} x {width}, {c_in} to {c_out}");
    Ok(Outcome { what, found: output.read(), expected })
}

fn pooling(simd: Simd, choices: &mut Choices) -> Result<Outcome> {
    let (channels, height, width) = (choices.of(1..=70), choices.of(1..=20), choices.of(1..=20));
    let shape = PoolShape { window: choices.of(1..=4), stride: choices.of(1..=3), padding: choices.of(0..=2) };
    let input = Layout::new(height, width, channels, simd.lanes(), choices.border())?;
    let border = choices.border();
    let size = [channels, shape.out_size(height)?, shape.out_size(width)?];
    let mut output = Canvas::new(simd, choices, size, border)?;
    let (planes, x) = image(3, &input);
    max_pool(simd, shape, (&input, &x), (&output.part, &mut output.data));
    let expected = naive::max_pool(&planes, shape).data;
    Ok(Outcome { what: format!("{shape:?} of {height} x {width} x {channels}"), found: output.read(), expected })
}

fn moments(simd: Simd, choices: &mut Choices) -> Result<Outcome> {
    let (channels, height, width) = (choices.of(1..=50), choices.of(1..=15), choices.of(1..=15));
    let from = Layout::new(height, width, channels, simd.lanes(), choices.border())?;
    let room = channels.next_multiple_of(simd.lanes());
    let whole = Layout::new(height, width, room + channels, simd.lanes(), choices.border())?;
    let [mean, variance] = [whole.part(0, channels)?, whole.part(room, channels)?];
    let of = choices.of(1..=4);
    let mut data = vec![f32::NAN; whole.len()];
    let mut pooled = Vec::new();
    for i in 0..of {
        let (planes, x) = image(i as u64, &from);
        pooled.push(naive::pool_in_place(&planes));
        pool_into_moments(simd, Nth { nth: i + 1, of }, (&from, &x), ([&mean, &variance], &mut data));
    }
    let mut found = vec![0.0; 2 * channels * height * width];
    let (first, second) = found.split_at_mut(channels * height * width);
    mean.copy_planes(&data, first);
    variance.copy_planes(&data, second);
    let expected = naive::moments(&pooled).map(|planes| planes.data).concat();
    Ok(Outcome { what: format!("moments of {of} images of {height} x {width} x {channels}"), found, expected })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_shape_gives_the_plain_loops_values(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            // Shapes that do not fit are refused, which is right, too.
            drop(check(&bytes));
        }

        #[test]
        fn any_sizes_are_accepted_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..48)) {
            check_sizes(&bytes);
        }
    }

    #[test]
    fn most_bytes_stand_for_a_shape_that_fits() {
        let fits = (0..200).filter(|&seed| {
            let bytes: Vec<u8> = uniform(seed, 24).iter().map(|value| (value * 128.0 + 128.0) as u8).collect();
            check(&bytes).is_ok()
        });
        assert!(fits.count() > 150);
    }
}
