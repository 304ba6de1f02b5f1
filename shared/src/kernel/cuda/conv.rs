//! Convolution and its gradients by cuDNN, channels last.
//!
//! The fastest algorithm of each shape is found by trying them all when the shape is met for the first time; another
//! batch size of the same shape takes the same one. Where cuDNN has none for images that are channels last, both images
//! are turned around.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::{Arc, PoisonError};

use candle_core::cuda::cudarc::cudnn::{result, sys};
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaStream, LaunchConfig};
use candle_core::{CudaDevice, CudaStorage, Error, Result, Tensor, bail};

use super::{Gpu, Input, Precision, Real, RowSums, Values, count, elements, gpu, launch};
use crate::kernel::train::conv::Conv;

/// Memory that an algorithm may use, in bytes; less where the device has less.
const WORKSPACES: [usize; 3] = [1 << 30, 1 << 28, 1 << 24];
/// More answers than cuDNN gives to what the fastest algorithm is.
const ANSWERS: usize = 16;

/// What is computed from the two others of `x`, weight and `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    /// `y`.
    Forward,
    /// The gradient of `x`.
    Data,
    /// The gradient of the weight.
    Filter,
}

/// How images lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// `[N, H, W, C]`, weights `[C_out, k_h, k_w, C_in]`.
    ChannelsLast,
    /// `[N, C, H, W]`, weights `[C_out, C_in, k_h, k_w]`.
    Planes,
}

#[derive(Debug, Clone, Copy)]
enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    Data(sys::cudnnConvolutionBwdDataAlgo_t),
    Filter(sys::cudnnConvolutionBwdFilterAlgo_t),
}

/// An algorithm, and how it multiplies.
#[derive(Debug, Clone, Copy)]
struct Choice {
    order: Order,
    algorithm: Algorithm,
    math: sys::cudnnMathType_t,
}

/// Addresses of the three tensors, and what they are of.
#[derive(Debug, Clone, Copy)]
struct Operands {
    x: u64,
    w: u64,
    y: u64,
    real: Real,
}

/// cuDNN's words for one convolution. They are kept as long as the program runs.
#[derive(Debug, Clone, Copy)]
struct Descriptors {
    x: sys::cudnnTensorDescriptor_t,
    w: sys::cudnnFilterDescriptor_t,
    y: sys::cudnnTensorDescriptor_t,
    conv: sys::cudnnConvolutionDescriptor_t,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    choice: Choice,
    descriptors: Descriptors,
    workspace: usize,
}

/// A shape in a direction and how it is computed; the number of images is 0 where any will do.
type Key = (Conv, Direction, Real, sys::cudnnMathType_t);

/// cuDNN on one stream, and what it has found out.
pub(super) struct Convolutions {
    handle: sys::cudnnHandle_t,
    plans: HashMap<Key, Plan>,
    choices: HashMap<Key, Choice>,
    workspace: Option<CudaSlice<u8>>,
}

// SAFETY: cuDNN's handles and descriptors may be used by any thread, one at a time, which the mutex around this sees to.
unsafe impl Send for Convolutions {}

impl Convolutions {
    pub(super) fn new(stream: &Arc<CudaStream>) -> Result<Self> {
        let handle = result::create_handle().map_err(Error::wrap)?;
        // SAFETY: both live as long as the program runs.
        unsafe { result::set_stream(handle, stream.cu_stream().cast()).map_err(Error::wrap)? };
        Ok(Self { handle, plans: HashMap::new(), choices: HashMap::new(), workspace: None })
    }

    /// Computes what `direction` says; `given` are the tensors channels last, weights `[C_out, C_in, k_h, k_w]`.
    fn run(&mut self, gpu: &Gpu, conv: &Conv, direction: Direction, given: Operands) -> Result<()> {
        let math = match (given.real, Precision::current()) {
            (Real::F32, Precision::F32) => sys::cudnnMathType_t::CUDNN_FMA_MATH,
            (Real::F32, _) => sys::cudnnMathType_t::CUDNN_DEFAULT_MATH,
            (Real::Bf16, _) => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
        };
        let key = (*conv, direction, given.real, math);
        if let Some(plan) = self.plans.get(&key).copied() {
            return self.execute(gpu, conv, direction, given, plan);
        }
        let any = (Conv { n: 0, ..*conv }, direction, given.real, math);
        if let Some(choice) = self.choices.get(&any).copied() {
            let descriptors = Descriptors::new(conv, given.real, choice.order, choice.math)?;
            if let Ok(workspace) = self.workspace_of(descriptors, choice.algorithm) {
                let plan = Plan { choice, descriptors, workspace };
                self.plans.insert(key, plan);
                return self.execute(gpu, conv, direction, given, plan);
            }
        }
        for order in [Order::ChannelsLast, Order::Planes] {
            let descriptors = Descriptors::new(conv, given.real, order, math)?;
            let turned = Turned::new(gpu, conv, order, direction, given)?;
            let Some((algorithm, math, workspace)) = self.fastest(gpu, descriptors, direction, turned.operands)? else {
                continue;
            };
            descriptors.set_math(math)?;
            let choice = Choice { order, algorithm, math };
            self.plans.insert(key, Plan { choice, descriptors, workspace });
            self.choices.insert(any, choice);
            return self.execute(gpu, conv, direction, given, Plan { choice, descriptors, workspace });
        }
        bail!("cuDNN has no algorithm for the {direction:?} pass of {conv:?}")
    }

    fn execute(&mut self, gpu: &Gpu, conv: &Conv, direction: Direction, given: Operands, plan: Plan) -> Result<()> {
        let turned = Turned::new(gpu, conv, plan.choice.order, direction, given)?;
        if self.workspace.as_ref().is_none_or(|memory| memory.len() < plan.workspace) {
            self.workspace = None;
            self.workspace = Some(gpu.alloc(plan.workspace.max(1))?);
        }
        let workspace = self.workspace.as_ref().map_or(0, |memory| gpu.address(memory));
        let Descriptors { x, w, y, conv: how } = plan.descriptors;
        let (one, zero) = (1_f32, 0_f32);
        let (one, zero) = ((&raw const one).cast::<c_void>(), (&raw const zero).cast::<c_void>());
        let (scratch, bytes) = (workspace as *mut c_void, plan.workspace);
        let Operands { x: xs, w: ws, y: ys, .. } = turned.operands;
        let (xs, ws, ys) = (xs as *mut c_void, ws as *mut c_void, ys as *mut c_void);
        let handle = self.handle;
        // SAFETY: the descriptors say what lies at the addresses, and the workspace is as large as cuDNN asked for.
        unsafe {
            match plan.choice.algorithm {
                Algorithm::Forward(algorithm) => {
                    result::convolution_forward(handle, one, x, xs, w, ws, how, algorithm, scratch, bytes, zero, y, ys)
                }
                Algorithm::Data(algorithm) => result::convolution_backward_data(
                    handle, one, w, ws, y, ys, how, algorithm, scratch, bytes, zero, x, xs,
                ),
                Algorithm::Filter(algorithm) => result::convolution_backward_filter(
                    handle, one, x, xs, y, ys, how, algorithm, scratch, bytes, zero, w, ws,
                ),
            }
        }
        .map_err(Error::wrap)?;
        turned.finish(gpu, conv, direction, given)
    }

    fn workspace_of(&self, of: Descriptors, algorithm: Algorithm) -> Result<usize> {
        let Descriptors { x, w, y, conv } = of;
        // SAFETY: the descriptors are complete.
        unsafe {
            match algorithm {
                Algorithm::Forward(algorithm) => {
                    result::get_convolution_forward_workspace_size(self.handle, x, w, conv, y, algorithm)
                }
                Algorithm::Data(algorithm) => {
                    result::get_convolution_backward_data_workspace_size(self.handle, w, y, conv, x, algorithm)
                }
                Algorithm::Filter(algorithm) => {
                    result::get_convolution_backward_filter_workspace_size(self.handle, x, y, conv, w, algorithm)
                }
            }
        }
        .map_err(Error::wrap)
    }

    /// Tries all algorithms on the memory at hand; the fastest with how it multiplies and what memory it needs. What is
    /// computed is overwritten several times.
    fn fastest(
        &self,
        gpu: &Gpu,
        of: Descriptors,
        direction: Direction,
        operands: Operands,
    ) -> Result<Option<(Algorithm, sys::cudnnMathType_t, usize)>> {
        let mut memory = Err(Error::Msg("no workspace".to_owned()));
        for size in WORKSPACES {
            memory = gpu.alloc::<u8>(size);
            if memory.is_ok() {
                break;
            }
        }
        let memory = memory?;
        let (scratch, bytes) = (gpu.address(&memory) as *mut c_void, memory.len());
        let Descriptors { x, w, y, conv } = of;
        let Operands { x: xs, w: ws, y: ys, .. } = operands;
        let (xs, ws, ys) = (xs as *mut c_void, ws as *mut c_void, ys as *mut c_void);
        let asked = ANSWERS as c_int;
        let mut found: c_int = 0;
        /// Asks one of cuDNN's three functions, and takes the first answer that works: they come fastest first.
        macro_rules! ask {
            ($function:ident, $answer:ty, $kind:ident, $($argument:expr),+) => {{
                // SAFETY: zero is a value of each field.
                let mut answers: [$answer; ANSWERS] = unsafe { std::mem::zeroed() };
                // SAFETY: the descriptors say what lies at the addresses, and there is room for the answers.
                let status = unsafe {
                    sys::$function(self.handle, $($argument),+, asked, &raw mut found, answers.as_mut_ptr(), scratch, bytes)
                };
                // Not supported in this order of memory: the other one may be.
                if status != sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS {
                    found = 0;
                }
                let works = |answer: &&$answer| {
                    answer.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS && answer.memory <= bytes
                };
                let answers = &answers[..(found.max(0) as usize).min(ANSWERS)];
                answers.iter().find(works).map(|answer| (Algorithm::$kind(answer.algo), answer.mathType, answer.memory))
            }};
        }
        Ok(match direction {
            Direction::Forward => ask!(
                cudnnFindConvolutionForwardAlgorithmEx,
                sys::cudnnConvolutionFwdAlgoPerf_t,
                Forward,
                x,
                xs,
                w,
                ws,
                conv,
                y,
                ys
            ),
            Direction::Data => ask!(
                cudnnFindConvolutionBackwardDataAlgorithmEx,
                sys::cudnnConvolutionBwdDataAlgoPerf_t,
                Data,
                w,
                ws,
                y,
                ys,
                conv,
                x,
                xs
            ),
            Direction::Filter => ask!(
                cudnnFindConvolutionBackwardFilterAlgorithmEx,
                sys::cudnnConvolutionBwdFilterAlgoPerf_t,
                Filter,
                x,
                xs,
                y,
                ys,
                conv,
                w,
                ws
            ),
        })
    }
}

impl Descriptors {
    fn new(of: &Conv, real: Real, order: Order, math: sys::cudnnMathType_t) -> Result<Self> {
        let int = |n: usize| c_int::try_from(n).map_err(Error::wrap);
        let [h, w] = of.window.input;
        let [out_h, out_w] = of.window.output().unwrap_or_default();
        let x = [int(of.n)?, int(of.c_in)?, int(h)?, int(w)?];
        let y = [int(of.n)?, int(of.c_out)?, int(out_h)?, int(out_w)?];
        let kernel = [int(of.c_out)?, int(of.c_in)?, int(of.window.kernel[0])?, int(of.window.kernel[1])?];
        let [pad_h, pad_w] = [int(of.window.padding[0])?, int(of.window.padding[1])?];
        let [down, across] = [int(of.window.stride[0])?, int(of.window.stride[1])?];
        let format = match order {
            Order::ChannelsLast => sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC,
            Order::Planes => sys::cudnnTensorFormat_t::CUDNN_TENSOR_NCHW,
        };
        let float = sys::cudnnDataType_t::CUDNN_DATA_FLOAT;
        let element = match real {
            Real::F32 => float,
            Real::Bf16 => sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16,
        };
        let made = || -> std::result::Result<Self, result::CudnnError> {
            let made = Self {
                x: result::create_tensor_descriptor()?,
                w: result::create_filter_descriptor()?,
                y: result::create_tensor_descriptor()?,
                conv: result::create_convolution_descriptor()?,
            };
            // SAFETY: the descriptors have just been made.
            unsafe {
                result::set_tensor4d_descriptor(made.x, format, element, x)?;
                result::set_tensor4d_descriptor(made.y, format, element, y)?;
                result::set_filter4d_descriptor(made.w, element, format, kernel)?;
                let mode = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
                result::set_convolution2d_descriptor(made.conv, pad_h, pad_w, down, across, 1, 1, mode, float)?;
                result::set_convolution_math_type(made.conv, math)?;
            }
            Ok(made)
        };
        made().map_err(Error::wrap)
    }

    fn set_math(&self, math: sys::cudnnMathType_t) -> Result<()> {
        // SAFETY: the descriptor is kept for ever.
        unsafe { result::set_convolution_math_type(self.conv, math).map_err(Error::wrap) }
    }
}

/// The tensors in the order that an algorithm wants, with the memory of those that are not so already.
struct Turned {
    operands: Operands,
    /// The one that is computed, where it is turned back.
    to: Option<Values>,
    /// The others, until the algorithm is queued.
    held: Vec<Values>,
}

impl Turned {
    fn new(gpu: &Gpu, conv: &Conv, order: Order, direction: Direction, given: Operands) -> Result<Self> {
        let mut turned = Self { operands: given, to: None, held: Vec::new() };
        let taps = conv.window.taps();
        if order == Order::ChannelsLast {
            if taps > 1 && conv.c_in > 1 {
                let is_output = direction == Direction::Filter;
                turned.operands.w = turned.turn(gpu, [conv.c_out, conv.c_in, taps], given.w, is_output)?;
            }
            return Ok(turned);
        }
        let [h, w] = conv.window.input;
        let pixels = conv.out[0] * conv.out[1];
        turned.operands.x = turned.turn(gpu, [conv.n, h * w, conv.c_in], given.x, direction == Direction::Data)?;
        turned.operands.y = turned.turn(gpu, [conv.n, pixels, conv.c_out], given.y, direction == Direction::Forward)?;
        Ok(turned)
    }

    /// Memory for `[batch, rows, columns]` turned around, filled with what is at `from`, unless it is yet to be computed.
    fn turn(&mut self, gpu: &Gpu, sizes: [usize; 3], from: u64, is_output: bool) -> Result<u64> {
        let real = self.operands.real;
        let memory = gpu.values(real, sizes.iter().product())?;
        let address = memory.address(gpu);
        if is_output {
            self.to = Some(memory);
        } else {
            transpose(gpu, real, sizes, from, address)?;
            self.held.push(memory);
        }
        Ok(address)
    }

    /// Turns back what was computed.
    fn finish(&self, gpu: &Gpu, conv: &Conv, direction: Direction, given: Operands) -> Result<()> {
        let Some(memory) = &self.to else { return Ok(()) };
        let [h, w] = conv.window.input;
        let (sizes, to) = match direction {
            Direction::Forward => ([conv.n, conv.c_out, conv.out[0] * conv.out[1]], given.y),
            Direction::Data => ([conv.n, conv.c_in, h * w], given.x),
            Direction::Filter => ([conv.c_out, conv.window.taps(), conv.c_in], given.w),
        };
        transpose(gpu, given.real, sizes, memory.address(gpu), to)
    }
}

/// `[batch, rows, columns]` to `[batch, columns, rows]`.
fn transpose(gpu: &Gpu, real: Real, [batch, rows, columns]: [usize; 3], from: u64, to: u64) -> Result<()> {
    let (batch, rows, columns) = (count(batch)?, count(rows)?, count(columns)?);
    let config = LaunchConfig {
        grid_dim: (columns.div_ceil(32), rows.div_ceil(32), batch),
        block_dim: (32, 8, 1),
        shared_mem_bytes: 0,
    };
    launch!(gpu, real => "transpose", config, from, to, rows, columns)
}

fn run(gpu: &Gpu, conv: &Conv, direction: Direction, given: Operands) -> Result<()> {
    gpu.convolutions.lock().unwrap_or_else(PoisonError::into_inner).run(gpu, conv, direction, given)
}

fn add_bias(gpu: &Gpu, real: Real, len: usize, rows: &Values, bias: Input<'_>) -> Result<()> {
    let (n, c) = (count(len)?, bias.f32()?.count()?);
    launch!(gpu, real => "add_bias", elements(n), rows.address(gpu), bias.address, n, c)
}

/// `y` of `x`, with a bias if there is one.
pub(crate) fn forward(
    device: &CudaDevice,
    conv: &Conv,
    x: Input<'_>,
    weight: Input<'_>,
    bias: Option<Input<'_>>,
) -> Result<CudaStorage> {
    let gpu = &*gpu(device)?;
    let real = x.real;
    let y = gpu.values(real, conv.y_len())?;
    let w = weight.as_real(real)?.address;
    run(gpu, conv, Direction::Forward, Operands { x: x.address, w, y: y.address(gpu), real })?;
    if let Some(bias) = bias {
        add_bias(gpu, real, conv.y_len(), &y, bias)?;
    }
    Ok(y.storage(gpu))
}

/// Gradient of `x` from that of `y`, with a bias if there is one: a transposed convolution.
pub(crate) fn input_gradient(
    device: &CudaDevice,
    conv: &Conv,
    dy: Input<'_>,
    weight: Input<'_>,
    bias: Option<Input<'_>>,
) -> Result<CudaStorage> {
    let gpu = &*gpu(device)?;
    let real = dy.real;
    let dx = gpu.values(real, conv.x_len())?;
    let w = weight.as_real(real)?.address;
    run(gpu, conv, Direction::Data, Operands { x: dx.address(gpu), w, y: dy.address, real })?;
    if let Some(bias) = bias {
        add_bias(gpu, real, conv.x_len(), &dx, bias)?;
    }
    Ok(dx.storage(gpu))
}

/// Gradient of the weight, of the shape of `weight`, from `x` and the gradient of `y`.
pub(crate) fn weight_gradient(conv: &Conv, x: &Tensor, dy: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let gpu = &*gpu(x.device().as_cuda_device()?)?;
    let x = Input::tensor(x)?;
    let dy = Input::tensor(dy)?.as_real(x.real)?;
    let dw = gpu.values(x.real, weight.elem_count())?;
    let operands = Operands { x: x.address, w: dw.address(gpu), y: dy.address, real: x.real };
    run(gpu, conv, Direction::Filter, operands)?;
    Ok(dw.tensor(gpu, weight.shape()))
}

/// Sum over all rows of `[…, C]`: `[C]`.
pub(crate) fn column_sums(rows: &Tensor, channels: usize) -> Result<Tensor> {
    let gpu = &*gpu(rows.device().as_cuda_device()?)?;
    let input = Input::tensor(rows)?;
    input.count()?;
    let sums = RowSums::new(count(rows.elem_count() / channels)?, count(channels)?);
    let part = sums.memory(gpu)?;
    let at = gpu.address(&part);
    launch!(gpu, input.real => "column_part", sums.sum(sums.channels), input.address, at, sums.rows, sums.channels, sums.rows_per_block)?;
    let total = gpu.alloc::<f32>(channels)?;
    launch!(gpu, "column_finish", sums.finish(), at, gpu.address(&total), sums.parts, sums.channels)?;
    Ok(gpu.tensor(total, channels))
}
