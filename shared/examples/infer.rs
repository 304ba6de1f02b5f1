//! One inference after the other, on one thread: this project's side of `cargo xtask bench infer`.
//!
//! `infer NETWORK WEIGHTS`: a description as in `tests/peers/onnx_network.py`, and a safetensors file. Every line on
//! standard input asks for one run; the answer is a line of JSON with the milliseconds and some of the logits. When the
//! input ends, a last line says so. The image is the one of `tests/peers/infer.py`.

mod contestant;

use serde::Deserialize;
use shared::infer::resnet::ResNetPlan;
use shared::infer::unet::UNetPlan;
use shared::io::Weights;
use shared::model::resnet::ResNetConfig;
use shared::model::unet::UNetConfig;

/// A network for square images of `size` pixels.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Description {
    ResNet { architecture: ResNetConfig, size: usize, outputs: usize },
    UNet { architecture: UNetConfig, size: usize },
}

/// A compiled network.
enum Plan {
    ResNet(Box<ResNetPlan>),
    UNet(Box<UNetPlan>),
}

impl Plan {
    fn run(&mut self, image: &[f32]) -> shared::Result<&[f32]> {
        match self {
            Self::ResNet(plan) => plan.run(image),
            Self::UNet(plan) => plan.run(image),
        }
    }
}

/// Values in `-1..1` that look random: the multiples of a large number, without their carry.
fn image(len: usize) -> Vec<f32> {
    let value = |i: u32| f64::from(i.wrapping_mul(2_654_435_761)) / 2f64.powi(31) - 1.0;
    (0..len as u32).map(|i| value(i) as f32).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [description, file] = words.as_slice() else { return Err("usage: infer NETWORK WEIGHTS".into()) };
    let weights = Weights::from_safetensors(file, &std::fs::read(file)?)?;
    let (mut plan, len) = match serde_json::from_str(description)? {
        Description::ResNet { architecture, size, outputs } => {
            let plan = ResNetPlan::new(&architecture, size, outputs, &weights)?;
            (Plan::ResNet(Box::new(plan)), architecture.in_channels * size * size)
        }
        Description::UNet { architecture, size } => {
            let plan = UNetPlan::new(&architecture, size, size, &weights)?;
            (Plan::UNet(Box::new(plan)), architecture.in_channels * size * size)
        }
    };
    drop(weights);
    let image = image(len);
    contestant::serve("logits", &mut plan, |plan| Ok(plan.run(&image)?))
}
