//! Cross-entropy of classes, one per pixel or per sample.

use std::sync::{Mutex, PoisonError};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, WithDType, bail};

use super::precision::full;
use super::storage::{for_real, slice, with_slice};
#[cfg(feature = "cuda")]
use crate::kernel::cuda::{self, Input};
use crate::kernel::real::Real;
use crate::kernel::train::batch;

/// Rows that one task computes, and one partial sum: fixed, so that the sum does not depend on the number of threads.
const CHUNK_ROWS: usize = 1 << 12;

/// Mean over all rows of `-log softmax(logits)[target]`; finite for any finite logits.
///
/// # Shapes
///
/// - `logits`: `[…, K]` f32 or f64
/// - `targets`: `[…]` u32, each below `K`; on the CPU, where they are checked, or beside the logits
/// - returns: `[]`
///
/// # Errors
///
/// If the shapes differ, a target is no class, or there are no rows.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let Some((&k, rows)) = logits.dims().split_last() else { bail!("logits without classes") };
    if rows != targets.dims() || targets.dtype() != DType::U32 || targets.elem_count() == 0 || k == 0 {
        bail!("cross-entropy of {:?} logits with {:?} {:?} targets", logits.dims(), targets.dims(), targets.dtype());
    }
    let on_device = targets.flatten_all()?.to_device(logits.device())?;
    let n = targets.elem_count();
    // Those on a GPU would have to be waited for; there the loss of a class that is not is no number.
    let stay = targets.device().is_cuda() && logits.device().is_cuda();
    let targets = if stay { Vec::new() } else { targets.flatten_all()?.to_vec1::<u32>()? };
    if let Some(at) = targets.iter().position(|&target| target as usize >= k) {
        bail!("target {at} is class {}, there are {k}", targets[at]);
    }
    full(logits)?.contiguous()?.apply_op1(CrossEntropy { targets, n, on_device, probabilities: Mutex::default() })
}

struct CrossEntropy {
    targets: Vec<u32>,
    /// Their number.
    n: usize,
    /// The same beside the logits.
    #[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "kernels of a GPU read it"))]
    on_device: Tensor,
    /// Softmax of the logits, from the forward to the backward pass; in 64 bits only where the logits are.
    probabilities: Mutex<Option<Tensor>>,
}

impl CrossEntropy {
    /// The sum of the losses; turns the logits into probabilities.
    fn forward<T: Real>(&self, logits: &mut [T]) -> f64 {
        let k = logits.len() / self.targets.len();
        let pieces: Vec<_> = logits.chunks_mut(CHUNK_ROWS * k).zip(self.targets.chunks(CHUNK_ROWS)).collect();
        let mut sums = vec![0.0; pieces.len()];
        let pieces = pieces.into_iter().zip(&mut sums).collect();
        batch::for_each_with(
            pieces,
            || (),
            |(), ((rows, targets), sum)| {
                for (row, &target) in rows.chunks_exact_mut(k).zip(targets) {
                    let greatest = row.iter().fold(f64::NEG_INFINITY, |greatest, value| greatest.max(value.to_f64()));
                    let total: f64 = row.iter().map(|value| (value.to_f64() - greatest).exp()).sum();
                    *sum += total.ln() + greatest - row[target as usize].to_f64();
                    for value in row {
                        *value = T::of((value.to_f64() - greatest).exp() / total);
                    }
                }
            },
        );
        sums.iter().sum()
    }

    fn backward<T: Real>(&self, probabilities: &[T], dy: f64) -> Vec<T> {
        let k = probabilities.len() / self.targets.len();
        let scale = T::of(dy / self.targets.len() as f64);
        let mut dx: Vec<T> = probabilities.iter().map(|&p| p * scale).collect();
        for (row, &target) in dx.chunks_exact_mut(k).zip(&self.targets) {
            row[target as usize] -= scale;
        }
        dx
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout) -> Result<(CpuStorage, Shape)> {
        for_real!(x.dtype(), T => {
            let mut values = slice::<T>(x, xl)?.to_vec();
            let loss = self.forward(&mut values) / self.n as f64;
            let probabilities = Tensor::from_vec(values, xl.shape(), &candle_core::Device::Cpu)?;
            *self.probabilities.lock().unwrap_or_else(PoisonError::into_inner) = Some(probabilities);
            Ok((T::to_cpu_storage_owned(vec![T::of(loss)]), ().into()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout) -> Result<(CudaStorage, Shape)> {
        let k = xl.shape().elem_count() / self.n;
        let (mean, probabilities) = cuda::loss::cross_entropy(&x.device, Input::new(x, xl)?, &self.on_device, k)?;
        *self.probabilities.lock().unwrap_or_else(PoisonError::into_inner) = Some(probabilities);
        Ok((mean, ().into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let Some(probabilities) = self.probabilities.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            bail!("cross-entropy was differentiated twice");
        };
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return Ok(Some(cuda::loss::cross_entropy_gradient(&probabilities, &self.on_device, dy, x)?));
        }
        let dy = dy.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        for_real!(x.dtype(), T => with_slice::<T, _>(&probabilities, |p| {
            Ok(Some(Tensor::from_vec(self.backward(p, dy), x.shape(), x.device())?))
        }))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn equals_the_formula_and_finite_differences() -> Result<()> {
        let logits = (random((2, 3, 4), 1)? * 5.0)?;
        let targets = Tensor::new(&[[0u32, 3, 1], [2, 2, 0]], &Device::Cpu)?;
        let log = candle_nn::ops::log_softmax(&logits, 2)?;
        let expected = log.gather(&targets.unsqueeze(2)?, 2)?.mean_all()?.neg()?.to_scalar::<f64>()?;
        assert!((cross_entropy(&logits, &targets)?.to_scalar::<f64>()? - expected).abs() < 1e-12);
        check(&[logits], |v| cross_entropy(&v[0], &targets))
    }

    #[test]
    fn extremes_are_finite_and_misfits_errors() -> Result<()> {
        let logits = Tensor::new(&[[500f32, -500.0], [500.0, -500.0]], &Device::Cpu)?;
        let targets = Tensor::new(&[0u32, 1], &Device::Cpu)?;
        assert_eq!(cross_entropy(&logits, &targets)?.to_scalar::<f32>()?, 500.0);
        assert!(cross_entropy(&logits, &Tensor::new(&[0u32, 2], &Device::Cpu)?).is_err());
        assert!(cross_entropy(&logits, &Tensor::new(&[0u32], &Device::Cpu)?).is_err());
        Ok(())
    }
}
