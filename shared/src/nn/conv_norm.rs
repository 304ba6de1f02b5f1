//! A convolution and the batch norm behind it: the unit that the image networks are made of.

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;

use super::batch_norm::{Activation, BatchNorm};
use super::conv::{Bias, Conv2d, ConvSpec};

/// Convolution without bias, batch norm, and what follows.
#[derive(Debug, Clone)]
pub struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

impl ConvNorm {
    /// Takes the tensors of [`Conv2d`] and [`BatchNorm`] from a builder each.
    ///
    /// # Errors
    ///
    /// If a builder lacks a tensor.
    pub fn new(
        c_in: usize,
        c_out: usize,
        spec: ConvSpec,
        conv: &VarBuilder<'_>,
        norm: &VarBuilder<'_>,
    ) -> Result<Self> {
        Ok(Self { conv: Conv2d::new(c_in, c_out, spec, Bias::Without, conv)?, norm: BatchNorm::new(c_out, norm)? })
    }

    /// `[N, H, W, C_in]` to `[N, H', W', C_out]`.
    ///
    /// # Errors
    ///
    /// Those of the two layers.
    pub fn forward_t(&self, x: &Tensor, activation: Activation, train: bool) -> Result<Tensor> {
        self.norm.forward_t(&self.conv.forward(x)?, activation, train)
    }

    /// The end of a residual block: `max(0, y + skip)`.
    ///
    /// # Errors
    ///
    /// Those of the two layers.
    pub fn forward_add_relu_t(&self, x: &Tensor, skip: &Tensor, train: bool) -> Result<Tensor> {
        self.norm.forward_add_relu_t(&self.conv.forward(x)?, skip, train)
    }
}
