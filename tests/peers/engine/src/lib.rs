//! The page's inference without the page, so that a benchmark can call it as it calls its peers.

use serde::Deserialize;
use shared::infer::resnet::ResNetPlan;
use shared::infer::unet::UNetPlan;
use shared::io::Weights;
use shared::model::resnet::ResNetConfig;
use shared::model::unet::UNetConfig;
use wasm_bindgen::prelude::*;

/// A compiled network.
#[wasm_bindgen]
pub struct Network(Plan);

enum Plan {
    ResNet(Box<ResNetPlan>),
    UNet(Box<UNetPlan>),
}

/// A network for square images of `size` pixels.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Description {
    ResNet { architecture: ResNetConfig, size: usize, outputs: usize },
    UNet { architecture: UNetConfig, size: usize },
}

#[wasm_bindgen]
impl Network {
    /// Compiles a network of a description (JSON, as in `tests/peers/onnx_network.py`).
    ///
    /// # Errors
    ///
    /// If the description is not valid or the weights are not its own.
    #[wasm_bindgen(constructor)]
    pub fn new(description: &str, weights: &[u8]) -> Result<Network, JsError> {
        let weights = Weights::from_safetensors("weights", weights)?;
        Ok(Self(match serde_json::from_str(description)? {
            Description::ResNet { architecture, size, outputs } => {
                Plan::ResNet(Box::new(ResNetPlan::new(&architecture, size, outputs, &weights)?))
            }
            Description::UNet { architecture, size } => {
                Plan::UNet(Box::new(UNetPlan::new(&architecture, size, size, &weights)?))
            }
        }))
    }

    /// `[C, H, W]` to logits.
    ///
    /// # Errors
    ///
    /// If the input has another length.
    pub fn run(&mut self, input: &[f32]) -> Result<Vec<f32>, JsError> {
        Ok(match &mut self.0 {
            Plan::ResNet(plan) => plan.run(input)?.to_vec(),
            Plan::UNet(plan) => plan.run(input)?.to_vec(),
        })
    }
}
