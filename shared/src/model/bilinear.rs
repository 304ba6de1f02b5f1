//! Bilinear embedding: the global features `Γ` of two modalities together.
//!
//! Source: Sylvain et al. 2021, arXiv 2010.10593, section 3; projecting each side first is ours.

use candle_core::{Module, Tensor};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::nn::Linear;

/// Sizes of the embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BilinearConfig {
    /// Features that each side is projected to.
    pub side: usize,
    /// Features of the result.
    pub out: usize,
}

impl Default for BilinearConfig {
    fn default() -> Self {
        Self { side: 256, out: 256 }
    }
}

/// `Γ_k = x_aᵀ W_k x_b + b_k` of two projected feature vectors.
#[derive(Debug, Clone)]
pub struct Bilinear {
    project_a: Linear,
    project_b: Linear,
    /// `[side · side, out]`.
    weight: Tensor,
    bias: Tensor,
}

impl Bilinear {
    /// Takes `a.*`, `b.*` (projections), `weight` and `bias` from the builder.
    ///
    /// # Errors
    ///
    /// If the builder lacks a tensor.
    pub fn new(c_a: usize, c_b: usize, config: &BilinearConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let BilinearConfig { side, out } = *config;
        Ok(Self {
            project_a: Linear::new(c_a, side, &vb.pp("a"))?,
            project_b: Linear::new(c_b, side, &vb.pp("b"))?,
            weight: vb.get_with_hints(
                (side * side, out),
                "weight",
                Init::Randn { mean: 0.0, stdev: 1.0 / side as f64 },
            )?,
            bias: vb.get_with_hints(out, "bias", Init::Const(0.0))?,
        })
    }

    /// `a`: `[N, C_a]` and `b`: `[N, C_b]` to `[N, out]`.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn forward(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let a = self.project_a.forward(a)?.unsqueeze(2)?; // [N, side, 1]
        let b = self.project_b.forward(b)?.unsqueeze(1)?; // [N, 1, side]
        let outer = a.matmul(&b)?.flatten_from(1)?; // [N, side · side]
        Ok(outer.matmul(&self.weight)?.broadcast_add(&self.bias)?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::Parameters;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let vb = Parameters::new(3).builder(DType::F64, &Device::Cpu);
        let bilinear = Bilinear::new(4, 3, &BilinearConfig { side: 3, out: 2 }, &vb)?;
        let inputs = [random((2, 4), 1)?, random((2, 3), 2)?, bilinear.weight.clone(), bilinear.bias.clone()];
        check(&inputs, |v| {
            let model = Bilinear { weight: v[2].clone(), bias: v[3].clone(), ..bilinear.clone() };
            model.forward(&v[0], &v[1]).map_err(candle_core::Error::wrap)
        })?;
        Ok(())
    }
}
