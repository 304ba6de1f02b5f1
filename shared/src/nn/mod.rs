//! Trainable layers over the kernels, each with a backward pass of its own held to finite differences.
//!
//! candle's convolution, pooling and softplus gradients are wrong or slow where these models need them; its tensors,
//! matrix products and elementwise gradients are right and are used.

pub mod batch_norm;
pub mod conv;
#[cfg(test)]
pub(crate) mod gradcheck;
pub mod linear;
pub mod parameters;
pub mod pool;
pub mod residual;
pub mod softplus;
pub(crate) mod storage;

pub use batch_norm::BatchNorm;
pub use conv::{Conv1d, Conv2d, ConvSpec};
pub use linear::Linear;
pub use parameters::Parameters;
pub use pool::{global_average_pool, max_pool2d};
pub use residual::add_relu;
pub use softplus::softplus;
