//! Convolution in one and two dimensions, without bias (batch norm follows) and with a fast backward pass.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Module, Result, Shape, Tensor, WithDType, bail};
use candle_nn::VarBuilder;
use candle_nn::init::{FanInOut, Init, NonLinearity, NormalOrUniform};

use super::storage::{for_real, slice, with_slice};
use crate::kernel::batch;
use crate::kernel::im2col::{Window, col2im, im2col};
use crate::kernel::real::Real;
use crate::kernel::strided::{Order, Store, matmul};

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

/// He et al. 2015 normal, fan out: torchvision's start for ResNets.
const KAIMING: Init =
    Init::Kaiming { dist: NormalOrUniform::Normal, fan: FanInOut::FanOut, non_linearity: NonLinearity::ReLU };

/// Two-dimensional convolution.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    spec: ConvSpec,
}

impl Conv2d {
    /// Takes `weight`: `[c_out, c_in, kernel, kernel]` from the builder.
    ///
    /// # Errors
    ///
    /// If the builder has no such tensor.
    pub fn new(c_in: usize, c_out: usize, spec: ConvSpec, vb: &VarBuilder<'_>) -> Result<Self> {
        let weight = vb.get_with_hints((c_out, c_in, spec.kernel, spec.kernel), "weight", KAIMING)?;
        Ok(Self { weight, spec })
    }
}

impl Module for Conv2d {
    /// `[N, C_in, H, W]` to `[N, C_out, H', W']`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let ConvSpec { stride, padding, .. } = self.spec;
        conv2d(x, &self.weight, [stride; 2], [padding; 2])
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
    /// `[N, C_in, T]` to `[N, C_out, T']`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let ConvSpec { stride, padding, .. } = self.spec;
        let weight = self.weight.unsqueeze(2)?; // [C_out, C_in, 1, kernel]
        conv2d(&x.unsqueeze(2)?, &weight, [1, stride], [0, padding])?.squeeze(2)
    }
}

/// Cross-correlation of `x`: `[N, C_in, H, W]` with `weight`: `[C_out, C_in, k_h, k_w]`, f32 or f64.
///
/// # Errors
///
/// If the channels differ or the kernel does not fit the padded input.
pub fn conv2d(x: &Tensor, weight: &Tensor, stride: [usize; 2], padding: [usize; 2]) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&weight.contiguous()?, Conv { stride, padding })
}

/// Columns of fewer positions than this are gathered from several images, so that no product is too thin.
const MIN_COLUMNS: usize = 512;
/// Partial weight gradients per batch. Fixed, so that the sum does not depend on the number of threads.
const PARTIAL_SUMS: usize = 4;

struct Conv {
    stride: [usize; 2],
    padding: [usize; 2],
}

/// Which gradients a backward pass computes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// That of the weight: the input is data.
    Weight,
    /// Those of the input and of the weight.
    Both,
}

/// All sizes of one convolution.
struct Sizes {
    n: usize,
    c_in: usize,
    c_out: usize,
    window: Window,
    /// Values per input image, per output channel plane, and rows of the column matrix.
    image: usize,
    plane: usize,
    rows: usize,
    out: [usize; 2],
    /// Images whose columns make one matrix.
    block: usize,
}

impl Conv {
    fn sizes(&self, x: &Shape, weight: &Shape) -> Result<Sizes> {
        let (n, c_in, h, w) = x.dims4()?;
        let (c_out, c_weight, k_h, k_w) = weight.dims4()?;
        if c_in != c_weight {
            bail!("convolution over {c_weight} channels was given {c_in}");
        }
        let window = Window { input: [h, w], kernel: [k_h, k_w], stride: self.stride, padding: self.padding };
        let Some(out) = window.output() else {
            bail!("a {k_h}x{k_w} kernel of stride {:?} does not fit an input of {h}x{w}", self.stride)
        };
        let plane = out[0] * out[1];
        let block = MIN_COLUMNS.div_ceil(plane).clamp(1, n.div_ceil(PARTIAL_SUMS).max(1));
        Ok(Sizes { n, c_in, c_out, window, image: c_in * h * w, plane, rows: c_in * k_h * k_w, out, block })
    }
}

/// `[N, C, plane]` of some images to `[C, N · plane]`.
fn gather<T: Real>(images: &[T], c: usize, plane: usize, rows: &mut [T]) {
    let n = images.len() / (c * plane);
    for (i, image) in images.chunks_exact(c * plane).enumerate() {
        for (ch, values) in image.chunks_exact(plane).enumerate() {
            rows[ch * n * plane + i * plane..][..plane].copy_from_slice(values);
        }
    }
}

/// `[C, N · plane]` to `[N, C, plane]`.
fn scatter<T: Real>(rows: &[T], c: usize, plane: usize, images: &mut [T]) {
    let n = images.len() / (c * plane);
    for (i, image) in images.chunks_exact_mut(c * plane).enumerate() {
        for (ch, values) in image.chunks_exact_mut(plane).enumerate() {
            values.copy_from_slice(&rows[ch * n * plane + i * plane..][..plane]);
        }
    }
}

impl Sizes {
    /// Column matrix `[rows, n · plane]` of some images.
    fn columns<T: Real>(&self, images: &[T], columns: &mut Vec<T>) {
        let n = images.len() / self.image;
        columns.resize(self.rows * n * self.plane, T::default());
        if self.window.is_pointwise() {
            return gather(images, self.c_in, self.plane, columns);
        }
        for (i, image) in images.chunks_exact(self.image).enumerate() {
            im2col(&self.window, image, columns, n * self.plane, i * self.plane);
        }
    }

    fn forward<T: Real>(&self, x: &[T], weight: &[T]) -> Vec<T> {
        let mut y = vec![T::default(); self.n * self.c_out * self.plane];
        batch::for_each_chunk(&mut y, self.block * self.c_out * self.plane, |i, y| {
            let n = y.len() / (self.c_out * self.plane);
            let x = &x[i * self.block * self.image..][..n * self.image];
            let size = (self.c_out, n * self.plane, self.rows);
            let weight = (weight, Order::RowMajor);
            if n == 1 && self.window.is_pointwise() {
                return matmul(size, weight, (x, Order::RowMajor), y, Store::Assign);
            }
            let mut columns = Vec::new();
            self.columns(x, &mut columns);
            if n == 1 {
                return matmul(size, weight, (&columns, Order::RowMajor), y, Store::Assign);
            }
            let mut rows = vec![T::default(); y.len()];
            matmul(size, weight, (&columns, Order::RowMajor), &mut rows, Store::Assign);
            scatter(&rows, self.c_out, self.plane, y);
        });
        y
    }

    /// Gradients of the input (absent where nothing before this layer is trained) and of the weight.
    fn backward<T: Real>(&self, x: &[T], weight: &[T], dy: &[T], wanted: Wanted) -> (Option<Vec<T>>, Vec<T>) {
        let part = self.n.div_ceil(PARTIAL_SUMS).max(1);
        let mut dx = if wanted == Wanted::Both { vec![T::default(); x.len()] } else { Vec::new() };
        let mut dx_parts = dx.chunks_mut(part * self.image);
        let mut partial: Vec<(Vec<T>, &mut [T])> =
            (0..self.n.div_ceil(part)).map(|_| (Vec::new(), dx_parts.next().unwrap_or_default())).collect();
        batch::for_each_chunk(&mut partial, 1, |i, partial| {
            let images = part.min(self.n - i * part);
            let (dw, dx) = &mut partial[0];
            dw.resize(weight.len(), T::default());
            let (mut columns, mut rows) = (Vec::new(), Vec::new());
            for j in (0..images).step_by(self.block) {
                let (first, n) = (i * part + j, self.block.min(images - j));
                let x = &x[first * self.image..][..n * self.image];
                let dy = &dy[first * self.c_out * self.plane..][..n * self.c_out * self.plane];
                let dx = dx.get_mut(j * self.image..(j + n) * self.image);
                self.backward_block((x, dy), weight, (&mut columns, &mut rows), dw, dx);
            }
        });
        let mut dw = vec![T::default(); weight.len()];
        for (part, _) in &partial {
            for (sum, value) in dw.iter_mut().zip(part) {
                *sum += *value;
            }
        }
        ((wanted == Wanted::Both).then_some(dx), dw)
    }

    fn backward_block<T: Real>(
        &self,
        (x, dy): (&[T], &[T]),
        weight: &[T],
        (columns, rows): (&mut Vec<T>, &mut Vec<T>),
        dw: &mut [T],
        dx: Option<&mut [T]>,
    ) {
        let n = x.len() / self.image;
        let positions = n * self.plane;
        let dy = if n == 1 {
            dy
        } else {
            rows.resize(dy.len(), T::default());
            gather(dy, self.c_out, self.plane, rows);
            rows
        };
        let (dy, weight) = ((dy, Order::RowMajor), (weight, Order::ColMajor));
        if n == 1 && self.window.is_pointwise() {
            matmul((self.c_out, self.rows, positions), dy, (x, Order::ColMajor), dw, Store::Add);
            if let Some(dx) = dx {
                matmul((self.rows, positions, self.c_out), weight, dy, dx, Store::Assign);
            }
            return;
        }
        self.columns(x, columns);
        matmul((self.c_out, self.rows, positions), dy, (columns, Order::ColMajor), dw, Store::Add);
        let Some(dx) = dx else { return };
        matmul((self.rows, positions, self.c_out), weight, dy, columns, Store::Assign);
        if self.window.is_pointwise() {
            return scatter(columns, self.c_in, self.plane, dx);
        }
        for (i, dx) in dx.chunks_exact_mut(self.image).enumerate() {
            col2im(&self.window, columns, positions, i * self.plane, dx);
        }
    }
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let sizes = self.sizes(xl.shape(), wl.shape())?;
        let shape = Shape::from((sizes.n, sizes.c_out, sizes.out[0], sizes.out[1]));
        for_real!(x.dtype(), T => {
            let y = sizes.forward::<T>(slice(x, xl)?, slice(w, wl)?);
            Ok((T::to_cpu_storage_owned(y), shape))
        })
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let sizes = self.sizes(x.shape(), w.shape())?;
        let wanted = if x.track_op() { Wanted::Both } else { Wanted::Weight };
        for_real!(x.dtype(), T => {
            let (dx, dw) = with_slice::<T, _>(x, |xs| {
                with_slice::<T, _>(w, |ws| with_slice::<T, _>(dy, |dys| Ok(sizes.backward(xs, ws, dys, wanted))))
            })?;
            let dx = dx.map(|dx| Tensor::from_vec(dx, x.shape(), x.device())).transpose()?;
            Ok((dx, Some(Tensor::from_vec(dw, w.shape(), w.device())?)))
        })
    }
}

/// Length after a convolution of this kind over `T` positions.
pub fn conv_len(spec: ConvSpec, len: usize) -> usize {
    (len + 2 * spec.padding).saturating_sub(spec.kernel) / spec.stride + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn equals_candle_forward_and_finite_differences_backward() -> Result<()> {
        // n, c_in, c_out, h, w, kernel, stride, padding: odd sizes, uneven strides, blocks of several images.
        let cases = [
            (1, 1, 1, 1, 1, 1, 1, 0),
            (2, 3, 4, 5, 7, 3, 1, 1),
            (3, 2, 5, 6, 7, 3, 2, 1),
            (6, 4, 3, 4, 5, 1, 1, 0),
            (5, 3, 2, 7, 4, 1, 2, 0),
            (2, 3, 2, 9, 8, 7, 2, 3),
            (9, 2, 2, 3, 3, 3, 3, 0),
        ];
        for (i, (n, c_in, c_out, h, w, k, s, p)) in cases.into_iter().enumerate() {
            let x = random((n, c_in, h, w), i as u64)?;
            let weight = random((c_out, c_in, k, k), 100 + i as u64)?;
            let y = conv2d(&x, &weight, [s, s], [p, p])?;
            let reference = x.conv2d(&weight, p, s, 1, 1)?;
            assert_eq!(y.dims(), reference.dims());
            let error = (y - reference)?.abs()?.max_all()?.to_scalar::<f64>()?;
            assert!(error < 1e-12, "case {i}: {error}");
            check(&[x, weight], |v| conv2d(&v[0], &v[1], [s, s], [p, p]))?;
        }
        Ok(())
    }

    #[test]
    fn one_dimension_and_several_consumers_of_one_input() -> Result<()> {
        let (x, weight) = (random((3, 2, 9), 1)?, random((4, 2, 5), 2)?);
        let conv = |x: &Tensor, weight: &Tensor| {
            Conv1d { weight: weight.clone(), spec: ConvSpec { kernel: 5, stride: 2, padding: 2 } }.forward(x)
        };
        assert_eq!(conv(&x, &weight)?.dims(), [3, 4, 5]);
        check(&[x, weight], |v| conv(&v[0], &v[1])? + (conv(&v[0].sqr()?, &v[1])? * 2.0)?)
    }

    #[test]
    fn what_does_not_fit_is_an_error() -> Result<()> {
        let x = random((1, 2, 3, 3), 0)?;
        assert!(conv2d(&x, &random((1, 3, 1, 1), 0)?, [1, 1], [0, 0]).is_err());
        assert!(conv2d(&x, &random((1, 2, 5, 5), 0)?, [1, 1], [0, 0]).is_err());
        assert!(conv2d(&x, &random((1, 2, 1, 1), 0)?, [0, 1], [0, 0]).is_err());
        let empty = Tensor::zeros((0, 2, 3, 3), candle_core::DType::F32, x.device())?;
        let y = conv2d(&empty, &random((1, 2, 1, 1), 0)?.to_dtype(candle_core::DType::F32)?, [1, 1], [0, 0])?;
        assert_eq!(y.dim(3)?, 3);
        Ok(())
    }
}
