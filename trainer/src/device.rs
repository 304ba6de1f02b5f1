//! What computes: the CPU, or an NVIDIA GPU in programs that `cargo xtask cuda` built.

#[cfg_attr(not(any(test, feature = "cuda")), allow(dead_code, reason = "the CPU's memory is the system's concern"))]
mod fitting;

use std::fmt;
#[cfg(feature = "cuda")]
use std::io::{Write as _, stderr};
use std::str::FromStr;
#[cfg(feature = "cuda")]
use std::sync::Once;

use candle_core::Device;
use shared::kernel::algorithms::Algorithms;
#[cfg(feature = "cuda")]
use shared::kernel::cuda;

#[cfg(feature = "cuda")]
use crate::algorithm_cache::AlgorithmCache;
use crate::allocator::peak_bytes;
use crate::error::{Error, Result};
use fitting::Fit;
#[cfg(feature = "cuda")]
use fitting::largest_batch;

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
        self.open_or_tell(precision, |_| ())
    }

    /// The same; where `auto` takes the CPU in a program for GPUs, `tell` hears why.
    ///
    /// # Errors
    ///
    /// [`Error::NoDevice`] for a GPU that is not there or cannot be used, and for a precision that the CPU has not.
    pub fn open_or_tell(self, precision: Precision, tell: impl FnOnce(&str)) -> Result<Device> {
        let opened = match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) => open_gpu(number),
            Self::Auto => Ok(open_gpu(0).unwrap_or_else(|reason| {
                if cfg!(feature = "cuda") {
                    tell(&reason);
                }
                Device::Cpu
            })),
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
    let device = cuda::open(number).and_then(|device| {
        keep_algorithms(&device)?;
        Ok(device)
    });
    device.map_err(|error| {
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

/// Computes with the algorithms that were chosen on such a GPU before, and keeps those that will be.
#[cfg(feature = "cuda")]
fn keep_algorithms(device: &Device) -> candle_core::Result<()> {
    static WARNED: Once = Once::new();
    let Some(cache) = AlgorithmCache::of_user(cuda::algorithms(device)?.machine()) else { return Ok(()) };
    cuda::set_algorithms(device, cache.read())?;
    cuda::when_chosen(device, move |chosen| {
        if let Err(error) = cache.add(chosen) {
            WARNED.call_once(|| {
                // A warning that cannot be shown must not end the run.
                let _ =
                    writeln!(stderr(), "warning: {error}: another run may choose others, and differ in the last bits");
            });
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

/// The most memory that training has had, in bytes: on a GPU since this was asked last, else the whole program so far.
pub fn peak_memory(device: &Device) -> u64 {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(_) => cuda::peak_memory(device).unwrap_or_default(),
        _ => peak_bytes() as u64,
    }
}

/// The record of the algorithms that a GPU computes with, which [`set_algorithms`] takes; `None` for the CPU, which has no
/// choice. A run that is resumed with it gives the same bits as one that was never stopped.
///
/// # Errors
///
/// Those of the tensor library.
pub fn algorithms(device: &Device) -> Result<Option<String>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(_) => Ok(Some(cuda::algorithms(device)?.to_json())),
        _ => Ok(None),
    }
}

/// Computes with the algorithms of a record from now on. Nothing changes on the CPU, nor where the record is of another GPU,
/// driver or cuDNN: there, the same bits cannot be had.
///
/// # Errors
///
/// [`shared::Error::Algorithms`] if the record is damaged.
pub fn set_algorithms(device: &Device, record: &str) -> Result<()> {
    let record = Algorithms::of_json(record)?;
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(_) => Ok(cuda::set_algorithms(device, record)?),
        _ => {
            drop(record);
            Ok(())
        }
    }
}

/// What to say when a training step fails because the GPU's memory is full, with the number of items that would fit: from
/// what smaller batches need, which `attempt` computes the gradients of. `None` if the error is another one.
///
/// `error` is what the step said, `items` how many the batch had. All of the failed step's tensors must be dropped.
pub fn full_memory(
    error: &str,
    device: &Device,
    items: usize,
    attempt: impl FnMut(usize) -> Result<()>,
) -> Option<String> {
    let hint = out_of_memory(error)?;
    let Some(fit) = measure(device, items, attempt) else {
        return Some(format!("{hint} (a batch of {items} did not fit)"));
    };
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Some(format!(
        "the GPU's memory is full with a batch of {items}; about {} would fit (a batch of {} takes {:.1} GiB, {:.1} GiB are \
         there): lower training.batch_size, or end other programs on the GPU (nvidia-smi)",
        fit.items,
        fit.measured,
        gib(fit.bytes),
        gib(fit.capacity_bytes)
    ))
}

#[cfg(feature = "cuda")]
fn measure(device: &Device, items: usize, mut attempt: impl FnMut(usize) -> Result<()>) -> Option<Fit> {
    largest_batch(items, cuda::available_memory(device).ok()?, |items| {
        cuda::peak_memory(device).ok()?; // What was before does not count.
        attempt(items).ok()?;
        cuda::peak_memory(device).ok()
    })
}

#[cfg(not(feature = "cuda"))]
fn measure(_: &Device, _: usize, _: impl FnMut(usize) -> Result<()>) -> Option<Fit> {
    None
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
        assert!(DeviceChoice::Auto.open_or_tell(Precision::F32, |reason| panic!("{reason}"))?.is_cpu());
        let message = DeviceChoice::Cuda(0).open(Precision::F32).map_err(|error| error.to_string());
        assert!(message.is_err_and(|message| message.contains("cargo xtask cuda")));
        Ok(())
    }

    #[test]
    fn the_cpu_has_no_choice_of_algorithms() {
        assert_eq!(algorithms(&Device::Cpu).unwrap(), None);
        let machine = shared::kernel::algorithms::Machine { gpu: "a".to_owned(), driver: 13000, cudnn: 91900 };
        set_algorithms(&Device::Cpu, &Algorithms::new(machine).to_json()).unwrap();
        assert!(set_algorithms(&Device::Cpu, "{").unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn other_errors_are_none_of_memory() {
        let never = |_: usize| -> Result<()> { panic!("tried") };
        assert_eq!(full_memory("a shape is wrong", &Device::Cpu, 4, never), None);
        let text = full_memory("DriverError(CUDA_ERROR_OUT_OF_MEMORY)", &Device::Cpu, 4, never).unwrap();
        assert!(text.contains("a batch of 4") && text.contains("batch_size"), "{text}");
    }
}
