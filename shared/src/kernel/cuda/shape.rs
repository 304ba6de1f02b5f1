//! Enlarging, channels side by side, and all pairs of two sets of vectors.

use candle_core::cuda::cudarc::driver::{CudaSlice, LaunchConfig};
use candle_core::{CudaDevice, CudaStorage, Result, Tensor};

use super::{Gpu, Input, LANES, ROWS, count, elements, gpu, launch};
use crate::kernel::train::resize::Interpolation;

/// `[N, H, W, C]` to `[N, factor H, factor W, C]`.
pub(crate) fn enlarge(
    device: &CudaDevice,
    interpolation: Interpolation,
    [h, w, c]: [usize; 3],
    factor: usize,
    x: Input<'_>,
) -> Result<CudaStorage> {
    let gpu = &*gpu(device)?;
    let len = x.len * factor * factor;
    let y = gpu.values(x.real, len)?;
    let (n, h, w, c, factor) = (count(len)?, count(h)?, count(w)?, count(c)?, count(factor)?);
    let linear = u32::from(interpolation == Interpolation::Bilinear);
    launch!(gpu, x.real => "enlarge", elements(n), x.address, y.address(gpu), n, h, w, c, factor, linear)?;
    Ok(y.storage(gpu))
}

/// Gradient of the small images from that of the large.
pub(crate) fn enlarge_gradient(interpolation: Interpolation, factor: usize, dy: &Tensor, x: &Tensor) -> Result<Tensor> {
    let gpu = &*gpu(x.device().as_cuda_device()?)?;
    let (_, h, w, c) = x.dims4()?;
    let dy = Input::tensor(dy)?;
    let dx = gpu.values(dy.real, x.elem_count())?;
    let (n, h, w, c, factor) = (count(x.elem_count())?, count(h)?, count(w)?, count(c)?, count(factor)?);
    let linear = u32::from(interpolation == Interpolation::Bilinear);
    let (from, to) = (dy.address, dx.address(gpu));
    launch!(gpu, dy.real => "enlarge_gradient", elements(n), from, to, n, h, w, c, factor, linear)?;
    Ok(dx.tensor(gpu, x.shape()))
}

/// `[…, c_a]` and `[…, c_b]` side by side.
pub(crate) fn concat(device: &CudaDevice, a: Input<'_>, b: Input<'_>, [c_a, c_b]: [usize; 2]) -> Result<CudaStorage> {
    let gpu = &*gpu(device)?;
    let y = gpu.values(a.real, a.len + b.len)?;
    let b = b.as_real(a.real)?;
    let (n, c_a, c) = (count(a.len + b.len)?, count(c_a)?, count(c_a + c_b)?);
    launch!(gpu, a.real => "concat", elements(n), a.address, b.address, y.address(gpu), n, c_a, c)?;
    Ok(y.storage(gpu))
}

/// Gradients of both.
pub(crate) fn concat_gradient(a: &Tensor, b: &Tensor, dy: &Tensor) -> Result<(Tensor, Tensor)> {
    let gpu = &*gpu(a.device().as_cuda_device()?)?;
    let last = |t: &Tensor| t.dim(t.rank() - 1);
    let (n, c_a, c) = (count(dy.elem_count())?, count(last(a)?)?, count(last(dy)?)?);
    let dy = Input::tensor(dy)?;
    let (da, db) = (gpu.values(dy.real, a.elem_count())?, gpu.values(dy.real, b.elem_count())?);
    launch!(gpu, dy.real => "concat_gradient", elements(n), dy.address, da.address(gpu), db.address(gpu), n, c_a, c)?;
    Ok((da.tensor(gpu, a.shape()), db.tensor(gpu, b.shape())))
}

/// `relu(a_i + b_j)`: `[M_a, C]` and `[M_b, C]` to `[M_a, M_b, C]`.
pub(crate) fn pairwise_relu(
    device: &CudaDevice,
    a: Input<'_>,
    b: Input<'_>,
    [m_a, m_b, c]: [usize; 3],
) -> Result<CudaStorage> {
    let gpu = &*gpu(device)?;
    let len = m_a * m_b * c;
    let (a, b) = (a.f32()?, b.f32()?);
    let y = gpu.alloc::<f32>(len)?;
    let (n, m_b, c) = (count(len)?, count(m_b)?, count(c)?);
    launch!(gpu, "pairwise_relu", elements(n), a.address, b.address, gpu.address(&y), n, m_b, c)?;
    Ok(gpu.storage(y))
}

/// Gradients of both from `y` `[M_a, M_b, C]` and its gradient.
pub(crate) fn pairwise_relu_gradient(y: &Tensor, dy: &Tensor) -> Result<(Tensor, Tensor)> {
    let gpu = &*gpu(y.device().as_cuda_device()?)?;
    let (m_a, m_b, c) = y.dims3()?;
    let (a, b) = (count(m_a)?, count(m_b)?);
    let (ys, dys) = (Input::tensor(y)?.f32()?.address, Input::tensor(dy)?.f32()?.address);
    let sum = |outputs: u32, n: u32, stride: u32, step: u32| -> Result<CudaSlice<f32>> {
        let gpu: &Gpu = gpu;
        let out = gpu.alloc::<f32>(outputs as usize * c)?;
        let channels = count(c)?;
        let config = LaunchConfig {
            grid_dim: (outputs, channels.div_ceil(LANES), 1),
            block_dim: (LANES, ROWS, 1),
            shared_mem_bytes: 0,
        };
        launch!(gpu, "pairwise_gradient", config, ys, dys, gpu.address(&out), n, stride, step, channels)?;
        Ok(out)
    };
    let (da, db) = (sum(a, b, b, 1)?, sum(b, a, 1, b)?);
    Ok((gpu.tensor(da, (m_a, c)), gpu.tensor(db, (m_b, c))))
}
