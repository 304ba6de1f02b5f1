//! A segmenter on all cores.

use rayon::prelude::*;
use shared::ModalitySet;
use shared::infer::{Outline, PreparedScan, SegmenterPlan};
use shared::io::SegmenterCard;

use crate::error::Result;
use crate::model_dir::SegmenterDir;

/// A segmenter with a compiled network for each core, so that slices are run at the same time.
pub struct Outliner {
    card: SegmenterCard,
    plans: Vec<SegmenterPlan>,
}

impl Outliner {
    /// Compiles a model.
    ///
    /// # Errors
    ///
    /// If the weights do not fit the card.
    pub fn new(model: &SegmenterDir) -> Result<Self> {
        let plans =
            (0..rayon::current_num_threads()).into_par_iter().map(|_| model.plan()).collect::<Result<Vec<_>>>()?;
        Ok(Self { card: model.card.clone(), plans })
    }

    /// What the model is.
    pub fn card(&self) -> &SegmenterCard {
        &self.card
    }

    /// Outlines the tumour in all slices, given some of a scan's sequences, at the card's threshold for them.
    ///
    /// # Errors
    ///
    /// Those of [`PreparedScan::run`].
    pub fn outline(&mut self, scan: &PreparedScan, sequences: ModalitySet) -> Result<Outline> {
        let slices = scan.slices(sequences);
        let n = self.plans.len();
        // Dealt out, since slices next to each other take about the same time.
        let parts = self
            .plans
            .par_iter_mut()
            .enumerate()
            .map(|(first, plan)| {
                let run = |&slice: &usize| Ok((slice, scan.run(plan, sequences, slice)?));
                slices.iter().skip(first).step_by(n).map(run).collect()
            })
            .collect::<Result<Vec<Vec<_>>>>()?;
        let mut outline = Outline::new(scan, sequences, self.card.threshold(sequences));
        for (slice, probabilities) in parts.iter().flatten() {
            outline.add(*slice, probabilities);
        }
        Ok(outline)
    }
}
