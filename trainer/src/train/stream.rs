//! Random numbers of a run, and the order of its items.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::TrainingConfig;

/// Streams of random numbers of one run, so that what one part draws does not move another's draws.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    /// Order of the labelled images.
    Order,
    /// Which unlabelled images.
    Unlabelled,
    /// Variation of one image or slice.
    Image(u32),
    /// Partners of a step: label-matched reports, other patients' features, the sequences that are there.
    Partners(usize),
    /// Sampled locations.
    Locations,
    /// Slices without tumour.
    Empty,
}

/// The generator of a stream in an epoch: a function of the seed alone, so that a resumed run draws the same.
pub(super) fn generator(seed: u64, epoch: usize, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let lane = match stream {
        Stream::Order => 0,
        Stream::Locations => 1,
        Stream::Unlabelled => 2,
        Stream::Empty => (1 << 33) - 1,
        Stream::Image(index) => 3 + u64::from(index),
        Stream::Partners(step) => (1 << 33) + step as u64,
    };
    rng.set_stream((epoch as u64) << 34 | lane);
    rng
}

/// The steps of an epoch, each a list of items: the labelled ones in random order, beside them as many unlabelled ones
/// as a step takes. A last step of a single item is left out, since batch norm cannot train on it.
pub(super) fn steps(
    labelled: &[usize],
    unlabelled: &[usize],
    training: &TrainingConfig,
    seed: u64,
    epoch: usize,
) -> Vec<Vec<usize>> {
    let mut order = labelled.to_vec();
    order.shuffle(&mut generator(seed, epoch, Stream::Order));
    let mut others = unlabelled.to_vec();
    others.shuffle(&mut generator(seed, epoch, Stream::Unlabelled));
    let batch_size = training.batch_size;
    let beside = training.unlabelled_per_step.unwrap_or(batch_size).min(others.len());
    let mut others = others.iter().copied().cycle();
    order
        .chunks(batch_size)
        .map(|part| part.iter().copied().chain(others.by_ref().take(beside)).collect::<Vec<_>>())
        .filter(|step| step.len() > 1)
        .collect()
}
