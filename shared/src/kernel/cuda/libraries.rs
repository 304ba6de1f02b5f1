//! CUDA's libraries, which are looked for when a GPU is opened: a program for GPUs starts on machines without one too.

use candle_core::cuda::cudarc::driver::sys;
use candle_core::{Error, Result, bail};
use libloading::Library;

/// The driver's file.
const DRIVER: &str = "libcuda.so.1";
/// The others, and what brings them. Their versions are those that this program was built for.
const FILES: [(&str, &str); 5] = [
    ("libcublasLt.so.13", "CUDA 13"),
    ("libcublas.so.13", "CUDA 13"),
    ("libcurand.so.10", "CUDA 13"),
    ("libnvrtc.so.13", "CUDA 13"),
    ("libcudnn.so.9", "cuDNN 9 for CUDA 13"),
];
/// The CUDA version that the driver must know at least.
const CUDA: i32 = 13000;

/// Whether all that a GPU needs is there.
///
/// # Errors
///
/// What is missing or too old.
pub(super) fn check() -> Result<()> {
    if let Err(error) = load(DRIVER) {
        bail!("there is no driver of NVIDIA here, which comes with their GPUs ({error}); use --device cpu");
    }
    let found = driver()?;
    if found < CUDA {
        let version = |number: i32| format!("{}.{}", number / 1000, number % 1000 / 10);
        bail!(
            "the driver is too old: it is for CUDA {}, this program for {}, which drivers from 580 on know",
            version(found),
            version(CUDA)
        );
    }
    for (file, source) in FILES {
        if let Err(error) = load(file) {
            bail!(
                "{source} is missing ({error}); PyTorch for CUDA 13 brings it and `gpu.py` finds it there, or name its \
                 folder in LD_LIBRARY_PATH"
            );
        }
    }
    Ok(())
}

/// Loads a library for as long as the program runs; it is loaded again by whoever calls it, which costs nothing then.
fn load(file: &str) -> std::result::Result<(), libloading::Error> {
    // SAFETY: what runs when it is loaded is NVIDIA's, and would run a moment later.
    unsafe { Library::new(file) }.map(std::mem::forget)
}

/// The CUDA version of the driver, such as 13000.
///
/// # Errors
///
/// If it does not say.
pub(super) fn driver() -> Result<i32> {
    let mut version = 0;
    // SAFETY: the call writes one number.
    unsafe { sys::cuDriverGetVersion(&raw mut version).result().map_err(Error::wrap)? };
    Ok(version)
}
