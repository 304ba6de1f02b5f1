//! PyTorch's numbers for the networks and losses, made by `golden/networks.py`, and the same computed here.
//!
//! The integration tests run these natively, the page's tests in a browser.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use shared::infer::resnet::ResNetPlan;
use shared::io::Weights;
use shared::mi::{CriticConfig, CriticKind};
use shared::model::bilinear::BilinearConfig;
use shared::model::classifier::{
    CrossModalClassifier, CrossModalConfig, Locations, LossWeights, RunningMeans, finding_loss,
};
use shared::model::resnet::{Depth, ImageClassifier, ResNetConfig};
use shared::model::text_cnn::TextCnnConfig;
use shared::nn::Parameters;
use shared::prep::report::TokenBatch;

/// What a check found; the message says which number differs.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;

const RESNET50: &str = include_str!("../golden/resnet50.json");
const TRAINING_STEP: &str = include_str!("../golden/training_step.json");

/// Largest difference a network's output may show, in absolute and relative terms.
pub(crate) const NETWORK: (f64, f64) = (1e-4, 1e-3);

/// SplitMix64 seeded with FNV-1a of the name: `n` values in `-1..1`, as in `networks.py`.
pub fn uniform(name: &str, n: usize) -> Vec<f32> {
    let seed = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (1..=n as u64)
        .map(|i| {
            let mut z = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            ((z >> 40) as f64 / f64::from(1 << 23) - 1.0) as f32
        })
        .collect()
}

/// A tensor that a trained network could have, by its name and shape, as in `networks.py`.
pub fn value(name: &str, shape: &[usize]) -> Vec<f32> {
    let mut values = uniform(name, shape.iter().product());
    let (offset, scale) = if name.ends_with("running_var") {
        (1.0, 0.3)
    } else if shape.len() >= 2 {
        (0.0, (3.0 / shape[1..].iter().product::<usize>() as f64).sqrt() as f32)
    } else if name.ends_with("weight") {
        (1.0, 0.1)
    } else {
        (0.0, 0.1)
    };
    for v in &mut values {
        *v = offset + scale * *v;
    }
    values
}

/// Gives every variable its golden value.
pub(crate) fn fill(parameters: &Parameters) -> Outcome {
    for (name, var) in parameters.all() {
        var.set(&Tensor::from_vec(value(&name, var.dims()), var.shape(), &Device::Cpu)?)?;
    }
    Ok(())
}

/// Norm, sum and eight elements of a tensor.
#[derive(Debug, Deserialize)]
pub struct Summary {
    shape: Vec<usize>,
    norm: f64,
    sum: f64,
    at: Vec<usize>,
    values: Vec<f64>,
}

impl Summary {
    /// Whether a tensor is the summarised one. The tolerance is relative to the tensor's root mean square.
    ///
    /// # Errors
    ///
    /// The first number that differs.
    pub fn check(&self, name: &str, tensor: &Tensor, (absolute, relative): (f64, f64)) -> Outcome {
        if tensor.dims() != self.shape {
            return Err(format!("{name}: shape {:?}, PyTorch has {:?}", tensor.dims(), self.shape).into());
        }
        let flat = tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let n = flat.len() as f64;
        let scale = self.norm / n.sqrt();
        let close = |what: &str, ours: f64, theirs: f64, tolerance: f64| -> Outcome {
            // A NaN must not pass.
            if (ours - theirs).abs() <= tolerance {
                return Ok(());
            }
            Err(format!("{name}: {what} is {ours}, PyTorch has {theirs} (tolerance {tolerance:e})").into())
        };
        let tolerance = absolute + relative * scale;
        for (&at, &theirs) in self.at.iter().zip(&self.values) {
            close(&format!("element {at}"), flat[at], theirs, tolerance)?;
        }
        close("norm", flat.iter().map(|v| v * v).sum::<f64>().sqrt(), self.norm, tolerance * n.sqrt())?;
        close("sum", flat.iter().sum(), self.sum, tolerance * n)
    }
}

#[derive(Deserialize)]
struct ResNet50 {
    local: Summary,
    logits: Vec<f64>,
}

/// `ResNet-50` of torchvision's size with its golden weights, and its input.
pub struct GoldenResNet50 {
    config: ResNetConfig,
    parameters: Parameters,
    model: ImageClassifier,
    input: Vec<f32>,
    expected: ResNet50,
}

impl GoldenResNet50 {
    /// Builds the network.
    ///
    /// # Errors
    ///
    /// If it cannot be built.
    pub fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let config = ResNetConfig { depth: Depth::D50, width: 64, in_channels: 3, stem_pool: true };
        let parameters = Parameters::new(0);
        let model = ImageClassifier::new(&config, 14, &parameters.builder(DType::F32, &Device::Cpu))?;
        fill(&parameters)?;
        let expected = serde_json::from_str(RESNET50)?;
        Ok(Self { config, parameters, model, input: uniform("input", 3 * 224 * 224), expected })
    }

    /// The trainable layers against PyTorch.
    ///
    /// # Errors
    ///
    /// The first number that differs.
    pub fn check_layers(&self) -> Outcome {
        let input = Tensor::from_slice(&self.input, (1, 3, 224, 224), &Device::Cpu)?;
        let out = self.model.forward_t(&input, false)?;
        let local = out.local.permute((0, 3, 1, 2))?; // PyTorch has channels first.
        self.expected.local.check("layer4", &local, NETWORK)?;
        check_logits(&out.logits.flatten_all()?.to_vec1::<f32>()?, &self.expected.logits)
    }

    /// The compiled plan against PyTorch.
    ///
    /// # Errors
    ///
    /// The first number that differs.
    pub fn check_plan(&self) -> Outcome {
        let mut plan = ResNetPlan::new(&self.config, 224, 14, &Weights::new("golden", self.parameters.to_tensors()?)?)?;
        check_logits(plan.run(&self.input)?, &self.expected.logits)
    }
}

fn check_logits(ours: &[f32], theirs: &[f64]) -> Outcome {
    let scale = theirs.iter().fold(0f64, |m, v| m.max(v.abs()));
    for (i, (&ours, &theirs)) in ours.iter().zip(theirs).enumerate() {
        if (f64::from(ours) - theirs).abs() > NETWORK.0 + NETWORK.1 * scale || ours.is_nan() {
            return Err(format!("logit {i} is {ours}, PyTorch has {theirs}").into());
        }
    }
    if ours.len() == theirs.len() { Ok(()) } else { Err(format!("{} logits, not {}", ours.len(), theirs.len()).into()) }
}

#[derive(Deserialize)]
struct Expected {
    images: String,
    total: f64,
    losses: std::collections::BTreeMap<String, f64>,
    logits: Vec<f64>,
    gradients: std::collections::BTreeMap<String, Summary>,
    after: std::collections::BTreeMap<String, Summary>,
}

/// One training step of a small cross-modal classifier, up to its gradients.
pub struct TrainingStep {
    /// The model's variables.
    pub parameters: Parameters,
    /// Gradients of all of them.
    pub gradients: GradStore,
    expected: Expected,
}

impl TrainingStep {
    /// Runs the forward and the backward pass and checks logits, losses and every gradient.
    ///
    /// # Errors
    ///
    /// The first number that differs.
    pub fn check() -> Result<Self, Box<dyn std::error::Error>> {
        let expected: Expected = serde_json::from_str(TRAINING_STEP)?;
        let image = ResNetConfig { depth: Depth::D18, width: 8, in_channels: 1, stem_pool: false };
        let config = CrossModalConfig {
            text: TextCnnConfig { word_dim: 12, widths: vec![16, 24] },
            joint: BilinearConfig { side: 8, out: 10 },
            critic: CriticConfig { kind: CriticKind::ConcatAndConvolve, hidden: 9 },
            // All locations: the draw only changes their order.
            locations: Locations(4),
            ..CrossModalConfig::default()
        };
        let lambdas = LossWeights { lambda_ll: 0.3, lambda_lg: 0.2, lambda_gg: 0.0, lambda_joint: 0.5 };
        let parameters = Parameters::new(0);
        let model =
            CrossModalClassifier::new(&image, &config, &lambdas, 20, &parameters.builder(DType::F32, &Device::Cpu))?;
        fill(&parameters)?;
        let x = Tensor::from_vec(uniform(&expected.images, 4 * 32 * 32), (4, 1, 32, 32), &Device::Cpu)?;
        let ids = uniform("ids", 4 * 16).iter().map(|u| (((u + 1.0) * 10.0) as u32).min(19)).collect();
        let reports = TokenBatch { ids, lens: vec![16, 16, 8, 4], width: 16 };
        let targets = uniform("targets", 4 * 14).iter().map(|&u| f32::from(u8::from(u > 0.4))).collect();
        let targets = Tensor::from_vec::<_, f32>(targets, (4, 14), &Device::Cpu)?;
        let weights: Vec<f32> = uniform("positive_weights", 14).iter().map(|u| 1.5 + u).collect();
        let weights = Tensor::from_vec(weights, 14, &Device::Cpu)?;
        let negatives = [0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0].map(|mark| mark == 1);

        let out = model.image().forward_t(&x, true)?;
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let cross = model.cross_modal(&out, &reports, &negatives, &mut RunningMeans::default(), &mut rng, true)?;
        let findings = finding_loss(&out.logits, &targets, &weights)?;
        let joint = finding_loss(&cross.joint_logits, &targets, &weights)?;
        check_logits(&out.logits.flatten_all()?.to_vec1::<f32>()?, &expected.logits)?;
        let (Some(mi), Some(ll), Some(lg)) = (cross.mutual_information, cross.local_local, cross.local_global) else {
            return Err("a mutual-information loss is missing".into());
        };
        let total = ((&findings + (&joint * lambdas.lambda_joint)?)? + mi)?;
        let ours = [
            ("findings", findings),
            ("joint", joint),
            ("local_local", ll.loss),
            ("local_global", lg.loss),
            ("total", total.clone()),
        ];
        for (name, loss) in ours {
            let theirs = expected.losses.get(name).copied().unwrap_or(expected.total);
            let loss = f64::from(loss.to_scalar::<f32>()?);
            if (loss - theirs).abs() > 1e-4 || loss.is_nan() {
                return Err(format!("loss {name} is {loss}, PyTorch has {theirs}").into());
            }
        }
        let gradients = total.backward()?;
        let trainable = parameters.trainable();
        if trainable.len() != expected.gradients.len() {
            return Err(format!("{} variables, PyTorch has {}", trainable.len(), expected.gradients.len()).into());
        }
        for (name, var) in &trainable {
            let gradient = gradients.get(var).ok_or_else(|| format!("{name} receives no gradient"))?;
            let summary = expected.gradients.get(name).ok_or_else(|| format!("PyTorch has no {name}"))?;
            summary.check(&format!("gradient of {name}"), gradient, (1e-6, 2e-3))?;
        }
        Ok(Self { parameters, gradients, expected })
    }

    /// The variables, after an optimizer has moved them, against PyTorch's after one step of Adam at 1e-3.
    ///
    /// # Errors
    ///
    /// The first number that differs.
    pub fn check_after(&self) -> Outcome {
        for (name, var) in self.parameters.all() {
            let summary = self.expected.after.get(&name).ok_or_else(|| format!("PyTorch has no {name}"))?;
            summary.check(&format!("{name} after the step"), var.as_tensor(), (1e-5, 1e-4))?;
        }
        Ok(())
    }
}
