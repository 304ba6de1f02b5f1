//! Generated studies: no data set is needed to try the program, and what is there is known exactly.

pub mod brain;
pub mod xray;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A random stream of a seed.
fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}
