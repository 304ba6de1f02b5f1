//! Every layer, loss and network on a GPU in 32 bits beside the CPU in 64: values and gradients; and beside themselves, bit
//! by bit.

use std::fmt::Write as _;
use std::time::Instant;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Module as _, VarBuilder};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shared::finding::Finding;
use shared::kernel::algorithms::Machine;
use shared::mi::{CriticConfig, CriticKind, Estimator, RunningMean, Term, TermConfig};
use shared::model::bilinear::BilinearConfig;
use shared::model::classifier::{
    CrossModalClassifier, CrossModalConfig, GlobalFeatures, Locations, LossWeights, PlaceClassifier, ReportClassifier,
    RunningMeans, finding_loss,
};
use shared::model::fusion_unet::FusionUNet;
use shared::model::hemis::{Hemis, HemisConfig};
use shared::model::resnet::{Depth, ImageClassifier, ResNetConfig};
use shared::model::text_cnn::TextCnnConfig;
use shared::model::tienet::{TieNet, TieNetConfig, tienet_loss};
use shared::model::unet::{UNet, UNetConfig};
use shared::model::voxel_mlp::VoxelMlp;
use shared::nn::batch_norm::Activation;
use shared::nn::{
    BatchNorm, ConvSpec, Interpolation, Linear, Lstm, LstmState, Parameters, avg_pool2d, concat_channels,
    conv::{conv_transpose2d, conv2d},
    cross_entropy, global_average_pool, last_backward, max_pool2d, softplus, upsample2d,
};
use shared::prep::report::TokenBatch;
use shared::train::Adam;

use crate::device::Precision;
use crate::error::Result;

/// Largest difference of a layer's values and gradients from the CPU's, over the greatest of them.
const LAYER: f64 = 2e-5;
/// The same for losses.
const LOSS: f64 = 1e-4;
/// The same for whole networks.
const NETWORK: f64 = 5e-3;
/// The same for layers in TF32, which keeps 10 bits of mantissa, and in bf16, which keeps 7.
const LAYER_TF32: f64 = 4e-3;
const LAYER_BF16: f64 = 4e-2;
/// What losses and networks may differ in TF32 and in bf16, as the length of the difference of all gradients over their
/// length: values near a kink fall on its other side everywhere.
const REST_TF32: f64 = 0.15;
const REST_BF16: f64 = 0.5;
/// Different numbers that a case may be compared on: in a small network a value beside a kink can fall on its other side
/// for one of them, which changes a gradient by a visible part; what is wrong is so for all.
const SEEDS: [u64; 4] = [1, 100, 200, 300];

/// Fifty layers whose batch norms see 16 values each: less than 32 bits give other gradients altogether, on any machine.
const EXACT_ALONE: &str = "ResNet-50";

/// Name of the training that is done twice.
const TWICE: &str = "trained twice, bit by bit";

/// How the names of gradients begin.
const GRADIENT: &str = "gradient";

/// What is compared: a function of some inputs on the device and of the type of the builder.
struct Case {
    name: String,
    /// Shape and scale of each input; the gradient of each is compared.
    inputs: Vec<(Vec<usize>, f64)>,
    tolerance: f64,
    f: Box<Compared>,
}

/// From a builder of variables and the inputs to what is compared.
type Compared = dyn Fn(&VarBuilder<'_>, &[Tensor]) -> Result<Tensor>;

/// Compares everything, and tells of each comparison in a line; whether all is right. A case that fails, in whatever way,
/// is a line that says so.
pub fn all(device: &Device, precision: Precision, mut tell: impl FnMut(&str)) -> bool {
    let mut is_right = true;
    for case in cases().into_iter().filter(|case| precision == Precision::F32 || case.name != EXACT_ALONE) {
        let start = Instant::now();
        let is_layer = case.tolerance == LAYER;
        let tolerance = match precision {
            Precision::F32 => case.tolerance,
            Precision::Tf32 if is_layer => LAYER_TF32,
            Precision::Tf32 => REST_TF32,
            Precision::Bf16 if is_layer => LAYER_BF16,
            Precision::Bf16 => REST_BF16,
        };
        let mut line = String::new();
        let mut right = false;
        for seed in SEEDS {
            match case.compare(device, precision, seed) {
                Ok((worst, whose)) => {
                    right = worst <= tolerance;
                    let _ = write!(line, "{worst:.1e} ({whose}), ");
                }
                Err(error) => line = error.to_string().lines().take(3).collect::<Vec<_>>().join(" | "),
            }
            if right {
                break;
            }
        }
        is_right &= right;
        let word = if right { "ok" } else { "WRONG" };
        let secs = start.elapsed().as_secs_f64();
        tell(&format!("{word:<6}{:<48}{line}{tolerance:.0e} allowed, {secs:.2} s", case.name));
    }
    let optimized = optimizer(device).map(|worst| (format!("{worst:.1e}, {LAYER:.1e} allowed"), worst <= LAYER));
    let repeated = trained_twice(device).map(|n| (format!("{n} weights differ"), n == 0));
    for (name, result) in [("adam, three steps", optimized), (TWICE, repeated)] {
        let (line, right) = result.unwrap_or_else(|error| (error.to_string(), false));
        is_right &= right;
        let word = if right { "ok" } else { "WRONG" };
        tell(&format!("{word:<6}{name:<48}{line}"));
    }
    is_right
}

fn random(shape: &[usize], scale: f64, seed: u64) -> Result<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Numbers that 32 bits hold exactly.
    let values = (0..shape.iter().product()).map(|_| f64::from(rng.random_range(-1.0..1.0_f32)) * scale);
    Ok(Tensor::from_vec(values.collect(), shape, &Device::Cpu)?)
}

/// Values and gradients by name.
type Found = Vec<(String, Vec<f64>)>;

impl Case {
    /// The worst relative difference, and where it is.
    fn compare(&self, device: &Device, precision: Precision, seed: u64) -> Result<(f64, String)> {
        let expected = self.run(&Device::Cpu, DType::F64, precision, seed)?;
        let found = self.run(device, DType::F32, precision, seed)?;
        if !are_same_bits(&found, &self.run(device, DType::F32, precision, seed)?) {
            return Ok((f64::INFINITY, "other bits the second time".to_owned()));
        }
        if precision != Precision::F32 && self.tolerance != LAYER {
            return Ok((distance(&expected, &found), "all gradients".to_owned()));
        }
        let mut worst = (0.0, String::from("nothing"));
        let greatest = |values: &[f64]| values.iter().fold(1e-6_f64, |most, value| most.max(value.abs()));
        // A gradient that is 0 but for rounding is measured by what it is beside: the greatest of the others.
        let gradients = expected.iter().filter(|(name, _)| name.starts_with(GRADIENT));
        let floor = gradients.map(|(_, values)| greatest(values)).fold(0.0, f64::max) * 1e-2;
        for ((name, expected), (_, found)) in expected.iter().zip(&found) {
            let scale = if name.starts_with(GRADIENT) { greatest(expected).max(floor) } else { greatest(expected) };
            let differences = expected.iter().zip(found).map(|(a, b)| (a - b).abs() / scale);
            // A NaN is worse than anything.
            let most = differences.fold(0.0, |most: f64, d| if d > most || d.is_nan() { d } else { most });
            if most > worst.0 || most.is_nan() {
                worst = (if most.is_nan() { f64::INFINITY } else { most }, name.clone());
            }
        }
        if expected.len() != found.len() {
            return Ok((f64::INFINITY, format!("{} results for {}", found.len(), expected.len())));
        }
        Ok(worst)
    }

    fn run(&self, device: &Device, dtype: DType, precision: Precision, seed: u64) -> Result<Found> {
        let parameters = Parameters::on(device, seed);
        let vb = parameters.builder(dtype, device);
        let mut vars = Vec::new();
        for (i, (shape, scale)) in self.inputs.iter().enumerate() {
            let values = random(shape, *scale, seed + i as u64)?.to_dtype(dtype)?.to_device(device)?;
            vars.push(Var::from_tensor(&values)?);
        }
        // Images are what may be in bf16.
        let is_reduced = precision == Precision::Bf16 && device.is_cuda();
        let given = |var: &Var| match var.rank() {
            4 if is_reduced => var.to_dtype(DType::BF16),
            _ => Ok(var.as_tensor().clone()),
        };
        let tensors = vars.iter().map(given).collect::<candle_core::Result<Vec<_>>>()?;
        let y = (self.f)(&vb, &tensors)?.to_dtype(dtype)?;
        let weights = random(y.dims(), 1.0, 77)?.to_dtype(dtype)?.to_device(device)?;
        let grads = (&y * weights)?.sum_all()?.backward()?;
        let mut found = vec![("value".to_owned(), values(&y)?)];
        for (i, var) in vars.iter().enumerate() {
            if let Some(grad) = grads.get(var) {
                found.push((format!("{GRADIENT} of input {i}"), values(grad)?));
            }
        }
        for (name, var) in parameters.all() {
            match grads.get(&var) {
                Some(grad) => found.push((format!("{GRADIENT} of {name}"), values(grad)?)),
                // Running statistics, which a step moves.
                None => found.push((name, values(&var)?)),
            }
        }
        Ok(found)
    }
}

/// Length of the difference of all gradients, over their length.
fn distance(expected: &Found, found: &Found) -> f64 {
    let (mut of_difference, mut of_all) = (0.0, 0.0);
    for ((_, expected), (_, found)) in expected.iter().zip(found).filter(|((name, _), _)| name.starts_with(GRADIENT)) {
        for (a, b) in expected.iter().zip(found) {
            of_difference += (a - b) * (a - b);
            of_all += a * a;
        }
    }
    let distance = (of_difference / of_all).sqrt();
    if distance.is_nan() { f64::INFINITY } else { distance }
}

fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_device(&Device::Cpu)?.to_vec1::<f64>()?)
}

/// Three steps of Adam on both; the worst relative difference of the variable.
fn optimizer(device: &Device) -> Result<f64> {
    let run = |device: &Device| -> Result<Vec<f64>> {
        let var = Var::from_tensor(&random(&[37, 5], 1.0, 3)?.to_dtype(DType::F32)?.to_device(device)?)?;
        let mut adam = Adam::at_one_rate(vec![("w".to_owned(), var.clone())], 0.1, 0.01)?;
        for _ in 0..2 {
            adam.step(&var.sqr()?.sum_all()?.backward()?, 1.0)?;
        }
        // As a resumed run goes on.
        let (step, moments) = (adam.steps(), adam.moments()?);
        adam = Adam::at_one_rate(vec![("w".to_owned(), var.clone())], 0.1, 0.01)?;
        adam.restore(step, moments)?;
        adam.step(&var.sqr()?.sum_all()?.backward()?, 1.0)?;
        values(&var)
    };
    let (expected, found) = (run(&Device::Cpu)?, run(device)?);
    Ok(expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max))
}

fn are_same_bits(a: &Found, b: &Found) -> bool {
    let bits =
        |found: &Found| -> Vec<u64> { found.iter().flat_map(|(_, values)| values).map(|v| v.to_bits()).collect() };
    bits(a) == bits(b)
}

/// A few steps of every network that trains, twice; the number of weights that are not the same bits.
fn trained_twice(device: &Device) -> Result<usize> {
    let networks = || mri_networks().into_iter().chain(xray_networks());
    let run = || -> Result<Vec<u64>> {
        let mut weights = Vec::new();
        for case in networks() {
            let parameters = Parameters::on(device, 7);
            let vb = parameters.builder(DType::F32, device);
            let input = |(shape, scale): &(Vec<usize>, f64)| {
                Ok(random(shape, *scale, 8)?.to_dtype(DType::F32)?.to_device(device)?)
            };
            let inputs = case.inputs.iter().map(input).collect::<Result<Vec<_>>>()?;
            (case.f)(&vb, &inputs)?; // The variables are there now.
            let mut adam = Adam::at_one_rate(parameters.trainable(), 1e-2, 0.1)?;
            for _ in 0..4 {
                adam.step(&last_backward(&(case.f)(&vb, &inputs)?)?, 1.0)?;
            }
            for var in parameters.all().values() {
                weights.extend(values(var)?.into_iter().map(f64::to_bits));
            }
        }
        Ok(weights)
    };
    let (once, again) = (run()?, run()?);
    Ok(once.iter().zip(&again).filter(|(a, b)| a != b).count() + once.len().abs_diff(again.len()))
}

fn case(
    name: impl Into<String>,
    inputs: &[(&[usize], f64)],
    tolerance: f64,
    f: impl Fn(&VarBuilder<'_>, &[Tensor]) -> Result<Tensor> + 'static,
) -> Case {
    let inputs = inputs.iter().map(|(shape, scale)| (shape.to_vec(), *scale)).collect();
    Case { name: name.into(), inputs, tolerance, f: Box::new(f) }
}

fn cases() -> Vec<Case> {
    let mut cases = convolutions();
    cases.extend(other_layers());
    cases.extend(losses());
    cases.extend(mri_networks());
    cases.extend(xray_networks());
    cases
}

fn convolutions() -> Vec<Case> {
    let mut cases = Vec::new();
    // Images, channels, height, width, outputs, kernel, step, padding.
    for [n, c, h, w, k, kernel, stride, padding] in [
        [2, 3, 23, 17, 8, 7, 2, 3],
        [2, 1, 24, 24, 48, 5, 1, 2],
        [2, 16, 14, 14, 32, 1, 1, 0],
        [2, 16, 13, 15, 32, 1, 2, 0],
        [3, 32, 15, 15, 32, 3, 1, 1],
        [3, 32, 15, 16, 24, 3, 2, 1],
        [2, 16, 24, 24, 2, 21, 1, 10],
        [2, 7, 9, 11, 5, 3, 1, 0],
    ] {
        let inputs: [(&[usize], f64); 3] = [(&[n, h, w, c], 1.0), (&[k, c, kernel, kernel], 1.0), (&[k], 1.0)];
        let name = format!("conv {kernel}x{kernel} stride {stride} {c} to {k} of {h}x{w}");
        cases.push(case(name.clone(), &inputs[..2], LAYER, move |_, v| {
            Ok(conv2d(&v[0], &v[1], None, [stride; 2], [padding; 2])?)
        }));
        if stride == 1 {
            cases.push(case(name + " with bias", &inputs, LAYER, move |_, v| {
                Ok(conv2d(&v[0], &v[1], Some(&v[2]), [1; 2], [padding; 2])?)
            }));
        }
    }
    cases.push(case("conv 1x5 stride 2", &[(&[4, 1, 19, 12], 1.0), (&[16, 12, 1, 5], 1.0)], LAYER, |_, v| {
        Ok(conv2d(&v[0], &v[1], None, [1, 2], [0, 2])?)
    }));
    for (kernel, stride, padding) in [(2, 2, 0), (3, 2, 1)] {
        let inputs: [(&[usize], f64); 3] = [(&[2, 7, 6, 16], 1.0), (&[16, 8, kernel, kernel], 1.0), (&[8], 1.0)];
        cases.push(case(format!("transposed conv {kernel}x{kernel}"), &inputs, LAYER, move |_, v| {
            Ok(conv_transpose2d(&v[0], &v[1], &v[2], [stride; 2], [padding; 2])?)
        }));
    }
    cases
}

fn other_layers() -> Vec<Case> {
    let image: [(&[usize], f64); 1] = [(&[2, 9, 12, 6], 1.0)];
    let two: [(&[usize], f64); 2] = [(&[2, 9, 12, 6], 1.0), (&[2, 9, 12, 6], 1.0)];
    let mut cases = vec![
        case("channels side by side", &[(&[2, 5, 4, 6], 1.0), (&[2, 5, 4, 3], 1.0)], LAYER, |_, v| {
            Ok(concat_channels(&v[0], &v[1])?)
        }),
        case("softplus", &[(&[40, 30], 20.0)], LAYER, |_, v| Ok(softplus(&v[0])?)),
        case("mean over the map", &image, LAYER, |_, v| Ok(global_average_pool(&v[0])?)),
        case("linear", &[(&[5, 3, 32], 1.0)], LAYER, |vb, v| Ok(Linear::new(32, 20, vb)?.forward(&v[0])?)),
        case("lstm, two steps", &[(&[4, 10], 1.0), (&[4, 12], 1.0), (&[4, 12], 1.0)], LAYER, |vb, v| {
            let lstm = Lstm::new(10, 12, vb)?;
            let x = lstm.project(&v[0])?;
            let state = lstm.step(&x, &LstmState { h: v[1].clone(), c: v[2].clone() })?;
            let state = lstm.step(&x, &state)?;
            Ok((state.h + state.c)?)
        }),
        case("elementwise and sums of the tensor library", &two, LAYER, |_, v| {
            let (a, b) = (&v[0], &v[1]);
            let y = (a.relu()? * b.tanh()?)? + (a.sqr()? + 1.0)?.log()?;
            let y = (y? + b.exp()?.broadcast_mul(&a.mean_keepdim(1)?)?)?;
            let y = (y.narrow(1, 1, 4)?.contiguous()? + candle_nn::ops::sigmoid(&b.narrow(1, 2, 4)?.contiguous()?)?)?;
            Ok((y.permute((0, 3, 1, 2))?.contiguous()?.sum(2)? / 3.0)?)
        }),
    ];
    for activation in [Activation::Linear, Activation::Relu] {
        for channels in [6, 8, 70] {
            for train in [true, false] {
                let inputs: [(&[usize], f64); 1] = [(&[3, 7, 9, channels], 2.0)];
                let name = format!("batch norm {channels} {activation:?} {}", if train { "train" } else { "eval" });
                cases.push(case(name, &inputs, LAYER, move |vb, v| {
                    Ok(BatchNorm::new(channels, vb)?.forward_t(&v[0], activation, train)?)
                }));
            }
        }
    }
    for channels in [5, 64] {
        let shape = [2, 11, 9, channels];
        let inputs: [(&[usize], f64); 2] = [(&shape, 2.0), (&shape, 1.0)];
        cases.push(case(format!("batch norm {channels} plus skip"), &inputs, LAYER, move |vb, v| {
            Ok(BatchNorm::new(channels, vb)?.forward_add_relu_t(&v[0], &v[1], true)?)
        }));
    }
    for (kernel, stride, padding) in [(2, 2, 0), (3, 2, 1), (2, 1, 1), (3, 3, 1)] {
        let spec = ConvSpec { kernel, stride, padding };
        cases.push(case(format!("max pool {kernel}/{stride}/{padding}"), &image, LAYER, move |_, v| {
            Ok(max_pool2d(&v[0], spec)?)
        }));
        cases.push(case(format!("average pool {kernel}/{stride}/{padding}"), &image, LAYER, move |_, v| {
            Ok(avg_pool2d(&v[0], spec)?)
        }));
    }
    for (factor, how) in [(2, Interpolation::Nearest), (2, Interpolation::Bilinear), (3, Interpolation::Bilinear)] {
        cases.push(case(format!("enlarge {factor} {how:?}"), &image, LAYER, move |_, v| {
            Ok(upsample2d(&v[0], factor, how)?)
        }));
    }
    cases
}

fn losses() -> Vec<Case> {
    let mut cases = vec![case("cross-entropy", &[(&[3, 40, 30, 5], 8.0)], LAYER, |_, v| {
        let targets: Vec<u32> = (0..3 * 40 * 30).map(|i| i * 7 % 5).collect();
        Ok(cross_entropy(&v[0], &Tensor::from_vec(targets, (3, 40, 30), &Device::Cpu)?)?)
    })];
    cases.push(case("findings", &[(&[6, 14], 5.0), (&[6, 14], 1.0), (&[14], 1.0)], LAYER, |_, v| {
        let targets = v[1].gt(0.0)?.to_dtype(v[0].dtype())?;
        Ok(finding_loss(&v[0], &targets.detach(), &v[2].abs()?.detach())?)
    }));
    for kind in [CriticKind::ConcatAndConvolve, CriticKind::EncodeAndDot] {
        for estimator in [Estimator::Jsd, Estimator::Dv, Estimator::InfoNce] {
            let term = TermConfig {
                critic: CriticConfig { kind, hidden: 24 },
                estimator,
                score_clip: Some(20.0),
                score_penalty: 0.01,
            };
            let inputs: [(&[usize], f64); 2] = [(&[4, 3, 16], 2.0), (&[4, 5, 20], 2.0)];
            cases.push(case(format!("{estimator:?}, {kind:?}"), &inputs, LOSS, move |vb, v| {
                let negatives: Vec<bool> = (0..16).map(|at| at != 7).collect();
                let term = Term::new(16, 20, term, vb)?;
                let mut mean = RunningMean(Some(0.1));
                Ok(term.loss(&v[0], &v[1], &negatives, 0.7, &mut mean)?.1)
            }));
        }
    }
    cases
}

fn mri_networks() -> Vec<Case> {
    let slices = |v: &[Tensor]| [Some(v[0].clone()), None, Some(v[1].clone()), None];
    let slice: (&[usize], f64) = (&[2, 1, 32, 32], 1.0);
    let unet = |in_channels| UNetConfig { in_channels, n_classes: 2, widths: vec![8, 12, 16] };
    let labels = |logits: &Tensor| -> Result<Tensor> {
        let targets: Vec<u32> = (0..2 * 32 * 32).map(|i| i / 5 % 2).collect();
        Ok(cross_entropy(logits, &Tensor::from_vec(targets, (2, 32, 32), &Device::Cpu)?)?)
    };
    vec![
        case("U-Net", &[(&[2, 4, 32, 32], 1.0)], NETWORK, move |vb, v| {
            let out = UNet::new(&unet(4), vb)?.forward_t(&v[0], true)?;
            Ok((labels(&out.logits)? + out.local.sqr()?.mean_all()?)?)
        }),
        case("U-Net at test", &[(&[2, 4, 32, 32], 1.0)], NETWORK, move |vb, v| {
            labels(&UNet::new(&unet(4), vb)?.forward_t(&v[0], false)?.logits)
        }),
        case("HeMIS", &[slice, slice], NETWORK, move |vb, v| {
            let config = HemisConfig { width: 8, fuse_width: 6, head_kernel: 9, ..HemisConfig::default() };
            labels(&Hemis::new(&config, vb)?.forward(&slices(v))?)
        }),
        case("U-Net for any sequences", &[slice, slice], NETWORK, move |vb, v| {
            labels(&FusionUNet::new(&unet(1), vb)?.forward_t(&slices(v), true)?.logits)
        }),
        case("voxel MLP", &[(&[300, 1], 2.0)], NETWORK, |vb, v| Ok(VoxelMlp::new(vb)?.forward(&v[0])?)),
    ]
}

fn xray_networks() -> Vec<Case> {
    let reports = || TokenBatch { ids: (0..4 * 16).map(|i| i % 11).collect(), lens: vec![16, 9, 3, 12], width: 16 };
    let text = || TextCnnConfig { word_dim: 8, widths: vec![8, 16] };
    let image: [(&[usize], f64); 1] = [(&[4, 1, 64, 64], 1.0)];
    let of = |depth, stem_pool| ResNetConfig { depth, width: 8, in_channels: 1, stem_pool };
    vec![
        case("ResNet-18", &image, NETWORK, move |vb, v| {
            let out = ImageClassifier::new(&of(Depth::D18, false), 14, vb)?.forward_t(&v[0], true)?;
            Ok((out.logits.sqr()?.mean_all()? + out.local.mean_all()?)?)
        }),
        case(EXACT_ALONE, &image, NETWORK, move |vb, v| {
            let net = ImageClassifier::new(&of(Depth::D50, true), 14, vb)?;
            Ok(net.forward_t(&v[0], true)?.logits.sqr()?.mean_all()?)
        }),
        case("ResNet-50 at test", &image, NETWORK, move |vb, v| {
            let net = ImageClassifier::new(&of(Depth::D50, true), 14, vb)?;
            Ok(net.forward_t(&v[0], false)?.logits.sqr()?.mean_all()?)
        }),
        case("text encoder", &[], NETWORK, move |vb, _| {
            Ok(ReportClassifier::new(&text(), 11, vb)?.forward_t(&reports(), true)?)
        }),
        case("places", &image, NETWORK, move |vb, v| {
            let net = PlaceClassifier::new(&of(Depth::D18, false), vb)?;
            let out = net.image().forward_t(&v[0], true)?;
            let shape = [4, Finding::COUNT, out.local.dim(1)?, out.local.dim(2)?];
            let places = random(&shape, 0.5, 9)?.abs()?.to_dtype(out.logits.dtype())?.to_device(v[0].device())?;
            Ok(net.place_loss(&out, &places)?)
        }),
        case("TieNet", &image, NETWORK, move |vb, v| {
            let config = TieNetConfig { word_dim: 6, hidden: 8, attention: 5, rows: 2, max_tokens: 6 };
            let net = TieNet::new(&of(Depth::D18, false), &config, 11, vb)?;
            let out = net.forward_t(&v[0], &reports(), true)?;
            let found = out.logits.sqr()?.mean_all()?;
            Ok(tienet_loss(&net.caption_loss(&out.words, &reports())?, Some(&found))?)
        }),
        case("image and report", &image, NETWORK, move |vb, v| {
            let config = CrossModalConfig {
                text: text(),
                joint: BilinearConfig { side: 6, out: 5 },
                critic: CriticConfig { kind: CriticKind::ConcatAndConvolve, hidden: 12 },
                locations: Locations(3),
                estimator: Estimator::Jsd,
                global: GlobalFeatures::Joint,
                score_clip: Some(20.0),
                score_penalty: 0.01,
            };
            let weights = LossWeights { lambda_gg: 0.1, ..LossWeights::default() };
            let net = CrossModalClassifier::new(&of(Depth::D18, false), &config, &weights, 11, vb)?;
            let out = net.image().forward_t(&v[0], true)?;
            let (mut means, mut rng) = (RunningMeans::default(), ChaCha8Rng::seed_from_u64(0));
            let found = net.cross_modal(&out, &reports(), &[true; 16], &mut means, &mut rng, true)?;
            let loss = (out.logits.sqr()?.mean_all()? + found.joint_logits.sqr()?.mean_all()?)?;
            Ok(match found.mutual_information {
                Some(information) => (loss + information)?,
                None => loss,
            })
        }),
    ]
}

/// The most memory that was in use on the device since this was asked for, in bytes.
///
/// # Errors
///
/// If the device does not say.
pub fn peak_memory(device: &Device) -> Result<u64> {
    Ok(shared::kernel::cuda::peak_memory(device)?)
}

/// The device in words: runs on what has the same name are the same, bit by bit.
///
/// # Errors
///
/// If the device does not say.
pub fn describe(device: &Device) -> Result<String> {
    let memory = device.as_cuda_device()?.cuda_stream().context().total_mem().map_err(candle_core::Error::wrap)?;
    let gib = memory as f64 / f64::from(1 << 30);
    let algorithms = shared::kernel::cuda::algorithms(device)?;
    let Machine { gpu, driver, cudnn } = algorithms.machine();
    Ok(format!("{gpu}, {gib:.1} GiB, a driver for CUDA {}.{}, cuDNN {cudnn}", driver / 1000, driver % 1000 / 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceChoice;

    #[test]
    #[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
    fn a_gpu_gives_the_numbers_of_the_cpu() {
        match DeviceChoice::Cuda(0).open(Precision::F32) {
            Ok(device) => assert!(all(&device, Precision::F32, |line| println!("{line}"))),
            Err(error) => println!("skipped: {error}"),
        }
    }
}
