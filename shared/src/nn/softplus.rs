//! `log(1 + e^x)` without overflow, on which every loss here is built.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType};

use super::precision::full;
use super::storage::{for_real, slice, with_slice};
#[cfg(feature = "cuda")]
use crate::kernel::cuda::{self, Input};
use crate::kernel::real::Real;

/// Elementwise `sp(x) = log(1 + e^x)`, any shape, f32 or f64; exact for large positive and negative `x`.
///
/// # Errors
///
/// Those of the tensor library.
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    full(x)?.contiguous()?.apply_op1(Softplus)
}

struct Softplus;

impl CustomOp1 for Softplus {
    fn name(&self) -> &'static str {
        "softplus"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        for_real!(x.dtype(), T => {
            let y = slice::<T>(x, layout)?.iter().map(|x| {
                let x = x.to_f64();
                T::of(x.max(0.0) + (-x.abs()).exp().ln_1p())
            });
            Ok((T::to_cpu_storage_owned(y.collect()), layout.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((cuda::loss::softplus(&x.device, Input::new(x, layout)?)?, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return Ok(Some(cuda::loss::softplus_gradient(x, &dy.contiguous()?)?));
        }
        for_real!(x.dtype(), T => {
            let dx = with_slice::<T, _>(x, |x| {
                with_slice::<T, _>(dy, |dy| {
                    let slope = |x: &T| T::of(1.0 / (1.0 + (-x.to_f64()).exp()));
                    Ok(x.iter().zip(dy).map(|(x, dy)| slope(x) * *dy).collect::<Vec<T>>())
                })
            })?;
            Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        check(&[(random((3, 5), 1)? * 6.0)?], |v| softplus(&v[0]))
    }

    #[test]
    fn extremes_are_finite_and_exact() -> Result<()> {
        let x = Tensor::new(&[-1000f32, -30.0, 0.0, 30.0, 1000.0], &Device::Cpu)?;
        let y = softplus(&x)?.to_vec1::<f32>()?;
        assert_eq!((y[0], y[3], y[4]), (0.0, 30.0, 1000.0));
        assert!((y[1] - 9.357_623e-14).abs() < 1e-19 && (y[2] - std::f32::consts::LN_2).abs() < 1e-7);
        Ok(())
    }
}
