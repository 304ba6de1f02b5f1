//! The most multiplications and additions that a core can do: what kernels are measured against.

use super::lanes::{Kernel, Lanes, Simd};

/// Sums that do not wait for each other: more than a core has multiply-adds in flight, and few enough for 16 registers.
const CHAINS: usize = 12;

/// Multiplies and adds in registers alone, and returns how many operations that took.
///
/// `value` must be hidden from the compiler, and so must what is written to `sums`.
///
/// # Panics
///
/// If `sums` is shorter than a vector.
pub fn multiply_add_in_registers(simd: Simd, rounds: usize, value: f32, sums: &mut [f32]) -> usize {
    simd.run(MultiplyAdd { rounds, value, sums });
    rounds * CHAINS * simd.lanes() * 2
}

struct MultiplyAdd<'a> {
    rounds: usize,
    value: f32,
    sums: &'a mut [f32],
}

impl Kernel<f32> for MultiplyAdd<'_> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = f32>>(self, lanes: L) {
        let value = lanes.splat(self.value);
        let mut chains = [lanes.splat(0.0); CHAINS];
        for i in 0..CHAINS {
            chains[i] = lanes.splat(i as f32 * self.value);
        }
        for _ in 0..self.rounds {
            for i in 0..CHAINS {
                chains[i] = lanes.mul_add(chains[i], value, value);
            }
        }
        let mut sum = chains[0];
        for i in 1..CHAINS {
            sum = lanes.add(sum, chains[i]);
        }
        lanes.store(self.sums, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_those_of_all_chains() {
        for simd in Simd::available() {
            let mut sums = vec![0.0; simd.lanes()];
            assert_eq!(multiply_add_in_registers(simd, 3, 0.5, &mut sums), 3 * CHAINS * simd.lanes() * 2);
            // Every chain goes half of the way to 1 in each round.
            let chain = |i: usize| 1.0 - (1.0 - i as f32 * 0.5) / 8.0;
            let expected: f32 = (0..CHAINS).map(chain).sum();
            assert!(sums.iter().all(|sum| (sum - expected).abs() < 1e-4), "{simd:?}: {sums:?}, not {expected}");
        }
    }
}
