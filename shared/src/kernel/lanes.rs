//! One abstraction over the vector instructions of all machines: kernels are written once over [`Lanes`] and compiled
//! for each of its implementations.
//!
//! A value of a type that implements [`Lanes`] is the proof that this machine has the instructions, because it comes
//! into being only where they were detected. Its methods are therefore safe to call, and reading and writing vectors
//! goes through slices that are checked: no kernel needs `unsafe`.

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::real::Real;
pub(crate) use portable::Portable;

/// A vector of [`Self::LEN`] floats and its arithmetic.
pub(crate) trait Lanes: Copy {
    /// One float.
    type Scalar: Real;
    /// One register.
    type Vector: Copy;
    /// Floats in a vector.
    const LEN: usize;
    /// Rows of the matrix product's tile; with [`Self::TILE_VECTORS`] as large as the registers can hold.
    const TILE_ROWS: usize;
    /// Vectors in a row of the tile, at most 4.
    const TILE_VECTORS: usize;

    /// The same value in every lane.
    fn splat(self, value: Self::Scalar) -> Self::Vector;
    /// The first `LEN` values of a slice; panics if it is shorter.
    fn load(self, from: &[Self::Scalar]) -> Self::Vector;
    /// Writes the first `LEN` values of a slice; panics if it is shorter.
    fn store(self, to: &mut [Self::Scalar], vector: Self::Vector);
    /// `a + b`
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b`
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, rounded once where the machine can.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The greater of both; NaN where `b` is NaN.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `value` where `gate` is positive, else 0.
    fn where_positive(self, gate: Self::Vector, value: Self::Vector) -> Self::Vector;
    /// Runs a kernel in a function of its own that is compiled with these instructions.
    fn run<K: Kernel<Self::Scalar>>(self, kernel: K);
}

/// A computation written over any [`Lanes`] of a scalar.
///
/// `compute` and whatever handles vectors below it must be `#[inline(always)]`: only what is inlined into the function
/// that [`Lanes::run`] enters is compiled with the instructions. Closures cannot be marked so; they stay out.
pub(crate) trait Kernel<T> {
    /// The computation.
    fn compute<L: Lanes<Scalar = T>>(self, lanes: L);
}

/// Instructions that this machine has and the kernels can use.
#[derive(Clone, Copy)]
pub struct Simd(Instructions);

#[derive(Clone, Copy)]
enum Instructions {
    Portable(Portable<f32>),
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Wasm(wasm::Simd128),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
}

/// Evaluates an expression for the lanes of whichever instructions these are.
macro_rules! with_lanes {
    ($simd:expr, $lanes:ident => $body:expr) => {
        match $simd.0 {
            Instructions::Portable($lanes) => $body,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Instructions::Wasm($lanes) => $body,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2($lanes) => $body,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512($lanes) => $body,
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon($lanes) => $body,
        }
    };
}

impl Simd {
    /// All that this machine has, slowest first; the portable code is always there.
    pub fn available() -> Vec<Self> {
        let mut found = vec![Self(Instructions::Portable(Portable::new()))];
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        found.push(Self(Instructions::Wasm(wasm::Simd128)));
        #[cfg(target_arch = "x86_64")]
        {
            found.extend(x86::Avx2::detect().map(|lanes| Self(Instructions::Avx2(lanes))));
            found.extend(x86::Avx512::detect().map(|lanes| Self(Instructions::Avx512(lanes))));
        }
        #[cfg(target_arch = "aarch64")]
        found.extend(neon::Neon::detect().map(|lanes| Self(Instructions::Neon(lanes))));
        found
    }

    /// The fastest that this machine has.
    pub fn best() -> Self {
        Self::available().pop().unwrap_or(Self(Instructions::Portable(Portable::new())))
    }

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self.0 {
            Instructions::Portable(_) => "portable",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Instructions::Wasm(_) if cfg!(target_feature = "relaxed-simd") => "relaxed-simd",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Instructions::Wasm(_) => "simd128",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512(_) => "AVX-512",
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon(_) => "NEON",
        }
    }

    /// Floats in a vector: channel strides are multiples of it.
    pub fn lanes(self) -> usize {
        fn len<L: Lanes>(_: L) -> usize {
            L::LEN
        }
        with_lanes!(self, lanes => len(lanes))
    }

    /// Floats in a row of the matrix product's tile: the width of a packed panel.
    pub(crate) fn panel_width(self) -> usize {
        fn width<L: Lanes>(_: L) -> usize {
            L::LEN * L::TILE_VECTORS
        }
        with_lanes!(self, lanes => width(lanes))
    }

    /// Runs a kernel with these instructions.
    pub(crate) fn run<K: Kernel<f32>>(self, kernel: K) {
        with_lanes!(self, lanes => lanes.run(kernel));
    }
}

impl std::fmt::Debug for Simd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATIONS: usize = 7;

    struct Arithmetic<'a> {
        a: &'a [f32],
        b: &'a [f32],
        out: &'a mut [f32],
    }

    impl Kernel<f32> for Arithmetic<'_> {
        #[inline(always)]
        fn compute<L: Lanes<Scalar = f32>>(self, lanes: L) {
            let (a, b) = (lanes.load(self.a), lanes.load(self.b));
            let results = [
                lanes.splat(2.5),
                lanes.add(a, b),
                lanes.sub(a, b),
                lanes.mul(a, b),
                lanes.mul_add(a, b, lanes.splat(1.0)),
                lanes.max(a, b),
                lanes.where_positive(a, b),
            ];
            for (to, vector) in self.out.chunks_exact_mut(L::LEN).zip(results) {
                lanes.store(to, vector);
            }
        }
    }

    #[test]
    fn every_instruction_set_computes_the_same() {
        let a: Vec<f32> = (0..16).map(|i| i as f32 - 7.0).collect();
        let b: Vec<f32> = (0..16).map(|i| 3.0 - (i * i % 5) as f32).collect();
        for simd in Simd::available() {
            let len = simd.lanes();
            let mut out = vec![0.0; OPERATIONS * len];
            simd.run(Arithmetic { a: &a, b: &b, out: &mut out });
            for i in 0..len {
                let (x, y) = (a[i], b[i]);
                let gated = if x > 0.0 { y } else { 0.0 };
                let expected = [2.5, x + y, x - y, x * y, x * y + 1.0, x.max(y), gated];
                let found: Vec<f32> = (0..OPERATIONS).map(|op| out[op * len + i]).collect();
                assert_eq!(found, expected, "{simd:?}, lane {i}");
            }
        }
    }

    #[test]
    fn max_keeps_a_nan_on_its_right() {
        let (zero, nan) = ([0.0; 16], [f32::NAN; 16]);
        for simd in Simd::available() {
            let len = simd.lanes();
            let mut out = vec![0.0; OPERATIONS * len];
            simd.run(Arithmetic { a: &zero, b: &nan, out: &mut out });
            assert!(out[5 * len..6 * len].iter().all(|value| value.is_nan()), "{simd:?}");
        }
    }
}
