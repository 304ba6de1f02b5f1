//! Lanes for machines without vector instructions known here: plain arrays, which the compiler vectorises as it can.

use super::{Kernel, Lanes};

const LEN: usize = 8;

/// Arithmetic on arrays, one element after the other.
#[derive(Clone, Copy)]
pub(super) struct Portable;

#[inline(always)]
fn zip(a: [f32; LEN], b: [f32; LEN], op: impl Fn(f32, f32) -> f32) -> [f32; LEN] {
    let mut out = [0.0; LEN];
    for i in 0..LEN {
        out[i] = op(a[i], b[i]);
    }
    out
}

impl Lanes for Portable {
    type Vector = [f32; LEN];
    const LEN: usize = LEN;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        [value; LEN]
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> Self::Vector {
        let mut vector = [0.0; LEN];
        vector.copy_from_slice(&from[..LEN]);
        vector
    }

    #[inline(always)]
    fn store(self, to: &mut [f32], vector: Self::Vector) {
        to[..LEN].copy_from_slice(&vector);
    }

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        // Not `f32::mul_add`: without the instruction it is a call into the C library.
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(never)]
    fn run<K: Kernel>(self, kernel: K) {
        kernel.compute(self);
    }
}
