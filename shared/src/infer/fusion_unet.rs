//! A U-Net with an encoder for each MRI sequence, compiled from its weights.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::infer::program::{Image, Runner, check_finite};
use crate::infer::unet::Compiler;
use crate::io::Weights;
use crate::kernel::{Buffer, Nth, Simd, add_into_mean};
use crate::modality::{self, Modality};
use crate::model::unet::UNetConfig;

/// A U-Net for whichever sequences are there, ready to run on one slice at a time.
///
/// The mean of the encoders' maps grows encoder by encoder where the decoder reads it, so that only one map of one encoder
/// is in memory beside it.
pub struct FusionUNetPlan {
    simd: Simd,
    runner: Runner,
    input: Image,
    /// The steps of each level.
    encoders: [Vec<Range<usize>>; Modality::COUNT],
    /// What an encoder gives at each level, and where the mean over the encoders lies.
    levels: Vec<[Image; 2]>,
    decoder: Range<usize>,
    output: Image,
    logits: Buffer,
}

impl FusionUNetPlan {
    /// Folds and packs the weights for slices of a height and a width. Tensors of other names are left alone.
    ///
    /// # Errors
    ///
    /// Those of [`UNetPlan::new`](super::unet::UNetPlan::new); [`Error::Shape`] for a configuration whose encoders read more
    /// than one channel.
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
        if config.in_channels != 1 {
            let (expected, found) = ("1".to_owned(), config.in_channels.to_string());
            return Err(Error::Shape { what: "input channels of each encoder", expected, found });
        }
        let mut compiler = Compiler::new(simd, &config.widths, [height, width], weights);
        let input = compiler.input(config.in_channels)?;
        let mut encoders = Modality::ALL.map(|_| Vec::new());
        for (steps, name) in encoders.iter_mut().zip(Modality::ALL.map(Modality::name)) {
            *steps = compiler.encoder(&format!("encoder.{name}"), input)?;
        }
        let level = |level| -> Result<[Image; 2]> { Ok([compiler.map(level)?, compiler.mean(level)?]) };
        let levels = (0..config.widths.len()).map(level).collect::<Result<Vec<_>>>()?;
        let begin = compiler.program.len();
        let bottom = compiler.mean(config.widths.len() - 1)?;
        let top = compiler.up(bottom)?;
        let output = compiler.head(top, config.n_classes)?;
        Ok(Self {
            simd,
            input,
            encoders,
            levels,
            decoder: begin..compiler.program.len(),
            output,
            logits: Buffer::zeros(config.n_classes * height * width)?,
            runner: compiler.program.into_runner()?,
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
        for (i, (slice, encoder)) in present.enumerate() {
            self.runner.fill(self.input, slice)?;
            for (steps, [map, mean]) in encoder.iter().zip(&self.levels) {
                self.runner.run_steps(steps.clone());
                // The borders of the means are cleared where the decoder writes the upsampled images beside them.
                let [from, to] = self.runner.images_mut([*map, *mean]);
                add_into_mean(self.simd, Nth { nth: i + 1, of }, (&map.layout, from), (&mean.layout, to));
            }
        }
        self.runner.run_steps(self.decoder.clone());
        self.output.layout.copy_planes(self.runner.image(self.output), &mut self.logits);
        check_finite("logits of the network", &self.logits)?;
        Ok(&self.logits)
    }
}
