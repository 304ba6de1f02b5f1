//! Max and average pooling, and the global average, channels last.

use std::sync::{Mutex, PoisonError};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, bail};

use super::conv::ConvSpec;
use super::precision::full;
use super::release::Released;
use super::storage::{for_real, slice, with_slice};
#[cfg(feature = "cuda")]
use crate::kernel::cuda::{self, Input};
use crate::kernel::train::pool;
use crate::kernel::train::window::Window;

/// Largest window side: a winner's place in its window is kept in one byte.
const MAX_SIDE: usize = 15;

/// Largest value of each window of `x`: `[N, H, W, C]`; the padding never wins.
///
/// # Errors
///
/// If the window does not fit the padded input, is larger than 15 x 15, or some window would lie in the padding alone.
pub fn max_pool2d(x: &Tensor, spec: ConvSpec) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Released(MaxPool {
        spec,
        winners: Mutex::default(),
        #[cfg(feature = "cuda")]
        winners_on_device: Mutex::default(),
    }))
}

/// Mean of each window of `x`: `[N, H, W, C]`; the padding does not count.
///
/// # Errors
///
/// Those of [`max_pool2d`].
pub fn avg_pool2d(x: &Tensor, spec: ConvSpec) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Released(AvgPool { spec }))
}

/// Mean over height and width: `[N, H, W, C]` to `[N, C]`.
///
/// # Errors
///
/// Those of the tensor library.
pub fn global_average_pool(x: &Tensor) -> Result<Tensor> {
    full(x)?.flatten(1, 2)?.mean(1)
}

fn window(spec: ConvSpec, h: usize, w: usize, c: usize) -> Result<(Window, [usize; 2])> {
    let ConvSpec { kernel, stride, padding } = spec;
    if padding >= kernel || kernel > MAX_SIDE {
        bail!(
            "a pooling window of {kernel} with a padding of {padding}: give windows up to {MAX_SIDE}, padded by less"
        );
    }
    let window = Window { input: [h, w], kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2] };
    match window.output().filter(|_| c > 0) {
        // The last window must see at least a pixel.
        Some(out) if (0..2).all(|i| (out[i] - 1) * stride < window.input[i] + padding) => Ok((window, out)),
        _ => {
            bail!("a pooling window of {kernel} and stride {stride} does not fit an input of {h}x{w} with {c} channels")
        }
    }
}

struct MaxPool {
    spec: ConvSpec,
    /// For each output, the tap that won; from the forward to the backward pass.
    winners: Mutex<Vec<u8>>,
    /// The same on a GPU.
    #[cfg(feature = "cuda")]
    winners_on_device: Mutex<Option<Tensor>>,
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = xl.shape().dims4()?;
        let (window, out) = window(self.spec, h, w, c)?;
        for_real!(x.dtype(), T => {
            let (y, winners) = pool::max::<T>(&window, out, c, slice(x, xl)?);
            *self.winners.lock().unwrap_or_else(PoisonError::into_inner) = winners;
            Ok((T::to_cpu_storage_owned(y), (n, out[0], out[1], c).into()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, c) = xl.shape().dims4()?;
        let (window, out) = window(self.spec, h, w, c)?;
        let (y, winners) = cuda::pool::max(&x.device, &window, out, c, Input::new(x, xl)?)?;
        *self.winners_on_device.lock().unwrap_or_else(PoisonError::into_inner) = Some(winners);
        Ok((y, (n, out[0], out[1], c).into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, h, w, c) = x.dims4()?;
        let (window, out) = window(self.spec, h, w, c)?;
        #[cfg(feature = "cuda")]
        if let Some(winners) = &*self.winners_on_device.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Some(cuda::pool::max_gradient(&window, out, winners, &dy.contiguous()?, x)?));
        }
        let winners = self.winners.lock().unwrap_or_else(PoisonError::into_inner);
        for_real!(x.dtype(), T => with_slice::<T, _>(dy, |dy| {
            let dx = pool::max_gradient(&window, out, c, &winners, dy);
            Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
        }))
    }
}

struct AvgPool {
    spec: ConvSpec,
}

impl CustomOp1 for AvgPool {
    fn name(&self) -> &'static str {
        "avg-pool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = xl.shape().dims4()?;
        let (window, out) = window(self.spec, h, w, c)?;
        for_real!(x.dtype(), T => {
            let y = pool::average::<T>(&window, out, c, slice(x, xl)?);
            Ok((T::to_cpu_storage_owned(y), (n, out[0], out[1], c).into()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, c) = xl.shape().dims4()?;
        let (window, out) = window(self.spec, h, w, c)?;
        let y = cuda::pool::average(&x.device, &window, out, c, Input::new(x, xl)?)?;
        Ok((y, (n, out[0], out[1], c).into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, h, w, c) = x.dims4()?;
        let (window, out) = window(self.spec, h, w, c)?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return Ok(Some(cuda::pool::average_gradient(&window, out, &dy.contiguous()?, x)?));
        }
        for_real!(x.dtype(), T => with_slice::<T, _>(dy, |dy| {
            Ok(Some(Tensor::from_vec(pool::average_gradient(&window, out, c, dy), x.shape(), x.device())?))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradcheck::{check, random};

    fn planes(x: &Tensor) -> Result<Tensor> {
        x.permute((0, 3, 1, 2))?.contiguous()
    }

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        for (i, (h, w, kernel, stride, padding)) in
            [(5, 7, 3, 2, 1), (6, 6, 2, 2, 0), (4, 5, 2, 1, 0), (7, 4, 3, 3, 1)].into_iter().enumerate()
        {
            let spec = ConvSpec { kernel, stride, padding };
            let x = [random((2, h, w, 3), i as u64)?];
            check(&x, |v| max_pool2d(&v[0], spec))?;
            check(&x, |v| avg_pool2d(&v[0], spec))?;
            check(&x, |v| max_pool2d(&v[0], spec)? + (max_pool2d(&v[0].sqr()?, spec)? * 2.0)?)?;
        }
        check(&[random((2, 3, 5, 4), 9)?], |v| global_average_pool(&v[0]))
    }

    #[test]
    fn values_are_candles() -> Result<()> {
        let x = random((2, 6, 8, 5), 1)?;
        let spec = ConvSpec { kernel: 2, stride: 2, padding: 0 };
        for (ours, theirs) in
            [(max_pool2d(&x, spec)?, planes(&x)?.max_pool2d(2)?), (avg_pool2d(&x, spec)?, planes(&x)?.avg_pool2d(2)?)]
        {
            let difference = (planes(&ours)? - theirs)?.abs()?.max_all()?.to_scalar::<f64>()?;
            assert!(difference < 1e-15, "{difference}");
        }
        // All negative: the padding must not win.
        let low = (random((1, 4, 4, 2), 2)? - 5.0)?;
        let pooled = max_pool2d(&low, ConvSpec { kernel: 3, stride: 2, padding: 1 })?;
        assert!(pooled.max_all()?.to_scalar::<f64>()? < -3.0);
        Ok(())
    }

    #[test]
    fn windows_that_see_no_pixel_are_refused() -> Result<()> {
        let x = random((1, 4, 4, 1), 1)?;
        for (kernel, stride, padding) in [(2, 2, 2), (5, 1, 0), (16, 1, 8), (2, 0, 0), (0, 1, 0)] {
            let spec = ConvSpec { kernel, stride, padding };
            assert!(max_pool2d(&x, spec).is_err() && avg_pool2d(&x, spec).is_err(), "{spec:?}");
        }
        Ok(())
    }
}
