//! One training step after the other, on the CPU: this project's side of `cargo xtask bench train`.
//!
//! `train_step CASE THREADS`, where `CASE` is `resnet50-224` or `unet-240`. Every line on standard input asks for one
//! step; the answer is a line of JSON with the loss and the milliseconds. When the input ends, a last line tells the
//! process's peak memory in bytes.

use std::io::{stdin, stdout};

use anyhow::{Result, bail};
use candle_core::Device;
use trainer::allocator::{Allocator, keep_freed_memory};
use trainer::step::{Steps, resident_peak};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> Result<()> {
    keep_freed_memory();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name, threads] = words.as_slice() else { bail!("usage: train_step CASE THREADS") };
    rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    let batch = if name == "unet-240" { 4 } else { 8 };
    Steps::new(name, batch, &Device::Cpu)?.serve(stdin().lock(), stdout().lock(), resident_peak)?;
    Ok(())
}
