//! SIMD computation on slices: the trainable layers and the compiled plans are built on it.
//!
//! Images are `[H, W, C]` with a border of zeros ([`Layout`]). [`Simd`] says which instructions this machine has; each
//! kernel is written once and compiled for all of them. Sizes are checked when weights are packed; after that a kernel
//! cannot fail.

mod buffer;
mod conv;
mod gemm;
mod lanes;
mod layout;
#[cfg(test)]
pub(crate) mod naive;
mod pool;
mod winograd;

pub(crate) use buffer::Buffer;
pub use conv::{Algorithm, Conv2d, ConvShape};
pub use gemm::{Activation, Base, PackedMatrix, gemm};
pub use lanes::Simd;
pub use layout::{Border, Layout};
pub use pool::{PoolShape, global_average_pool, max_pool};
