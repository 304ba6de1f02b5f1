//! Generated studies: no data set is needed to try the program or the page, and what is there is known exactly.
//!
//! Everything follows from a source (its seed, its difficulty) and an index, so nothing is stored.

pub mod brain;
mod source;
pub mod xray;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub use source::{BrainSource, MAX_PHANTOMS, PhantomSource};

/// A random stream of a seed.
fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Finding, FindingSet};

    /// Committed results and shipped networks were made with these streams: another order of draws would be other data.
    #[test]
    fn the_streams_are_those_of_the_committed_results() {
        let source = PhantomSource { seed: 7, ..PhantomSource::default() };
        let written = |index| (xray::report(&source, index), xray::labels(&source, index));
        let text = "Surgical clips in the upper abdomen. No evidence of pneumothorax. The costophrenic angles are sharp. \
                    Stable examination.";
        assert_eq!(written(1), (text.to_owned(), FindingSet::from_iter([Finding::Hernia])));
        let text = "Old healed rib fracture. Moderate mass-like opacity in the right upper lung, several centimeters \
                    wide. No evidence of pneumothorax. The mediastinum is unremarkable. The cardiac silhouette is not \
                    enlarged. Mass.";
        assert_eq!(written(2), (text.to_owned(), FindingSet::from_iter([Finding::Mass])));
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
        let grey = mean(&xray::examination(&source, 2, 32).image.pixels);
        assert!((grey - 0.411_397).abs() < 1e-5, "{grey}");
        let head = brain::patient(&BrainSource::default(), 3);
        let means = head.sequences.each_ref().map(|volume| mean(&volume.voxels));
        for (mean, expected) in means.iter().zip([0.454_250, 0.364_336, 0.419_002, 0.711_483]) {
            assert!((mean - expected).abs() < 1e-5, "{means:?}");
        }
        let mut counts = [0; 5];
        for label in head.truth {
            counts[usize::from(label)] += 1;
        }
        assert_eq!(counts, [23845, 56, 595, 56, 24]);
    }
}
