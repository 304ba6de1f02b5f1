//! Lanes of 64-bit ARM: NEON.
#![allow(unsafe_code, reason = "vector loads and stores take pointers, and the instructions may be missing")]

use core::arch::aarch64::{
    float32x4_t, vaddq_f32, vandq_u32, vcgtq_f32, vdupq_n_f32, vfmaq_f32, vld1q_f32, vmaxq_f32, vmulq_f32,
    vreinterpretq_f32_u32, vreinterpretq_u32_f32, vst1q_f32, vsubq_f32,
};

use super::{Kernel, Lanes};

/// 128-bit vectors in 32 registers.
#[derive(Clone, Copy)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

impl Lanes for Neon {
    type Scalar = f32;
    type Vector = float32x4_t;
    const LEN: usize = 4;
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> float32x4_t {
        // SAFETY: `self` exists only where the instructions were detected.
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> float32x4_t {
        let from = &from[..Self::LEN];
        // SAFETY: as for `splat`; the slice holds the four floats read, and no alignment is required.
        unsafe { vld1q_f32(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32], vector: float32x4_t) {
        let to = &mut to[..Self::LEN];
        // SAFETY: as for `splat`; the slice holds the four floats written, and no alignment is required.
        unsafe { vst1q_f32(to.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as for `splat`.
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as for `splat`.
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as for `splat`.
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: as for `splat`.
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as for `splat`. The instruction gives NaN where either is NaN.
        unsafe { vmaxq_f32(a, b) }
    }

    #[inline(always)]
    fn where_positive(self, gate: float32x4_t, value: float32x4_t) -> float32x4_t {
        // SAFETY: as for `splat`.
        unsafe {
            let passes = vcgtq_f32(gate, vdupq_n_f32(0.0));
            vreinterpretq_f32_u32(vandq_u32(passes, vreinterpretq_u32_f32(value)))
        }
    }

    #[inline(always)]
    fn run<K: Kernel<f32>>(self, kernel: K) {
        #[target_feature(enable = "neon")]
        fn enter<K: Kernel<f32>>(lanes: Neon, kernel: K) {
            kernel.compute(lanes);
        }
        // SAFETY: as for `splat`.
        unsafe { enter(self, kernel) }
    }
}
