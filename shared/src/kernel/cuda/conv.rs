//! Convolution and its gradients by cuDNN, channels last.
//!
//! The fastest algorithm of each shape that gives the same bits every time is found by trying them all when the shape is
//! met for the first time, unless a record says which one it is. Where cuDNN has none for images that are channels last,
//! both images are turned around.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::Arc;

use candle_core::cuda::cudarc::cudnn::{result, sys};
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaStream, LaunchConfig};
use candle_core::{CudaDevice, CudaStorage, Error, Result, Tensor, bail};

use super::{Gpu, Input, Precision, RowSums, Values, count, elements, gpu, launch};
use crate::kernel::algorithms::{Algorithms, Choice, Direction, Order, Real, Task};
use crate::kernel::train::conv::Conv;

/// Memory that an algorithm may use, in bytes; less where the device has less.
const WORKSPACES: [usize; 3] = [1 << 30, 1 << 28, 1 << 24];
/// More answers than cuDNN gives to what the fastest algorithm is.
const ANSWERS: usize = 16;

/// Those of cuDNN's algorithms that add in a fixed order.
const FORWARD: [sys::cudnnConvolutionFwdAlgo_t; 8] = [
    sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
    sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
    sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_GEMM,
    sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_DIRECT,
    sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_FFT,
    sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING,
    sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD,
    sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED,
];
const DATA: [sys::cudnnConvolutionBwdDataAlgo_t; 5] = [
    sys::cudnnConvolutionBwdDataAlgo_t::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1,
    sys::cudnnConvolutionBwdDataAlgo_t::CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT,
    sys::cudnnConvolutionBwdDataAlgo_t::CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING,
    sys::cudnnConvolutionBwdDataAlgo_t::CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD,
    sys::cudnnConvolutionBwdDataAlgo_t::CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED,
];
const FILTER: [sys::cudnnConvolutionBwdFilterAlgo_t; 4] = [
    sys::cudnnConvolutionBwdFilterAlgo_t::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1,
    sys::cudnnConvolutionBwdFilterAlgo_t::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT,
    sys::cudnnConvolutionBwdFilterAlgo_t::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING,
    sys::cudnnConvolutionBwdFilterAlgo_t::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED,
];
const MATH: [sys::cudnnMathType_t; 4] = [
    sys::cudnnMathType_t::CUDNN_DEFAULT_MATH,
    sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
    sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION,
    sys::cudnnMathType_t::CUDNN_FMA_MATH,
];

#[derive(Debug, Clone, Copy)]
enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    Data(sys::cudnnConvolutionBwdDataAlgo_t),
    Filter(sys::cudnnConvolutionBwdFilterAlgo_t),
}

impl Algorithm {
    /// That of a number in a record, if it is one that adds in a fixed order.
    fn of(direction: Direction, number: u32) -> Option<Self> {
        match direction {
            Direction::Forward => FORWARD.into_iter().find(|one| *one as u32 == number).map(Self::Forward),
            Direction::Data => DATA.into_iter().find(|one| *one as u32 == number).map(Self::Data),
            Direction::Filter => FILTER.into_iter().find(|one| *one as u32 == number).map(Self::Filter),
        }
    }
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

/// A choice for one batch.
#[derive(Debug, Clone, Copy)]
struct Plan {
    order: Order,
    algorithm: Algorithm,
    descriptors: Descriptors,
    workspace: usize,
}

/// A shape in a direction, and how it is computed.
type Key = (Conv, Direction, Real, sys::cudnnMathType_t);

/// Who is told of a new choice.
type Listener = Box<dyn Fn(&Algorithms) + Send>;

/// cuDNN on one stream, and what it has found out.
pub(super) struct Convolutions {
    handle: sys::cudnnHandle_t,
    plans: HashMap<Key, Plan>,
    algorithms: Algorithms,
    listener: Option<Listener>,
    workspace: Option<CudaSlice<u8>>,
}

// SAFETY: cuDNN's handles and descriptors may be used by any thread, one at a time, which the mutex around this sees to.
unsafe impl Send for Convolutions {}

impl Convolutions {
    pub(super) fn new(stream: &Arc<CudaStream>, algorithms: Algorithms) -> Result<Self> {
        let handle = result::create_handle().map_err(Error::wrap)?;
        // SAFETY: both live as long as the program runs.
        unsafe { result::set_stream(handle, stream.cu_stream().cast()).map_err(Error::wrap)? };
        Ok(Self { handle, plans: HashMap::new(), algorithms, listener: None, workspace: None })
    }

    pub(super) fn algorithms(&self) -> &Algorithms {
        &self.algorithms
    }

    /// Takes a record before this one, if it is of the same machine.
    pub(super) fn set_algorithms(&mut self, mut first: Algorithms) {
        if first.machine() == self.algorithms.machine() {
            first.fill(&self.algorithms);
            self.algorithms = first;
            self.plans.clear();
        }
    }

    pub(super) fn when_chosen(&mut self, listener: Listener) {
        self.listener = Some(listener);
    }

    /// Computes what `direction` says; `given` are the tensors channels last, weights `[C_out, C_in, k_h, k_w]`.
    fn run(&mut self, gpu: &Gpu, conv: &Conv, direction: Direction, given: Operands) -> Result<()> {
        let math = match (given.real, Precision::current()) {
            (Real::F32, Precision::F32) => sys::cudnnMathType_t::CUDNN_FMA_MATH,
            (Real::F32, _) => sys::cudnnMathType_t::CUDNN_DEFAULT_MATH,
            (Real::Bf16, _) => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
        };
        let key = (*conv, direction, given.real, math);
        let plan = match self.plans.get(&key) {
            Some(plan) => *plan,
            None => self.plan(gpu, key, given)?,
        };
        self.execute(gpu, conv, direction, given, plan)
    }

    /// The first choice of the record that this batch can take, or a new one.
    fn plan(&mut self, gpu: &Gpu, key: Key, given: Operands) -> Result<Plan> {
        let (conv, direction, real, math) = key;
        let task = Task::new(&conv, direction, real, math as u32);
        let recorded =
            self.algorithms.of(&task).iter().find_map(|choice| self.plan_of(&conv, direction, real, *choice));
        let plan = if let Some(plan) = recorded {
            plan
        } else {
            let choice = self.choose(gpu, key, given)?;
            let Some(plan) = self.plan_of(&conv, direction, real, choice) else {
                bail!("cuDNN does not take its own choice {choice:?} for the {direction:?} pass of {conv:?}");
            };
            self.algorithms.add(task, choice);
            if let Some(listener) = &self.listener {
                listener(&self.algorithms);
            }
            plan
        };
        self.plans.insert(key, plan);
        Ok(plan)
    }

    /// The plan of a choice, if cuDNN can do so. Made in the same way whether the choice is new or from a record, so that
    /// the memory it is given, on which what it does may depend, is the same too.
    fn plan_of(&self, conv: &Conv, direction: Direction, real: Real, choice: Choice) -> Option<Plan> {
        let algorithm = Algorithm::of(direction, choice.algorithm)?;
        let math = MATH.into_iter().find(|one| *one as u32 == choice.math)?;
        let descriptors = Descriptors::new(conv, real, choice.order, math).ok()?;
        let workspace = self.workspace_of(descriptors, algorithm).ok()?;
        Some(Plan { order: choice.order, algorithm, descriptors, workspace })
    }

    /// The fastest algorithm.
    fn choose(&self, gpu: &Gpu, (conv, direction, real, math): Key, given: Operands) -> Result<Choice> {
        for order in [Order::ChannelsLast, Order::Planes] {
            let descriptors = Descriptors::new(&conv, real, order, math)?;
            let turned = Turned::new(gpu, &conv, order, direction, given)?;
            if let Some((algorithm, math)) = self.fastest(gpu, descriptors, direction, turned.operands)? {
                return Ok(Choice { order, algorithm, math });
            }
        }
        bail!("cuDNN has no algorithm for the {direction:?} pass of {conv:?} that always gives the same result")
    }

    fn execute(&mut self, gpu: &Gpu, conv: &Conv, direction: Direction, given: Operands, plan: Plan) -> Result<()> {
        let turned = Turned::new(gpu, conv, plan.order, direction, given)?;
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
            match plan.algorithm {
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

    /// Tries all algorithms on the memory at hand; the number of the fastest that always gives the same bits, and that of
    /// how it multiplies. What is computed is overwritten several times.
    fn fastest(
        &self,
        gpu: &Gpu,
        of: Descriptors,
        direction: Direction,
        operands: Operands,
    ) -> Result<Option<(u32, u32)>> {
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
        /// Asks one of cuDNN's three functions, and takes the first answer that will do: they come fastest first.
        macro_rules! ask {
            ($function:ident, $answer:ty, $($argument:expr),+) => {{
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
                let will_do = |answer: &&$answer| {
                    answer.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS
                        && answer.memory <= bytes
                        && answer.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC
                        && Algorithm::of(direction, answer.algo as u32).is_some()
                };
                let answers = &answers[..(found.max(0) as usize).min(ANSWERS)];
                answers.iter().find(will_do).map(|answer| (answer.algo as u32, answer.mathType as u32))
            }};
        }
        Ok(match direction {
            Direction::Forward => ask!(
                cudnnFindConvolutionForwardAlgorithmEx,
                sys::cudnnConvolutionFwdAlgoPerf_t,
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

/// cuDNN's version, such as 91900.
pub(super) fn version() -> usize {
    result::get_version()
}

fn run(gpu: &Gpu, conv: &Conv, direction: Direction, given: Operands) -> Result<()> {
    gpu.convolutions().run(gpu, conv, direction, given)
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
