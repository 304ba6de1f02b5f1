//! Trainable layers over the kernels, each with a backward pass of its own held to finite differences.
//!
//! candle's convolution, pooling and softplus gradients are wrong or slow where these models need them; its tensors,
//! matrix products and elementwise gradients are right and are used.
//!
//! Images are `[N, H, W, C]` and texts `[N, T, C]`: channels last, which is how the kernels compute. Weights keep
//! PyTorch's names and axes.

pub mod batch_norm;
pub mod concat;
pub mod conv;
pub mod conv_norm;
pub mod cross_entropy;
#[cfg(test)]
pub(crate) mod gradcheck;
pub mod linear;
pub mod lstm;
pub mod parameters;
pub mod pool;
pub(crate) mod precision;
pub mod release;
pub mod resize;
pub mod softplus;
pub(crate) mod storage;

pub use batch_norm::BatchNorm;
pub use concat::concat_channels;
pub use conv::{Bias, Conv1d, Conv2d, ConvSpec, ConvTranspose2d};
pub use conv_norm::ConvNorm;
pub use cross_entropy::cross_entropy;
pub use linear::Linear;
pub use lstm::{Lstm, LstmState};
pub use parameters::Parameters;
pub use pool::{avg_pool2d, global_average_pool, max_pool2d};
pub use release::last_backward;
pub use resize::{Interpolation, upsample2d};
pub use softplus::softplus;
