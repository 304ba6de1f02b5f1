//! Lanes of x86-64: AVX2 with FMA, and AVX-512.
#![allow(unsafe_code, reason = "vector loads and stores take pointers, and the instructions may be missing")]

use core::arch::x86_64 as arch;

use super::{Kernel, Lanes};

/// 256-bit vectors with fused multiply-add.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// 512-bit vectors.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        (Avx2::detect().is_some() && is_x86_feature_detected!("avx512f")).then_some(Self(()))
    }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn where_positive_256(gate: arch::__m256, value: arch::__m256) -> arch::__m256 {
    arch::_mm256_and_ps(arch::_mm256_cmp_ps::<{ arch::_CMP_GT_OQ }>(gate, arch::_mm256_setzero_ps()), value)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn where_positive_512(gate: arch::__m512, value: arch::__m512) -> arch::__m512 {
    let passes = arch::_mm512_cmp_ps_mask::<{ arch::_CMP_GT_OQ }>(gate, arch::_mm512_setzero_ps());
    arch::_mm512_maskz_mov_ps(passes, value)
}

/// Implements [`Lanes`] with the intrinsics of one vector size.
macro_rules! lanes {
    ($lanes:ty, $features:literal, $vector:ty, len $len:literal, tile $rows:literal x $vectors:literal,
     $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $mul_add:ident, $max:ident, $where_positive:expr) => {
        impl Lanes for $lanes {
            type Scalar = f32;
            type Vector = $vector;
            const LEN: usize = $len;
            const TILE_ROWS: usize = $rows;
            const TILE_VECTORS: usize = $vectors;

            #[inline(always)]
            fn splat(self, value: f32) -> $vector {
                // SAFETY: `self` exists only where the instructions were detected.
                unsafe { arch::$splat(value) }
            }

            #[inline(always)]
            fn load(self, from: &[f32]) -> $vector {
                let from = &from[..$len];
                // SAFETY: as for `splat`; the slice holds the floats read, and no alignment is required.
                unsafe { arch::$load(from.as_ptr()) }
            }

            #[inline(always)]
            fn store(self, to: &mut [f32], vector: $vector) {
                let to = &mut to[..$len];
                // SAFETY: as for `splat`; the slice holds the floats written, and no alignment is required.
                unsafe { arch::$store(to.as_mut_ptr(), vector) }
            }

            #[inline(always)]
            fn add(self, a: $vector, b: $vector) -> $vector {
                // SAFETY: as for `splat`.
                unsafe { arch::$add(a, b) }
            }

            #[inline(always)]
            fn sub(self, a: $vector, b: $vector) -> $vector {
                // SAFETY: as for `splat`.
                unsafe { arch::$sub(a, b) }
            }

            #[inline(always)]
            fn mul(self, a: $vector, b: $vector) -> $vector {
                // SAFETY: as for `splat`.
                unsafe { arch::$mul(a, b) }
            }

            #[inline(always)]
            fn mul_add(self, a: $vector, b: $vector, c: $vector) -> $vector {
                // SAFETY: as for `splat`.
                unsafe { arch::$mul_add(a, b, c) }
            }

            #[inline(always)]
            fn max(self, a: $vector, b: $vector) -> $vector {
                // SAFETY: as for `splat`. The instruction gives `b` where either is NaN.
                unsafe { arch::$max(a, b) }
            }

            #[inline(always)]
            fn where_positive(self, gate: $vector, value: $vector) -> $vector {
                // SAFETY: as for `splat`.
                unsafe { $where_positive(gate, value) }
            }

            #[inline(always)]
            fn run<K: Kernel<f32>>(self, kernel: K) {
                #[target_feature(enable = $features)]
                fn enter<K: Kernel<f32>>(lanes: $lanes, kernel: K) {
                    kernel.compute(lanes);
                }
                // SAFETY: as for `splat`.
                unsafe { enter(self, kernel) }
            }
        }
    };
}

lanes!(
    Avx2, "avx2,fma", arch::__m256, len 8, tile 6 x 2,
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps,
    _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_fmadd_ps, _mm256_max_ps, where_positive_256
);
lanes!(
    Avx512, "avx512f,avx2,fma", arch::__m512, len 16, tile 8 x 2,
    _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps,
    _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_fmadd_ps, _mm512_max_ps, where_positive_512
);
