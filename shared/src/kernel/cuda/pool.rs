//! Pooling.

use candle_core::cuda::cudarc::driver::DeviceRepr;
use candle_core::{CudaDevice, CudaStorage, Result, Tensor};

use super::{Input, count, elements, gpu, launch};
use crate::kernel::train::window::Window;

/// Sizes as the kernels take them; windows are square.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Sizes {
    h: u32,
    w: u32,
    out_h: u32,
    out_w: u32,
    c: u32,
    kernel: u32,
    stride: u32,
    padding: u32,
}

// SAFETY: eight numbers of 32 bits, in the order of the kernels' `Window`.
unsafe impl DeviceRepr for Sizes {}

impl Sizes {
    fn new(window: &Window, out: [usize; 2], channels: usize) -> Result<Self> {
        Ok(Self {
            h: count(window.input[0])?,
            w: count(window.input[1])?,
            out_h: count(out[0])?,
            out_w: count(out[1])?,
            c: count(channels)?,
            kernel: count(window.kernel[0])?,
            stride: count(window.stride[0])?,
            padding: count(window.padding[0])?,
        })
    }
}

/// Values of the output of `x` `[N, H, W, C]`.
fn out_len(x: usize, window: &Window, out: [usize; 2]) -> usize {
    x / (window.input[0] * window.input[1]) * out[0] * out[1]
}

/// The greatest value of each window, and the tap that it is at, u8 of the same shape.
pub(crate) fn max(
    device: &CudaDevice,
    window: &Window,
    out: [usize; 2],
    channels: usize,
    x: Input<'_>,
) -> Result<(CudaStorage, Tensor)> {
    let gpu = &*gpu(device)?;
    let len = out_len(x.len, window, out);
    let (y, winners) = (gpu.values(x.real, len)?, gpu.alloc::<u8>(len)?);
    let (n, sizes) = (count(len)?, Sizes::new(window, out, channels)?);
    x.count()?;
    launch!(gpu, x.real => "max_pool", elements(n), x.address, y.address(gpu), gpu.address(&winners), n, sizes)?;
    Ok((y.storage(gpu), gpu.tensor(winners, len)))
}

/// Gradient of `x` from that of the maxima.
pub(crate) fn max_gradient(
    window: &Window,
    out: [usize; 2],
    winners: &Tensor,
    dy: &Tensor,
    x: &Tensor,
) -> Result<Tensor> {
    let gpu = &*gpu(x.device().as_cuda_device()?)?;
    let (n, sizes) = (count(x.elem_count())?, Sizes::new(window, out, x.dim(3)?)?);
    let (winners, dy) = (Input::tensor_of::<u8>(winners)?, Input::tensor(dy)?);
    let dx = gpu.values(dy.real, x.elem_count())?;
    launch!(gpu, dy.real => "max_pool_gradient", elements(n), winners.address, dy.address, dx.address(gpu), n, sizes)?;
    Ok(dx.tensor(gpu, x.shape()))
}

/// The mean of each window; what lies in the padding does not count.
pub(crate) fn average(
    device: &CudaDevice,
    window: &Window,
    out: [usize; 2],
    channels: usize,
    x: Input<'_>,
) -> Result<CudaStorage> {
    let gpu = &*gpu(device)?;
    let len = out_len(x.len, window, out);
    let y = gpu.values(x.real, len)?;
    let (n, sizes) = (count(len)?, Sizes::new(window, out, channels)?);
    x.count()?;
    launch!(gpu, x.real => "average_pool", elements(n), x.address, y.address(gpu), n, sizes)?;
    Ok(y.storage(gpu))
}

/// Gradient of `x` from that of the means.
pub(crate) fn average_gradient(window: &Window, out: [usize; 2], dy: &Tensor, x: &Tensor) -> Result<Tensor> {
    let gpu = &*gpu(x.device().as_cuda_device()?)?;
    let (n, sizes) = (count(x.elem_count())?, Sizes::new(window, out, x.dim(3)?)?);
    let dy = Input::tensor(dy)?;
    let dx = gpu.values(dy.real, x.elem_count())?;
    launch!(gpu, dy.real => "average_pool_gradient", elements(n), dy.address, dx.address(gpu), n, sizes)?;
    Ok(dx.tensor(gpu, x.shape()))
}
