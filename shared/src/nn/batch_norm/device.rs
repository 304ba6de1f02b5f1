//! Batch norm on a GPU: the same function with its statistics on the device, so that no step waits for them.

use candle_core::{CpuStorage, CudaStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{Activation, BatchNorm, EPS, MOMENTUM};
use crate::kernel::cuda::Input;
use crate::kernel::cuda::norm::{self, After, Gate, Source};
use crate::nn::release::Released;

/// The function of one call.
struct Normalize {
    /// `[2, C]`: mean and inverse deviation.
    statistics: Tensor,
    source: Source,
    activation: Activation,
}

impl BatchNorm {
    /// As [`BatchNorm::forward_t`], and as [`BatchNorm::forward_add_relu_t`] where there is a `skip`.
    pub(super) fn forward_on_device(
        &self,
        x: &Tensor,
        skip: Option<&Tensor>,
        activation: Activation,
        train: bool,
    ) -> Result<Tensor> {
        self.check(x, train)?;
        let (mean, var) = (self.running_mean.as_tensor(), self.running_var.as_tensor());
        let (statistics, source) = if train {
            (norm::statistics_of_batch(x, mean, var, MOMENTUM, EPS)?, Source::Batch)
        } else {
            (norm::statistics_of_running(mean, var, EPS)?, Source::Running)
        };
        let op = Normalize { statistics, source, activation };
        let weights = self.weight_and_bias()?;
        match skip {
            Some(skip) => x.apply_op3(&weights, &skip.contiguous()?, Released(op)),
            None => x.apply_op2(&weights, Released(op)),
        }
    }
}

const ELSEWHERE: &str = "batch norm with statistics of a GPU was given values of the CPU";

impl CustomOp2 for Normalize {
    fn name(&self) -> &'static str {
        "batch-norm"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("{ELSEWHERE}")
    }

    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, w: &CudaStorage, wl: &Layout) -> Result<(CudaStorage, Shape)> {
        let after = match self.activation {
            Activation::Linear => After::Nothing,
            Activation::Relu => After::Relu,
        };
        let y = norm::apply(&x.device, Input::new(x, xl)?, &self.statistics, Input::new(w, wl)?, after)?;
        Ok((y, xl.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gate = match self.activation {
            Activation::Linear => Gate::Everywhere,
            Activation::Relu => Gate::Positive,
        };
        let (dx, dw, _) = norm::backward(x, &dy.contiguous()?, &self.statistics, w, gate, self.source)?;
        Ok((Some(dx), Some(dw)))
    }
}

impl CustomOp3 for Normalize {
    fn name(&self) -> &'static str {
        "batch-norm-add-relu"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("{ELSEWHERE}")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        w: &CudaStorage,
        wl: &Layout,
        skip: &CudaStorage,
        sl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        if xl.shape() != sl.shape() {
            bail!("residual sum of {:?} and {:?}", xl.shape(), sl.shape());
        }
        let after = After::AddRelu(Input::new(skip, sl)?);
        let y = norm::apply(&x.device, Input::new(x, xl)?, &self.statistics, Input::new(w, wl)?, after)?;
        Ok((y, xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _skip: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, dw, dskip) = norm::backward(x, &dy.contiguous()?, &self.statistics, w, Gate::Output(y), self.source)?;
        Ok((Some(dx), Some(dw), dskip))
    }
}
