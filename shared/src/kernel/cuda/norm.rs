//! Batch norm with what follows it.

use candle_core::{CudaDevice, CudaStorage, Result, Tensor};

use super::{Gpu, Input, RowSums, count, elements, gpu, launch};

/// Mean and inverse deviation of each channel of `x` `[rows, C]`, as `[2, C]`; the running mean and variance, `[C]` each,
/// move towards the batch's in place.
pub(crate) fn statistics_of_batch(
    x: &Tensor,
    running_mean: &Tensor,
    running_var: &Tensor,
    momentum: f64,
    eps: f64,
) -> Result<Tensor> {
    let gpu = &*gpu(x.device().as_cuda_device()?)?;
    let channels = running_mean.elem_count();
    let input = Input::tensor(x)?;
    let sums = RowSums::new(count(x.elem_count() / channels)?, count(channels)?);
    let part = sums.memory(gpu)?;
    let at = gpu.address(&part);
    input.count()?;
    launch!(gpu, input.real => "moments_part", sums.sum(), input.address, at, sums.rows, sums.channels, sums.rows_per_block)?;
    let statistics = gpu.alloc::<f32>(2 * channels)?;
    let (mean, var) = (Input::tensor(running_mean)?.f32()?, Input::tensor(running_var)?.f32()?);
    launch!(
        gpu,
        input.real => "moments_finish",
        sums.finish(),
        input.address,
        at,
        gpu.address(&statistics),
        mean.address,
        var.address,
        sums.parts,
        sums.rows,
        sums.channels,
        momentum,
        eps
    )?;
    Ok(gpu.tensor(statistics, (2, channels)))
}

/// The running mean and variance as mean and inverse deviation, `[2, C]`.
pub(crate) fn statistics_of_running(mean: &Tensor, var: &Tensor, eps: f64) -> Result<Tensor> {
    let gpu = &*gpu(mean.device().as_cuda_device()?)?;
    let channels = mean.elem_count();
    let statistics = gpu.alloc::<f32>(2 * channels)?;
    let c = count(channels)?;
    let (mean, var) = (Input::tensor(mean)?.f32()?, Input::tensor(var)?.f32()?);
    launch!(gpu, "statistics_of_running", elements(c), mean.address, var.address, gpu.address(&statistics), c, eps)?;
    Ok(gpu.tensor(statistics, (2, channels)))
}

/// What follows the affine function.
#[derive(Clone, Copy)]
pub(crate) enum After<'a> {
    Nothing,
    Relu,
    AddRelu(Input<'a>),
}

/// `(x - mean) inv_std weight + bias` and what follows it. `statistics` and `weight_and_bias` are `[2, C]`.
pub(crate) fn apply(
    device: &CudaDevice,
    x: Input<'_>,
    statistics: &Tensor,
    weight_and_bias: Input<'_>,
    after: After<'_>,
) -> Result<CudaStorage> {
    let gpu = &*gpu(device)?;
    let y = gpu.values(x.real, x.len)?;
    let (skip, mode) = match after {
        After::Nothing => (0, 0_u32),
        After::Relu => (0, 1),
        After::AddRelu(skip) => (skip.as_real(x.real)?.address, 2),
    };
    let (n, c) = (x.count()?, count(statistics.elem_count() / 2)?);
    let (statistics, to) = (Input::tensor(statistics)?.f32()?.address, y.address(gpu));
    let weights = weight_and_bias.f32()?.address;
    if is_vector(c, &[x.address, skip, weights]) {
        launch!(gpu, x.real => "norm_apply4", elements(n / 4), x.address, skip, statistics, weights, to, n / 4, c / 4, mode)?;
    } else {
        launch!(gpu, x.real => "norm_apply", elements(n), x.address, skip, statistics, weights, to, n, c, mode)?;
    }
    Ok(y.storage(gpu))
}

/// Whether rows can be read four values at a time.
fn is_vector(channels: u32, addresses: &[u64]) -> bool {
    channels.is_multiple_of(4) && addresses.iter().all(|address| address.is_multiple_of(16))
}

/// Where a gradient passes.
#[derive(Clone, Copy)]
pub(crate) enum Gate<'a> {
    Everywhere,
    /// Where the affine function is positive.
    Positive,
    /// Where these outputs are positive.
    Output(&'a Tensor),
}

/// What the statistics were taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The batch itself, which they depend on.
    Batch,
    /// Earlier batches.
    Running,
}

/// Gradients of the input, of weight and bias `[2, C]`, and behind [`Gate::Output`] of the skip connection.
pub(crate) fn backward(
    x: &Tensor,
    dy: &Tensor,
    statistics: &Tensor,
    weight_and_bias: &Tensor,
    gate: Gate<'_>,
    source: Source,
) -> Result<(Tensor, Tensor, Option<Tensor>)> {
    let gpu: &Gpu = &*gpu(x.device().as_cuda_device()?)?;
    let channels = statistics.elem_count() / 2;
    let input = Input::tensor(x)?;
    let real = input.real;
    let sums = RowSums::new(count(x.elem_count() / channels)?, count(channels)?);
    let part = sums.memory(gpu)?;
    let (gradients, bend) = (gpu.alloc::<f32>(2 * channels)?, gpu.alloc::<f32>(2 * channels)?);
    let (y, mode) = match gate {
        Gate::Everywhere => (0, 0_u32),
        Gate::Positive => (0, 1),
        Gate::Output(y) => (Input::tensor(y)?.as_real(real)?.address, 2),
    };
    let (xs, dys) = (input.address, Input::tensor(dy)?.as_real(real)?.address);
    let (of, weights) = (Input::tensor(statistics)?.f32()?.address, Input::tensor(weight_and_bias)?.f32()?.address);
    let (n, c, at) = (input.count()?, sums.channels, gpu.address(&part));
    launch!(
        gpu,
        real => "norm_gradient_part",
        sums.sum(),
        xs,
        dys,
        y,
        of,
        weights,
        at,
        sums.rows,
        c,
        sums.rows_per_block,
        mode
    )?;
    launch!(
        gpu,
        "norm_gradient_finish",
        sums.finish(),
        at,
        of,
        gpu.address(&gradients),
        gpu.address(&bend),
        sums.parts,
        sums.rows,
        c,
        u32::from(source == Source::Batch)
    )?;
    let dx = gpu.values(real, x.elem_count())?;
    let dskip = (mode == 2).then(|| gpu.values(real, x.elem_count())).transpose()?;
    let skip = dskip.as_ref().map_or(0, |dskip| dskip.address(gpu));
    let (bent, to) = (gpu.address(&bend), dx.address(gpu));
    if is_vector(c, &[xs, dys, y, weights]) {
        let (n, c) = (n / 4, c / 4);
        launch!(gpu, real => "norm_input_gradient4", elements(n), xs, dys, y, of, weights, bent, to, skip, n, c, mode)?;
    } else {
        launch!(gpu, real => "norm_input_gradient", elements(n), xs, dys, y, of, weights, bent, to, skip, n, c, mode)?;
    }
    let dskip = dskip.map(|dskip| dskip.tensor(gpu, x.shape()));
    Ok((dx.tensor(gpu, x.shape()), gpu.tensor(gradients, (2, channels)), dskip))
}
