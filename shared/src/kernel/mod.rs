//! Computation on slices: the trainable layers and the compiled plans are built on it; the only `unsafe` code.
//!
//! For compiled plans images are `[H, W, C]` with a border of zeros ([`Layout`]). [`Simd`] says which instructions this
//! machine has; each kernel is written once and compiled for all of them. Sizes are checked when weights are packed;
//! after that a kernel cannot fail.
//!
//! For training, which also wants 64 bits, gradients and whole batches, there is [`train`], on the same lanes.

#![allow(clippy::inline_always, reason = "only what is inlined is compiled with the instructions chosen at run time")]
#![allow(clippy::needless_range_loop, reason = "loops over registers must unroll, and index several of them at once")]

pub mod algorithms;
mod buffer;
mod conv;
mod conv_transpose;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gemm;
mod lanes;
mod layout;
mod moments;
#[cfg(any(test, fuzzing))]
#[cfg_attr(not(test), allow(dead_code, reason = "some of it only tests need"))]
pub(crate) mod naive;
mod peak;
mod pool;
pub(crate) mod real;
pub(crate) mod train;
mod winograd;

pub(crate) use buffer::Buffer;
pub use conv::{Algorithm, Conv2d, ConvShape};
pub use conv_transpose::ConvTranspose2d;
pub use gemm::{Activation, Base, PackedMatrix, gemm};
pub use lanes::Simd;
pub use layout::{Border, Layout};
pub use moments::{Nth, add_into_mean, pool_into_moments};
pub use peak::multiply_add_in_registers;
pub use pool::{PoolShape, global_average_pool, max_pool};
pub use winograd::Tile;
