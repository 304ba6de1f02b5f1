//! Outlines of whole volumes against the truth.

use shared::metric::Overlap;
use shared::model::segmenter::Slices;
use shared::{Modality, ModalitySet};

use super::batch::sequence;
use super::model::{Model, margin, upload};
use crate::data::volumes::VolumeSet;
use crate::error::Result;

/// Slices per step without gradients.
const BATCH: usize = 32;
/// Steps of the threshold between 0 and 1.
const STEPS: usize = 20;

/// What a network is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feed {
    /// These sequences.
    Sequences(ModalitySet),
    /// One sequence in the place of another one: a sequence that the network has never seen.
    InPlaceOf {
        /// What is given.
        given: Modality,
        /// What the network takes it for.
        taken_for: Modality,
    },
}

/// How probabilities of tumour are distributed over one scan's pixels, inside and outside of the tumour.
pub(super) struct Histogram {
    outside: [usize; STEPS],
    inside: [usize; STEPS],
}

impl Histogram {
    /// The overlap of the truth with the pixels whose probability is at least `step / STEPS`.
    fn overlap(&self, step: usize) -> Overlap {
        let both = self.inside[step..].iter().sum();
        Overlap { both, predicted: both + self.outside[step..].iter().sum::<usize>(), truth: self.inside.iter().sum() }
    }
}

/// A threshold.
pub(super) fn threshold(step: usize) -> f32 {
    step as f32 / STEPS as f32
}

/// The step of one half.
pub(super) const HALF: usize = STEPS / 2;

/// Dice of every scan at a threshold.
pub(super) fn dice(histograms: &[Histogram], step: usize) -> Vec<f64> {
    histograms.iter().map(|histogram| histogram.overlap(step).dice()).collect()
}

/// The threshold of the highest mean Dice, and that mean.
pub(super) fn best_threshold(histograms: &[Histogram]) -> (usize, f64) {
    let mean = |step: usize| dice(histograms, step).iter().sum::<f64>() / histograms.len().max(1) as f64;
    (1..STEPS).map(|step| (step, mean(step))).fold((HALF, f64::NEG_INFINITY), |best, candidate| {
        // Of equals the one nearer to one half.
        let nearer = candidate.0.abs_diff(HALF) < best.0.abs_diff(HALF);
        if candidate.1 > best.1 || (candidate.1 == best.1 && nearer) { candidate } else { best }
    })
}

/// Runs a network over some scans. Those that lack what it is given are the caller's to leave out.
pub(super) fn histograms(model: &Model, data: &VolumeSet, scans: &[usize], feed: Feed) -> Result<Vec<Histogram>> {
    let mut all: Vec<Histogram> = scans.iter().map(|_| Histogram { outside: [0; STEPS], inside: [0; STEPS] }).collect();
    let slices: Vec<(usize, usize)> = scans
        .iter()
        .enumerate()
        .flat_map(|(at, &scan)| data.scans[scan].slices.clone().map(move |s| (at, s)))
        .collect();
    for part in slices.chunks(BATCH) {
        let read = part.iter().map(|(_, slice)| data.slice(*slice)).collect::<std::result::Result<Vec<_>, _>>()?;
        let mut given: Slices = [None, None, None, None];
        match feed {
            Feed::Sequences(set) => {
                for modality in set.iter() {
                    given[modality.index()] = Some(sequence(&read, data.grid, modality)?);
                }
            }
            Feed::InPlaceOf { given: shown, taken_for } => {
                given[taken_for.index()] = Some(sequence(&read, data.grid, shown)?);
            }
        }
        let logits = model.segmenter.forward_t(&upload(&given, &model.device)?, false)?.logits;
        let probabilities = candle_nn::ops::sigmoid(&margin(&logits)?)?.flatten_all()?.to_vec1::<f32>()?;
        for ((at, _), (values, slice)) in part.iter().zip(probabilities.chunks(data.grid.area()).zip(&read)) {
            let Histogram { outside, inside } = &mut all[*at];
            for (value, label) in values.iter().zip(&slice.outline) {
                let step = ((value * STEPS as f32) as usize).min(STEPS - 1);
                if *label == 1 {
                    inside[step] += 1;
                } else {
                    outside[step] += 1;
                }
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_of_the_highest_dice_is_found() {
        let mut one = Histogram { outside: [0; STEPS], inside: [0; STEPS] };
        one.outside[2] = 50;
        one.outside[14] = 5;
        one.inside[15] = 10;
        assert_eq!(one.overlap(15), Overlap { both: 10, predicted: 10, truth: 10 });
        assert!((one.overlap(HALF).dice() - 20.0 / 25.0).abs() < 1e-12);
        assert_eq!(best_threshold(&[one]), (15, 1.0));
        // Nothing to tell thresholds apart: one half.
        assert_eq!(best_threshold(&[Histogram { outside: [0; STEPS], inside: [0; STEPS] }]).0, HALF);
    }
}
