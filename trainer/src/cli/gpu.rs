//! `cmim gpu`, in programs that `cargo xtask cuda` built.

use std::io::{stdin, stdout};

use anyhow::bail;
use clap::{Args, Subcommand};
use trainer::device::{DeviceChoice, Precision};
use trainer::gpu_check;
use trainer::step::Steps;

use super::print;

#[derive(Debug, Args)]
pub(super) struct GpuArgs {
    #[command(subcommand)]
    command: Command,
    /// The GPU: cuda:N.
    #[arg(long, global = true, default_value_t = DeviceChoice::Cuda(0))]
    device: DeviceChoice,
    /// How it computes: f32, tf32 or bf16.
    #[arg(long, global = true, value_name = "PRECISION", default_value = "f32")]
    precision: Precision,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare every layer, loss and network with the CPU: values and gradients.
    Check,
    /// Take a training step for each line of input, and answer with its time: one side of `cargo xtask bench gpu`.
    Step {
        /// resnet50-224 or unet-240.
        case: String,
        /// Images or slices in a batch.
        #[arg(long)]
        batch: usize,
    },
}

/// Checks or measures a GPU.
pub(super) fn run(args: &GpuArgs) -> anyhow::Result<()> {
    let device = args.device.open(args.precision)?;
    if !device.is_cuda() {
        bail!("`gpu` is for a GPU; give --device cuda:N");
    }
    match &args.command {
        Command::Check => {
            print(&gpu_check::describe(&device)?)?;
            let mut result = Ok(());
            let is_right = gpu_check::all(&device, args.precision, |line| {
                if result.is_ok() {
                    result = print(line);
                }
            });
            result?;
            if !is_right {
                bail!("this GPU does not give the CPU's numbers; the lines with WRONG say where");
            }
            Ok(())
        }
        Command::Step { case, batch } => {
            let steps = Steps::new(case, *batch, &device)?;
            Ok(steps.serve(stdin().lock(), stdout().lock(), gpu_check::peak_memory)?)
        }
    }
}
