//! Computation on slices: the trainable layers and the compiled plans are built on it.

pub mod batch;
pub mod im2col;
pub mod strided;
