//! What computes: the CPU, or an NVIDIA GPU in programs that `cargo xtask cuda` built.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

use crate::error::{Error, Result};

/// A device as it is asked for: `auto`, `cpu` or `cuda:N`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU where there is one that this program can use, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU by its number.
    Cuda(usize),
}

/// How a GPU computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// In 32 bits.
    #[default]
    F32,
    /// Products of numbers rounded to 10 bits of mantissa, for several times the speed.
    Tf32,
    /// TF32, and images inside of a network in bf16, for half the memory; weights, statistics and losses stay in 32 bits.
    Bf16,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let number = text.strip_prefix("cuda:").and_then(|number| number.parse().ok());
                number.map(Self::Cuda).ok_or_else(|| format!("`{text}` is no device: give auto, cpu or cuda:N"))
            }
        }
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "tf32" => Ok(Self::Tf32),
            "bf16" => Ok(Self::Bf16),
            _ => Err(format!("`{text}` is no precision: give f32, tf32 or bf16")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl DeviceChoice {
    /// Opens the device; the precision is that of all its computation from now on.
    ///
    /// # Errors
    ///
    /// [`Error::NoDevice`] for a GPU that is not there or cannot be used, and for a precision that the CPU has not.
    pub fn open(self, precision: Precision) -> Result<Device> {
        let opened = match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) => open_gpu(number),
            Self::Auto => Ok(open_gpu(0).unwrap_or(Device::Cpu)),
        };
        let device = opened.map_err(|reason| Error::NoDevice { device: self.to_string(), reason })?;
        if device.is_cpu() && precision != Precision::F32 {
            let reason = "TF32 and bf16 are for NVIDIA GPUs; leave out --precision".to_owned();
            return Err(Error::NoDevice { device: "cpu".to_owned(), reason });
        }
        apply(precision);
        Ok(device)
    }
}

#[cfg(feature = "cuda")]
fn apply(precision: Precision) {
    use shared::kernel::cuda::Precision as Of;
    match precision {
        Precision::F32 => Of::F32.apply(),
        Precision::Tf32 => Of::Tf32.apply(),
        Precision::Bf16 => Of::Bf16.apply(),
    }
}

#[cfg(not(feature = "cuda"))]
fn apply(_: Precision) {}

#[cfg(feature = "cuda")]
fn open_gpu(number: usize) -> std::result::Result<Device, String> {
    shared::kernel::cuda::open(number).map_err(|error| {
        let text = error.to_string();
        let knows = |code: &str| text.contains(code);
        let said = text.lines().next().unwrap_or_default();
        if knows("NO_DEVICE") || knows("NOT_INITIALIZED") {
            format!("there is no NVIDIA GPU here ({said}); use --device cpu")
        } else if knows("INVALID_DEVICE") {
            format!("there is no GPU of number {number}; `nvidia-smi -L` lists them, from 0")
        } else if knows("INSUFFICIENT_DRIVER") || knows("UNSUPPORTED_PTX_VERSION") || knows("SYSTEM_DRIVER_MISMATCH") {
            format!("the driver is too old: this program needs one for CUDA 13, 580 or newer ({said})")
        } else if let Some(hint) = out_of_memory(&text) {
            hint.to_owned()
        } else {
            said.to_owned()
        }
    })
}

#[cfg(not(feature = "cuda"))]
fn open_gpu(_: usize) -> std::result::Result<Device, String> {
    Err("this program was built for the CPU alone; `cargo xtask cuda` builds one for NVIDIA GPUs".to_owned())
}

/// What computes, in words: runs are the same to the last bit on what has the same name.
#[cfg(not(feature = "cuda"))]
pub fn describe(_: &Device) -> String {
    cpu()
}

/// What computes, in words: runs are the same to the last bit on what has the same name.
#[cfg(feature = "cuda")]
pub fn describe(device: &Device) -> String {
    let precision = shared::kernel::cuda::Precision::current();
    crate::gpu_check::describe(device).map_or_else(|_not_a_gpu| cpu(), |gpu| format!("{gpu}, {precision:?}"))
}

fn cpu() -> String {
    format!("a CPU with {}", shared::kernel::Simd::best().name())
}

/// What to do about an error that says that a GPU's memory is full.
pub fn out_of_memory(error: &str) -> Option<&'static str> {
    let is_full = error.contains("CUDA_ERROR_OUT_OF_MEMORY") || error.contains("CUDNN_STATUS_ALLOC_FAILED");
    is_full.then_some("the GPU's memory is full: lower training.batch_size, or end other programs on it (nvidia-smi)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:11"] {
            assert_eq!(text.parse::<DeviceChoice>().map(|device| device.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "gpu", "cuda:", "cuda:-1", "CPU"] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_cpu_is_always_there() -> Result<()> {
        assert!(DeviceChoice::Cpu.open(Precision::F32)?.is_cpu());
        let message = DeviceChoice::Cpu.open(Precision::Tf32).map_err(|error| error.to_string());
        assert!(message.is_err_and(|message| message.contains("TF32")));
        Ok(())
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_so() -> Result<()> {
        assert!(DeviceChoice::Auto.open(Precision::F32)?.is_cpu());
        let message = DeviceChoice::Cuda(0).open(Precision::F32).map_err(|error| error.to_string());
        assert!(message.is_err_and(|message| message.contains("cargo xtask cuda")));
        Ok(())
    }
}
