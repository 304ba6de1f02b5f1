//! The end of a residual block: sum and ReLU in one pass.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType, bail};

use super::storage::{for_real, slice, with_slice};
use crate::kernel::batch;
use crate::kernel::real::Real;

/// Elements that one task computes.
const CHUNK: usize = 1 << 14;

/// `max(0, a + b)` of two tensors of one shape, f32 or f64.
///
/// # Errors
///
/// If the shapes differ.
pub fn add_relu(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    a.contiguous()?.apply_op2(&b.contiguous()?, AddRelu)
}

struct AddRelu;

impl CustomOp2 for AddRelu {
    fn name(&self) -> &'static str {
        "add-relu"
    }

    fn cpu_fwd(&self, a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        if al.shape() != bl.shape() {
            bail!("residual sum of {:?} and {:?}", al.shape(), bl.shape());
        }
        for_real!(a.dtype(), T => {
            let y = add_relu_slices::<T>(slice(a, al)?, slice(b, bl)?);
            Ok((T::to_cpu_storage_owned(y), al.shape().clone()))
        })
    }

    fn bwd(&self, a: &Tensor, _b: &Tensor, y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        for_real!(a.dtype(), T => {
            let dx = with_slice::<T, _>(y, |y| with_slice::<T, _>(dy, |dy| Ok(pass_positive(y, dy))))?;
            let dx = Tensor::from_vec(dx, a.shape(), a.device())?;
            Ok((Some(dx.clone()), Some(dx)))
        })
    }
}

fn add_relu_slices<T: Real>(a: &[T], b: &[T]) -> Vec<T> {
    let zero = T::default();
    let mut y = vec![zero; a.len()];
    batch::for_each_chunk(&mut y, CHUNK, |i, y| {
        for ((y, a), b) in y.iter_mut().zip(&a[i * CHUNK..]).zip(&b[i * CHUNK..]) {
            let mut sum = *a;
            sum += *b;
            *y = if sum > zero { sum } else { zero };
        }
    });
    y
}

/// `dy` where `y` is positive, else 0.
fn pass_positive<T: Real>(y: &[T], dy: &[T]) -> Vec<T> {
    let zero = T::default();
    let mut dx = vec![zero; y.len()];
    batch::for_each_chunk(&mut dx, CHUNK, |i, dx| {
        for ((dx, y), dy) in dx.iter_mut().zip(&y[i * CHUNK..]).zip(&dy[i * CHUNK..]) {
            *dx = if *y > zero { *dy } else { zero };
        }
    });
    dx
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn gradients_equal_finite_differences_also_with_one_tensor_twice() -> Result<()> {
        check(&[random((2, 3, 5), 1)?, random((2, 3, 5), 2)?], |v| add_relu(&v[0], &v[1]))?;
        check(&[random((2, 3, 5), 3)?], |v| add_relu(&v[0], &v[0].sqr()?))?;
        assert!(add_relu(&random(3, 1)?, &random(4, 1)?).is_err());
        Ok(())
    }
}
