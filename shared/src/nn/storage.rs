//! Contiguous slices of candle's CPU tensors.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};

use crate::kernel::real::{RELEASED, Real, WAS_RELEASED};

/// The elements of a contiguous operand of a custom operation.
pub(crate) fn slice<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some(_) if storage.dtype() == RELEASED => bail!("{WAS_RELEASED}"),
        Some((start, end)) => Ok(&storage.as_slice::<T>()?[start..end]),
        None => bail!("operand with strides {:?} is not contiguous", layout.stride()),
    }
}

/// Calls `f` with the elements of a tensor, which is made contiguous first where it is not.
pub(crate) fn with_slice<T: Real, R>(tensor: &Tensor, f: impl FnOnce(&[T]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(slice(storage, layout)?),
        _ => bail!("this layer runs on the CPU only; build and run with the device `cpu`"),
    }
}

/// Runs one body for the element type at hand, named `$T` in it.
macro_rules! for_real {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $T = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $T = f64;
                $body
            }
            $crate::kernel::real::RELEASED => candle_core::bail!("{}", $crate::kernel::real::WAS_RELEASED),
            other => candle_core::bail!("element type {other:?} is not trainable; use F32 or F64"),
        }
    };
}
pub(crate) use for_real;
