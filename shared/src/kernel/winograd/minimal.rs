//! The transforms of Winograd's minimal convolutions with three taps: F(2, 3), F(4, 3) and F(6, 3).
//!
//! Source: Lavin and Gray 2016, arXiv 1509.09308, section 4, for two and four outputs; for six the interpolation
//! points 0, ±1, ±2, ±1/2 and infinity.

use crate::kernel::lanes::Lanes;
use crate::kernel::real::Real;

/// One dimension of a minimal convolution: `IN` inputs `d` and a kernel `g` give `OUT` outputs `A'[(G g) * (B' d)]`.
pub(crate) trait Minimal<const IN: usize, const OUT: usize>: Copy {
    /// `G`
    const KERNEL: [[f64; 3]; IN];

    /// `B' d`
    fn input<L: Lanes>(lanes: L, d: [L::Vector; IN]) -> [L::Vector; IN];

    /// `A' m`
    fn output<L: Lanes>(lanes: L, m: [L::Vector; IN]) -> [L::Vector; OUT];
}

/// Two outputs of four inputs.
#[derive(Clone, Copy)]
pub(crate) struct F2;

/// Four outputs of six inputs.
#[derive(Clone, Copy)]
pub(crate) struct F4;

/// Six outputs of eight inputs.
#[derive(Clone, Copy)]
pub(crate) struct F6;

impl Minimal<4, 2> for F2 {
    const KERNEL: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

    #[inline(always)]
    fn input<L: Lanes>(lanes: L, d: [L::Vector; 4]) -> [L::Vector; 4] {
        [lanes.sub(d[0], d[2]), lanes.add(d[1], d[2]), lanes.sub(d[2], d[1]), lanes.sub(d[1], d[3])]
    }

    #[inline(always)]
    fn output<L: Lanes>(lanes: L, m: [L::Vector; 4]) -> [L::Vector; 2] {
        [lanes.add(m[0], lanes.add(m[1], m[2])), lanes.sub(lanes.sub(m[1], m[2]), m[3])]
    }
}

impl Minimal<6, 4> for F4 {
    const KERNEL: [[f64; 3]; 6] = [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];

    #[inline(always)]
    fn input<L: Lanes>(lanes: L, d: [L::Vector; 6]) -> [L::Vector; 6] {
        let [two, four, minus_two, minus_four, minus_five] = constants(lanes, [2.0, 4.0, -2.0, -4.0, -5.0]);
        let first = lanes.mul_add(four, d[0], lanes.mul_add(minus_five, d[2], d[4]));
        let even = lanes.mul_add(minus_four, d[2], d[4]);
        let odd = lanes.mul_add(minus_four, d[1], d[3]);
        let (sum, difference) = (lanes.add(even, odd), lanes.sub(even, odd));
        let even = lanes.sub(d[4], d[2]);
        let odd = lanes.sub(d[3], d[1]);
        let last = lanes.mul_add(four, d[1], lanes.mul_add(minus_five, d[3], d[5]));
        [first, sum, difference, lanes.mul_add(two, odd, even), lanes.mul_add(minus_two, odd, even), last]
    }

    #[inline(always)]
    fn output<L: Lanes>(lanes: L, m: [L::Vector; 6]) -> [L::Vector; 4] {
        let [two, four, eight] = constants(lanes, [2.0, 4.0, 8.0]);
        let (sum, difference) = (lanes.add(m[1], m[2]), lanes.sub(m[1], m[2]));
        let (far_sum, far_difference) = (lanes.add(m[3], m[4]), lanes.sub(m[3], m[4]));
        [
            lanes.add(m[0], lanes.add(sum, far_sum)),
            lanes.mul_add(two, far_difference, difference),
            lanes.mul_add(four, far_sum, sum),
            lanes.add(lanes.mul_add(eight, far_difference, difference), m[5]),
        ]
    }
}

impl Minimal<8, 6> for F6 {
    // The rows of ±1/2 are scaled so that `A'` takes halves, quarters and so on of their products.
    const KERNEL: [[f64; 3]; 8] = [
        [1.0, 0.0, 0.0],
        [-2.0 / 9.0, -2.0 / 9.0, -2.0 / 9.0],
        [-2.0 / 9.0, 2.0 / 9.0, -2.0 / 9.0],
        [1.0 / 90.0, 1.0 / 45.0, 2.0 / 45.0],
        [1.0 / 90.0, -1.0 / 45.0, 2.0 / 45.0],
        [32.0 / 45.0, 16.0 / 45.0, 8.0 / 45.0],
        [32.0 / 45.0, -16.0 / 45.0, 8.0 / 45.0],
        [0.0, 0.0, 1.0],
    ];

    #[inline(always)]
    fn input<L: Lanes>(lanes: L, d: [L::Vector; 8]) -> [L::Vector; 8] {
        let [half, two, quarter, four] = constants(lanes, [0.5, 2.0, 0.25, 4.0]);
        let [minus_four_and_quarter, five_and_quarter] = constants(lanes, [-4.25, 5.25]);
        let [minus_five_halves, minus_five_quarters, minus_five] = constants(lanes, [-2.5, -1.25, -5.0]);
        let first = lanes.mul_add(five_and_quarter, lanes.sub(d[4], d[2]), lanes.sub(d[0], d[6]));
        let last = lanes.mul_add(five_and_quarter, lanes.sub(d[3], d[5]), lanes.sub(d[7], d[1]));
        let even = lanes.mul_add(minus_four_and_quarter, d[4], lanes.add(d[2], d[6]));
        let odd = lanes.mul_add(minus_four_and_quarter, d[3], lanes.add(d[1], d[5]));
        let (one, minus_one) = (lanes.add(even, odd), lanes.sub(even, odd));
        let middle = lanes.mul(minus_five_halves, d[3]);
        let even = lanes.mul_add(quarter, d[2], lanes.mul_add(minus_five_quarters, d[4], d[6]));
        let odd = lanes.mul_add(half, d[1], lanes.mul_add(two, d[5], middle));
        let (point_two, point_minus_two) = (lanes.add(even, odd), lanes.sub(even, odd));
        let even = lanes.mul_add(four, d[2], lanes.mul_add(minus_five, d[4], d[6]));
        let odd = lanes.mul_add(two, d[1], lanes.mul_add(half, d[5], middle));
        let (point_half, point_minus_half) = (lanes.add(even, odd), lanes.sub(even, odd));
        [first, one, minus_one, point_two, point_minus_two, point_half, point_minus_half, last]
    }

    #[inline(always)]
    fn output<L: Lanes>(lanes: L, m: [L::Vector; 8]) -> [L::Vector; 6] {
        let [two, four, eight, sixteen, thirty_two] = constants(lanes, [2.0, 4.0, 8.0, 16.0, 32.0]);
        let [half, quarter, eighth, sixteenth, thirty_second] = constants(lanes, [0.5, 0.25, 0.125, 0.0625, 0.03125]);
        let (sum, difference) = (lanes.add(m[1], m[2]), lanes.sub(m[1], m[2]));
        let (far_sum, far_difference) = (lanes.add(m[3], m[4]), lanes.sub(m[3], m[4]));
        let (near_sum, near_difference) = (lanes.add(m[5], m[6]), lanes.sub(m[5], m[6]));
        [
            lanes.add(lanes.add(m[0], sum), lanes.add(far_sum, near_sum)),
            lanes.mul_add(two, far_difference, lanes.mul_add(half, near_difference, difference)),
            lanes.mul_add(four, far_sum, lanes.mul_add(quarter, near_sum, sum)),
            lanes.mul_add(eight, far_difference, lanes.mul_add(eighth, near_difference, difference)),
            lanes.mul_add(sixteen, far_sum, lanes.mul_add(sixteenth, near_sum, sum)),
            lanes.mul_add(
                thirty_two,
                far_difference,
                lanes.mul_add(thirty_second, near_difference, lanes.add(difference, m[7])),
            ),
        ]
    }
}

/// The same value in every lane, for each of some values.
#[inline(always)]
fn constants<L: Lanes, const N: usize>(lanes: L, values: [f64; N]) -> [L::Vector; N] {
    let mut vectors = [lanes.splat(Real::of(0.0)); N];
    for i in 0..N {
        vectors[i] = lanes.splat(Real::of(values[i]));
    }
    vectors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::lanes::Portable;

    /// Holds one dimension to the plain sum, in 64 bits.
    fn check<M: Minimal<IN, OUT>, const IN: usize, const OUT: usize>(_: M) {
        let lanes = Portable::<f64>::new();
        let d: [f64; IN] = std::array::from_fn(|i| ((i * i * 7 + 3) % 11) as f64 - 5.0);
        let g = [0.75, -1.5, 2.25];
        let transformed = M::input(lanes, d.map(|value| lanes.splat(value)));
        let mut products = transformed;
        for (product, row) in products.iter_mut().zip(M::KERNEL) {
            let point: f64 = row.iter().zip(g).map(|(a, b)| a * b).sum();
            *product = lanes.mul(*product, lanes.splat(point));
        }
        for (i, output) in M::output(lanes, products).into_iter().enumerate() {
            let expected: f64 = (0..3).map(|k| g[k] * d[i + k]).sum();
            assert!(output.iter().all(|value| (value - expected).abs() < 1e-9), "{OUT}, {i}: {output:?}, {expected}");
        }
    }

    #[test]
    fn minimal_convolutions_are_the_plain_sum() {
        check(F2);
        check(F4);
        check(F6);
    }
}
