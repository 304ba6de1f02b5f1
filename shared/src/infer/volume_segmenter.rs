//! From the volumes of an examination to the outline of the enhancing tumour.

use crate::error::Result;
use crate::infer::prepared_scan::PreparedScan;
use crate::infer::segmenter::SegmenterPlan;
use crate::io::{Geometry, SegmenterCard, Volume, Weights};
use crate::modality::{Modality, ModalitySet};

/// Whether to go on with a long computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Stop, and give what there is.
    Stop,
}

/// A mask that grows slice by slice.
#[derive(Debug, Clone)]
pub struct Outline {
    geometry: Geometry,
    threshold: f32,
    /// In canonical order.
    mask: Vec<u8>,
    slice_len: usize,
    /// The slices that are in it.
    slices: Vec<usize>,
    /// How many there are to be.
    of: usize,
}

impl Outline {
    /// An empty mask of a scan of which a network sees some sequences; `threshold` is the probability from which a voxel
    /// is called tumour.
    pub fn new(scan: &PreparedScan, sequences: ModalitySet, threshold: f32) -> Self {
        Self {
            geometry: *scan.geometry(),
            threshold,
            mask: vec![0; scan.geometry().n_voxels()],
            slice_len: scan.slice_len(),
            slices: Vec::new(),
            of: scan.slices(sequences).len(),
        }
    }

    /// Takes a slice in: what [`PreparedScan::run`] gives. One that is not of this scan is left out.
    pub fn add(&mut self, slice: usize, probabilities: &[f32]) {
        let Some(mask) = self.mask.chunks_exact_mut(self.slice_len).nth(slice) else { return };
        for (label, probability) in mask.iter_mut().zip(probabilities) {
            *label = label_of(self.threshold, *probability);
        }
        if let Err(place) = self.slices.binary_search(&slice) {
            self.slices.insert(place, slice);
        }
    }

    /// The mask of a slice, 1 for tumour: what [`Self::add`] makes of it.
    pub fn mask_of(threshold: f32, probabilities: &[f32]) -> Vec<u8> {
        probabilities.iter().map(|probability| label_of(threshold, *probability)).collect()
    }

    /// The mask of all slices so far, in canonical order: 1 for tumour.
    pub fn canonical(&self) -> &[u8] {
        &self.mask
    }

    /// The mask in the order of the file.
    pub fn finish(self) -> Segmentation {
        let n_voxels = self.mask.iter().map(|label| usize::from(*label)).sum();
        let Geometry { size, .. } = self.geometry;
        Segmentation {
            mask: self.geometry.orientation().from_canonical(size, &self.mask),
            n_voxels,
            volume_ml: n_voxels as f64 * self.geometry.voxel_ml(),
            is_complete: self.slices.len() == self.of,
            slices: self.slices,
            geometry: self.geometry,
        }
    }
}

/// What is not brain has probability 0 and is no tumour at any threshold.
fn label_of(threshold: f32, probability: f32) -> u8 {
    u8::from(probability >= threshold && probability > 0.0)
}

/// An outline of the enhancing tumour.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    /// The voxels of the volume, as in its file: of several, the first in the order of [`Modality::ALL`].
    pub geometry: Geometry,
    /// `[z, y, x]` of the file: 1 for tumour.
    pub mask: Vec<u8>,
    /// Voxels of tumour.
    pub n_voxels: usize,
    /// Their volume.
    pub volume_ml: f64,
    /// The slices that were run, counted from the lowest: of those without brain none needs to be.
    pub slices: Vec<usize>,
    /// Whether these are all that have brain.
    pub is_complete: bool,
}

/// A model that outlines tumours: its card and its compiled network.
pub struct VolumeSegmenter {
    card: SegmenterCard,
    plan: SegmenterPlan,
}

impl VolumeSegmenter {
    /// Reads a card and its weights, and holds the one against the other.
    ///
    /// # Errors
    ///
    /// Those of the card, of [`WeightsFile::read`](crate::io::card::WeightsFile::read) and of [`SegmenterPlan::new`].
    pub fn from_bytes(card_file: &str, card_json: &[u8], weights: &[u8]) -> Result<Self> {
        let card = SegmenterCard::from_json(card_file, card_json)?;
        let weights = card.weights.read(&card.weights.file, weights)?;
        Self::new(card, &weights)
    }

    /// Compiles weights already read.
    ///
    /// # Errors
    ///
    /// Those of [`SegmenterPlan::new`].
    pub fn new(card: SegmenterCard, weights: &Weights) -> Result<Self> {
        let plan = SegmenterPlan::new(&card.architecture, card.grid, weights)?;
        Ok(Self { card, plan })
    }

    /// What the model is.
    pub fn card(&self) -> &SegmenterCard {
        &self.card
    }

    /// Puts volumes on the model's grid: of those that are there, the ones that it uses. `files` are their names in
    /// messages.
    ///
    /// # Errors
    ///
    /// [`Error::SequencesNeeded`] if the model cannot answer from what is there, and those of [`PreparedScan::new`].
    pub fn prepare(
        &self,
        files: &[&str; Modality::COUNT],
        volumes: &[Option<Volume>; Modality::COUNT],
    ) -> Result<PreparedScan> {
        let present = ModalitySet::of_present(volumes).ok();
        PreparedScan::new(self.card.grid, self.card.architecture.require(present)?, files, volumes)
    }

    /// The probability of enhancing tumour at each voxel of a slice, `[H, W]`: see [`PreparedScan::run`].
    ///
    /// # Errors
    ///
    /// Those of [`PreparedScan::run`].
    pub fn probabilities(&mut self, scan: &PreparedScan, slice: usize) -> Result<Vec<f32>> {
        self.probabilities_of(scan, scan.present(), slice)
    }

    /// The same given some of the scan's sequences.
    ///
    /// # Errors
    ///
    /// Those of [`PreparedScan::run`].
    pub fn probabilities_of(&mut self, scan: &PreparedScan, sequences: ModalitySet, slice: usize) -> Result<Vec<f32>> {
        scan.run(&mut self.plan, sequences, slice)
    }

    /// An empty mask of a scan, at the card's threshold.
    pub fn outline(&self, scan: &PreparedScan) -> Outline {
        Outline::new(scan, scan.present(), self.card.threshold(scan.present()))
    }

    /// Outlines the tumour in all slices that have brain, from the lowest up, at the card's threshold.
    ///
    /// After each slice `progress` learns how many are done and how many there are; where it stops, the mask is of the
    /// slices so far.
    ///
    /// # Errors
    ///
    /// Those of [`Self::prepare`] and [`Self::probabilities`].
    pub fn segment(
        &mut self,
        files: &[&str; Modality::COUNT],
        volumes: &[Option<Volume>; Modality::COUNT],
        progress: &mut impl FnMut(usize, usize) -> Flow,
    ) -> Result<Segmentation> {
        let scan = self.prepare(files, volumes)?;
        let mut outline = self.outline(&scan);
        let slices = scan.slices(scan.present());
        for (done, &slice) in (1..).zip(&slices) {
            outline.add(slice, &self.probabilities(&scan, slice)?);
            if progress(done, slices.len()) == Flow::Stop {
                break;
            }
        }
        Ok(outline.finish())
    }
}

#[cfg(test)]
mod tests;
