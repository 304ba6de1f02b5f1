//! The page's inference without the page, so that a benchmark can call it as it calls its peer.

use shared::infer::resnet::ResNetPlan;
use shared::io::Weights;
use wasm_bindgen::prelude::*;

/// A compiled network.
#[wasm_bindgen]
pub struct Network(ResNetPlan);

#[wasm_bindgen]
impl Network {
    /// Compiles a network of an architecture (JSON, as in a model card) for square images of `size` pixels.
    ///
    /// # Errors
    ///
    /// If the architecture is not valid or the weights are not its own.
    #[wasm_bindgen(constructor)]
    pub fn new(architecture: &str, size: usize, n_out: usize, weights: &[u8]) -> Result<Network, JsError> {
        let architecture = serde_json::from_str(architecture)?;
        let weights = Weights::from_safetensors("weights", weights)?;
        Ok(Self(ResNetPlan::new(&architecture, size, n_out, &weights)?))
    }

    /// `[in_channels, size, size]` to `[n_out]` logits.
    ///
    /// # Errors
    ///
    /// If the input has another length.
    pub fn run(&mut self, input: &[f32]) -> Result<Vec<f32>, JsError> {
        Ok(self.0.run(input)?.to_vec())
    }
}
