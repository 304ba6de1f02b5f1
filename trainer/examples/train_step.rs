//! One training step after the other, on the CPU: this project's side of `cargo xtask bench train`.
//!
//! `train_step CASE THREADS`, where `CASE` is `resnet50-224` or `unet-240`. Every line on standard input asks for one
//! step; the answer is a line of JSON with the loss and the milliseconds. When the input ends, a last line tells the
//! process's peak memory in bytes.

#![allow(clippy::print_stdout, reason = "the answers are what this program is for")]

use std::io::{Write as _, stdin, stdout};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use shared::model::classifier::finding_loss;
use shared::model::resnet::{Depth, ImageClassifier, ResNetConfig};
use shared::model::unet::{UNet, UNetConfig};
use shared::nn::{Parameters, cross_entropy};
use trainer::allocator::{Allocator, keep_freed_memory};
use trainer::optim::Adam;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// A network and one batch for it.
enum Case {
    ResNet { net: ImageClassifier, x: Tensor, targets: Tensor, weights: Tensor },
    UNet { net: UNet, x: Tensor, targets: Tensor },
}

impl Case {
    fn new(name: &str, parameters: &Parameters) -> Result<Self> {
        let device = Device::Cpu;
        let vb = parameters.builder(DType::F32, &device);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut uniform = |shape: &[usize]| -> Result<Tensor> {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
            Ok(Tensor::from_vec(values, shape, &device)?)
        };
        Ok(match name {
            "resnet50-224" => {
                let config = ResNetConfig { depth: Depth::D50, width: 64, in_channels: 3, stem_pool: true };
                Self::ResNet {
                    net: ImageClassifier::new(&config, 14, &vb)?,
                    x: uniform(&[8, 3, 224, 224])?,
                    targets: uniform(&[8, 14])?.gt(0.6f32)?.to_dtype(DType::F32)?,
                    weights: Tensor::ones(14, DType::F32, &device)?,
                }
            }
            "unet-240" => {
                let config = UNetConfig { in_channels: 4, n_classes: 2, widths: vec![32, 64, 128, 256] };
                Self::UNet {
                    net: UNet::new(&config, &vb)?,
                    x: uniform(&[4, 4, 240, 240])?,
                    targets: uniform(&[4, 240, 240])?.gt(0.8f32)?.to_dtype(DType::U32)?,
                }
            }
            other => bail!("{other} is no case: resnet50-224 or unet-240"),
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

fn main() -> Result<()> {
    keep_freed_memory();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name, threads] = words.as_slice() else { bail!("usage: train_step CASE THREADS") };
    rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    let parameters = Parameters::new(0);
    let case = Case::new(name, &parameters)?;
    let mut adam = Adam::at_one_rate(parameters.trainable(), 1e-4, 0.0);
    answer(&json!({ "ready": env!("CARGO_PKG_VERSION") }))?;
    for line in stdin().lines() {
        line?;
        let start = Instant::now();
        let loss = case.loss()?;
        let value = loss.to_scalar::<f32>()?;
        adam.step(&loss.backward()?, 1.0)?;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        answer(&json!({ "loss": value, "ms": ms }))?;
    }
    answer(&json!({ "peak_bytes": peak_bytes()? }))
}

fn answer(value: &Value) -> Result<()> {
    println!("{value}");
    Ok(stdout().flush()?)
}

/// Largest resident memory of this process, from the kernel's account of it.
fn peak_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("peak memory is measured on Linux only")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in /proc/self/status")?;
    Ok(line.trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}
