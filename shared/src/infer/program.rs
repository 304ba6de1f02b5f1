//! A network as a list of steps over one piece of memory.

use std::ops::Range;

use crate::error::Result;
use crate::kernel::{Activation, Base, Buffer, Conv2d, Layout, PoolShape, Simd, max_pool};

/// An image in one of the program's places. A place holds one image at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image {
    pub(super) place: usize,
    pub(super) layout: Layout,
}

enum Step {
    Conv { conv: Box<Conv2d>, from: Image, to: Image, base: Base, activation: Activation },
    MaxPool { shape: PoolShape, from: Image, to: Image },
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

    /// Appends a convolution between two places.
    pub(super) fn conv(&mut self, conv: Conv2d, [from, to]: [Image; 2], base: Base, activation: Activation) {
        self.reserve(from);
        self.reserve(to);
        self.scratch_len = self.scratch_len.max(conv.scratch_len());
        self.steps.push(Step::Conv { conv: Box::new(conv), from, to, base, activation });
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

    /// All steps, from the first to the last.
    pub(super) fn run(&mut self) {
        for step in &self.steps {
            let (Step::Conv { from, to, .. } | Step::MaxPool { from, to, .. }) = step;
            let ranges = [self.places[from.place].clone(), self.places[to.place].clone(), self.scratch.clone()];
            let [input, output, scratch] = self.arena.get_disjoint_mut(ranges).expect("places lie apart");
            match step {
                Step::Conv { conv, base, activation, .. } => {
                    if *base == Base::Bias {
                        to.layout.clear_border(output);
                    }
                    conv.run(input, output, scratch, *base, *activation);
                }
                Step::MaxPool { shape, .. } => {
                    to.layout.clear_border(output);
                    max_pool(self.simd, *shape, (&from.layout, input), (&to.layout, output));
                }
            }
        }
    }
}
