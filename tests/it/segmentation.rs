//! PyTorch's numbers for the networks that segment, made by `golden/networks.py`, and the same computed here.
//!
//! The integration tests run these natively, the page's tests in a browser.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use shared::infer::hemis::HemisPlan;
use shared::infer::unet::UNetPlan;
use shared::io::Weights;
use shared::io::weights::NamedTensor;
use shared::model::hemis::{HemisConfig, MODALITIES};
use shared::model::unet::{UNet, UNetConfig};
use shared::nn::Parameters;

use crate::golden::{NETWORK, Outcome, Summary, fill, uniform, value};

const SEGMENTATION: &str = include_str!("../golden/segmentation.json");

/// Height and width of HeMIS's slices.
const SLICE: [usize; 2] = [24, 20];

#[derive(Deserialize)]
struct Expected {
    unet: Summary,
    hemis: Vec<HemisCase>,
}

#[derive(Deserialize)]
struct HemisCase {
    present: Vec<String>,
    logits: Summary,
}

/// The trainable U-Net and its compiled plan against PyTorch.
///
/// # Errors
///
/// The first number that differs.
pub fn check_unet() -> Outcome {
    let expected: Expected = serde_json::from_str(SEGMENTATION)?;
    let (height, width) = (44, 36);
    let config = UNetConfig { in_channels: 2, n_classes: 3, widths: vec![16, 32, 48] };
    let parameters = Parameters::new(0);
    let model = UNet::new(&config, &parameters.builder(DType::F32, &Device::Cpu))?;
    fill(&parameters)?;
    let input = uniform("slice", config.in_channels * height * width);

    let x = Tensor::from_slice(&input, (1, config.in_channels, height, width), &Device::Cpu)?;
    let logits = model.forward_t(&x, false)?.logits.squeeze(0)?.permute((2, 0, 1))?.contiguous()?;
    expected.unet.check("U-Net of layers", &logits, NETWORK)?;

    let weights = Weights::new("golden", parameters.to_tensors()?)?;
    let mut plan = UNetPlan::new(&config, height, width, &weights)?;
    let logits = Tensor::from_slice(plan.run(&input)?, (config.n_classes, height, width), &Device::Cpu)?;
    expected.unet.check("U-Net plan", &logits, NETWORK)
}

/// The compiled HeMIS network against PyTorch, with all sequences and with fewer.
///
/// # Errors
///
/// The first number that differs.
pub fn check_hemis() -> Outcome {
    let expected: Expected = serde_json::from_str(SEGMENTATION)?;
    let config = HemisConfig::default();
    let [height, width] = SLICE;
    let mut plan = HemisPlan::new(&config, height, width, &hemis_weights(&config)?)?;
    let slices = MODALITIES.map(|name| uniform(name, height * width));
    for HemisCase { present, logits } in expected.hemis {
        let is_present = |i: usize| present.iter().any(|name| name == MODALITIES[i]);
        let input: [Option<&[f32]>; 4] = std::array::from_fn(|i| is_present(i).then_some(&*slices[i]));
        let ours = Tensor::from_slice(plan.run(&input)?, (config.n_classes, height, width), &Device::Cpu)?;
        logits.check(&format!("HeMIS of {}", present.join(" and ")), &ours, NETWORK)?;
    }
    Ok(())
}

/// A HeMIS network's golden weights.
///
/// # Errors
///
/// Never: golden values are finite.
pub fn hemis_weights(config: &HemisConfig) -> Result<Weights, shared::Error> {
    let mut tensors = BTreeMap::new();
    let mut conv = |name: &str, c_in: usize, c_out: usize, kernel: usize| {
        for (part, shape) in [("weight", vec![c_out, c_in, kernel, kernel]), ("bias", vec![c_out])] {
            let name = format!("{name}.{part}");
            let data = value(&name, &shape);
            tensors.insert(name, NamedTensor { shape, data });
        }
    };
    for name in MODALITIES {
        conv(&format!("encoder.{name}.conv1"), 1, config.width, config.kernel);
        conv(&format!("encoder.{name}.conv2"), config.width, config.width, config.kernel);
    }
    conv("fuse", 2 * config.width, config.fuse_width, config.kernel);
    conv("head", config.fuse_width, config.n_classes, config.head_kernel);
    Weights::new("golden", tensors)
}
