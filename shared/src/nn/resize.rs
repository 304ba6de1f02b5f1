//! Enlarging by a whole factor, channels last.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, bail};

use super::release::Released;
use super::storage::{for_real, slice, with_slice};
#[cfg(feature = "cuda")]
use crate::kernel::cuda::{self, Input};
pub use crate::kernel::train::resize::Interpolation;
use crate::kernel::train::resize::{enlarge, enlarge_gradient};

/// `[N, H, W, C]` to `[N, factor·H, factor·W, C]`, f32 or f64.
///
/// # Errors
///
/// If the factor is 0, the image has no pixels, or the result has more values than can be addressed.
pub fn upsample2d(x: &Tensor, factor: usize, interpolation: Interpolation) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Released(Upsample { factor, interpolation }))
}

struct Upsample {
    factor: usize,
    interpolation: Interpolation,
}

impl Upsample {
    /// Shape of the result, and height, width and channels of the input.
    fn sizes(&self, x: &Shape) -> Result<(Shape, [usize; 3])> {
        let (n, h, w, c) = x.dims4()?;
        let len = self.factor.checked_mul(self.factor).and_then(|area| area.checked_mul(x.elem_count()));
        if h == 0 || w == 0 || c == 0 || self.factor == 0 || len.is_none_or(|len| len > isize::MAX as usize / 8) {
            bail!("an image of {h}x{w} pixels and {c} channels cannot be enlarged by {}", self.factor);
        }
        Ok(((n, h * self.factor, w * self.factor, c).into(), [h, w, c]))
    }
}

impl CustomOp1 for Upsample {
    fn name(&self) -> &'static str {
        "upsample2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (shape, [h, w, c]) = self.sizes(xl.shape())?;
        for_real!(x.dtype(), T => {
            let y = enlarge::<T>(self.interpolation, [h, w], c, self.factor, slice(x, xl)?);
            Ok((T::to_cpu_storage_owned(y), shape))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout) -> Result<(CudaStorage, Shape)> {
        let (shape, sizes) = self.sizes(xl.shape())?;
        let y = cuda::shape::enlarge(&x.device, self.interpolation, sizes, self.factor, Input::new(x, xl)?)?;
        Ok((y, shape))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, h, w, c) = x.dims4()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let dx = cuda::shape::enlarge_gradient(self.interpolation, self.factor, &dy.contiguous()?, x)?;
            return Ok(Some(dx));
        }
        for_real!(x.dtype(), T => with_slice::<T, _>(dy, |dy| {
            let dx = enlarge_gradient(self.interpolation, [h, w], c, self.factor, dy);
            Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
            for (i, (h, w, factor)) in [(3, 4, 2), (1, 5, 3), (2, 2, 1)].into_iter().enumerate() {
                let x = [random((2, h, w, 3), i as u64)?];
                check(&x, |v| upsample2d(&v[0], factor, interpolation))?;
                // A second consumer, where candle overwrites the first one's gradient.
                check(&x, |v| {
                    upsample2d(&v[0], factor, interpolation)? + upsample2d(&v[0].sqr()?, factor, interpolation)?
                })?;
            }
        }
        Ok(())
    }

    #[test]
    fn values_are_pytorchs() -> Result<()> {
        let x = Tensor::new(&[1f64, 2.0, 5.0], &candle_core::Device::Cpu)?.reshape((1, 1, 3, 1))?;
        let row = |interpolation| upsample2d(&x, 2, interpolation)?.narrow(1, 0, 1)?.flatten_all()?.to_vec1::<f64>();
        assert_eq!(row(Interpolation::Nearest)?, [1.0, 1.0, 2.0, 2.0, 5.0, 5.0]);
        // torch.nn.functional.interpolate(torch.tensor([[[[1., 2, 5]]]]), scale_factor=2, mode="bilinear")
        assert_eq!(row(Interpolation::Bilinear)?, [1.0, 1.25, 1.75, 2.75, 4.25, 5.0]);
        Ok(())
    }

    #[test]
    fn what_cannot_be_enlarged_is_an_error() -> Result<()> {
        let x = random((1, 2, 2, 1), 1)?;
        for factor in [0, usize::MAX, 1 << 31] {
            assert!(upsample2d(&x, factor, Interpolation::Nearest).is_err());
        }
        Ok(())
    }
}
