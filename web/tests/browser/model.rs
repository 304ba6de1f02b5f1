//! A small model, and x-rays to ask it about.

use std::collections::BTreeMap;

use shared::Finding;
use shared::io::card::{Auroc, CARD_VERSION, FindingCard, ModelCard, Training, WeightsFile};
use shared::io::weights::{Encoding, NamedTensor, Weights, sha256_hex};
use shared::model::resnet::{Depth, ResNetConfig};
use shared::prep::image::{Normalization, Preprocessing};

/// A real x-ray in PNG.
pub(crate) const XRAY: &[u8] = include_bytes!("../../../static/samples/nih-00001300_000.png");

const ARCHITECTURE: ResNetConfig = ResNetConfig { depth: Depth::D18, width: 8, in_channels: 1, stem_pool: false };

/// A card, and the weights it describes.
pub(crate) struct Model {
    pub(crate) card: ModelCard,
    pub(crate) weights: Vec<u8>,
}

impl Model {
    pub(crate) fn card_json(&self) -> Vec<u8> {
        self.card.to_json().expect("serialises").into_bytes()
    }
}

/// A ResNet-18 of 8 channels with weights from a simple generator.
pub(crate) fn model() -> Model {
    of_tensors(tensors())
}

/// The same without its last layer.
pub(crate) fn model_without_head() -> Model {
    let mut tensors = tensors();
    tensors.remove("fc.weight");
    of_tensors(tensors)
}

fn of_tensors(tensors: BTreeMap<String, NamedTensor>) -> Model {
    let weights = Weights::new("model.safetensors", tensors).expect("finite");
    let weights = weights.to_safetensors(Encoding::F32).expect("serialises");
    Model { card: card(&weights), weights }
}

fn card(weights: &[u8]) -> ModelCard {
    let measured = Auroc { auroc: 0.714, lo: 0.638, hi: 0.781, n_pos: 47, n: 330 };
    let findings = Finding::ALL.map(|finding| FindingCard {
        finding,
        threshold: (finding != Finding::Hernia).then_some(0.5),
        auroc: (finding == Finding::Atelectasis).then_some(measured),
    });
    ModelCard {
        version: CARD_VERSION,
        name: "small".to_owned(),
        architecture: ARCHITECTURE,
        preprocessing: Preprocessing { size: 32, channels: 1, normalization: Normalization::PerImage },
        findings: findings.to_vec(),
        calibration: None,
        evaluation: None,
        report: None,
        input_check: None,
        training: Training {
            commands: vec!["none".to_owned()],
            method: "not trained".to_owned(),
            data: vec![],
            seed: 0,
            epochs: 0,
            trainer: "0.1.0".to_owned(),
        },
        weights: WeightsFile {
            file: "model.safetensors".to_owned(),
            bytes: weights.len() as u64,
            sha256: sha256_hex(weights),
            encoding: Encoding::F32,
        },
    }
}

/// Tensors under torchvision's names.
fn tensors() -> BTreeMap<String, NamedTensor> {
    let mut state = 1_u32;
    let mut tensors = BTreeMap::new();
    let width = ARCHITECTURE.width;
    conv(&mut tensors, &mut state, "conv1", [width, 1, 7, 7]);
    norm(&mut tensors, "bn1", width);
    let mut c_in = width;
    for (stage, n_blocks) in ARCHITECTURE.blocks().into_iter().enumerate() {
        let c = width << stage;
        for block in 0..n_blocks {
            let name = format!("layer{}.{block}", stage + 1);
            conv(&mut tensors, &mut state, &format!("{name}.conv1"), [c, c_in, 3, 3]);
            norm(&mut tensors, &format!("{name}.bn1"), c);
            conv(&mut tensors, &mut state, &format!("{name}.conv2"), [c, c, 3, 3]);
            norm(&mut tensors, &format!("{name}.bn2"), c);
            if c != c_in {
                conv(&mut tensors, &mut state, &format!("{name}.downsample.0"), [c, c_in, 1, 1]);
                norm(&mut tensors, &format!("{name}.downsample.1"), c);
            }
            c_in = c;
        }
    }
    let head = uniform(&mut state, Finding::COUNT * c_in, 0.3);
    tensors.insert("fc.weight".to_owned(), NamedTensor { shape: vec![Finding::COUNT, c_in], data: head });
    let bias = uniform(&mut state, Finding::COUNT, 1.0);
    tensors.insert("fc.bias".to_owned(), NamedTensor { shape: vec![Finding::COUNT], data: bias });
    tensors
}

fn conv(tensors: &mut BTreeMap<String, NamedTensor>, state: &mut u32, name: &str, shape: [usize; 4]) {
    let fan_in = shape[1] * shape[2] * shape[3];
    let data = uniform(state, shape.iter().product(), (6.0 / fan_in as f32).sqrt());
    tensors.insert(format!("{name}.weight"), NamedTensor { shape: shape.to_vec(), data });
}

fn norm(tensors: &mut BTreeMap<String, NamedTensor>, name: &str, c: usize) {
    for (part, value) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
        tensors.insert(format!("{name}.{part}"), NamedTensor { shape: vec![c], data: vec![value; c] });
    }
}

/// Numbers in `-limit..limit` from a linear congruential generator (Numerical Recipes' constants).
fn uniform(state: &mut u32, n: usize, limit: f32) -> Vec<f32> {
    let mut next = || {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((*state >> 8) as f32 / (1 << 23) as f32 - 1.0) * limit
    };
    (0..n).map(|_| next()).collect()
}
