//! Computation for training: whole batches, channels last, in 32 and 64 bits, spread over threads.
//!
//! Images are dense `[N, H, W, C]`. Every function takes slices whose lengths the trainable layers have checked, and
//! gives the same numbers for any number of threads: each element of a result is one sum in a fixed order.

pub(crate) mod batch;
pub(crate) mod conv;
mod direct;
pub(crate) mod norm;
pub(crate) mod pool;
mod product;
pub(crate) mod resize;
pub(crate) mod window;
mod winograd;
