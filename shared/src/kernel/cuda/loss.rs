//! Losses, and the LSTM's cell.

use candle_core::{CudaDevice, CudaStorage, Result, Tensor};

use super::{Input, LaunchConfig, THREADS, count, elements, gpu, launch};

/// Blocks of the loss, each with a partial sum.
const PARTS: u32 = 1024;

/// Mean of `-log softmax(logits)[target]` over the rows, and the probabilities `[rows, k]`. `targets` are u32, each below
/// `k`.
pub(crate) fn cross_entropy(
    device: &CudaDevice,
    logits: Input<'_>,
    targets: &Tensor,
    k: usize,
) -> Result<(CudaStorage, Tensor)> {
    let gpu = &*gpu(device)?;
    let logits = logits.f32()?;
    let rows = count(targets.elem_count())?;
    let blocks = rows.div_ceil(THREADS).clamp(1, PARTS);
    let (probabilities, part) = (gpu.alloc::<f32>(logits.len)?, gpu.alloc::<f64>(blocks as usize)?);
    let of = |blocks| LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 };
    let labels = Input::tensor_of::<u32>(targets)?.address;
    let (at, parts) = (gpu.address(&probabilities), gpu.address(&part));
    logits.count()?;
    launch!(gpu, "cross_entropy", of(blocks), logits.address, labels, at, parts, rows, count(k)?)?;
    let mean = gpu.alloc::<f32>(1)?;
    launch!(gpu, "mean_of_parts", of(1), parts, gpu.address(&mean), blocks, rows)?;
    Ok((gpu.storage(mean), gpu.tensor(probabilities, (rows as usize, k))))
}

/// Gradient of the logits `x` from that of the mean, `[]`.
pub(crate) fn cross_entropy_gradient(
    probabilities: &Tensor,
    targets: &Tensor,
    dy: &Tensor,
    x: &Tensor,
) -> Result<Tensor> {
    let gpu = &*gpu(x.device().as_cuda_device()?)?;
    let dx = gpu.alloc::<f32>(x.elem_count())?;
    let (rows, k) = probabilities.dims2()?;
    let (n, rows, k) = (count(x.elem_count())?, count(rows)?, count(k)?);
    let (p, dy) = (Input::tensor(probabilities)?.f32()?.address, Input::tensor(dy)?.f32()?.address);
    let targets = Input::tensor_of::<u32>(targets)?.address;
    launch!(gpu, "cross_entropy_gradient", elements(n), p, targets, dy, gpu.address(&dx), n, rows, k)?;
    Ok(gpu.tensor(dx, x.shape()))
}

/// Elementwise `log(1 + e^x)`.
pub(crate) fn softplus(device: &CudaDevice, x: Input<'_>) -> Result<CudaStorage> {
    let gpu = &*gpu(device)?;
    let x = x.f32()?;
    let y = gpu.alloc::<f32>(x.len)?;
    let n = x.count()?;
    launch!(gpu, "softplus", elements(n), x.address, gpu.address(&y), n)?;
    Ok(gpu.storage(y))
}

/// Gradient of `x`.
pub(crate) fn softplus_gradient(x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let gpu = &*gpu(x.device().as_cuda_device()?)?;
    let dx = gpu.alloc::<f32>(x.elem_count())?;
    let (input, dy) = (Input::tensor(x)?.f32()?, Input::tensor(dy)?.f32()?);
    let n = input.count()?;
    launch!(gpu, "softplus_gradient", elements(n), input.address, dy.address, gpu.address(&dx), n)?;
    Ok(gpu.tensor(dx, x.shape()))
}

/// Gates `[N, 4 H]` and cell `[N, H]` to output and cell, `[2, N, H]`.
pub(crate) fn lstm_cell(device: &CudaDevice, gates: Input<'_>, cell: Input<'_>, hidden: usize) -> Result<CudaStorage> {
    let gpu = &*gpu(device)?;
    let (gates, cell) = (gates.f32()?, cell.f32()?);
    let out = gpu.alloc::<f32>(2 * cell.len)?;
    let (n, hidden) = (cell.count()?, count(hidden)?);
    launch!(gpu, "lstm_cell", elements(n), gates.address, cell.address, gpu.address(&out), n, hidden)?;
    Ok(gpu.storage(out))
}

/// Gradients of gates and cell from the outputs and their gradient.
pub(crate) fn lstm_cell_gradient(gates: &Tensor, cell: &Tensor, out: &Tensor, d: &Tensor) -> Result<(Tensor, Tensor)> {
    let gpu = &*gpu(gates.device().as_cuda_device()?)?;
    let (dgates, dcell) = (gpu.alloc::<f32>(gates.elem_count())?, gpu.alloc::<f32>(cell.elem_count())?);
    let (n, hidden) = (count(cell.elem_count())?, count(cell.dim(1)?)?);
    let (z, c) = (Input::tensor(gates)?.f32()?.address, Input::tensor(cell)?.f32()?.address);
    let (out, d) = (Input::tensor(out)?.f32()?.address, Input::tensor(d)?.f32()?.address);
    let (to_gates, to_cell) = (gpu.address(&dgates), gpu.address(&dcell));
    launch!(gpu, "lstm_cell_gradient", elements(n), z, c, out, d, to_gates, to_cell, n, hidden)?;
    Ok((gpu.tensor(dgates, gates.shape()), gpu.tensor(dcell, cell.shape())))
}
