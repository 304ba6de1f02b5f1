//! The numbers that kernels compute in.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Sub, SubAssign};

use candle_core::DType;

use super::lanes::{Kernel, Lanes, Portable, Simd};

/// What the memory of a tensor is of that was given back: a type of candle's that none of its operations takes.
pub(crate) const RELEASED: DType = DType::F4;
/// What is said to whoever reads one.
pub(crate) const WAS_RELEASED: &str =
    "a tensor is read whose memory was given back in the last backward pass over its graph";

/// A floating-point type of the trainable layers: 32 bits to train, 64 bits for the checks of their gradients.
pub(crate) trait Real:
    Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + SubAssign
    + Mul<Output = Self>
    + Sum
    + candle_core::WithDType
    + 'static
{
    /// Nearest value.
    fn of(value: f64) -> Self;

    /// Runs a kernel with the given instructions, or with the portable code where they have none for this type.
    fn run<K: Kernel<Self>>(simd: Simd, kernel: K);

    /// Values in a vector.
    fn lanes(simd: Simd) -> usize;

    /// Values in a row of the matrix product's tile: the width of a packed panel.
    fn panel_width(simd: Simd) -> usize;
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }

    fn run<K: Kernel<Self>>(simd: Simd, kernel: K) {
        simd.run(kernel);
    }

    fn lanes(simd: Simd) -> usize {
        simd.lanes()
    }

    fn panel_width(simd: Simd) -> usize {
        simd.panel_width()
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn run<K: Kernel<Self>>(_simd: Simd, kernel: K) {
        Portable::new().run(kernel);
    }

    fn lanes(_simd: Simd) -> usize {
        Portable::<f64>::LEN
    }

    fn panel_width(_simd: Simd) -> usize {
        Portable::<f64>::LEN * Portable::<f64>::TILE_VECTORS
    }
}
