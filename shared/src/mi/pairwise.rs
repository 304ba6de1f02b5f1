//! `relu(a_i + b_j)` for all pairs: the first layer of a critic over concatenated vectors.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType, bail};

#[cfg(feature = "cuda")]
use crate::kernel::cuda::{self, Input};
use crate::kernel::real::Real;
use crate::kernel::train::batch;
use crate::nn::release::Released;
use crate::nn::storage::{for_real, slice, with_slice};

/// `a`: `[M_a, C]` and `b`: `[M_b, C]` to `[M_a, M_b, C]`.
pub(super) fn pairwise_relu(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    a.contiguous()?.apply_op2(&b.contiguous()?, Released(PairwiseRelu))
}

struct PairwiseRelu;

/// `M_a`, `M_b` and the features of vectors that fit.
fn sizes(a: &Layout, b: &Layout) -> Result<[usize; 3]> {
    let ((m_a, c), (m_b, c_b)) = (a.shape().dims2()?, b.shape().dims2()?);
    if c != c_b {
        bail!("pairs of vectors of {c} and {c_b} features");
    }
    Ok([m_a, m_b, c])
}

impl CustomOp2 for PairwiseRelu {
    fn name(&self) -> &'static str {
        "pairwise-relu"
    }

    fn cpu_fwd(&self, a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        let [m_a, m_b, c] = sizes(al, bl)?;
        for_real!(a.dtype(), T => {
            let (a, b) = (slice::<T>(a, al)?, slice::<T>(b, bl)?);
            let zero = T::default();
            let mut y = vec![zero; m_a * m_b * c];
            batch::for_each_chunk(&mut y, m_b * c, |i, y| {
                let a = &a[i * c..][..c];
                for (y, b) in y.chunks_exact_mut(c).zip(b.chunks_exact(c)) {
                    for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
                        let mut sum = *a;
                        sum += *b;
                        *y = if sum > zero { sum } else { zero };
                    }
                }
            });
            Ok((T::to_cpu_storage_owned(y), (m_a, m_b, c).into()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, a: &CudaStorage, al: &Layout, b: &CudaStorage, bl: &Layout) -> Result<(CudaStorage, Shape)> {
        let sizes = sizes(al, bl)?;
        let y = cuda::shape::pairwise_relu(&a.device, Input::new(a, al)?, Input::new(b, bl)?, sizes)?;
        Ok((y, sizes.as_slice().into()))
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if y.device().is_cuda() {
            let (da, db) = cuda::shape::pairwise_relu_gradient(y, &dy.contiguous()?)?;
            return Ok((Some(da), Some(db)));
        }
        let (m_a, m_b, c) = y.dims3()?;
        for_real!(a.dtype(), T => {
            let (da, db) = with_slice::<T, _>(y, |y| with_slice::<T, _>(dy, |dy| Ok(backward(y, dy, (m_a, m_b, c)))))?;
            let da = Tensor::from_vec(da, a.shape(), a.device())?;
            Ok((Some(da), Some(Tensor::from_vec(db, b.shape(), b.device())?)))
        })
    }
}

/// Sums of `dy`, where `y` let it through, over `b` and over `a`.
fn backward<T: Real>(y: &[T], dy: &[T], (m_a, m_b, c): (usize, usize, usize)) -> (Vec<T>, Vec<T>) {
    let zero = T::default();
    let add = |sum: &mut [T], pair: usize| {
        for ((sum, y), dy) in sum.iter_mut().zip(&y[pair * c..]).zip(&dy[pair * c..]) {
            if *y > zero {
                *sum += *dy;
            }
        }
    };
    let (mut da, mut db) = (vec![zero; m_a * c], vec![zero; m_b * c]);
    batch::for_each_chunk(&mut da, c, |i, da| (0..m_b).for_each(|j| add(da, i * m_b + j)));
    batch::for_each_chunk(&mut db, c, |j, db| (0..m_a).for_each(|i| add(db, i * m_b + j)));
    (da, db)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn equals_broadcasting_and_finite_differences() -> Result<()> {
        let (a, b) = (random((4, 3), 1)?, random((5, 3), 2)?);
        let reference = a.unsqueeze(1)?.broadcast_add(&b.unsqueeze(0)?)?.relu()?;
        let difference = (pairwise_relu(&a, &b)? - reference)?.abs()?.max_all()?.to_scalar::<f64>()?;
        assert_eq!(difference, 0.0);
        check(&[a, b], |v| pairwise_relu(&v[0], &v[1]))
    }
}
