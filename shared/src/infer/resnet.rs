//! A residual network compiled from its weights.

use crate::error::{Error, Result};
use crate::infer::program::{Image, Program, Runner};
use crate::io::Weights;
use crate::kernel::{
    Activation, Algorithm, Base, Border, Buffer, Conv2d, ConvShape, Layout, PackedMatrix, PoolShape, Simd, gemm,
    global_average_pool,
};
use crate::model::resnet::ResNetConfig;

/// torchvision's, and [`crate::model::resnet`]'s.
const BATCH_NORM_EPS: f64 = 1e-5;

const STEM_POOL: PoolShape = PoolShape { window: 3, stride: 2, padding: 1 };

/// The places of the images: a block's input and output, which are the same unless the block changes the shape, and
/// what its inner convolutions give.
const TRUNK: [usize; 2] = [0, 1];
const INNER: [usize; 2] = [2, 3];

/// A residual network with its linear head, ready to run on one image at a time.
///
/// Batch norm is folded into the weights, the weights are packed, and all memory is taken when the plan is made.
pub struct ResNetPlan {
    runner: Runner,
    input: Image,
    last: Image,
    features: Vec<f32>,
    pooled: Buffer,
    head: PackedMatrix,
    head_bias: Buffer,
    logits: Buffer,
    n_out: usize,
}

impl ResNetPlan {
    /// Folds and packs the weights for square inputs of `size` pixels and `n_out` outputs. Tensors of other names are
    /// left alone.
    ///
    /// # Errors
    ///
    /// [`Error::MissingTensor`] or [`Error::WrongTensor`] if the weights are not this network's,
    /// [`Error::NonFiniteTensor`] if they overflow when batch norm is folded in, [`Error::Shape`] for sizes that are
    /// zero, not [`ResNetConfig`]'s or too large, [`Error::OutOfMemory`] if there is no room.
    pub fn new(config: &ResNetConfig, size: usize, n_out: usize, weights: &Weights) -> Result<Self> {
        Self::with_simd(Simd::best(), config, size, n_out, weights)
    }

    /// Like [`Self::new`], for certain instructions.
    ///
    /// # Errors
    ///
    /// Those of [`Self::new`].
    pub fn with_simd(simd: Simd, config: &ResNetConfig, size: usize, n_out: usize, weights: &Weights) -> Result<Self> {
        config.check()?;
        let mut compiler = Compiler { simd, config, weights, program: Program::new(simd) };
        let (input, mut x) = compiler.stem(size)?;
        for stage in 0..4 {
            x = compiler.stage(stage, x)?;
        }
        let channels = config.out_channels();
        let weight = tensor(weights, "fc.weight", &[n_out, channels])?;
        let head = PackedMatrix::new(simd, channels, n_out, |k, n| weight[n * channels + k])?;
        let mut head_bias = Buffer::zeros(head.columns())?;
        head_bias[..n_out].copy_from_slice(tensor(weights, "fc.bias", &[n_out])?);
        Ok(Self {
            runner: compiler.program.into_runner()?,
            input,
            last: x,
            features: vec![0.0; x.layout.height * x.layout.width * channels],
            pooled: Buffer::zeros(x.layout.stride)?,
            logits: Buffer::zeros(head.columns())?,
            head,
            head_bias,
            n_out,
        })
    }

    /// `[in_channels, size, size]` to `[n_out]` logits.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the input has another length, [`Error::NonFinite`] if it holds NaN or infinity, or if the
    /// weights are so large that the logits do.
    pub fn run(&mut self, input: &[f32]) -> Result<&[f32]> {
        let Layout { height, width, channels, .. } = self.input.layout;
        if input.len() != channels * height * width {
            return Err(Error::Shape {
                what: "input of the network",
                expected: format!("{channels} x {height} x {width} values"),
                found: format!("{} values", input.len()),
            });
        }
        check_finite("input of the network", input)?;
        self.input.layout.fill_from_planes(self.runner.image_mut(self.input), input);
        self.runner.run();
        let last = (&self.last.layout, self.runner.image(self.last));
        last.0.copy_dense(last.1, &mut self.features);
        global_average_pool(self.head.simd(), last, &mut self.pooled);
        let row = &self.pooled[..self.head.rows()];
        let columns = self.head.columns();
        let (base, activation) = (Base::Bias, Activation::Identity);
        gemm(row, row.len(), &self.head, &self.head_bias, &mut self.logits, columns, base, activation);
        let logits = &self.logits[..self.n_out];
        check_finite("logits of the network", logits)?;
        Ok(logits)
    }

    /// The feature map of the last run before pooling, `[H, W, C]` with `C` = [`ResNetConfig::out_channels`]; zeros
    /// before the first.
    pub fn features(&self) -> &[f32] {
        &self.features
    }
}

fn check_finite(what: &'static str, values: &[f32]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(Error::NonFinite { what, index, value: values[index] }),
        None => Ok(()),
    }
}

/// A tensor whose shape and length are right.
fn tensor<'a>(weights: &'a Weights, name: &str, shape: &[usize]) -> Result<&'a [f32]> {
    let data = weights.get(name, shape)?;
    if shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)) != Some(data.len()) {
        return Err(Error::WrongTensor {
            file: weights.file().to_owned(),
            tensor: name.to_owned(),
            expected: format!("as many elements as {shape:?} has"),
            found: format!("{} elements", data.len()),
        });
    }
    Ok(data)
}

/// Lowers the network step by step.
struct Compiler<'a> {
    simd: Simd,
    config: &'a ResNetConfig,
    weights: &'a Weights,
    program: Program,
}

impl Compiler<'_> {
    /// The image, and what stem and first pooling make of it.
    fn stem(&mut self, size: usize) -> Result<(Image, Image)> {
        let ResNetConfig { width, in_channels, stem_pool, .. } = *self.config;
        let shape = ConvShape { in_channels, out_channels: width, kernel: 7, stride: 2, padding: 3 };
        let border = shape.border(Algorithm::Direct, size, size)?;
        // The image's pixels are read as they are, without whole vectors.
        let input = Image { place: TRUNK[1], layout: Layout::new(size, size, in_channels, 1, border)? };
        let half = shape.out_size(size)?;
        let names = ["conv1", "bn1"];
        let out = if stem_pool {
            let wide = Image { place: INNER[0], layout: self.layout(half, width, Border::default())? };
            let out = Image { place: TRUNK[0], layout: self.trunk_layout(0, STEM_POOL.out_size(half)?)? };
            self.conv(names, shape, [input, wide], Base::Bias, Activation::Relu)?;
            self.program.max_pool(STEM_POOL, [wide, out]);
            out
        } else {
            let out = Image { place: TRUNK[0], layout: self.trunk_layout(0, half)? };
            self.conv(names, shape, [input, out], Base::Bias, Activation::Relu)?;
            out
        };
        Ok((input, out))
    }

    /// The blocks of a stage, 0 to 3.
    fn stage(&mut self, stage: usize, mut x: Image) -> Result<Image> {
        for block in 0..self.config.blocks()[stage] {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            x = self.block(stage, &format!("layer{}.{block}", stage + 1), x, stride)?;
        }
        Ok(x)
    }

    /// A basic block or a bottleneck: the stride is on its 3x3 convolution, the first one of a basic block.
    fn block(&mut self, stage: usize, name: &str, x: Image, stride: usize) -> Result<Image> {
        let size = x.layout.height;
        let inner = self.config.width << stage;
        let expanded = inner * self.config.expansion();
        let narrow =
            |in_channels, out_channels, stride| ConvShape { in_channels, out_channels, kernel: 1, stride, padding: 0 };
        let square =
            |in_channels, stride| ConvShape { in_channels, out_channels: inner, kernel: 3, stride, padding: 1 };
        let convs = if self.config.expansion() == 1 {
            vec![square(x.layout.channels, stride), square(inner, 1)]
        } else {
            vec![narrow(x.layout.channels, inner, 1), square(inner, stride), narrow(inner, expanded, 1)]
        };

        let changes = stride != 1 || x.layout.channels != expanded;
        let out = if changes {
            let shape = narrow(x.layout.channels, expanded, stride);
            let place = TRUNK[usize::from(x.place == TRUNK[0])];
            let out = Image { place, layout: self.trunk_layout(stage, shape.out_size(size)?)? };
            let names = [&*format!("{name}.downsample.0"), &*format!("{name}.downsample.1")];
            self.conv(names, shape, [x, out], Base::Bias, Activation::Identity)?;
            out
        } else {
            x
        };

        let mut y = x;
        for (i, shape) in convs.iter().enumerate() {
            let names = [&*format!("{name}.conv{}", i + 1), &*format!("{name}.bn{}", i + 1)];
            if let Some(next) = convs.get(i + 1) {
                let size = shape.out_size(y.layout.height)?;
                let border = next.border(next.algorithm(size, size), size, size)?;
                let to = Image { place: INNER[i], layout: self.layout(size, inner, border)? };
                self.conv(names, *shape, [y, to], Base::Bias, Activation::Relu)?;
                y = to;
            } else {
                // The residual lies where the sum shall be.
                self.conv(names, *shape, [y, out], Base::BiasAndOutput, Activation::Relu)?;
            }
        }
        Ok(out)
    }

    /// Layout of the output of all blocks of a stage, with the border that any convolution that reads it needs.
    fn trunk_layout(&self, stage: usize, size: usize) -> Result<Layout> {
        let channels = (self.config.width << stage) * self.config.expansion();
        let mut border = Border::default();
        if self.config.expansion() == 1 {
            for stride in [1, 2] {
                let reader = ConvShape { in_channels: channels, out_channels: channels, kernel: 3, stride, padding: 1 };
                border = border.union(reader.border(reader.algorithm(size, size), size, size)?);
            }
        }
        self.layout(size, channels, border)
    }

    fn layout(&self, size: usize, channels: usize, border: Border) -> Result<Layout> {
        Layout::new(size, size, channels, self.simd.lanes(), border)
    }

    /// Appends a convolution with its batch norm folded in.
    fn conv(
        &mut self,
        [conv, norm]: [&str; 2],
        shape: ConvShape,
        images: [Image; 2],
        base: Base,
        activation: Activation,
    ) -> Result<()> {
        let [from, to] = images.map(|image| image.layout);
        let (weight, bias) = fold_batch_norm(self.weights, conv, norm, shape)?;
        let algorithm = shape.algorithm(from.height, from.width);
        let compiled = Conv2d::new(self.simd, shape, algorithm, [from, to], &weight, &bias)?;
        self.program.conv(compiled, images, base, activation);
        Ok(())
    }
}

/// Weight `[C_out, C_in, k, k]` and bias `[C_out]` of a convolution and the batch norm after it as one convolution.
fn fold_batch_norm(weights: &Weights, conv: &str, norm: &str, shape: ConvShape) -> Result<(Vec<f32>, Vec<f32>)> {
    let ConvShape { in_channels, out_channels, kernel, .. } = shape;
    let weight_name = format!("{conv}.weight");
    let weight = tensor(weights, &weight_name, &[out_channels, in_channels, kernel, kernel])?;
    let [gamma, beta, mean] =
        ["weight", "bias", "running_mean"].map(|part| tensor(weights, &format!("{norm}.{part}"), &[out_channels]));
    let (gamma, beta, mean) = (gamma?, beta?, mean?);
    let variance_name = format!("{norm}.running_var");
    let variance = tensor(weights, &variance_name, &[out_channels])?;
    if let Some(channel) = variance.iter().position(|&variance| variance < 0.0) {
        return Err(Error::WrongTensor {
            file: weights.file().to_owned(),
            tensor: variance_name,
            expected: "no negative variance".to_owned(),
            found: format!("{} at element {channel}", variance[channel]),
        });
    }
    let mut folded = Vec::with_capacity(weight.len());
    let mut bias = Vec::with_capacity(out_channels);
    for (channel, kernels) in weight.chunks_exact(in_channels * kernel * kernel).enumerate() {
        let scale = f64::from(gamma[channel]) / (f64::from(variance[channel]) + BATCH_NORM_EPS).sqrt();
        folded.extend(kernels.iter().map(|&value| (f64::from(value) * scale) as f32));
        bias.push((f64::from(beta[channel]) - f64::from(mean[channel]) * scale) as f32);
    }
    for (values, part) in [(&folded, &weight_name), (&bias, &format!("{norm}.bias"))] {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::NonFiniteTensor {
                file: weights.file().to_owned(),
                tensor: format!("{part} with batch norm folded in"),
                index,
                value: values[index],
            });
        }
    }
    Ok((folded, bias))
}
