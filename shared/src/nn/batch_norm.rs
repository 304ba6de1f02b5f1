//! Batch normalization with running statistics, fused with what follows it: a ReLU, or the end of a residual block.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, Var, WithDType, bail};
use candle_nn::{Init, VarBuilder};

#[cfg(feature = "cuda")]
mod device;

use super::release::Released;
use super::storage::{for_real, slice, with_slice};
use crate::kernel::real::Real;
use crate::kernel::train::norm::{self, Affine, After, Backward, Gate};

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

/// Batch normalization over all axes but the last.
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

    /// `[N, …, C]` to the same shape. In training, normalizes with the batch's own mean and variance and moves the
    /// running ones towards them; else uses the running ones.
    ///
    /// # Errors
    ///
    /// If the channels differ, or a training batch has a single value per channel.
    pub fn forward_t(&self, x: &Tensor, activation: Activation, train: bool) -> Result<Tensor> {
        let x = x.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return self.forward_on_device(&x, None, activation, train);
        }
        let op = Normalize { statistics: self.statistics(&x, train)?, activation };
        x.apply_op2(&self.weight_and_bias()?, Released(op))
    }

    /// The end of a residual block: `max(0, y + skip)`, where `y` is what [`Self::forward_t`] gives.
    ///
    /// # Errors
    ///
    /// Those of [`Self::forward_t`], or if `skip` has another shape.
    pub fn forward_add_relu_t(&self, x: &Tensor, skip: &Tensor, train: bool) -> Result<Tensor> {
        let x = x.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return self.forward_on_device(&x, Some(skip), Activation::Relu, train);
        }
        let op = Normalize { statistics: self.statistics(&x, train)?, activation: Activation::Relu };
        x.apply_op3(&self.weight_and_bias()?, &skip.contiguous()?, Released(op))
    }

    /// `[2, C]`
    fn weight_and_bias(&self) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if self.weight.device().is_cuda() {
            // One kernel instead of two, and one for the gradients instead of many.
            return super::concat_channels(&self.weight, &self.bias);
        }
        Tensor::stack(&[&self.weight, &self.bias], 0)
    }

    /// The values per channel of an input that fits, in training more than one.
    fn check(&self, x: &Tensor, train: bool) -> Result<usize> {
        let channels = x.dims().last().copied().unwrap_or_default();
        if self.weight.dims() != [channels] || channels == 0 {
            bail!("batch norm of {:?} channels was given {channels}", self.weight.dims());
        }
        let count = x.elem_count() / channels;
        if train && count < 2 {
            bail!("batch norm cannot train on {count} value per channel; use a larger batch");
        }
        Ok(count)
    }

    fn statistics(&self, x: &Tensor, train: bool) -> Result<Statistics> {
        let (count, channels) = (self.check(x, train)?, self.weight.elem_count());
        if !train {
            let values = |var: &Var| var.to_dtype(candle_core::DType::F64)?.to_vec1::<f64>();
            return Ok(Statistics {
                mean: values(&self.running_mean)?,
                var: values(&self.running_var)?,
                from: Source::Running,
            });
        }
        let (mean, var) = for_real!(x.dtype(), T => with_slice::<T, _>(x, |x| Ok(norm::statistics(x, channels))))?;
        let unbiased = count as f64 / (count - 1) as f64;
        let blend = |running: &Var, batch: Vec<f64>| -> Result<()> {
            let batch = Tensor::from_vec(batch, channels, x.device())?.to_dtype(x.dtype())?;
            running.set(&((running.as_detached_tensor() * (1.0 - MOMENTUM))? + (batch * MOMENTUM)?)?)
        };
        blend(&self.running_mean, mean.clone())?;
        blend(&self.running_var, var.iter().map(|v| v * unbiased).collect())?;
        Ok(Statistics { mean, var, from: Source::Batch(count) })
    }
}

/// Mean and biased variance of each channel.
#[derive(Debug, Clone)]
struct Statistics {
    mean: Vec<f64>,
    var: Vec<f64>,
    from: Source,
}

/// What they were taken from.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// The batch itself, of so many values per channel: they depend on it.
    Batch(usize),
    /// Earlier batches.
    Running,
}

struct Normalize {
    statistics: Statistics,
    activation: Activation,
}

impl Normalize {
    /// The function per channel, from weight and bias one after the other.
    fn affine<T: Real>(&self, weight_and_bias: &[T]) -> Affine<T> {
        let (weight, bias) = weight_and_bias.split_at(self.statistics.mean.len());
        Affine {
            mean: self.statistics.mean.iter().map(|&mean| T::of(mean)).collect(),
            scale: weight.iter().zip(self.inv_std()).map(|(w, inv_std)| T::of(w.to_f64() * inv_std)).collect(),
            bias: bias.to_vec(),
        }
    }

    /// Inverse standard deviation of each channel.
    fn inv_std(&self) -> impl Iterator<Item = f64> {
        self.statistics.var.iter().map(|var| 1.0 / (var + EPS).sqrt())
    }

    /// Gradients of the input, of weight and bias, and of a skip connection.
    fn backward<T: Real>(&self, x: &[T], weight_and_bias: &[T], dy: &[T], gate: Gate<'_, T>) -> Gradients<T> {
        let affine = self.affine(weight_and_bias);
        let sums = norm::gradient_sums(x, dy, &affine, gate);
        let (mut dw, db): (Vec<T>, Vec<T>) =
            sums.iter().zip(self.inv_std()).map(|([w, b], inv_std)| (T::of(w * inv_std), T::of(*b))).unzip();
        dw.extend(db);
        let backward = match self.statistics.from {
            Source::Running => {
                Backward { constant: vec![T::default(); sums.len()], slope: vec![T::default(); sums.len()] }
            }
            Source::Batch(count) => Backward {
                constant: sums.iter().map(|[_, plain]| T::of(plain / count as f64)).collect(),
                slope: sums
                    .iter()
                    .zip(self.inv_std())
                    .map(|([weighted, _], inv_std)| T::of(weighted / count as f64 * inv_std * inv_std))
                    .collect(),
            },
        };
        let (dx, dskip) = norm::input_gradient(x, dy, &affine, gate, &backward);
        Gradients { dx, weight_and_bias: dw, dskip }
    }
}

struct Gradients<T> {
    dx: Vec<T>,
    weight_and_bias: Vec<T>,
    dskip: Option<Vec<T>>,
}

impl CustomOp2 for Normalize {
    fn name(&self) -> &'static str {
        "batch-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let after = self.activation;
        for_real!(x.dtype(), T => {
            let affine = self.affine::<T>(slice(w, wl)?);
            let after = match after { Activation::Linear => After::Nothing, Activation::Relu => After::Relu };
            let y = norm::apply(slice(x, xl)?, &affine, after);
            Ok((T::to_cpu_storage_owned(y), xl.shape().clone()))
        })
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        for_real!(x.dtype(), T => with_slice::<T, _>(x, |xs| with_slice::<T, _>(w, |ws| with_slice::<T, _>(dy, |dys| {
            let gate = match self.activation { Activation::Linear => Gate::Everywhere, Activation::Relu => Gate::Positive };
            let gradients = self.backward(xs, ws, dys, gate);
            let dx = Tensor::from_vec(gradients.dx, x.shape(), x.device())?;
            Ok((Some(dx), Some(Tensor::from_vec(gradients.weight_and_bias, w.shape(), w.device())?)))
        }))))
    }
}

impl CustomOp3 for Normalize {
    fn name(&self) -> &'static str {
        "batch-norm-add-relu"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        skip: &CpuStorage,
        sl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if xl.shape() != sl.shape() {
            bail!("residual sum of {:?} and {:?}", xl.shape(), sl.shape());
        }
        for_real!(x.dtype(), T => {
            let affine = self.affine::<T>(slice(w, wl)?);
            let y = norm::apply(slice(x, xl)?, &affine, After::AddRelu(slice(skip, sl)?));
            Ok((T::to_cpu_storage_owned(y), xl.shape().clone()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        skip: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        for_real!(x.dtype(), T => with_slice::<T, _>(x, |xs| with_slice::<T, _>(w, |ws| {
            with_slice::<T, _>(y, |ys| with_slice::<T, _>(dy, |dys| {
                let Gradients { dx, weight_and_bias, dskip } = self.backward(xs, ws, dys, Gate::Output(ys));
                let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
                let dw = Tensor::from_vec(weight_and_bias, w.shape(), w.device())?;
                let dskip = dskip.map(|dskip| Tensor::from_vec(dskip, skip.shape(), skip.device())).transpose()?;
                Ok((Some(dx), Some(dw), dskip))
            }))
        })))
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
            running_var: Var::from_tensor(&(zeros.ones_like()? * 2.0)?)?,
        })
    }

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        for (i, shape) in [vec![3, 5, 7, 2], vec![4, 9, 3], vec![5, 11]].into_iter().enumerate() {
            let c = shape[shape.len() - 1];
            let inputs = [random(shape.clone(), i as u64)?, (random(c, 9)? + 1.5)?, random(c, 10)?];
            for train in [true, false] {
                for activation in [Activation::Linear, Activation::Relu] {
                    check(&inputs, |v| layer(&v[1], &v[2])?.forward_t(&v[0], activation, train))?;
                }
                let [x, weight, bias] = inputs.clone();
                check(&[x, weight, bias, random(shape.clone(), 20)?], |v| {
                    layer(&v[1], &v[2])?.forward_add_relu_t(&v[0], &v[3], train)
                })?;
            }
            // One tensor normalized and skipped.
            check(&inputs, |v| layer(&v[1], &v[2])?.forward_add_relu_t(&v[0], &v[0], true))?;
        }
        Ok(())
    }

    #[test]
    fn the_end_of_a_block_is_the_sum_of_its_parts() -> Result<()> {
        let bn = layer(&(random(5, 1)? + 1.0)?, &random(5, 2)?)?;
        let (x, skip) = (random((2, 3, 4, 5), 3)?, random((2, 3, 4, 5), 4)?);
        for train in [true, false] {
            let parts = (bn.forward_t(&x, Activation::Linear, train)? + &skip)?.relu()?;
            let y = bn.forward_add_relu_t(&x, &skip, train)?;
            // The running statistics have moved between the two only in training, where they are not used.
            assert!((parts - y)?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-12);
        }
        assert!(bn.forward_add_relu_t(&x, &random((2, 3, 5, 4), 1)?, true).is_err());
        Ok(())
    }

    #[test]
    fn training_normalizes_and_running_statistics_follow() -> Result<()> {
        let parameters = Parameters::new(0);
        let bn = BatchNorm::new(3, &parameters.builder(DType::F32, &candle_core::Device::Cpu))?;
        let x = ((random((8, 4, 4, 3), 5)? * 3.0)? + 100.0)?.to_dtype(DType::F32)?;
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
    fn what_cannot_be_normalized_is_refused() -> Result<()> {
        let bn = layer(&random(2, 0)?, &random(2, 1)?)?;
        assert!(bn.forward_t(&random((1, 2), 3)?, Activation::Linear, true).is_err());
        assert!(bn.forward_t(&random((4, 3), 3)?, Activation::Linear, true).is_err());
        Ok(())
    }
}
