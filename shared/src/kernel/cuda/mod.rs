//! The trainable layers on an NVIDIA GPU: cuDNN's convolutions, and run-time compiled kernels for the rest.
//!
//! Images are f32, or bf16 ([`Precision::Bf16`]); parameters, statistics and losses are f32 always.
//!
//! Everything of a device goes through one stream, so that what is queued runs in the order of the calls; nothing here
//! waits for the device. Functions take [`Input`]s, whose sizes the layers have checked, and give new memory.
//!
//! The same calls give the same bits: our kernels use no atomics, nor do those of candle that training runs (its sums are
//! trees, and the gradient of a selection adds row by row); cuBLAS promises as much for one stream, unless it is told to use
//! atomics; and of cuDNN's algorithms those are taken that promise it, always the same ones where there is a record of them
//! ([`algorithms`]).

#![allow(unsafe_code, reason = "memory of the device has no slices: libraries and kernels take its addresses")]

pub(crate) mod conv;
mod libraries;
pub(crate) mod loss;
pub(crate) mod norm;
pub mod optim;
pub(crate) mod pool;
pub(crate) mod shape;

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::cuda::cudarc::driver::{
    CudaFunction, CudaSlice, CudaStream, DevicePtr, DeviceRepr, LaunchConfig, sys,
};
use candle_core::cuda::cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use candle_core::cuda::{CudaDType, CudaStorageSlice, DeviceId};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, DType, Device, Error, Layout, Result, Shape, Storage, Tensor, bail};
use half::bf16;

use self::conv::Convolutions;
use super::algorithms::{Algorithms, Machine, Real};
use super::real::{RELEASED, WAS_RELEASED};

/// The kernels' text.
const KERNELS: &str = include_str!("kernels.cu");
/// Their names.
const NAMES: [&str; 34] = [
    "adam",
    "add_bias",
    "average_pool",
    "average_pool_gradient",
    "blend",
    "column_finish",
    "column_part",
    "concat",
    "concat_gradient",
    "cross_entropy",
    "cross_entropy_gradient",
    "enlarge",
    "enlarge_gradient",
    "lstm_cell",
    "lstm_cell_gradient",
    "max_pool",
    "max_pool_gradient",
    "mean_of_parts",
    "moments_finish",
    "moments_part",
    "moments_part4",
    "norm_apply",
    "norm_apply4",
    "norm_gradient_finish",
    "norm_gradient_part",
    "norm_gradient_part4",
    "norm_input_gradient",
    "norm_input_gradient4",
    "pairwise_gradient",
    "pairwise_relu",
    "softplus",
    "softplus_gradient",
    "statistics_of_running",
    "transpose",
];

/// Threads of a block that works element by element.
const THREADS: u32 = 256;
/// Blocks beyond which each thread takes several elements: a few for each place of the largest devices.
const MAX_BLOCKS: u32 = 1 << 14;
/// Channels side by side and rows at a time of a block that sums over rows, as `kernels.cu` has them.
const LANES: u32 = 32;
const ROWS: u32 = 8;
/// Parts at a time of a block that finishes such a sum.
const PARTS: u32 = 32;
/// Blocks that keep every device busy.
const BUSY: u32 = 2048;

/// How products of 32-bit numbers are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As they are.
    F32,
    /// Rounded to 10 bits of mantissa before they are multiplied, added up in 32 bits: NVIDIA's TF32.
    Tf32,
    /// TF32, and convolutions in two dimensions, with what lies between them, in bf16: half the memory.
    Bf16,
}

static PRECISION: AtomicU8 = AtomicU8::new(0);

impl Precision {
    /// Applies to all convolutions and matrix products from now on, on all devices.
    pub fn apply(self) {
        PRECISION.store(self as u8, Ordering::Relaxed);
        candle_core::cuda::set_gemm_reduced_precision_f32(self != Self::F32);
    }

    /// The one that applies.
    pub fn current() -> Self {
        match PRECISION.load(Ordering::Relaxed) {
            0 => Self::F32,
            1 => Self::Tf32,
            _ => Self::Bf16,
        }
    }
}

/// Opens GPU number `ordinal`: one stream, and memory that is kept for the next step when it is freed.
///
/// # Errors
///
/// If there is no such GPU, its driver is missing or too old, or a library is.
pub fn open(ordinal: usize) -> Result<Device> {
    libraries::check()?;
    let device = CudaDevice::new_with_stream(ordinal)?;
    // SAFETY: all memory of this device is used on its one stream alone.
    unsafe { device.disable_event_tracking() };
    keep_freed_memory(&device)?;
    gpu(&device)?;
    Ok(Device::Cuda(device))
}

/// The algorithms that were chosen on a device so far.
///
/// # Errors
///
/// If the device is no GPU.
pub fn algorithms(device: &Device) -> Result<Algorithms> {
    Ok(gpu(device.as_cuda_device()?)?.convolutions().algorithms().clone())
}

/// Takes algorithms that were chosen earlier before any that the device has chosen itself. Those of another machine are
/// left alone.
///
/// # Errors
///
/// If the device is no GPU.
pub fn set_algorithms(device: &Device, first: Algorithms) -> Result<()> {
    gpu(device.as_cuda_device()?)?.convolutions().set_algorithms(first);
    Ok(())
}

/// Calls `tell` with all algorithms of a device whenever it has chosen another one. It must not compute on the device.
///
/// # Errors
///
/// If the device is no GPU.
pub fn when_chosen(device: &Device, tell: impl Fn(&Algorithms) + Send + 'static) -> Result<()> {
    gpu(device.as_cuda_device()?)?.convolutions().when_chosen(Box::new(tell));
    Ok(())
}

/// The most memory that was in use on the device since the last call, in bytes.
///
/// # Errors
///
/// If the device does not say.
pub fn peak_memory(device: &Device) -> Result<u64> {
    let device = device.as_cuda_device()?;
    let pool = pool(device)?;
    let mut bytes = 0_u64;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
    // SAFETY: the pool is the device's, and the attribute is 64 bits wide.
    unsafe {
        sys::cuMemPoolGetAttribute(pool, attribute, (&raw mut bytes).cast()).result().map_err(Error::wrap)?;
        let mut zero = 0_u64;
        sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut zero).cast()).result().map_err(Error::wrap)?;
    }
    Ok(bytes)
}

/// The memory that tensors on the device can have: what is free, and what this program keeps for them already, in bytes.
///
/// # Errors
///
/// If the device does not say.
pub fn available_memory(device: &Device) -> Result<u64> {
    let device = device.as_cuda_device()?;
    let (free, _) = device.cuda_stream().context().mem_get_info().map_err(Error::wrap)?;
    let mut kept = 0_u64;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT;
    // SAFETY: the pool is the device's, and the attribute is 64 bits wide.
    unsafe {
        sys::cuMemPoolGetAttribute(pool(device)?, attribute, (&raw mut kept).cast()).result().map_err(Error::wrap)?;
    };
    Ok(free as u64 + kept)
}

fn pool(device: &CudaDevice) -> Result<sys::CUmemoryPool> {
    let stream = device.cuda_stream();
    let mut pool = std::ptr::null_mut();
    // SAFETY: the call writes one handle, which lives as long as the device.
    unsafe {
        sys::cuDeviceGetDefaultMemPool(&raw mut pool, stream.context().cu_device()).result().map_err(Error::wrap)?;
    };
    Ok(pool)
}

/// By default the driver gives freed memory back whenever the device is waited for, which every step does.
fn keep_freed_memory(device: &CudaDevice) -> Result<()> {
    if !device.cuda_stream().context().has_async_alloc() {
        return Ok(());
    }
    let mut all = u64::MAX;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the pool is the device's, and the attribute is 64 bits wide.
    unsafe { sys::cuMemPoolSetAttribute(pool(device)?, attribute, (&raw mut all).cast()).result().map_err(Error::wrap) }
}

/// A device with its compiled kernels and its convolutions.
pub(crate) struct Gpu {
    device: CudaDevice,
    stream: Arc<CudaStream>,
    /// For images in f32, and in bf16.
    functions: [HashMap<&'static str, CudaFunction>; 2],
    convolutions: Mutex<Convolutions>,
}

/// The devices in use.
static GPUS: Mutex<Vec<(DeviceId, Arc<Gpu>)>> = Mutex::new(Vec::new());

/// A device's kernels, compiled when it is asked for the first time.
pub(crate) fn gpu(device: &CudaDevice) -> Result<Arc<Gpu>> {
    let mut gpus = GPUS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, gpu)) = gpus.iter().find(|(id, _)| *id == device.id()) {
        return Ok(gpu.clone());
    }
    let gpu = Arc::new(Gpu::new(device)?);
    gpus.push((device.id(), gpu.clone()));
    Ok(gpu)
}

impl Gpu {
    fn new(device: &CudaDevice) -> Result<Self> {
        let stream = device.cuda_stream();
        let context = stream.context();
        let (major, minor) = context.compute_capability().map_err(Error::wrap)?;
        let compiled = |defined: &str| -> Result<HashMap<&'static str, CudaFunction>> {
            let options = CompileOptions {
                options: vec![format!("--gpu-architecture=compute_{major}{minor}"), defined.to_owned()],
                name: Some("kernels.cu".to_owned()),
                ..CompileOptions::default()
            };
            let compiled = compile_ptx_with_opts(KERNELS, options).map_err(Error::wrap)?;
            let module = context.load_module(compiled).map_err(Error::wrap)?;
            NAMES.iter().map(|name| Ok((*name, module.load_function(name).map_err(Error::wrap)?))).collect()
        };
        let functions = [compiled("-DF32")?, compiled("-DBF16")?];
        let machine =
            Machine { gpu: context.name().map_err(Error::wrap)?, driver: libraries::driver()?, cudnn: conv::version() };
        let convolutions = Mutex::new(Convolutions::new(&stream, Algorithms::new(machine))?);
        Ok(Self { device: device.clone(), stream: stream.clone(), functions, convolutions })
    }

    fn convolutions(&self) -> MutexGuard<'_, Convolutions> {
        self.convolutions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// New memory; what is in it is anyone's guess.
    fn alloc<T: DeviceRepr>(&self, len: usize) -> Result<CudaSlice<T>> {
        // SAFETY: every caller lets a kernel write all of it before anything reads it.
        unsafe { self.device.alloc::<T>(len) }
    }

    /// New values of an image.
    fn values(&self, real: Real, len: usize) -> Result<Values> {
        Ok(match real {
            Real::F32 => Values::F32(self.alloc(len)?),
            Real::Bf16 => Values::Bf16(self.alloc(len)?),
        })
    }

    fn function(&self, real: Real, name: &str) -> Result<&CudaFunction> {
        match self.functions[real as usize].get(name) {
            Some(function) => Ok(function),
            None => bail!("there is no kernel {name}"),
        }
    }

    /// The address of memory on the one stream.
    fn address<T>(&self, memory: &CudaSlice<T>) -> u64 {
        memory.device_ptr(&self.stream).0
    }

    /// A result as a storage.
    fn storage<T: CudaDType>(&self, memory: CudaSlice<T>) -> CudaStorage {
        CudaStorage::wrap_cuda_slice(memory, self.device.clone())
    }

    /// A result as a tensor that has no history.
    fn tensor<T: CudaDType>(&self, memory: CudaSlice<T>, shape: impl Into<Shape>) -> Tensor {
        Tensor::from_storage(Storage::Cuda(self.storage(memory)), shape, BackpropOp::none(), false)
    }
}

/// Leaves an image without its memory, which is free when what is queued has been done.
pub(crate) fn release(image: &mut CudaStorage) -> Result<()> {
    // There is no memory of no values.
    image.slice = CudaStorageSlice::F4(gpu(&image.device)?.alloc(1)?);
    Ok(())
}

/// An image's values.
enum Values {
    F32(CudaSlice<f32>),
    Bf16(CudaSlice<bf16>),
}

impl Values {
    fn address(&self, gpu: &Gpu) -> u64 {
        match self {
            Self::F32(memory) => gpu.address(memory),
            Self::Bf16(memory) => gpu.address(memory),
        }
    }

    fn storage(self, gpu: &Gpu) -> CudaStorage {
        match self {
            Self::F32(memory) => gpu.storage(memory),
            Self::Bf16(memory) => gpu.storage(memory),
        }
    }

    fn tensor(self, gpu: &Gpu, shape: impl Into<Shape>) -> Tensor {
        Tensor::from_storage(Storage::Cuda(self.storage(gpu)), shape, BackpropOp::none(), false)
    }
}

/// Queues a kernel with arguments that are copied: numbers and addresses. `real => "name"` is the kernel for images of that
/// type.
macro_rules! launch {
    ($gpu:expr, $name:literal, $($rest:tt)+) => {
        launch!($gpu, $crate::kernel::cuda::Real::F32 => $name, $($rest)+)
    };
    ($gpu:expr, $real:expr => $name:literal, $config:expr, $($argument:expr),+ $(,)?) => {{
        use candle_core::cuda::cudarc::driver::PushKernelArg as _;
        let gpu: &$crate::kernel::cuda::Gpu = $gpu;
        let mut builder = gpu.stream.launch_builder(gpu.function($real, $name)?);
        $(
            let argument = $argument;
            builder.arg(&argument);
        )+
        // SAFETY: the arguments are those of the kernel's text, the addresses are of memory that lives until the call
        // returns, which frees it on the same stream at the earliest, and the sizes were checked by the layer.
        unsafe { builder.launch($config) }.map(|_| ()).map_err(candle_core::Error::wrap)
    }};
}
pub(crate) use launch;

/// For kernels that go over `n` elements.
fn elements(n: u32) -> LaunchConfig {
    LaunchConfig {
        grid_dim: (n.div_ceil(THREADS).clamp(1, MAX_BLOCKS), 1, 1),
        block_dim: (THREADS, 1, 1),
        shared_mem_bytes: 0,
    }
}

/// How the rows of a matrix are divided among blocks that sum over them.
struct RowSums {
    rows: u32,
    channels: u32,
    rows_per_block: u32,
    parts: u32,
    /// Threads of a block, side by side and one below the other.
    block: (u32, u32),
}

impl RowSums {
    fn new(rows: u32, channels: u32) -> Self {
        Self::in_blocks(rows, channels, channels, (LANES, ROWS))
    }

    /// The same for kernels whose threads take four channels each.
    fn in_fours(rows: u32, channels: u32) -> Self {
        let lanes = (channels / 4).next_power_of_two().min(LANES);
        Self::in_blocks(rows, channels, channels / 4, (lanes, THREADS / lanes))
    }

    fn in_blocks(rows: u32, channels: u32, columns: u32, block: (u32, u32)) -> Self {
        let wanted = (BUSY / columns.div_ceil(block.0)).max(1);
        let rows_per_block = rows.div_ceil(wanted).next_multiple_of(block.1).max(4 * block.1);
        Self { rows, channels, rows_per_block, parts: rows.div_ceil(rows_per_block).max(1), block }
    }

    /// Memory for the parts.
    fn memory(&self, gpu: &Gpu) -> Result<CudaSlice<f32>> {
        gpu.alloc(2 * self.parts as usize * self.channels as usize)
    }

    /// For kernels that go over so many columns.
    fn sum(&self, columns: u32) -> LaunchConfig {
        LaunchConfig {
            grid_dim: (columns.div_ceil(self.block.0), self.parts, 1),
            block_dim: (self.block.0, self.block.1, 1),
            shared_mem_bytes: 0,
        }
    }

    fn finish(&self) -> LaunchConfig {
        LaunchConfig {
            grid_dim: (self.channels.div_ceil(LANES), 1, 1),
            block_dim: (LANES, PARTS, 1),
            shared_mem_bytes: 0,
        }
    }
}

/// Contiguous values on a device, alive as long as what they were taken from.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    address: u64,
    len: usize,
    real: Real,
    _of: PhantomData<&'a ()>,
}

impl<'a> Input<'a> {
    /// The operand of a custom operation.
    pub(crate) fn new(storage: &'a CudaStorage, layout: &Layout) -> Result<Self> {
        match storage.dtype() {
            DType::F32 => Self::of::<f32>(storage, layout, Real::F32),
            DType::BF16 => Self::of::<bf16>(storage, layout, Real::Bf16),
            RELEASED => bail!("{WAS_RELEASED}"),
            other => bail!("element type {other:?} is not trainable on a GPU; use F32"),
        }
    }

    /// The same, of a type that kernels of one type take.
    pub(crate) fn f32(self) -> Result<Self> {
        self.as_real(Real::F32)
    }

    fn as_real(self, real: Real) -> Result<Self> {
        if self.real != real {
            bail!("values of type {:?} where {real:?} is needed", self.real);
        }
        Ok(self)
    }

    fn of<T: CudaDType>(storage: &'a CudaStorage, layout: &Layout, real: Real) -> Result<Self> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("operand with strides {:?} is not contiguous", layout.stride());
        };
        let memory = storage.as_cuda_slice::<T>()?;
        let address = memory.device_ptr(memory.stream()).0 + (start * size_of::<T>()) as u64;
        Ok(Self { address, len: end - start, real, _of: PhantomData })
    }

    /// A tensor's values.
    pub(crate) fn tensor(tensor: &'a Tensor) -> Result<Self> {
        Self::held(tensor, |storage, layout| Ok(Input::new(storage, layout)?.forget()))
    }

    /// A tensor's values that are no image's, such as labels.
    fn tensor_of<T: CudaDType>(tensor: &'a Tensor) -> Result<Self> {
        Self::held(tensor, |storage, layout| Ok(Input::of::<T>(storage, layout, Real::F32)?.forget()))
    }

    /// The same for any lifetime.
    fn forget<'b>(self) -> Input<'b> {
        Input { address: self.address, len: self.len, real: self.real, _of: PhantomData }
    }

    fn held(tensor: &'a Tensor, input: impl Fn(&CudaStorage, &Layout) -> Result<Self>) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        match &*storage {
            // The tensor owns the memory and outlives the borrow of its storage.
            Storage::Cuda(storage) => input(storage, layout),
            _ => bail!("a tensor of the CPU among those of a GPU"),
        }
    }

    /// Elements as the kernels count them.
    fn count(self) -> Result<u32> {
        count(self.len)
    }
}

/// A size as the kernels count.
fn count(n: usize) -> Result<u32> {
    match u32::try_from(n) {
        Ok(n) if n < 1 << 31 => Ok(n),
        _ => bail!("a tensor of {n} values is too large for one kernel; use a smaller batch"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_of_the_text_has_a_name_here() {
        let mut found: Vec<&str> =
            KERNELS.split("__global__ void ").skip(1).filter_map(|rest| rest.split('(').next()).collect();
        found.sort_unstable();
        assert_eq!(found, NAMES);
    }

    #[test]
    fn rows_are_divided_without_rest() {
        for (rows, channels) in [(1, 1), (2, 2048), (921_600, 32), (3136 * 64, 64), (7, 33)] {
            for sums in [RowSums::new(rows, channels), RowSums::in_fours(rows, channels.next_multiple_of(4))] {
                assert!(sums.parts * sums.rows_per_block >= rows && (sums.parts - 1) * sums.rows_per_block < rows);
                assert!(sums.parts <= u16::MAX.into() && sums.block.0 * sums.block.1 == THREADS);
            }
        }
    }
}
