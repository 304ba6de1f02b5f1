//! Convolution in one and two dimensions and transposed convolution, channels last, each with a backward pass of its own.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Module, Result, Shape, Tensor, WithDType, bail};
use candle_nn::VarBuilder;
use candle_nn::init::{FanInOut, Init, NonLinearity, NormalOrUniform};

use super::precision::reduced;
use super::release::Released;
use super::storage::{for_real, slice, with_slice};
#[cfg(feature = "cuda")]
use crate::kernel::cuda::{self, Input};
use crate::kernel::train::conv::{Conv, Unfit, add_bias, bias_gradient};
use crate::kernel::train::window::Window;

/// Kernel size, step and padding, the same along every axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvSpec {
    /// Side of the kernel.
    pub kernel: usize,
    /// Step between outputs.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
}

/// Whether a layer adds a bias per channel; batch norm has one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// None.
    Without,
    /// A vector `bias`.
    With,
}

/// He et al. 2015 normal, fan out: torchvision's start for ResNets.
const KAIMING: Init =
    Init::Kaiming { dist: NormalOrUniform::Normal, fan: FanInOut::FanOut, non_linearity: NonLinearity::ReLU };

/// Two-dimensional convolution.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    spec: ConvSpec,
}

impl Conv2d {
    /// Takes `weight`: `[c_out, c_in, kernel, kernel]` and, with a bias, `bias`: `[c_out]` from the builder.
    ///
    /// # Errors
    ///
    /// If the builder lacks a tensor.
    pub fn new(c_in: usize, c_out: usize, spec: ConvSpec, bias: Bias, vb: &VarBuilder<'_>) -> Result<Self> {
        let weight = vb.get_with_hints((c_out, c_in, spec.kernel, spec.kernel), "weight", KAIMING)?;
        Ok(Self { weight, bias: bias.get(c_out, vb)?, spec })
    }
}

impl Bias {
    fn get(self, c_out: usize, vb: &VarBuilder<'_>) -> Result<Option<Tensor>> {
        (self == Self::With).then(|| vb.get_with_hints(c_out, "bias", Init::Const(0.0))).transpose()
    }
}

impl Module for Conv2d {
    /// `[N, H, W, C_in]` to `[N, H', W', C_out]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let ConvSpec { stride, padding, .. } = self.spec;
        conv2d(&reduced(x)?, &reduced(&self.weight)?, self.bias.as_ref(), [stride; 2], [padding; 2])
    }
}

/// One-dimensional convolution.
#[derive(Debug, Clone)]
pub struct Conv1d {
    weight: Tensor,
    spec: ConvSpec,
}

impl Conv1d {
    /// Takes `weight`: `[c_out, c_in, kernel]` from the builder.
    ///
    /// # Errors
    ///
    /// If the builder has no such tensor.
    pub fn new(c_in: usize, c_out: usize, spec: ConvSpec, vb: &VarBuilder<'_>) -> Result<Self> {
        let weight = vb.get_with_hints((c_out, c_in, spec.kernel), "weight", KAIMING)?;
        Ok(Self { weight, spec })
    }
}

impl Module for Conv1d {
    /// `[N, T, C_in]` to `[N, T', C_out]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let ConvSpec { stride, padding, .. } = self.spec;
        let weight = self.weight.unsqueeze(2)?; // [C_out, C_in, 1, kernel]
        conv2d(&x.unsqueeze(1)?, &weight, None, [1, stride], [0, padding])?.squeeze(1)
    }
}

/// Transposed convolution in two dimensions: the gradient of a convolution as a layer, which enlarges.
#[derive(Debug, Clone)]
pub struct ConvTranspose2d {
    weight: Tensor,
    bias: Tensor,
    spec: ConvSpec,
}

impl ConvTranspose2d {
    /// Takes `weight`: `[c_in, c_out, kernel, kernel]` and `bias`: `[c_out]` from the builder, as PyTorch has them.
    ///
    /// # Errors
    ///
    /// If the builder lacks a tensor.
    pub fn new(c_in: usize, c_out: usize, spec: ConvSpec, vb: &VarBuilder<'_>) -> Result<Self> {
        // Each output is made of one pixel per step: fan in for the purpose of its scale.
        let fan_in = c_in * spec.kernel.div_ceil(spec.stride.max(1)).pow(2);
        let init = Init::Randn { mean: 0.0, stdev: (2.0 / fan_in.max(1) as f64).sqrt() };
        Ok(Self {
            weight: vb.get_with_hints((c_in, c_out, spec.kernel, spec.kernel), "weight", init)?,
            bias: vb.get_with_hints(c_out, "bias", Init::Const(0.0))?,
            spec,
        })
    }
}

impl Module for ConvTranspose2d {
    /// `[N, H, W, C_in]` to `[N, (H - 1)·stride + kernel - 2·padding, …, C_out]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let ConvSpec { stride, padding, .. } = self.spec;
        conv_transpose2d(&reduced(x)?, &reduced(&self.weight)?, &self.bias, [stride; 2], [padding; 2])
    }
}

/// Cross-correlation of `x`: `[N, H, W, C_in]` with `weight`: `[C_out, C_in, k_h, k_w]`, f32 or f64, plus `bias`:
/// `[C_out]` if there is one.
///
/// # Errors
///
/// If the channels differ, the kernel does not fit the padded input or a size is zero or overflows.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: [usize; 2],
    padding: [usize; 2],
) -> Result<Tensor> {
    let op = Released(Convolution { stride, padding });
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        None => x.apply_op2(&weight, op),
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, op),
    }
}

/// Transposed convolution of `x`: `[N, H, W, C_in]` with `weight`: `[C_in, C_out, k_h, k_w]` and `bias`: `[C_out]`, f32
/// or f64.
///
/// # Errors
///
/// Those of [`conv2d`].
pub fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stride: [usize; 2],
    padding: [usize; 2],
) -> Result<Tensor> {
    let op = Released(Transposed(Convolution { stride, padding }));
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)
}

#[derive(Clone, Copy)]
struct Convolution {
    stride: [usize; 2],
    padding: [usize; 2],
}

impl Convolution {
    fn sizes(&self, x: &Shape, weight: &Shape) -> Result<Conv> {
        let (n, h, w, c_in) = x.dims4()?;
        let (c_out, c_weight, k_h, k_w) = weight.dims4()?;
        if c_in != c_weight {
            bail!("convolution over {c_weight} channels was given {c_in}");
        }
        self.checked(n, [c_in, c_out], [h, w], [k_h, k_w])
    }

    fn checked(&self, n: usize, channels: [usize; 2], input: [usize; 2], kernel: [usize; 2]) -> Result<Conv> {
        let window = Window { input, kernel, stride: self.stride, padding: self.padding };
        match Conv::new(n, channels, window) {
            Ok(conv) => Ok(conv),
            Err(Unfit::Kernel) => bail!(
                "a {}x{} kernel of stride {:?} and padding {:?} from {} to {} channels does not fit an input of {}x{}",
                kernel[0],
                kernel[1],
                self.stride,
                self.padding,
                channels[0],
                channels[1],
                input[0],
                input[1]
            ),
            Err(Unfit::TooLarge) => bail!(
                "a convolution of {n} images of {}x{} from {} to {} channels has more values than can be addressed",
                input[0],
                input[1],
                channels[0],
                channels[1]
            ),
        }
    }

    fn check_bias(channels: usize, bias: &Layout) -> Result<()> {
        if bias.dims() != [channels] {
            bail!("a convolution to {channels} channels was given a bias of {:?}", bias.dims());
        }
        Ok(())
    }

    fn y_shape(conv: &Conv) -> Shape {
        (conv.n, conv.out[0], conv.out[1], conv.c_out).into()
    }

    fn backward(&self, x: &Tensor, w: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Tensor)> {
        let conv = self.sizes(x.shape(), w.shape())?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let dx = x.track_op().then(|| dy.apply_op2_no_bwd(w, &InputGradient(conv))).transpose()?;
            return Ok((dx, cuda::conv::weight_gradient(&conv, x, dy, w)?));
        }
        for_real!(x.dtype(), T => with_slice::<T, _>(x, |xs| with_slice::<T, _>(w, |ws| with_slice::<T, _>(dy, |dys| {
            let dw = Tensor::from_vec(conv.weight_gradient(xs, dys), w.shape(), w.device())?;
            // Data needs no gradient.
            let dx = x.track_op().then(|| Tensor::from_vec(conv.input_gradient(dys, ws), x.shape(), x.device()));
            Ok((dx.transpose()?, dw))
        }))))
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let conv = self.sizes(xl.shape(), wl.shape())?;
        for_real!(x.dtype(), T => {
            let y = conv.forward::<T>(slice(x, xl)?, slice(w, wl)?, None);
            Ok((T::to_cpu_storage_owned(y), Self::y_shape(&conv)))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, w: &CudaStorage, wl: &Layout) -> Result<(CudaStorage, Shape)> {
        let conv = self.sizes(xl.shape(), wl.shape())?;
        let y = cuda::conv::forward(&x.device, &conv, Input::new(x, xl)?, Input::new(w, wl)?, None)?;
        Ok((y, Self::y_shape(&conv)))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw) = self.backward(x, w, &dy.contiguous()?)?;
        Ok((dx, Some(dw)))
    }
}

type Gradients3 = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "conv2d-bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let conv = self.sizes(xl.shape(), wl.shape())?;
        Self::check_bias(conv.c_out, bl)?;
        for_real!(x.dtype(), T => {
            let y = conv.forward::<T>(slice(x, xl)?, slice(w, wl)?, Some(slice(b, bl)?));
            Ok((T::to_cpu_storage_owned(y), Self::y_shape(&conv)))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        w: &CudaStorage,
        wl: &Layout,
        b: &CudaStorage,
        bl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let conv = self.sizes(xl.shape(), wl.shape())?;
        Self::check_bias(conv.c_out, bl)?;
        let bias = Some(Input::new(b, bl)?);
        let y = cuda::conv::forward(&x.device, &conv, Input::new(x, xl)?, Input::new(w, wl)?, bias)?;
        Ok((y, Self::y_shape(&conv)))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, b: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Gradients3> {
        let dy = &dy.contiguous()?;
        let (dx, dw) = self.backward(x, w, dy)?;
        #[cfg(feature = "cuda")]
        if dy.device().is_cuda() {
            return Ok((dx, Some(dw), Some(cuda::conv::column_sums(dy, b.elem_count())?)));
        }
        let db = for_real!(dy.dtype(), T => with_slice::<T, _>(dy, |dy| {
            Tensor::from_vec(bias_gradient(dy, b.elem_count()), b.shape(), b.device())
        }))?;
        Ok((dx, Some(dw), Some(db)))
    }
}

/// Shape of the input.
fn x_shape(conv: &Conv) -> Shape {
    (conv.n, conv.window.input[0], conv.window.input[1], conv.c_in).into()
}

/// The gradient of a convolution's input on a GPU, from that of its output and the weight.
#[cfg(feature = "cuda")]
struct InputGradient(Conv);

#[cfg(feature = "cuda")]
impl CustomOp2 for InputGradient {
    fn name(&self) -> &'static str {
        "conv2d-input-gradient"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("a gradient of the GPU was given values of the CPU")
    }

    fn cuda_fwd(&self, dy: &CudaStorage, dl: &Layout, w: &CudaStorage, wl: &Layout) -> Result<(CudaStorage, Shape)> {
        let dx = cuda::conv::input_gradient(&dy.device, &self.0, Input::new(dy, dl)?, Input::new(w, wl)?, None)?;
        Ok((dx, x_shape(&self.0)))
    }
}

/// The convolution whose input's gradient this layer computes: its input is our output.
struct Transposed(Convolution);

impl Transposed {
    fn sizes(&self, x: &Shape, weight: &Shape) -> Result<Conv> {
        let (n, h, w, c_in) = x.dims4()?;
        let (c_weight, c_out, k_h, k_w) = weight.dims4()?;
        if c_in != c_weight {
            bail!("transposed convolution over {c_weight} channels was given {c_in}");
        }
        let side = |i: usize, size: usize, kernel: usize| {
            let reach = size.checked_sub(1)?.checked_mul(self.0.stride[i])?.checked_add(kernel)?;
            reach.checked_sub(self.0.padding[i].checked_mul(2)?)
        };
        let (Some(h), Some(w)) = (side(0, h, k_h), side(1, w, k_w)) else {
            bail!("a transposed {k_h}x{k_w} kernel of stride {:?} makes no image of {h}x{w} pixels", self.0.stride)
        };
        self.0.checked(n, [c_out, c_in], [h, w], [k_h, k_w])
    }
}

impl CustomOp3 for Transposed {
    fn name(&self) -> &'static str {
        "conv-transpose2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let conv = self.sizes(xl.shape(), wl.shape())?;
        Convolution::check_bias(conv.c_in, bl)?;
        for_real!(x.dtype(), T => {
            let mut y = conv.input_gradient::<T>(slice(x, xl)?, slice(w, wl)?);
            add_bias(&mut y, slice(b, bl)?);
            Ok((T::to_cpu_storage_owned(y), x_shape(&conv)))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        w: &CudaStorage,
        wl: &Layout,
        b: &CudaStorage,
        bl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let conv = self.sizes(xl.shape(), wl.shape())?;
        Convolution::check_bias(conv.c_in, bl)?;
        let bias = Some(Input::new(b, bl)?);
        let y = cuda::conv::input_gradient(&x.device, &conv, Input::new(x, xl)?, Input::new(w, wl)?, bias)?;
        Ok((y, x_shape(&conv)))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, b: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Gradients3> {
        let conv = self.sizes(x.shape(), w.shape())?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let dy = &dy.contiguous()?;
            let dx = x.track_op().then(|| dy.apply_op2_no_bwd(w, &self.0)).transpose()?;
            let dw = cuda::conv::weight_gradient(&conv, dy, x, w)?;
            return Ok((dx, Some(dw), Some(cuda::conv::column_sums(dy, b.elem_count())?)));
        }
        for_real!(x.dtype(), T => with_slice::<T, _>(x, |xs| with_slice::<T, _>(w, |ws| with_slice::<T, _>(dy, |dys| {
            let dw = Tensor::from_vec(conv.weight_gradient(dys, xs), w.shape(), w.device())?;
            let dx = x.track_op().then(|| Tensor::from_vec(conv.forward(dys, ws, None), x.shape(), x.device()));
            let db = Tensor::from_vec(bias_gradient(dys, b.elem_count()), b.shape(), b.device())?;
            Ok((dx.transpose()?, Some(dw), Some(db)))
        }))))
    }
}

/// Length after a convolution of this kind over `T` positions.
pub fn conv_len(spec: ConvSpec, len: usize) -> usize {
    (len + 2 * spec.padding).saturating_sub(spec.kernel) / spec.stride + 1
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::gradcheck::{check, random};

    /// candle's own convolution, on which only the backward pass is wrong.
    fn reference(x: &Tensor, weight: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
        x.permute((0, 3, 1, 2))?.contiguous()?.conv2d(weight, padding, stride, 1, 1)?.permute((0, 2, 3, 1))
    }

    fn difference(a: &Tensor, b: &Tensor) -> Result<f64> {
        assert_eq!(a.dims(), b.dims());
        (a - b)?.abs()?.max_all()?.to_scalar::<f64>()
    }

    #[test]
    fn equals_candle_forward_and_finite_differences_backward() -> Result<()> {
        // n, c_in, c_out, h, w, kernel, stride, padding: odd sizes, uneven strides, and one for Winograd.
        let cases = [
            (1, 1, 1, 1, 1, 1, 1, 0),
            (2, 3, 4, 5, 7, 3, 1, 1),
            (3, 2, 5, 6, 7, 3, 2, 1),
            (6, 4, 3, 4, 5, 1, 1, 0),
            (5, 3, 2, 7, 4, 1, 2, 0),
            (2, 3, 2, 9, 8, 7, 2, 3),
            (9, 2, 2, 3, 3, 3, 3, 0),
            (1, 16, 16, 5, 6, 3, 1, 1),
        ];
        for (i, (n, c_in, c_out, h, w, k, s, p)) in cases.into_iter().enumerate() {
            let x = random((n, h, w, c_in), i as u64)?;
            let (weight, bias) = (random((c_out, c_in, k, k), 100 + i as u64)?, random(c_out, 200 + i as u64)?);
            let y = conv2d(&x, &weight, None, [s, s], [p, p])?;
            let error = difference(&y, &reference(&x, &weight, s, p)?)?;
            assert!(error < 1e-12, "case {i}: {error}");
            check(&[x, weight, bias], |v| conv2d(&v[0], &v[1], Some(&v[2]), [s, s], [p, p]))?;
        }
        Ok(())
    }

    #[test]
    fn one_dimension_and_several_consumers_of_one_input() -> Result<()> {
        let (x, weight) = (random((3, 9, 2), 1)?, random((4, 2, 5), 2)?);
        let conv = |x: &Tensor, weight: &Tensor| {
            Conv1d { weight: weight.clone(), spec: ConvSpec { kernel: 5, stride: 2, padding: 2 } }.forward(x)
        };
        assert_eq!(conv(&x, &weight)?.dims(), [3, 5, 4]);
        check(&[x, weight], |v| conv(&v[0], &v[1])? + (conv(&v[0].sqr()?, &v[1])? * 2.0)?)
    }

    #[test]
    fn transposed_equals_candle_forward_and_finite_differences_backward() -> Result<()> {
        for (i, (n, c_in, c_out, h, w, k, s, p)) in
            [(2, 3, 4, 3, 5, 2, 2, 0), (1, 2, 3, 4, 3, 3, 2, 1), (2, 4, 2, 2, 2, 4, 3, 0)].into_iter().enumerate()
        {
            let (x, weight) = (random((n, h, w, c_in), i as u64)?, random((c_in, c_out, k, k), 10 + i as u64)?);
            let bias = random(c_out, 20)?;
            let y = conv_transpose2d(&x, &weight, &bias, [s, s], [p, p])?;
            let planes = x.permute((0, 3, 1, 2))?.contiguous()?;
            let expected = planes.conv_transpose2d(&weight, p, 0, s, 1)?.permute((0, 2, 3, 1))?.broadcast_add(&bias)?;
            assert!(difference(&y, &expected)? < 1e-12, "case {i}");
            check(&[x, weight, bias], |v| conv_transpose2d(&v[0], &v[1], &v[2], [s, s], [p, p]))?;
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_an_error() -> Result<()> {
        let x = random((1, 3, 3, 2), 0)?;
        assert!(conv2d(&x, &random((1, 3, 1, 1), 0)?, None, [1, 1], [0, 0]).is_err());
        assert!(conv2d(&x, &random((1, 2, 5, 5), 0)?, None, [1, 1], [0, 0]).is_err());
        assert!(conv2d(&x, &random((1, 2, 1, 1), 0)?, None, [0, 1], [0, 0]).is_err());
        assert!(conv2d(&x, &random((1, 2, 1, 1), 0)?, Some(&random(2, 0)?), [1, 1], [0, 0]).is_err());
        assert!(conv2d(&x, &random((1, 2, 1, 1), 0)?, None, [1, 1], [usize::MAX, 0]).is_err());
        assert!(conv_transpose2d(&x, &random((1, 2, 2, 2), 0)?, &random(2, 0)?, [2, 2], [0, 0]).is_err());
        assert!(conv_transpose2d(&x, &random((2, 2, 2, 2), 0)?, &random(3, 0)?, [2, 2], [0, 0]).is_err());
        let nothing = Tensor::zeros((0, 3, 3, 2), DType::F32, &Device::Cpu)?;
        let y = conv2d(&nothing, &random((1, 2, 1, 1), 0)?.to_dtype(DType::F32)?, None, [1, 1], [0, 0])?;
        assert_eq!(y.dims(), [0, 3, 3, 1]);
        Ok(())
    }
}
