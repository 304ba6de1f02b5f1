//! Fully connected layer.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Init, VarBuilder};

/// `y = x Wᵀ + b`, as PyTorch's `nn.Linear`: `weight` `[out, in]`, `bias` `[out]`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Takes `weight` and `bias` from the builder; both start uniform in ±1/√in.
    ///
    /// # Errors
    ///
    /// If the builder lacks one.
    pub fn new(n_in: usize, n_out: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let bound = 1.0 / (n_in as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        Ok(Self {
            weight: vb.get_with_hints((n_out, n_in), "weight", init)?,
            bias: vb.get_with_hints(n_out, "bias", init)?,
        })
    }
}

impl Module for Linear {
    /// `[…, in]` to `[…, out]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (leading, n_in) = x.dims().split_at(x.rank() - 1);
        let mut shape = leading.to_vec();
        let y = x.reshape(((), n_in[0]))?.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?;
        shape.push(y.dim(1)?);
        y.reshape(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let inputs = [random((2, 3, 4), 1)?, random((5, 4), 2)?, random(5, 3)?];
        check(&inputs, |v| Linear { weight: v[1].clone(), bias: v[2].clone() }.forward(&v[0]))
    }
}
