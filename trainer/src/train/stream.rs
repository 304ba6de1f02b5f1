//! Random numbers of a run.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Streams of random numbers of one run, so that what one part draws does not move another's draws.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    /// Order of the labelled images.
    Order,
    /// Which unlabelled images.
    Unlabelled,
    /// Variation of one image.
    Image(u32),
    /// Label-matched partners of a step.
    Partners(usize),
    /// Sampled locations.
    Locations,
}

/// The generator of a stream in an epoch: a function of the seed alone, so that a resumed run draws the same.
pub(super) fn generator(seed: u64, epoch: usize, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let lane = match stream {
        Stream::Order => 0,
        Stream::Locations => 1,
        Stream::Unlabelled => 2,
        Stream::Image(index) => 3 + u64::from(index),
        Stream::Partners(step) => (1 << 33) + step as u64,
    };
    rng.set_stream((epoch as u64) << 34 | lane);
    rng
}
