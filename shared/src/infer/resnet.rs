//! A residual network compiled from its weights.

use crate::error::Result;
use crate::infer::program::{Image, Program, Runner, check_finite};
use crate::infer::tensors::{fold_batch_norm, tensor};
use crate::io::Weights;
use crate::kernel::{
    Activation, Algorithm, Base, Border, Buffer, Conv2d, ConvShape, Layout, PoolShape, Simd, global_average_pool,
};
use crate::model::resnet::ResNetConfig;

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
    features: Buffer,
    simd: Simd,
    pooled: Buffer,
    head: Conv2d,
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
        // The linear head is a 1x1 convolution of the one pixel that pooling leaves.
        let shape = ConvShape { in_channels: channels, out_channels: n_out, kernel: 1, stride: 1, padding: 0 };
        let [pooled, logits] = [channels, n_out].map(|c| Layout::new(1, 1, c, simd.lanes(), Border::default()));
        let (pooled, logits) = (pooled?, logits?);
        let weight = tensor(weights, "fc.weight", &[n_out, channels])?;
        let bias = tensor(weights, "fc.bias", &[n_out])?;
        let head = Conv2d::new(simd, shape, Algorithm::Direct, [pooled, logits], weight, bias)?;
        Ok(Self {
            runner: compiler.program.into_runner()?,
            input,
            last: x,
            features: Buffer::zeros(x.layout.height * x.layout.width * channels)?,
            simd,
            pooled: Buffer::zeros(pooled.len())?,
            logits: Buffer::zeros(logits.len())?,
            head,
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
        self.runner.fill(self.input, input)?;
        self.runner.run();
        let last = (&self.last.layout, self.runner.image(self.last));
        last.0.copy_dense(last.1, &mut self.features);
        global_average_pool(self.simd, last, &mut self.pooled);
        self.head.run(&self.pooled, &mut self.logits, &mut [], Base::Bias, Activation::Identity);
        let logits = &self.logits[..self.n_out];
        check_finite("logits of the network", logits)?;
        Ok(logits)
    }

    /// Rows and columns of the feature map.
    pub fn map_side(&self) -> usize {
        self.last.layout.height
    }

    /// The feature map of the last run before pooling, `[H, W, C]` with `C` = [`ResNetConfig::out_channels`]; zeros
    /// before the first.
    pub fn features(&self) -> &[f32] {
        &self.features
    }
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
            let out = Image { place: TRUNK[0], layout: self.trunk_layout(STEM_POOL.out_size(half)?, width)? };
            self.conv(names, shape, [input, wide], Base::Bias, Activation::Relu)?;
            self.program.max_pool(STEM_POOL, [wide, out]);
            out
        } else {
            let out = Image { place: TRUNK[0], layout: self.trunk_layout(half, width)? };
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
            let out = Image { place, layout: self.trunk_layout(shape.out_size(size)?, expanded)? };
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

    /// Layout of a block's input or output, with the border that any convolution that reads it needs.
    fn trunk_layout(&self, size: usize, channels: usize) -> Result<Layout> {
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
        let folded = fold_batch_norm(self.weights, conv, norm, shape)?;
        self.program.conv(shape, images, (&folded.0, &folded.1), base, activation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::infer::random::{RandomTensors, Tensors, conv_norm, planes, spoiled};
    use crate::kernel::naive::{self, Planes, assert_close, uniform};
    use crate::model::resnet::Depth;

    fn random_tensors(config: &ResNetConfig, n_out: usize) -> Tensors {
        let mut random = RandomTensors::default();
        random.conv_norm("conv1", "bn1", [config.width, config.in_channels, 7]);
        let mut c_in = config.width;
        for stage in 0..4 {
            let inner = config.width << stage;
            let c_out = inner * config.expansion();
            for block in 0..config.blocks()[stage] {
                let name = format!("layer{}.{block}", stage + 1);
                let shapes = match config.expansion() {
                    1 => vec![[inner, c_in, 3], [inner, inner, 3]],
                    _ => vec![[inner, c_in, 1], [inner, inner, 3], [c_out, inner, 1]],
                };
                for (i, shape) in shapes.into_iter().enumerate() {
                    random.conv_norm(&format!("{name}.conv{}", i + 1), &format!("{name}.bn{}", i + 1), shape);
                }
                if block == 0 && (stage > 0 || c_in != c_out) {
                    let names = [0, 1].map(|i| format!("{name}.downsample.{i}"));
                    random.conv_norm(&names[0], &names[1], [c_out, c_in, 1]);
                }
                c_in = c_out;
            }
        }
        random.add("fc.weight".to_owned(), &[n_out, c_in], 0.0, (3.0 / c_in as f32).sqrt());
        random.bias("fc", n_out);
        random.tensors
    }

    fn random_weights(config: &ResNetConfig, n_out: usize) -> Weights {
        Weights::new("random", random_tensors(config, n_out)).expect("finite")
    }

    /// The network as torchvision defines it, layer by layer: the last feature map and the logits.
    fn naive_resnet(config: &ResNetConfig, w: &Weights, size: usize, n_out: usize, x: &[f32]) -> (Planes, Vec<f64>) {
        let x = planes([config.in_channels, size, size], x);
        let mut x = conv_norm(w, ["conv1", "bn1"], &x, config.width, 7, 2).relu();
        if config.stem_pool {
            x = naive::max_pool(&x, PoolShape { window: 3, stride: 2, padding: 1 });
        }
        for stage in 0..4 {
            let inner = config.width << stage;
            let c_out = inner * config.expansion();
            for block in 0..config.blocks()[stage] {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let name = format!("layer{}.{block}", stage + 1);
                let layer = |i: usize, x: &Planes, c_out: usize, kernel: usize, stride: usize| {
                    conv_norm(w, [&format!("{name}.conv{i}"), &format!("{name}.bn{i}")], x, c_out, kernel, stride)
                };
                let y = if config.expansion() == 1 {
                    layer(2, &layer(1, &x, inner, 3, stride).relu(), inner, 3, 1)
                } else {
                    let y = layer(2, &layer(1, &x, inner, 1, 1).relu(), inner, 3, stride).relu();
                    layer(3, &y, c_out, 1, 1)
                };
                let skip = if stride != 1 || x.channels != c_out {
                    let names = [0, 1].map(|i| format!("{name}.downsample.{i}"));
                    conv_norm(w, [&names[0], &names[1]], &x, c_out, 1, stride)
                } else {
                    x
                };
                x = y.add(&skip).relu();
            }
        }
        let plane = x.height * x.width;
        let pooled: Vec<f64> = x.data.chunks(plane).map(|values| values.iter().sum::<f64>() / plane as f64).collect();
        let weight = w.get("fc.weight", &[n_out, x.channels]).expect("head");
        let bias = w.get("fc.bias", &[n_out]).expect("head");
        let logits = weight
            .chunks(x.channels)
            .zip(bias)
            .map(|(row, b)| f64::from(*b) + row.iter().zip(&pooled).map(|(w, p)| f64::from(*w) * p).sum::<f64>());
        let logits = logits.collect();
        (x, logits)
    }

    #[test]
    fn plan_is_the_network_of_torchvision() {
        for (depth, width, in_channels, stem_pool, size, n_out) in [
            (Depth::D18, 8, 1, true, 65, 14),
            (Depth::D18, 12, 3, false, 50, 3),
            (Depth::D18, 16, 1, false, 64, 14),
            (Depth::D18, 4, 1, true, 1, 1),
            (Depth::D34, 8, 1, true, 33, 5),
            (Depth::D50, 4, 3, true, 61, 14),
            (Depth::D50, 16, 1, false, 40, 20),
        ] {
            let config = ResNetConfig { depth, width, in_channels, stem_pool };
            let weights = random_weights(&config, n_out);
            let input = uniform(99, in_channels * size * size);
            let (map, logits) = naive_resnet(&config, &weights, size, n_out, &input);
            let mut expected_features = Vec::new();
            for i in 0..map.height * map.width {
                expected_features.extend((0..map.channels).map(|c| map.data[c * map.height * map.width + i]));
            }
            for simd in Simd::available() {
                let mut plan = ResNetPlan::with_simd(simd, &config, size, n_out, &weights).expect("plan");
                let what = format!("{simd:?} {config:?} {size}");
                let first = plan.run(&input).expect("runs").to_vec();
                assert_close(&first, &logits, 1e-4, &what);
                assert_close(plan.features(), &expected_features, 1e-4, &what);
                let other = uniform(100, input.len());
                assert_ne!(plan.run(&other).expect("runs"), first, "{what}: another image, other logits");
                assert_eq!(plan.run(&input).expect("runs"), first, "{what}: nothing is left of the run before");
            }
        }
    }

    #[test]
    fn unfit_weights_are_errors() {
        let config = ResNetConfig { depth: Depth::D18, width: 4, in_channels: 1, stem_pool: true };
        let tensors = random_tensors(&config, 2);
        let build = |tensors: Tensors| {
            ResNetPlan::new(&config, 32, 2, &Weights::new("w", tensors).expect("finite")).map(|_plan| ())
        };
        assert!(build(tensors.clone()).is_ok());
        for (name, [missing, reshaped, long]) in spoiled(&tensors) {
            assert!(matches!(build(missing), Err(Error::MissingTensor { tensor, .. }) if tensor == name), "{name}");
            for wrong in [reshaped, long] {
                assert!(matches!(build(wrong), Err(Error::WrongTensor { tensor, .. }) if tensor == name), "{name}");
            }
        }
        let change = |name: &str, at: usize, value: f32, tensors: &Tensors| {
            let mut tensors = tensors.clone();
            tensors.get_mut(name).expect("is there").data[at] = value;
            tensors
        };
        let negative = build(change("bn1.running_var", 1, -1.0, &tensors));
        assert!(matches!(negative, Err(Error::WrongTensor { .. })), "{negative:?}");
        let large = build(change("bn1.running_mean", 1, f32::MAX, &tensors));
        assert!(matches!(large, Ok(()) | Err(Error::NonFiniteTensor { .. })), "{large:?}");
        let overflow = build(change("bn1.running_var", 0, 0.0, &change("bn1.weight", 0, f32::MAX, &tensors)));
        assert!(matches!(overflow, Err(Error::NonFiniteTensor { .. })), "{overflow:?}");
    }

    #[test]
    fn impossible_sizes_and_inputs_are_errors() {
        let config = ResNetConfig { depth: Depth::D18, width: 4, in_channels: 1, stem_pool: true };
        let weights = random_weights(&config, 2);
        let build = |config: &ResNetConfig, size, n_out| ResNetPlan::new(config, size, n_out, &weights).map(|_plan| ());
        for size in [0, usize::MAX, usize::MAX / 2, 1 << 17] {
            let result = build(&config, size, 2);
            assert!(matches!(result, Err(Error::Shape { .. })), "{size}: {result:?}");
        }
        assert!(build(&config, 32, 0).is_err());
        assert!(matches!(build(&ResNetConfig { width: 5, ..config }, 32, 2), Err(Error::Shape { .. })));

        let mut plan = ResNetPlan::new(&config, 8, 2, &weights).expect("plan");
        assert!(matches!(plan.run(&[0.0; 63]), Err(Error::Shape { .. })));
        assert!(matches!(plan.run(&[0.0; 65]), Err(Error::Shape { .. })));
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut input = [0.0; 64];
            input[10] = value;
            assert!(matches!(plan.run(&input), Err(Error::NonFinite { index: 10, .. })));
        }
        assert!(matches!(plan.run(&[f32::MAX; 64]), Ok(_) | Err(Error::NonFinite { .. })));
        assert!(plan.run(&[0.5; 64]).is_ok(), "an error leaves the plan usable");
    }
}
