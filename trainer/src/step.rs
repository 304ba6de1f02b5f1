//! One training step after the other: this project's side of the benchmarks beside PyTorch.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use shared::model::classifier::finding_loss;
use shared::model::resnet::{Depth, ImageClassifier, ResNetConfig};
use shared::model::unet::{UNet, UNetConfig};
use shared::nn::{Parameters, cross_entropy, last_backward};
use shared::train::Adam;

use crate::error::{Error, Result};

/// A network, one batch for it, and its optimizer.
pub struct Steps {
    case: Case,
    adam: Adam,
    device: Device,
}

enum Case {
    ResNet { net: ImageClassifier, x: Tensor, targets: Tensor, weights: Tensor },
    UNet { net: UNet, x: Tensor, targets: Tensor },
}

impl Case {
    fn new(name: &str, batch: usize, parameters: &Parameters) -> Result<Self> {
        let device = parameters.device();
        let vb = parameters.builder(DType::F32, device);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut uniform = |shape: &[usize]| -> Result<Tensor> {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
            Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
        };
        Ok(match name {
            "resnet50-224" => {
                let config = ResNetConfig { depth: Depth::D50, width: 64, in_channels: 3, stem_pool: true };
                Self::ResNet {
                    net: ImageClassifier::new(&config, 14, &vb)?,
                    x: uniform(&[batch, 3, 224, 224])?.to_device(device)?,
                    targets: uniform(&[batch, 14])?.gt(0.6f32)?.to_dtype(DType::F32)?.to_device(device)?,
                    weights: Tensor::ones(14, DType::F32, device)?,
                }
            }
            "unet-240" => {
                let config = UNetConfig { in_channels: 4, n_classes: 2, widths: vec![32, 64, 128, 256] };
                Self::UNet {
                    net: UNet::new(&config, &vb)?,
                    x: uniform(&[batch, 4, 240, 240])?.to_device(device)?,
                    targets: uniform(&[batch, 240, 240])?.gt(0.8f32)?.to_dtype(DType::U32)?.to_device(device)?,
                }
            }
            other => {
                let reason = format!("{other} is no case: resnet50-224 or unet-240");
                return Err(Error::Config { file: "benchmark".to_owned(), reason });
            }
        })
    }

    fn loss(&self) -> Result<Tensor> {
        Ok(match self {
            Self::ResNet { net, x, targets, weights } => {
                finding_loss(&net.forward_t(x, true)?.logits, targets, weights)?
            }
            Self::UNet { net, x, targets } => cross_entropy(&net.forward_t(x, true)?.logits, targets)?,
        })
    }
}

impl Steps {
    /// `resnet50-224` or `unet-240`, on a device.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for another name, and those of the tensor library.
    pub fn new(name: &str, batch: usize, device: &Device) -> Result<Self> {
        let parameters = Parameters::on(device, 0);
        let case = Case::new(name, batch, &parameters)?;
        let adam = Adam::at_one_rate(parameters.trainable(), 1e-4, 0.0)?;
        Ok(Self { case, adam, device: device.clone() })
    }

    /// One step, until the device has done it: the loss, and the milliseconds until it is known.
    fn step(&mut self) -> Result<(f32, f64)> {
        let start = Instant::now();
        let loss = self.case.loss()?;
        let value = loss.to_scalar::<f32>()?;
        let forward_ms = start.elapsed().as_secs_f64() * 1e3;
        self.adam.step(&last_backward(&loss)?, 1.0)?;
        self.device.synchronize()?;
        Ok((value, forward_ms))
    }

    /// Says that it is ready, answers every line of input with a line of JSON that holds the loss and the milliseconds of
    /// a step, and when the input ends tells what `peak_bytes` gives. That is asked for after two steps too, so that it
    /// can begin anew after what is done once.
    ///
    /// # Errors
    ///
    /// Those of a step, and of input and output.
    pub fn serve(
        mut self,
        input: impl BufRead,
        mut output: impl Write,
        mut peak_bytes: impl FnMut(&Device) -> Result<u64>,
    ) -> Result<()> {
        let io = |source| Error::File { path: "the other program".into(), action: "talking", source };
        let mut answer = |value: &serde_json::Value| {
            writeln!(output, "{value}")?;
            output.flush()
        };
        answer(&json!({ "ready": env!("CARGO_PKG_VERSION") })).map_err(io)?;
        for (step, line) in input.lines().enumerate() {
            line.map_err(io)?;
            if step == 2 {
                peak_bytes(&self.device)?;
            }
            let start = Instant::now();
            let (loss, forward_ms) = self.step()?;
            let ms = start.elapsed().as_secs_f64() * 1e3;
            answer(&json!({ "loss": loss, "ms": ms, "forward_ms": forward_ms })).map_err(io)?;
        }
        let bytes = peak_bytes(&self.device)?;
        answer(&json!({ "peak_bytes": bytes })).map_err(io)
    }
}

/// Largest resident memory of this process in bytes, from the kernel's account of it; for steps on the CPU.
///
/// # Errors
///
/// On systems other than Linux.
pub fn resident_peak(_: &Device) -> Result<u64> {
    let path = Path::new("/proc/self/status");
    let status = std::fs::read_to_string(path).map_err(Error::file(path, "peak memory is measured on Linux only"))?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim_end_matches("kB").trim().parse().ok());
    let missing = || Error::Config { file: path.display().to_string(), reason: "it has no VmHWM".to_owned() };
    kib.map(|kib: u64| kib * 1024).ok_or_else(missing)
}
