//! A network as a list of steps over one piece of memory.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::kernel::{
    Activation, Algorithm, Base, Border, Buffer, Conv2d, ConvShape, ConvTranspose2d, Layout, PoolShape, Simd, max_pool,
};

/// An image in one of the program's places. A place holds one image at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image {
    pub(super) place: usize,
    pub(super) layout: Layout,
}

enum Step {
    Conv { conv: Box<Conv2d>, from: Image, to: Image, base: Base, activation: Activation },
    ConvTranspose { conv: Box<ConvTranspose2d>, from: Image, to: Image },
    MaxPool { shape: PoolShape, from: Image, to: Image },
}

impl Step {
    /// What is read and what is written.
    fn images(&self) -> [Image; 2] {
        match *self {
            Self::Conv { from, to, .. } | Self::ConvTranspose { from, to, .. } | Self::MaxPool { from, to, .. } => {
                [from, to]
            }
        }
    }
}

/// Steps, and how much memory they need in each place.
pub(super) struct Program {
    simd: Simd,
    steps: Vec<Step>,
    place_lens: Vec<usize>,
    scratch_len: usize,
}

impl Program {
    pub(super) fn new(simd: Simd) -> Self {
        Self { simd, steps: Vec::new(), place_lens: Vec::new(), scratch_len: 0 }
    }

    /// Makes a place large enough for an image.
    pub(super) fn reserve(&mut self, image: Image) {
        let places = self.place_lens.len().max(image.place + 1);
        self.place_lens.resize(places, 0);
        self.place_lens[image.place] = self.place_lens[image.place].max(image.layout.len());
    }

    /// Layout of an image that is written in whole vectors.
    ///
    /// # Errors
    ///
    /// Those of [`Layout::new`].
    pub(super) fn layout(&self, [height, width]: [usize; 2], channels: usize, border: Border) -> Result<Layout> {
        Layout::new(height, width, channels, self.simd.lanes(), border)
    }

    /// Steps so far.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Appends a convolution with its weight and bias, by the faster algorithm.
    ///
    /// # Errors
    ///
    /// Those of [`Conv2d::new`].
    pub(super) fn conv(
        &mut self,
        shape: ConvShape,
        [from, to]: [Image; 2],
        (weight, bias): (&[f32], &[f32]),
        base: Base,
        activation: Activation,
    ) -> Result<()> {
        let algorithm = shape.algorithm(from.layout.height, from.layout.width);
        self.conv_by(algorithm, shape, [from, to], (weight, bias), base, activation)
    }

    /// Appends a convolution by a certain algorithm.
    ///
    /// # Errors
    ///
    /// Those of [`Conv2d::new`].
    pub(super) fn conv_by(
        &mut self,
        algorithm: Algorithm,
        shape: ConvShape,
        [from, to]: [Image; 2],
        (weight, bias): (&[f32], &[f32]),
        base: Base,
        activation: Activation,
    ) -> Result<()> {
        let conv = Conv2d::new(self.simd, shape, algorithm, [from.layout, to.layout], weight, bias)?;
        self.reserve(from);
        self.reserve(to);
        self.scratch_len = self.scratch_len.max(conv.scratch_len());
        self.steps.push(Step::Conv { conv: Box::new(conv), from, to, base, activation });
        Ok(())
    }

    /// Appends a transposed convolution with its weight and bias.
    ///
    /// # Errors
    ///
    /// Those of [`ConvTranspose2d::new`].
    pub(super) fn conv_transpose(&mut self, [from, to]: [Image; 2], weight: &[f32], bias: &[f32]) -> Result<()> {
        let conv = ConvTranspose2d::new(self.simd, [from.layout, to.layout], weight, bias)?;
        self.reserve(from);
        self.reserve(to);
        self.steps.push(Step::ConvTranspose { conv: Box::new(conv), from, to });
        Ok(())
    }

    /// Appends a pooling between two places.
    pub(super) fn max_pool(&mut self, shape: PoolShape, [from, to]: [Image; 2]) {
        self.reserve(from);
        self.reserve(to);
        self.steps.push(Step::MaxPool { shape, from, to });
    }

    /// Takes the memory for all places.
    ///
    /// # Errors
    ///
    /// [`crate::Error::OutOfMemory`] if there is no room.
    pub(super) fn into_runner(self) -> Result<Runner> {
        // Every place begins at a cache line.
        let mut end = 0_usize;
        let mut place = |len: usize| {
            let begin = end.next_multiple_of(16);
            end = begin.saturating_add(len);
            begin..end
        };
        let places = self.place_lens.into_iter().map(&mut place).collect();
        let scratch = place(self.scratch_len);
        Ok(Runner { simd: self.simd, steps: self.steps, places, scratch, arena: Buffer::zeros(end)? })
    }
}

/// A program with its memory.
pub(super) struct Runner {
    simd: Simd,
    steps: Vec<Step>,
    places: Vec<Range<usize>>,
    scratch: Range<usize>,
    arena: Buffer,
}

impl Runner {
    /// The memory of an image.
    pub(super) fn image(&self, image: Image) -> &[f32] {
        &self.arena[self.places[image.place].clone()][..image.layout.len()]
    }

    /// The memory of an image, to fill.
    pub(super) fn image_mut(&mut self, image: Image) -> &mut [f32] {
        &mut self.arena[self.places[image.place].clone()][..image.layout.len()]
    }

    /// Copies a network's input into its image.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if it has another length, [`Error::NonFinite`] if it holds NaN or infinity.
    pub(super) fn fill(&mut self, image: Image, planes: &[f32]) -> Result<()> {
        let Layout { height, width, channels, .. } = image.layout;
        if planes.len() != channels * height * width {
            return Err(Error::Shape {
                what: "input of the network",
                expected: format!("{channels} x {height} x {width} values"),
                found: format!("{} values", planes.len()),
            });
        }
        check_finite("input of the network", planes)?;
        image.layout.fill_from_planes(self.image_mut(image), planes);
        Ok(())
    }

    /// The memory of two images in different places.
    pub(super) fn images_mut(&mut self, images: [Image; 2]) -> [&mut [f32]; 2] {
        self.arena.get_disjoint_mut(images.map(|image| self.places[image.place].clone())).expect("places lie apart")
    }

    /// All steps, from the first to the last.
    pub(super) fn run(&mut self) {
        self.run_steps(0..self.steps.len());
    }

    /// Some of the steps.
    pub(super) fn run_steps(&mut self, range: Range<usize>) {
        for step in &self.steps[range] {
            let [from, to] = step.images();
            let ranges = [self.places[from.place].clone(), self.places[to.place].clone(), self.scratch.clone()];
            let [input, output, scratch] = self.arena.get_disjoint_mut(ranges).expect("places lie apart");
            match step {
                Step::Conv { conv, base, activation, .. } => {
                    if *base == Base::Bias {
                        to.layout.clear_border(output);
                    }
                    conv.run(input, output, scratch, *base, *activation);
                }
                Step::ConvTranspose { conv, .. } => {
                    to.layout.clear_border(output);
                    conv.run(input, output);
                }
                Step::MaxPool { shape, .. } => {
                    to.layout.clear_border(output);
                    max_pool(self.simd, *shape, (&from.layout, input), (&to.layout, output));
                }
            }
        }
    }
}

/// Nothing that a network takes or gives is NaN or infinite.
///
/// # Errors
///
/// [`Error::NonFinite`] at the first value that is.
pub(super) fn check_finite(what: &'static str, values: &[f32]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(Error::NonFinite { what, index, value: values[index] }),
        None => Ok(()),
    }
}
