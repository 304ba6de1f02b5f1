//! The options that say what trains.

use candle_core::Device;
use clap::Args;
use trainer::device::{DeviceChoice, Precision};

use super::note;

#[derive(Debug, Args)]
pub(super) struct DeviceArgs {
    /// What trains: auto (a GPU if there is one), cpu, or cuda:N.
    #[arg(long, default_value_t)]
    device: DeviceChoice,
    /// How a GPU computes: f32, tf32 for several times the speed, or bf16 for half the memory too.
    #[arg(long, value_name = "PRECISION", default_value = "f32")]
    precision: Precision,
}

impl DeviceArgs {
    /// Opens the device. Where `auto` passes by a GPU, a remark says why.
    pub(super) fn open(&self) -> anyhow::Result<Device> {
        let mut passed = None;
        let device = self.device.open_or_tell(self.precision, |reason| passed = Some(reason.to_owned()))?;
        if let Some(reason) = passed {
            note(&format!("the CPU computes: {reason}"))?;
        }
        Ok(device)
    }
}
