//! Lanes of WebAssembly's simd128, with relaxed-simd's multiply-add in builds that enable it.
#![allow(unsafe_code, reason = "vector loads and stores take pointers")]

use core::arch::wasm32::{
    f32x4_add, f32x4_gt, f32x4_mul, f32x4_pmax, f32x4_splat, f32x4_sub, v128, v128_and, v128_load, v128_store,
};

use super::{Kernel, Lanes};

/// 128-bit vectors; the whole module is compiled with them, so there is nothing to detect.
#[derive(Clone, Copy)]
pub(super) struct Simd128;

impl Lanes for Simd128 {
    type Scalar = f32;
    type Vector = v128;
    const LEN: usize = 4;
    // Engines have the 16 registers of x86-64: larger tiles spill.
    const TILE_ROWS: usize = 2;
    const TILE_VECTORS: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> v128 {
        f32x4_splat(value)
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> v128 {
        let from = &from[..Self::LEN];
        // SAFETY: the slice holds the four floats read, and no alignment is required.
        unsafe { v128_load(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32], vector: v128) {
        let to = &mut to[..Self::LEN];
        // SAFETY: the slice holds the four floats written, and no alignment is required.
        unsafe { v128_store(to.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }

    #[inline(always)]
    fn sub(self, a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }

    #[inline(always)]
    fn mul(self, a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }

    #[inline(always)]
    fn mul_add(self, a: v128, b: v128, c: v128) -> v128 {
        #[cfg(target_feature = "relaxed-simd")]
        return core::arch::wasm32::f32x4_relaxed_madd(a, b, c);
        #[cfg(not(target_feature = "relaxed-simd"))]
        f32x4_add(f32x4_mul(a, b), c)
    }

    #[inline(always)]
    fn max(self, a: v128, b: v128) -> v128 {
        // `pmax(x, y)` is `x < y ? y : x`: it keeps a NaN that comes first.
        f32x4_pmax(b, a)
    }

    #[inline(always)]
    fn where_positive(self, gate: v128, value: v128) -> v128 {
        v128_and(f32x4_gt(gate, f32x4_splat(0.0)), value)
    }

    // Never inlined: engines optimise function by function, and a small one that is entered often reaches the
    // optimising compiler early in the first call.
    #[inline(never)]
    fn run<K: Kernel<f32>>(self, kernel: K) {
        kernel.compute(self);
    }
}
