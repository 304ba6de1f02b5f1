//! Lanes for machines without vector instructions known here: plain arrays, which the compiler vectorises as it can.
//! In 64 bits, where training's gradients are checked, there are no others.

use std::marker::PhantomData;

use super::{Kernel, Lanes};
use crate::kernel::real::Real;

const LEN: usize = 8;

/// Arithmetic on arrays, one element after the other.
#[derive(Clone, Copy)]
pub(crate) struct Portable<T>(PhantomData<T>);

impl<T> Portable<T> {
    /// Every machine has it.
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

#[inline(always)]
fn zip<T: Real>(a: [T; LEN], b: [T; LEN], op: impl Fn(T, T) -> T) -> [T; LEN] {
    let mut out = [T::default(); LEN];
    for i in 0..LEN {
        out[i] = op(a[i], b[i]);
    }
    out
}

impl<T: Real> Lanes for Portable<T> {
    type Scalar = T;
    type Vector = [T; LEN];
    const LEN: usize = LEN;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    fn splat(self, value: T) -> Self::Vector {
        [value; LEN]
    }

    #[inline(always)]
    fn load(self, from: &[T]) -> Self::Vector {
        let mut vector = [T::default(); LEN];
        vector.copy_from_slice(&from[..LEN]);
        vector
    }

    #[inline(always)]
    fn store(self, to: &mut [T], vector: Self::Vector) {
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

    #[inline(always)]
    fn where_positive(self, gate: Self::Vector, value: Self::Vector) -> Self::Vector {
        zip(gate, value, |gate, value| if gate > T::default() { value } else { T::default() })
    }

    #[inline(never)]
    fn run<K: Kernel<T>>(self, kernel: K) {
        kernel.compute(self);
    }
}
