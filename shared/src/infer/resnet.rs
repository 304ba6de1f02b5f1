//! A residual network compiled from its weights.

use crate::error::{Error, Result};
use crate::io::Weights;
use crate::model::resnet::ResNetConfig;

/// A residual network with its linear head, ready to run on one image at a time.
pub struct ResNetPlan;

impl ResNetPlan {
    /// Folds and packs the weights for square inputs of `size` pixels and `n_out` outputs.
    ///
    /// # Errors
    ///
    /// [`Error::MissingTensor`] or [`Error::WrongTensor`] if the weights are not this network's.
    pub fn new(_config: &ResNetConfig, _size: usize, _n_out: usize, _weights: &Weights) -> Result<Self> {
        Ok(Self)
    }

    /// `[in_channels, size, size]` to `[n_out]` logits.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the input has another length.
    pub fn run(&mut self, _input: &[f32]) -> Result<&[f32]> {
        Err(Error::Shape { what: "plan", expected: "an implementation".to_owned(), found: "none yet".to_owned() })
    }
}
