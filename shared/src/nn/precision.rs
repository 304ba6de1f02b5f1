//! Images in half the memory where a GPU is told to compute so, and back to f32 for whatever follows a network.

#[cfg(feature = "cuda")]
use candle_core::DType;
use candle_core::{Result, Tensor};

/// What a convolution computes on: bf16 on a GPU at that precision, elsewhere what it is given. A gradient comes back in
/// the type of `x`.
#[cfg(feature = "cuda")]
pub(super) fn reduced(x: &Tensor) -> Result<Tensor> {
    use crate::kernel::cuda::Precision;
    if x.device().is_cuda() && x.dtype() == DType::F32 && Precision::current() == Precision::Bf16 {
        return x.to_dtype(DType::BF16);
    }
    Ok(x.clone())
}

/// What a convolution computes on: what it is given.
#[cfg(not(feature = "cuda"))]
#[allow(clippy::unnecessary_wraps, reason = "on a GPU it can fail")]
pub(super) fn reduced(x: &Tensor) -> Result<Tensor> {
    Ok(x.clone())
}

/// A network's answer, in f32 where it was computed in bf16.
#[cfg(feature = "cuda")]
pub(crate) fn full(x: &Tensor) -> Result<Tensor> {
    if x.dtype() == DType::BF16 { x.to_dtype(DType::F32) } else { Ok(x.clone()) }
}

/// A network's answer, as it is.
#[cfg(not(feature = "cuda"))]
#[allow(clippy::unnecessary_wraps, reason = "on a GPU it can fail")]
pub(crate) fn full(x: &Tensor) -> Result<Tensor> {
    Ok(x.clone())
}
