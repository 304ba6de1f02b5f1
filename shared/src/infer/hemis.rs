//! A HeMIS network compiled from its weights.

use std::ops::Range;

use crate::error::Result;
use crate::infer::program::{Image, Program, Runner, check_finite};
use crate::infer::tensors::{Halves, conv_tensors};
use crate::io::Weights;
use crate::kernel::{Activation, Base, Border, Buffer, ConvShape, Layout, Nth, Simd, pool_into_moments};
use crate::modality::{self, Modality};
use crate::model::hemis::HemisConfig;

/// Places: a sequence's image and the logits, what lies between two convolutions, an encoder's features, and the moments
/// over the encoders.
const OUTER: usize = 0;
const INNER: usize = 1;
const FEATURES: usize = 2;
const MOMENTS: usize = 3;

/// A HeMIS network ready to run on one slice at a time, of whichever MRI sequences are there.
///
/// Mean and variance over the sequences grow encoder by encoder, so that only one encoder's features are in memory. The
/// variance has divisor `|K| - 1`, as in the paper, and is 0 for a single sequence.
pub struct HemisPlan {
    simd: Simd,
    runner: Runner,
    input: Image,
    encoders: [Range<usize>; Modality::COUNT],
    features: Image,
    moments: [Image; 2],
    decoder: Range<usize>,
    output: Image,
    /// Pixels whose logits lie side by side in a pixel of the output.
    neighbours: usize,
    logits: Buffer,
}

impl HemisPlan {
    /// Packs the weights for slices of a height and a width. Tensors of other names are left alone.
    ///
    /// # Errors
    ///
    /// [`Error::MissingTensor`] or [`Error::WrongTensor`] if the weights are not this network's, [`Error::Shape`] for
    /// sizes that are zero, too large or not [`HemisConfig`]'s, [`Error::OutOfMemory`] if there is no room.
    pub fn new(config: &HemisConfig, height: usize, width: usize, weights: &Weights) -> Result<Self> {
        Self::with_simd(Simd::best(), config, height, width, weights)
    }

    /// Like [`Self::new`], for certain instructions.
    ///
    /// # Errors
    ///
    /// Those of [`Self::new`].
    pub fn with_simd(simd: Simd, config: &HemisConfig, height: usize, width: usize, weights: &Weights) -> Result<Self> {
        config.check()?;
        let size = [height, width];
        let mut program = Program::new(simd);
        let halves = Halves::new(config.width, simd.lanes());

        let [first, second] = [1, config.width].map(|channels| same_size(channels, config.width, config.kernel));
        let fuse = same_size(2 * config.width, config.fuse_width, config.kernel);
        let fuse_spread = ConvShape { in_channels: halves.total(), ..fuse };
        let head = same_size(config.fuse_width, config.n_classes, config.head_kernel);

        let border = |reader: ConvShape| reader.border(reader.algorithm(height, width), height, width);
        let input = Image { place: OUTER, layout: Layout::new(height, width, 1, 1, border(first)?)? };
        let image = |program: &Program, place, channels, border| -> Result<Image> {
            Ok(Image { place, layout: program.layout(size, channels, border)? })
        };
        let inner = image(&program, INNER, config.width, border(second)?)?;
        let features = image(&program, FEATURES, config.width, Border::default())?;
        let both = image(&program, MOMENTS, halves.total(), border(fuse_spread)?)?;
        // The head has few outputs and a large kernel.
        let by = head.algorithm_of_few(simd, height, width);
        let fused = image(&program, INNER, config.fuse_width, head.border(by, height, width)?)?;
        let output = Image { place: OUTER, layout: head.output(simd, by, height, width)? };

        let mut encoders = Modality::ALL.map(|_| 0..0);
        for (steps, name) in encoders.iter_mut().zip(Modality::ALL.map(Modality::name)) {
            let begin = program.len();
            for (i, shape, images) in [(1, first, [input, inner]), (2, second, [inner, features])] {
                let tensors = conv_tensors(weights, &format!("encoder.{name}.conv{i}"), shape)?;
                program.conv(shape, images, tensors, Base::Bias, Activation::Relu)?;
            }
            *steps = begin..program.len();
        }
        let begin = program.len();
        let (weight, bias) = conv_tensors(weights, "fuse", fuse)?;
        let weight = halves.spread(weight, fuse.kernel);
        program.conv(fuse_spread, [both, fused], (&weight, bias), Base::Bias, Activation::Relu)?;
        let tensors = conv_tensors(weights, "head", head)?;
        program.conv_by(by, head, [fused, output], tensors, Base::Bias, Activation::Identity)?;

        let moment = |first| -> Result<Image> { Ok(Image { layout: both.layout.part(first, config.width)?, ..both }) };
        Ok(Self {
            simd,
            input,
            encoders,
            features,
            moments: [moment(0)?, moment(halves.second)?],
            decoder: begin..program.len(),
            output,
            neighbours: by.neighbours(),
            logits: Buffer::zeros(config.n_classes * height * width)?,
            runner: program.into_runner()?,
        })
    }

    /// A slice of each sequence that is there, `[H, W]` in the order of [`Modality::ALL`], to logits `[n_classes, H, W]`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if no sequence is there or one has another length, [`Error::NonFinite`] if one holds NaN or
    /// infinity, or if the weights are so large that the logits do.
    pub fn run(&mut self, slices: &[Option<&[f32]>; Modality::COUNT]) -> Result<&[f32]> {
        let of = slices.iter().flatten().count();
        if of == 0 {
            return Err(modality::none("input of the network"));
        }
        let present = slices.iter().zip(&self.encoders).filter_map(|(slice, steps)| Some(((*slice)?, steps)));
        for (i, (slice, steps)) in present.enumerate() {
            self.runner.fill(self.input, slice)?;
            self.runner.run_steps(steps.clone());
            let [mean, variance] = &self.moments;
            let [features, moments] = self.runner.images_mut([self.features, *mean]);
            if i == 0 {
                mean.layout.clear_border(moments);
            }
            let to = ([&mean.layout, &variance.layout], moments);
            pool_into_moments(self.simd, Nth { nth: i + 1, of }, (&self.features.layout, features), to);
        }
        self.runner.run_steps(self.decoder.clone());
        let Layout { width, .. } = self.input.layout;
        self.output.layout.copy_neighbours(self.neighbours, self.runner.image(self.output), &mut self.logits, width);
        check_finite("logits of the network", &self.logits)?;
        Ok(&self.logits)
    }
}

/// A convolution that keeps the image's size.
fn same_size(in_channels: usize, out_channels: usize, kernel: usize) -> ConvShape {
    ConvShape { in_channels, out_channels, kernel, stride: 1, padding: kernel / 2 }
}

#[cfg(test)]
mod tests;
