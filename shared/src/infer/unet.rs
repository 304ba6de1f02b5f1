//! A U-Net compiled from its weights.

use std::ops::Range;

use crate::error::Result;
use crate::infer::program::{Image, Program, Runner, check_finite};
use crate::infer::tensors::{Halves, conv_tensors, fold_batch_norm, tensor};
use crate::io::Weights;
use crate::kernel::{Activation, Algorithm, Base, Border, Buffer, ConvShape, Layout, PoolShape, Simd};
use crate::model::unet::UNetConfig;

const POOL: PoolShape = PoolShape { window: 2, stride: 2, padding: 0 };

/// The place of what enters and leaves a level.
const OUTER: usize = 0;
/// The place of what lies between a level's two convolutions.
const INNER: usize = 1;
/// The first of the places where, level by level, an upsampled image and its skip lie beside each other.
const BESIDE: usize = 2;

/// A U-Net ready to run on one image at a time.
///
/// Batch norm is folded into the weights, the weights are packed, and all memory is taken when the plan is made. The
/// upsampled image and the skip are written beside each other, so that nothing is copied to concatenate them.
pub struct UNetPlan {
    runner: Runner,
    input: Image,
    output: Image,
    logits: Buffer,
}

impl UNetPlan {
    /// Folds and packs the weights for images of a height and a width. Tensors of other names are left alone.
    ///
    /// # Errors
    ///
    /// [`Error::MissingTensor`] or [`Error::WrongTensor`] if the weights are not this network's,
    /// [`Error::NonFiniteTensor`] if they overflow when batch norm is folded in, [`Error::Shape`] for sizes that are
    /// no multiples of [`UNetConfig::size_multiple`], zero or too large, or not [`UNetConfig`]'s,
    /// [`Error::OutOfMemory`] if there is no room.
    ///
    /// [`Error::MissingTensor`]: crate::Error::MissingTensor
    /// [`Error::WrongTensor`]: crate::Error::WrongTensor
    /// [`Error::NonFiniteTensor`]: crate::Error::NonFiniteTensor
    /// [`Error::Shape`]: crate::Error::Shape
    /// [`Error::OutOfMemory`]: crate::Error::OutOfMemory
    pub fn new(config: &UNetConfig, height: usize, width: usize, weights: &Weights) -> Result<Self> {
        Self::with_simd(Simd::best(), config, height, width, weights)
    }

    /// Like [`Self::new`], for certain instructions.
    ///
    /// # Errors
    ///
    /// Those of [`Self::new`].
    pub fn with_simd(simd: Simd, config: &UNetConfig, height: usize, width: usize, weights: &Weights) -> Result<Self> {
        config.check()?;
        config.check_size(height, width)?;
        let mut compiler = Compiler::new(simd, &config.widths, [height, width], weights);
        let input = compiler.input(config.in_channels)?;
        let bottom = compiler.down(input)?;
        let top = compiler.up(bottom)?;
        let output = compiler.head(top, config.n_classes)?;
        let runner = compiler.program.into_runner()?;
        Ok(Self { runner, input, output, logits: Buffer::zeros(config.n_classes * height * width)? })
    }

    /// `[in_channels, H, W]` to logits `[n_classes, H, W]`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the input has another length, [`Error::NonFinite`] if it holds NaN or infinity, or if the
    /// weights are so large that the logits do.
    ///
    /// [`Error::Shape`]: crate::Error::Shape
    /// [`Error::NonFinite`]: crate::Error::NonFinite
    pub fn run(&mut self, input: &[f32]) -> Result<&[f32]> {
        self.runner.fill(self.input, input)?;
        self.runner.run();
        self.output.layout.copy_planes(self.runner.image(self.output), &mut self.logits);
        check_finite("logits of the network", &self.logits)?;
        Ok(&self.logits)
    }
}

fn square(in_channels: usize, out_channels: usize) -> ConvShape {
    ConvShape { in_channels, out_channels, kernel: 3, stride: 1, padding: 1 }
}

/// Lowers the network step by step.
pub(super) struct Compiler<'a> {
    simd: Simd,
    widths: &'a [usize],
    /// Height and width of the input.
    size: [usize; 2],
    weights: &'a Weights,
    pub(super) program: Program,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(simd: Simd, widths: &'a [usize], size: [usize; 2], weights: &'a Weights) -> Self {
        Self { simd, widths, size, weights, program: Program::new(simd) }
    }
    /// Height and width at a level.
    fn size(&self, level: usize) -> [usize; 2] {
        self.size.map(|size| size >> level)
    }

    /// An image at a level, for a 3x3 convolution to read.
    fn image(&self, place: usize, level: usize, reader: ConvShape) -> Result<Image> {
        let [height, width] = self.size(level);
        let border = reader.border(reader.algorithm(height, width), height, width)?;
        Ok(Image { place, layout: self.program.layout([height, width], reader.in_channels, border)? })
    }

    pub(super) fn input(&self, in_channels: usize) -> Result<Image> {
        let [height, width] = self.size;
        let shape = square(in_channels, self.widths[0]);
        let algorithm = shape.algorithm(height, width);
        let border = shape.border(algorithm, height, width)?;
        // The image's few channels are read as they are, without whole vectors.
        let lanes = if algorithm == Algorithm::Direct { 1 } else { self.simd.lanes() };
        Ok(Image { place: OUTER, layout: Layout::new(height, width, in_channels, lanes, border)? })
    }

    fn halves(&self, level: usize) -> Halves {
        Halves::new(self.widths[level], self.simd.lanes())
    }

    /// The upsampled image and the skip of a level, beside each other.
    fn beside(&self, level: usize) -> Result<Image> {
        self.image(BESIDE + level, level, square(self.halves(level).total(), self.widths[level]))
    }

    /// Where the skip of a level lies, beside the upsampled image.
    fn skip(&self, level: usize) -> Result<Image> {
        let beside = self.beside(level)?;
        Ok(Image { layout: beside.layout.part(self.halves(level).second, self.widths[level])?, ..beside })
    }

    /// The contracting path: what the bottleneck gives.
    fn down(&mut self, mut x: Image) -> Result<Image> {
        for (level, &width) in self.widths.iter().enumerate() {
            let name = format!("down.{level}");
            if level + 1 == self.widths.len() {
                let layout = self.program.layout(self.size(level), width, Border::default())?;
                let out = Image { place: OUTER, layout };
                self.double_conv(&name, level, [x, out], None)?;
                return Ok(out);
            }
            let skip = self.skip(level)?;
            self.double_conv(&name, level, [x, skip], None)?;
            x = self.image(OUTER, level + 1, square(width, self.widths[level + 1]))?;
            self.program.max_pool(POOL, [skip, x]);
        }
        Ok(x)
    }

    /// Of one of several contracting paths, whose tensors' names begin with a prefix: the steps of each level, after which
    /// its map lies in [`Self::map`].
    pub(super) fn encoder(&mut self, prefix: &str, mut x: Image) -> Result<Vec<Range<usize>>> {
        let mut levels = Vec::with_capacity(self.widths.len());
        for level in 0..self.widths.len() {
            let begin = self.program.len();
            let map = self.map(level)?;
            if level > 0 {
                let finer = self.map(level - 1)?;
                x = self.image(OUTER, level, square(self.widths[level - 1], self.widths[level]))?;
                self.program.max_pool(POOL, [finer, x]);
            }
            self.double_conv(&format!("{prefix}.down.{level}"), level, [x, map], None)?;
            levels.push(begin..self.program.len());
        }
        Ok(levels)
    }

    /// What one of several contracting paths gives at a level; the next level's map takes its place.
    pub(super) fn map(&self, level: usize) -> Result<Image> {
        let layout = self.program.layout(self.size(level), self.widths[level], Border::default())?;
        Ok(Image { place: BESIDE + self.widths.len(), layout })
    }

    /// Where the expanding path reads what several contracting paths give at a level.
    pub(super) fn mean(&self, level: usize) -> Result<Image> {
        if level + 1 < self.widths.len() {
            return self.skip(level);
        }
        Ok(Image { place: BESIDE + level, ..self.map(level)? })
    }

    /// The expanding path: what the finest level gives.
    pub(super) fn up(&mut self, mut x: Image) -> Result<Image> {
        for (i, level) in (0..self.widths.len() - 1).rev().enumerate() {
            let name = format!("up.{i}");
            let (below, width) = (self.widths[level + 1], self.widths[level]);
            let beside = self.beside(level)?;
            let upsampled = Image { layout: beside.layout.part(0, width)?, ..beside };
            let weight = tensor(self.weights, &format!("{name}.upconv.weight"), &[below, width, 2, 2])?;
            let bias = tensor(self.weights, &format!("{name}.upconv.bias"), &[width])?;
            self.program.conv_transpose([x, upsampled], weight, bias)?;
            let layout = self.program.layout(self.size(level), width, Border::default())?;
            x = Image { place: OUTER, layout };
            self.double_conv(&name, level, [beside, x], Some(self.halves(level)))?;
        }
        Ok(x)
    }

    /// Two convolutions with batch norm and ReLU, the first one perhaps of two halves.
    fn double_conv(&mut self, name: &str, level: usize, [x, out]: [Image; 2], halves: Option<Halves>) -> Result<()> {
        let width = out.layout.channels;
        let inner = self.image(INNER, level, square(width, width))?;
        let in_channels = halves.map_or(x.layout.channels, |halves| 2 * halves.channels);
        for (i, in_channels, images) in [(1, in_channels, [x, inner]), (2, width, [inner, out])] {
            let (conv, norm) = (format!("{name}.conv{i}"), format!("{name}.bn{i}"));
            let shape = square(in_channels, width);
            let (mut weight, bias) = fold_batch_norm(self.weights, &conv, &norm, shape)?;
            if let (1, Some(halves)) = (i, halves) {
                weight = halves.spread(&weight, shape.kernel);
            }
            let shape = square(images[0].layout.channels, width);
            self.program.conv(shape, images, (&weight, &bias), Base::Bias, Activation::Relu)?;
        }
        Ok(())
    }

    pub(super) fn head(&mut self, x: Image, n_classes: usize) -> Result<Image> {
        let in_channels = x.layout.channels;
        let shape = ConvShape { in_channels, out_channels: n_classes, kernel: 1, stride: 1, padding: 0 };
        let out = Image { place: INNER, layout: self.program.layout(self.size, n_classes, Border::default())? };
        let tensors = conv_tensors(self.weights, "head", shape)?;
        self.program.conv(shape, [x, out], tensors, Base::Bias, Activation::Identity)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
