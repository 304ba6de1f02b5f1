//! Running average of the weights: what is validated and kept.

use candle_core::{CpuStorage, InplaceOp2, Layout, Result as TensorResult, bail};
use rayon::prelude::*;
use shared::nn::Parameters;

use super::task::Task;
use crate::error::Result;

/// A second model that follows the trained one.
pub(super) struct Average<M> {
    decay: f64,
    /// Its variables, under the same names as the trained ones.
    pub(super) parameters: Parameters,
    /// The model on them.
    pub(super) model: M,
}

impl<M> Average<M> {
    /// Starts as a copy of the trained variables.
    pub(super) fn new<T: Task<Model = M>>(task: &T, trained: &Parameters) -> Result<Self> {
        let parameters = Parameters::on(trained.device(), 0);
        for (name, var) in trained.all() {
            parameters.set(&name, var.as_tensor())?;
        }
        let model = task.build(&parameters)?;
        Ok(Self { decay: task.training().average_decay, parameters, model })
    }

    /// Moves towards the trained weights after step `step`, from 1; early on faster, so that the start is soon forgotten.
    /// The running statistics of batch norm, averages already, are copied.
    pub(super) fn follow(&self, trained: &Parameters, step: usize) -> Result<()> {
        let decay = self.decay.min((1 + step) as f64 / (10 + step) as f64);
        let trained = trained.all();
        for (name, var) in self.parameters.all() {
            let keep = if name.contains("running_") { 0.0 } else { decay as f32 };
            #[cfg(feature = "cuda")]
            if var.device().is_cuda() {
                shared::kernel::cuda::optim::blend(var.as_tensor(), trained[&name].as_tensor(), keep)?;
                continue;
            }
            var.as_tensor().inplace_op2(trained[&name].as_tensor(), &Blend { keep })?;
        }
        Ok(())
    }
}

/// `a = keep · a + (1 - keep) · b`, in place.
struct Blend {
    keep: f32,
}

impl InplaceOp2 for Blend {
    fn name(&self) -> &'static str {
        "blend"
    }

    fn cpu_fwd(&self, a: &mut CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> TensorResult<()> {
        let (Some((a_start, a_end)), Some((b_start, b_end))) = (al.contiguous_offsets(), bl.contiguous_offsets())
        else {
            bail!("a variable and its average must be contiguous");
        };
        let CpuStorage::F32(a) = a else { bail!("only f32 variables are averaged") };
        let b = &b.as_slice::<f32>()?[b_start..b_end];
        a[a_start..a_end]
            .par_iter_mut()
            .zip(b)
            .with_min_len(1 << 16)
            .for_each(|(a, b)| *a = self.keep * *a + (1.0 - self.keep) * b);
        Ok(())
    }
}
