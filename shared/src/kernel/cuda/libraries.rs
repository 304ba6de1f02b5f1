//! CUDA's libraries, which are looked for when a GPU is opened: a program for GPUs starts on machines without one too.

use candle_core::cuda::cudarc::driver::sys;
use candle_core::{Error, Result, bail};
use libloading::Library;

/// The files that this program loads, and who brings them. Their versions are those that it was built for.
const FILES: [(&str, &str); 6] = [
    ("libcuda.so.1", "NVIDIA's driver, 580 or newer"),
    ("libcublasLt.so.13", "CUDA 13"),
    ("libcublas.so.13", "CUDA 13"),
    ("libcurand.so.10", "CUDA 13"),
    ("libnvrtc.so.13", "CUDA 13"),
    ("libcudnn.so.9", "cuDNN 9 for CUDA 13"),
];
/// The CUDA version that a driver must know at least.
const DRIVER: i32 = 13000;

/// Whether all that a GPU needs is there.
///
/// # Errors
///
/// What is missing or too old.
pub(super) fn check() -> Result<()> {
    for (file, source) in FILES {
        // SAFETY: what runs when it is loaded is NVIDIA's, and would run a moment later.
        match unsafe { Library::new(file) } {
            // It stays: it is loaded again under another name, which costs nothing while it is there.
            Ok(library) => std::mem::forget(library),
            Err(error) => bail!(
                "{file} of {source} cannot be loaded; PyTorch for CUDA 13 brings all but the driver, gpu.py finds them, \
                 LD_LIBRARY_PATH says where else they are ({error})"
            ),
        }
    }
    let found = driver()?;
    if found < DRIVER {
        let version = |number: i32| format!("{}.{}", number / 1000, number % 1000 / 10);
        bail!(
            "the driver is too old: it is for CUDA {}, this program for {}, which drivers from 580 on know",
            version(found),
            version(DRIVER)
        );
    }
    Ok(())
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
