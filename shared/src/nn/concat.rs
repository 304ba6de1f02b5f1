//! Channels of two images side by side.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType, bail};

use super::release::Released;
use super::storage::{for_real, slice, with_slice};
#[cfg(feature = "cuda")]
use crate::kernel::cuda::{self, Input};
use crate::kernel::real::Real;
use crate::kernel::train::batch;

/// Pixels that one task copies.
const CHUNK: usize = 1 << 12;

/// `[…, C_a]` and `[…, C_b]` to `[…, C_a + C_b]`, f32 or f64.
///
/// # Errors
///
/// If the shapes differ in more than the last axis.
pub fn concat_channels(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    a.contiguous()?.apply_op2(&b.contiguous()?, Released(Concat))
}

struct Concat;

/// Shape of the result, and the channels of both.
fn sizes(a: &Layout, b: &Layout) -> Result<(Shape, [usize; 2])> {
    let (Some((&c_a, pixels)), Some((&c_b, pixels_b))) = (a.dims().split_last(), b.dims().split_last()) else {
        bail!("scalars have no channels");
    };
    if pixels != pixels_b || c_a == 0 || c_b == 0 {
        bail!("images of {:?} and {:?} cannot stand side by side", a.shape(), b.shape());
    }
    let shape: Vec<usize> = pixels.iter().copied().chain([c_a + c_b]).collect();
    Ok((shape.into(), [c_a, c_b]))
}

impl CustomOp2 for Concat {
    fn name(&self) -> &'static str {
        "concat-channels"
    }

    fn cpu_fwd(&self, a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (shape, [c_a, c_b]) = sizes(al, bl)?;
        for_real!(a.dtype(), T => {
            let (a, b) = (slice::<T>(a, al)?, slice::<T>(b, bl)?);
            let mut y: Vec<T> = batch::zeros(a.len() + b.len());
            batch::for_each_chunk(&mut y, CHUNK * (c_a + c_b), |i, y| {
                let rows = a[i * CHUNK * c_a..].chunks_exact(c_a).zip(b[i * CHUNK * c_b..].chunks_exact(c_b));
                for (y, (a, b)) in y.chunks_exact_mut(c_a + c_b).zip(rows) {
                    y[..c_a].copy_from_slice(a);
                    y[c_a..].copy_from_slice(b);
                }
            });
            Ok((T::to_cpu_storage_owned(y), shape))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, a: &CudaStorage, al: &Layout, b: &CudaStorage, bl: &Layout) -> Result<(CudaStorage, Shape)> {
        let (shape, channels) = sizes(al, bl)?;
        Ok((cuda::shape::concat(&a.device, Input::new(a, al)?, Input::new(b, bl)?, channels)?, shape))
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if a.device().is_cuda() {
            let (da, db) = cuda::shape::concat_gradient(a, b, &dy.contiguous()?)?;
            return Ok((Some(da), Some(db)));
        }
        let last = |t: &Tensor| t.dim(t.rank() - 1);
        let (c_a, c) = (last(a)?, last(y)?);
        for_real!(a.dtype(), T => with_slice::<T, _>(dy, |dy| {
            let da = Tensor::from_vec(columns(dy, c, 0..c_a), a.shape(), a.device())?;
            Ok((Some(da), Some(Tensor::from_vec(columns(dy, c, c_a..c), b.shape(), b.device())?)))
        }))
    }
}

/// Some columns of rows of `c` values.
fn columns<T: Real>(rows: &[T], c: usize, range: std::ops::Range<usize>) -> Vec<T> {
    let mut out = batch::zeros(rows.len() / c * range.len());
    batch::for_each_chunk(&mut out, CHUNK * range.len(), |i, out| {
        for (out, row) in out.chunks_exact_mut(range.len()).zip(rows[i * CHUNK * c..].chunks_exact(c)) {
            out.copy_from_slice(&row[range.clone()]);
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn equals_candles_and_finite_differences() -> Result<()> {
        let (a, b) = (random((2, 3, 2, 4), 1)?, random((2, 3, 2, 3), 2)?);
        let expected = Tensor::cat(&[&a, &b], 3)?;
        assert_eq!((concat_channels(&a, &b)? - expected)?.abs()?.max_all()?.to_scalar::<f64>()?, 0.0);
        check(&[a.clone(), b], |v| concat_channels(&v[0], &v[1]))?;
        check(std::slice::from_ref(&a), |v| concat_channels(&v[0], &v[0].sqr()?))?;
        assert!(concat_channels(&a, &random((2, 3, 1, 4), 1)?).is_err());
        Ok(())
    }
}
