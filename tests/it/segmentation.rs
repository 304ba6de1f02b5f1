//! PyTorch's numbers for the networks that segment, made by `golden/networks.py`, and the same computed here.
//!
//! The integration tests run these natively, the page's tests in a browser.

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use shared::Modality;
use shared::infer::hemis::HemisPlan;
use shared::infer::unet::UNetPlan;
use shared::io::Weights;
use shared::model::hemis::{Hemis, HemisConfig};
use shared::model::unet::{UNet, UNetConfig};
use shared::nn::Parameters;

use crate::golden::{NETWORK, Outcome, Summary, fill, uniform};

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

/// The trainable HeMIS network and its compiled plan against PyTorch, with all sequences and with fewer.
///
/// # Errors
///
/// The first number that differs.
pub fn check_hemis() -> Outcome {
    let expected: Expected = serde_json::from_str(SEGMENTATION)?;
    let config = HemisConfig::default();
    let [height, width] = SLICE;
    let parameters = Parameters::new(0);
    let model = Hemis::new(&config, &parameters.builder(DType::F32, &Device::Cpu))?;
    fill(&parameters)?;
    let mut plan = HemisPlan::new(&config, height, width, &Weights::new("golden", parameters.to_tensors()?)?)?;
    let slices = Modality::ALL.map(|m| uniform(m.name(), height * width));
    for HemisCase { present, logits } in expected.hemis {
        let is_present = |i: usize| present.iter().any(|name| name == Modality::ALL[i].name());
        let names = present.join(" and ");
        let input: [Option<&[f32]>; 4] = std::array::from_fn(|i| is_present(i).then_some(&*slices[i]));

        let mut tensors = [None, None, None, None];
        for (tensor, slice) in tensors.iter_mut().zip(input) {
            *tensor = slice.map(|slice| Tensor::from_slice(slice, (1, 1, height, width), &Device::Cpu)).transpose()?;
        }
        let ours = model.forward(&tensors)?.squeeze(0)?.permute((2, 0, 1))?.contiguous()?;
        logits.check(&format!("HeMIS of layers, of {names}"), &ours, NETWORK)?;

        let ours = Tensor::from_slice(plan.run(&input)?, (config.n_classes, height, width), &Device::Cpu)?;
        logits.check(&format!("HeMIS plan of {names}"), &ours, NETWORK)?;
    }
    Ok(())
}
