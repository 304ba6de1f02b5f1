//! Long short-term memory: one step.

use std::sync::Mutex;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Module, Result, Shape, Tensor, WithDType, bail};
use candle_nn::VarBuilder;

use super::Linear;
use super::storage::{for_real, slice, with_slice};
#[cfg(feature = "cuda")]
use crate::kernel::cuda::{self, Input};
use crate::kernel::real::Real;

/// What an LSTM carries from step to step, each `[N, H]`.
#[derive(Debug, Clone)]
pub struct LstmState {
    /// The output.
    pub h: Tensor,
    /// The cell.
    pub c: Tensor,
}

/// One LSTM layer, stepped from outside: `[i f g o] = W_ih x + b_ih + W_hh h + b_hh`, `c' = σ(f) c + σ(i) tanh(g)`,
/// `h' = σ(o) tanh(c')`; PyTorch's order of the gates.
///
/// Source: Hochreiter and Schmidhuber 1997; PyTorch `nn.LSTMCell`.
#[derive(Debug, Clone)]
pub struct Lstm {
    input: Linear,
    recurrent: Linear,
}

impl Lstm {
    /// Takes `ih.*` and `hh.*` from the builder.
    ///
    /// # Errors
    ///
    /// If the builder lacks a tensor.
    pub fn new(n_in: usize, hidden: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            input: Linear::new(n_in, 4 * hidden, &vb.pp("ih"))?,
            recurrent: Linear::new(hidden, 4 * hidden, &vb.pp("hh"))?,
        })
    }

    /// The input's share of the gates, for any number of steps at once: `[…, in]` to `[…, 4H]`.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn project(&self, x: &Tensor) -> Result<Tensor> {
        self.input.forward(x)
    }

    /// One step from projected input `[N, 4H]`.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn step(&self, projected: &Tensor, state: &LstmState) -> Result<LstmState> {
        let gates = (projected + self.recurrent.forward(&state.h)?)?;
        let both = gates.contiguous()?.apply_op2(&state.c.contiguous()?, Cell)?; // [2, N, H]
        Ok(LstmState { h: both.get(0)?, c: both.get(1)? })
    }
}

/// `gates` `[N, 4H]` and `c` `[N, H]` to `[2, N, H]`: output and cell.
struct Cell;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The gates `i f g o` of one element, after their functions.
fn gates<T: Real>(gates: &[T], hidden: usize, at: usize) -> [f64; 4] {
    let z = |gate: usize| gates[gate * hidden + at].to_f64();
    [sigmoid(z(0)), sigmoid(z(1)), z(2).tanh(), sigmoid(z(3))]
}

/// Samples and hidden units of gates and cell that fit.
fn sizes(z: &Layout, c: &Layout) -> Result<(usize, usize)> {
    let ((n, four), (n_c, hidden)) = (z.shape().dims2()?, c.shape().dims2()?);
    if n != n_c || four != 4 * hidden {
        bail!("gates [{n}, {four}] do not fit a state of [{n_c}, {hidden}]");
    }
    Ok((n, hidden))
}

impl CustomOp2 for Cell {
    fn name(&self) -> &'static str {
        "lstm-cell"
    }

    fn cpu_fwd(&self, z: &CpuStorage, zl: &Layout, c: &CpuStorage, cl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, hidden) = sizes(zl, cl)?;
        let four = 4 * hidden;
        for_real!(z.dtype(), T => {
            let (z, c) = (slice::<T>(z, zl)?, slice::<T>(c, cl)?);
            let mut out = vec![T::default(); 2 * n * hidden];
            let (h_out, c_out) = out.split_at_mut(n * hidden);
            for row in 0..n {
                for at in 0..hidden {
                    let [i, f, g, o] = gates(&z[row * four..][..four], hidden, at);
                    let cell = f * c[row * hidden + at].to_f64() + i * g;
                    c_out[row * hidden + at] = T::of(cell);
                    h_out[row * hidden + at] = T::of(o * cell.tanh());
                }
            }
            Ok((T::to_cpu_storage_owned(out), (2, n, hidden).into()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, z: &CudaStorage, zl: &Layout, c: &CudaStorage, cl: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, hidden) = sizes(zl, cl)?;
        let out = cuda::loss::lstm_cell(&z.device, Input::new(z, zl)?, Input::new(c, cl)?, hidden)?;
        Ok((out, (2, n, hidden).into()))
    }

    fn bwd(&self, z: &Tensor, c: &Tensor, out: &Tensor, d: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if z.device().is_cuda() {
            let (dz, dc) = cuda::loss::lstm_cell_gradient(z, c, out, &d.contiguous()?)?;
            return Ok((Some(dz), Some(dc)));
        }
        let (n, hidden) = c.dims2()?;
        let four = 4 * hidden;
        for_real!(z.dtype(), T => {
            let both = Mutex::new((vec![T::default(); n * four], vec![T::default(); n * hidden]));
            with_slice::<T, _>(z, |z| with_slice::<T, _>(c, |c| with_slice::<T, _>(out, |out| with_slice::<T, _>(d, |d| {
                let mut both = both.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let (dz, dc) = &mut *both;
                for at in 0..n * hidden {
                    let (row, column) = (at / hidden, at % hidden);
                    let [i, f, g, o] = gates(&z[row * four..][..four], hidden, column);
                    let tanh = out[n * hidden + at].to_f64().tanh();
                    let (dh, dcell) = (d[at].to_f64(), d[n * hidden + at].to_f64());
                    let dcell = dcell + dh * o * (1.0 - tanh * tanh);
                    let slopes = [
                        dcell * g * i * (1.0 - i),
                        dcell * c[at].to_f64() * f * (1.0 - f),
                        dcell * i * (1.0 - g * g),
                        dh * tanh * o * (1.0 - o),
                    ];
                    for (gate, slope) in slopes.into_iter().enumerate() {
                        dz[row * four + gate * hidden + column] = T::of(slope);
                    }
                    dc[at] = T::of(dcell * f);
                }
                Ok(())
            }))))?;
            let (dz, dc) = both.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            Ok((Some(Tensor::from_vec(dz, z.shape(), z.device())?), Some(Tensor::from_vec(dc, c.shape(), c.device())?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::Parameters;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn equals_the_formula_in_candle() -> Result<()> {
        let lstm = Lstm::new(3, 5, &Parameters::new(1).builder(DType::F64, &Device::Cpu))?;
        let (x, state) = (random((2, 3), 1)?, LstmState { h: random((2, 5), 2)?, c: random((2, 5), 3)? });
        let gates = (lstm.project(&x)? + lstm.recurrent.forward(&state.h)?)?.chunk(4, 1)?;
        let sigmoid = |x: &Tensor| candle_nn::ops::sigmoid(x);
        let c = ((sigmoid(&gates[1])? * &state.c)? + (sigmoid(&gates[0])? * gates[2].tanh()?)?)?;
        let h = (sigmoid(&gates[3])? * c.tanh()?)?;
        let next = lstm.step(&lstm.project(&x)?, &state)?;
        for (a, b) in [(next.h, h), (next.c, c)] {
            assert!((a - b)?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-12);
        }
        Ok(())
    }

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let lstm = Lstm::new(3, 2, &Parameters::new(1).builder(DType::F64, &Device::Cpu))?;
        let inputs = [random((2, 3), 1)?, random((2, 2), 2)?, random((2, 2), 3)?];
        check(&inputs, |v| {
            let x = lstm.project(&v[0])?;
            let once = lstm.step(&x, &LstmState { h: v[1].clone(), c: v[2].clone() })?;
            let twice = lstm.step(&x, &once)?;
            twice.h + (twice.c + once.h)?
        })
    }
}
