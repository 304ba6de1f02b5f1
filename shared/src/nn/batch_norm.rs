//! Batch normalization with running statistics, fused with the ReLU that follows it.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, Var, WithDType, bail};
use candle_nn::{Init, VarBuilder};

use super::storage::{for_real, slice, with_slice};
use crate::kernel::batch;
use crate::kernel::real::Real;

/// Added to the variance: PyTorch's default.
pub const EPS: f64 = 1e-5;
/// Weight of a new batch in the running statistics: PyTorch's default.
const MOMENTUM: f64 = 0.1;

/// What follows the normalization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Linear,
    /// `max(0, x)`.
    Relu,
}

/// Batch normalization over all axes but the second.
///
/// Tensors: `weight`, `bias`, `running_mean`, `running_var`, each `[C]`.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Var,
    running_var: Var,
}

impl BatchNorm {
    /// Takes its four tensors from the builder.
    ///
    /// # Errors
    ///
    /// If the builder lacks one.
    pub fn new(channels: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            weight: vb.get_with_hints(channels, "weight", Init::Const(1.0))?,
            bias: vb.get_with_hints(channels, "bias", Init::Const(0.0))?,
            running_mean: Var::from_tensor(&vb.get_with_hints(channels, "running_mean", Init::Const(0.0))?)?,
            running_var: Var::from_tensor(&vb.get_with_hints(channels, "running_var", Init::Const(1.0))?)?,
        })
    }

    /// `[N, C, …]` to the same shape. In training, normalizes with the batch's own mean and variance and moves the
    /// running ones towards them; else uses the running ones.
    ///
    /// # Errors
    ///
    /// If the channels differ, or a training batch has a single value per channel.
    pub fn forward_t(&self, x: &Tensor, activation: Activation, train: bool) -> Result<Tensor> {
        if train { self.normalize_batch(x, activation) } else { self.normalize_running(x, activation) }
    }

    fn normalize_batch(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let x = x.contiguous()?;
        let count = x.elem_count() / x.dim(1)?.max(1);
        if count < 2 {
            bail!("batch norm cannot train on {count} value per channel; use a larger batch");
        }
        let stats = for_real!(x.dtype(), T => with_slice::<T, _>(&x, |values| Ok(Statistics::of(values, x.dims())))?);
        self.update_running(&stats, count, x.dtype())?;
        x.apply_op3(&self.weight, &self.bias, Normalize { activation, stats, sums: Mutex::default() })
    }

    fn update_running(&self, stats: &Statistics, count: usize, dtype: candle_core::DType) -> Result<()> {
        let unbiased = count as f64 / (count - 1) as f64;
        let blend = |var: &Var, batch: Vec<f64>| -> Result<()> {
            let batch = Tensor::from_vec(batch, var.shape(), var.device())?.to_dtype(dtype)?;
            var.set(&((var.as_detached_tensor() * (1.0 - MOMENTUM))? + (batch * MOMENTUM)?)?)
        };
        blend(&self.running_mean, stats.mean.clone())?;
        blend(&self.running_var, stats.var.iter().map(|v| v * unbiased).collect())
    }

    fn normalize_running(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let channels = x.dim(1)?;
        let mut shape = vec![1; x.rank()];
        shape[1] = channels;
        let scale = (&self.weight / (self.running_var.as_tensor() + EPS)?.sqrt()?)?;
        let shift = (&self.bias - (self.running_mean.as_tensor() * &scale)?)?;
        let y = x.broadcast_mul(&scale.reshape(shape.clone())?)?.broadcast_add(&shift.reshape(shape)?)?;
        match activation {
            Activation::Linear => Ok(y),
            Activation::Relu => y.relu(),
        }
    }
}

/// Mean and variance of each channel of a batch.
#[derive(Debug, Clone)]
struct Statistics {
    mean: Vec<f64>,
    /// Biased: divided by the count.
    var: Vec<f64>,
}

/// Sums over `f(x)` of one channel, in eight interleaved lanes of `T` per image so that the compiler can use SIMD.
fn channel_sums<T: Real>(dims: &[usize], channel: usize, f: impl Fn(usize) -> [T; 2]) -> [f64; 2] {
    let (n, c, plane) = (dims[0], dims[1], dims[2..].iter().product::<usize>());
    let mut total = [0f64; 2];
    for i in 0..n {
        let start = (i * c + channel) * plane;
        let mut lanes = [[T::default(); 8]; 2];
        for at in start..start + plane {
            let value = f(at);
            let lane = (at - start) % 8;
            lanes[0][lane] += value[0];
            lanes[1][lane] += value[1];
        }
        for (sum, lanes) in total.iter_mut().zip(lanes) {
            *sum += lanes.iter().map(|v| v.to_f64()).sum::<f64>();
        }
    }
    total
}

impl Statistics {
    fn of<T: Real>(x: &[T], dims: &[usize]) -> Self {
        let count = (x.len() / dims[1].max(1)) as f64;
        let plane = dims[2..].iter().product::<usize>();
        let (mean, var) = batch::map(dims[1], |c| {
            // Around a value of the channel: large means do not eat the variance's digits.
            let centre = x[c * plane];
            let [sum, squares] = channel_sums(dims, c, |at| {
                let mut d = x[at];
                d -= centre;
                [d, d * d]
            });
            let offset = sum / count;
            (centre.to_f64() + offset, (squares / count - offset * offset).max(0.0))
        })
        .into_iter()
        .unzip();
        Self { mean, var }
    }
}

struct Normalize {
    activation: Activation,
    stats: Statistics,
    /// Gradients of weight and bias, kept from the pass that needs them for the input's gradient.
    sums: Mutex<Vec<[f64; 2]>>,
}

impl Normalize {
    /// Inverse standard deviation of a channel.
    fn inv_std(&self, channel: usize) -> f64 {
        1.0 / (self.stats.var[channel] + EPS).sqrt()
    }

    fn forward<T: Real>(&self, x: &[T], weight: &[T], bias: &[T], dims: &[usize]) -> Vec<T> {
        let plane = dims[2..].iter().product::<usize>();
        let mut y = vec![T::default(); x.len()];
        let zero = T::default();
        batch::for_each_chunk(&mut y, plane, |i, y| {
            let c = i % dims[1];
            let scale = weight[c].to_f64() * self.inv_std(c);
            let (scale, mean, bias) = (T::of(scale), T::of(self.stats.mean[c]), bias[c]);
            for (y, x) in y.iter_mut().zip(&x[i * plane..]) {
                let mut centred = *x;
                centred -= mean;
                let mut value = centred * scale;
                value += bias;
                *y = if self.activation == Activation::Relu && value < zero { zero } else { value };
            }
        });
        y
    }

    /// Gradient of the input; leaves those of weight and bias in `sums`.
    fn backward<T: Real>(&self, x: &[T], weight: &[T], y: &[T], dy: &[T], dims: &[usize]) -> Vec<T> {
        let plane = dims[2..].iter().product::<usize>();
        let count = (x.len() / dims[1].max(1)) as f64;
        let zero = T::default();
        let relu = self.activation == Activation::Relu;
        let through = |at: usize| if relu && y[at] <= zero { zero } else { dy[at] };
        let sums = batch::map(dims[1], |c| {
            let mean = T::of(self.stats.mean[c]);
            let [weighted, plain] = channel_sums(dims, c, |at| {
                let mut centred = x[at];
                centred -= mean;
                [through(at) * centred, through(at)]
            });
            [weighted * self.inv_std(c), plain]
        });
        let mut dx = vec![zero; x.len()];
        batch::for_each_chunk(&mut dx, plane, |i, dx| {
            let c = i % dims[1];
            let inv_std = self.inv_std(c);
            let scale = T::of(weight[c].to_f64() * inv_std);
            let (mean, constant) = (T::of(self.stats.mean[c]), T::of(sums[c][1] / count));
            let slope = T::of(sums[c][0] / count * inv_std);
            for (j, dx) in dx.iter_mut().enumerate() {
                let at = i * plane + j;
                let mut centred = x[at];
                centred -= mean;
                let mut g = through(at);
                g -= constant;
                g -= centred * slope;
                *dx = g * scale;
            }
        });
        *self.sums.lock().unwrap_or_else(PoisonError::into_inner) = sums;
        dx
    }
}

impl CustomOp3 for Normalize {
    fn name(&self) -> &'static str {
        "batch-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let channels = xl.dims()[1];
        if wl.dims() != [channels] || bl.dims() != [channels] {
            bail!("batch norm of {:?} channels was given {channels}", wl.dims());
        }
        for_real!(x.dtype(), T => {
            let y = self.forward::<T>(slice(x, xl)?, slice(w, wl)?, slice(b, bl)?, xl.dims());
            Ok((T::to_cpu_storage_owned(y), xl.shape().clone()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        for_real!(x.dtype(), T => {
            let dx = with_slice::<T, _>(x, |xs| {
                with_slice::<T, _>(w, |ws| {
                    with_slice::<T, _>(y, |ys| with_slice::<T, _>(dy, |dys| Ok(self.backward(xs, ws, ys, dys, x.dims()))))
                })
            })?;
            let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
            let column = |i: usize| sums.iter().map(|s| T::of(s[i])).collect::<Vec<T>>();
            let dw = Tensor::from_vec(column(0), w.shape(), w.device())?;
            let db = Tensor::from_vec(column(1), b.shape(), b.device())?;
            Ok((Some(Tensor::from_vec(dx, x.shape(), x.device())?), Some(dw), Some(db)))
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::nn::gradcheck::{check, random};
    use crate::nn::parameters::Parameters;

    fn layer(weight: &Tensor, bias: &Tensor) -> Result<BatchNorm> {
        let c = weight.dim(0)?;
        let zeros = Tensor::zeros(c, weight.dtype(), weight.device())?;
        Ok(BatchNorm {
            weight: weight.clone(),
            bias: bias.clone(),
            running_mean: Var::from_tensor(&zeros)?,
            running_var: Var::from_tensor(&zeros.ones_like()?)?,
        })
    }

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        for (i, shape) in [vec![3, 2, 5, 7], vec![4, 3, 9], vec![5, 4]].into_iter().enumerate() {
            let c = shape[1];
            let inputs = [random(shape, i as u64)?, (random(c, 9)? + 1.5)?, random(c, 10)?];
            for activation in [Activation::Linear, Activation::Relu] {
                check(&inputs, |v| layer(&v[1], &v[2])?.forward_t(&v[0], activation, true))?;
            }
        }
        Ok(())
    }

    #[test]
    fn training_normalizes_and_running_statistics_follow() -> Result<()> {
        let parameters = Parameters::new(0);
        let bn = BatchNorm::new(3, &parameters.builder(DType::F32, &candle_core::Device::Cpu))?;
        let x = ((random((8, 3, 4, 4), 5)? * 3.0)? + 100.0)?.to_dtype(DType::F32)?;
        let y = bn.forward_t(&x, Activation::Linear, true)?;
        let mean = y.mean_all()?.to_scalar::<f32>()?;
        let var = y.sqr()?.mean_all()?.to_scalar::<f32>()?;
        assert!(mean.abs() < 1e-4 && (var - 1.0).abs() < 1e-3, "{mean} {var}");
        for _ in 0..200 {
            bn.forward_t(&x, Activation::Linear, true)?;
        }
        let running = bn.forward_t(&x, Activation::Linear, false)?;
        // The running variance is the unbiased one, over 128 values.
        let difference = (running - y)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(difference < 0.02, "{difference}");
        Ok(())
    }

    #[test]
    fn a_single_value_per_channel_is_refused() -> Result<()> {
        let (w, b) = (random(2, 0)?, random(2, 1)?);
        assert!(layer(&w, &b)?.forward_t(&random((1, 2), 3)?, Activation::Linear, true).is_err());
        Ok(())
    }
}
