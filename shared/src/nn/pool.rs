//! Max pooling with padding, and the global average.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, bail};

use super::conv::ConvSpec;
use super::storage::{for_real, slice, with_slice};
use crate::kernel::batch;
use crate::kernel::im2col::Window;
use crate::kernel::real::Real;

/// Largest value of each window of `x`: `[N, C, H, W]`; the padding never wins.
///
/// # Errors
///
/// If the window does not fit the padded input, or some window would lie in the padding alone.
pub fn max_pool2d(x: &Tensor, spec: ConvSpec) -> Result<Tensor> {
    if spec.padding >= spec.kernel {
        bail!("a pooling window of {} would lie wholly in a padding of {}", spec.kernel, spec.padding);
    }
    x.contiguous()?.apply_op1(MaxPool { spec, winners: Mutex::default() })
}

/// Mean over height and width: `[N, C, H, W]` to `[N, C]`.
///
/// # Errors
///
/// Those of the tensor library.
pub fn global_average_pool(x: &Tensor) -> Result<Tensor> {
    x.flatten_from(2)?.mean(2)
}

struct MaxPool {
    spec: ConvSpec,
    /// For each output, the position of its winner in the input plane; from the forward to the backward pass.
    winners: Mutex<Vec<u32>>,
}

impl MaxPool {
    fn window(&self, h: usize, w: usize) -> Result<(Window, [usize; 2])> {
        let ConvSpec { kernel, stride, padding } = self.spec;
        let window = Window { input: [h, w], kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2] };
        match window.output() {
            Some(out) => Ok((window, out)),
            None => bail!("a pooling window of {kernel} and stride {stride} does not fit an input of {h}x{w}"),
        }
    }
}

/// Largest value of each window of one plane and its position; the first of equals, as in PyTorch.
fn pool_plane<T: Real>(w: &Window, [oh, ow]: [usize; 2], x: &[T], y: &mut [(T, u32)]) {
    for oy in 0..oh {
        for ox in 0..ow {
            let mut best: Option<(T, u32)> = None;
            for ky in 0..w.kernel[0] {
                let Some(iy) = (oy * w.stride[0] + ky).checked_sub(w.padding[0]).filter(|&y| y < w.input[0]) else {
                    continue;
                };
                for kx in 0..w.kernel[1] {
                    let Some(ix) = (ox * w.stride[1] + kx).checked_sub(w.padding[1]).filter(|&x| x < w.input[1]) else {
                        continue;
                    };
                    let at = iy * w.input[1] + ix;
                    if best.is_none_or(|(value, _)| x[at] > value) {
                        best = Some((x[at], at as u32));
                    }
                }
            }
            y[oy * ow + ox] = best.unwrap_or_default();
        }
    }
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = xl.shape().dims4()?;
        let (window, out) = self.window(h, w)?;
        let plane = out[0] * out[1];
        for_real!(x.dtype(), T => {
            let x = slice::<T>(x, xl)?;
            let mut pooled = vec![(T::default(), 0u32); n * c * plane];
            batch::for_each_chunk(&mut pooled, plane, |i, y| pool_plane(&window, out, &x[i * h * w..][..h * w], y));
            let (y, winners): (Vec<T>, Vec<u32>) = pooled.into_iter().unzip();
            *self.winners.lock().unwrap_or_else(PoisonError::into_inner) = winners;
            Ok((T::to_cpu_storage_owned(y), (n, c, out[0], out[1]).into()))
        })
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, _, h, w) = x.dims4()?;
        let (_, _, oh, ow) = y.dims4()?;
        let winners = self.winners.lock().unwrap_or_else(PoisonError::into_inner);
        for_real!(x.dtype(), T => {
            let dx = with_slice::<T, _>(dy, |dy| {
                let mut dx = vec![T::default(); x.elem_count()];
                batch::for_each_chunk(&mut dx, h * w, |i, dx| {
                    for at in i * oh * ow..(i + 1) * oh * ow {
                        dx[winners[at] as usize] += dy[at];
                    }
                });
                Ok(dx)
            })?;
            Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn max_pool_gradients_equal_finite_differences() -> Result<()> {
        for (h, w, kernel, stride, padding) in [(6, 6, 2, 2, 0), (7, 5, 3, 2, 1), (5, 8, 2, 2, 0), (4, 4, 3, 1, 1)] {
            let spec = ConvSpec { kernel, stride, padding };
            check(&[random((2, 3, h, w), 4)?], |v| max_pool2d(&v[0], spec))?;
            // A second consumer of the same input.
            check(&[random((1, 2, h, w), 5)?], |v| max_pool2d(&v[0], spec)?.broadcast_add(&v[0].mean_all()?))?;
        }
        Ok(())
    }

    #[test]
    fn padding_never_wins() -> Result<()> {
        let x = (random((1, 1, 3, 3), 1)? - 5.0)?;
        let y = max_pool2d(&x, ConvSpec { kernel: 3, stride: 2, padding: 1 })?;
        assert!(y.max_all()?.to_scalar::<f64>()? < -3.0);
        assert!(max_pool2d(&x, ConvSpec { kernel: 2, stride: 2, padding: 2 }).is_err());
        assert!(max_pool2d(&x, ConvSpec { kernel: 4, stride: 1, padding: 0 }).is_err());
        Ok(())
    }

    #[test]
    fn global_average_gradients_equal_finite_differences() -> Result<()> {
        check(&[random((2, 3, 4, 5), 6)?], |v| global_average_pool(&v[0]))
    }
}
