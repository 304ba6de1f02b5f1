//! From the volumes of an examination to the outline of the enhancing tumour.

use crate::error::{Error, Result};
use crate::infer::segmenter::{SegmenterPlan, SlicesOf};
use crate::io::{Geometry, SegmenterCard, Volume, Weights};
use crate::modality::{Modality, ModalitySet};
use crate::prep::volume::{Grid, Resampler, normalize};

/// Whether to go on with a long computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Stop, and give what there is.
    Stop,
}

/// The volumes of an examination on a network's grid.
///
/// Slices are axial and counted from the lowest up, whatever the order of the files; in a slice, `[H, W]`, rows go from the
/// back to the front and pixels from left to right.
pub struct PreparedScan {
    /// Of the first volume, as in its file.
    geometry: Geometry,
    /// The same in canonical order.
    canonical: Geometry,
    present: ModalitySet,
    /// Of each sequence that is there: `[slice, size, size]`, standardized, 0 where there is no brain.
    planes: [Option<Vec<f32>>; Modality::COUNT],
    area: usize,
    /// For each voxel in canonical order the sequences that have brain there, a bit each.
    brain: Vec<u8>,
    to_volume: Resampler,
}

impl PreparedScan {
    /// Standardizes the volumes of some sequences and puts them on the grid. `files` are their names in messages.
    ///
    /// The volumes are matched voxel by voxel in canonical order: their places in the world may disagree, as they do in
    /// BRATS of 2015; their sizes may not.
    ///
    /// # Errors
    ///
    /// [`Error::VolumeSizes`] if two volumes differ in size, wanted or not; [`Error::NoBrain`] for a volume of one value;
    /// [`Error::SequencesNeeded`] if none of the wanted ones is there.
    pub fn new(
        grid: Grid,
        wanted: ModalitySet,
        files: &[&str; Modality::COUNT],
        volumes: &[Option<Volume>; Modality::COUNT],
    ) -> Result<Self> {
        grid.check()?;
        check_sizes(files, volumes)?;
        let mut scan: Option<Self> = None;
        for modality in wanted.iter() {
            let Some(volume) = &volumes[modality.index()] else { continue };
            match &mut scan {
                Some(scan) => scan.present = ModalitySet::new(scan.present.iter().chain([modality]))?,
                None => scan = Some(Self::empty(grid, modality, volume.geometry)),
            }
            if let Some(scan) = &mut scan {
                scan.add(grid, modality, files[modality.index()], volume)?;
            }
        }
        scan.ok_or_else(|| Error::SequencesNeeded {
            needed: format!("at least one of {wanted}"),
            given: "none of them".to_owned(),
        })
    }

    fn empty(grid: Grid, modality: Modality, geometry: Geometry) -> Self {
        let canonical = geometry.canonical();
        Self {
            geometry,
            canonical,
            present: ModalitySet::one(modality),
            planes: [None, None, None, None],
            area: grid.area(),
            brain: vec![0; geometry.n_voxels()],
            to_volume: grid.to_volume(&canonical),
        }
    }

    fn add(&mut self, grid: Grid, modality: Modality, file: &str, volume: &Volume) -> Result<()> {
        let Volume { geometry, mut voxels } = volume.to_canonical();
        normalize(file, &geometry, &mut voxels)?;
        for (brain, value) in self.brain.iter_mut().zip(&voxels) {
            *brain |= u8::from(*value != 0.0) << modality.index();
        }
        // A file's own distances: they may disagree between the sequences.
        let from_volume = grid.from_volume(&geometry);
        let mut planes = Vec::with_capacity(self.area * self.n_slices());
        for slice in voxels.chunks_exact(self.slice_len()) {
            planes.extend(from_volume.apply(slice)?);
        }
        self.planes[modality.index()] = Some(planes);
        Ok(())
    }

    /// The sequences that were put on the grid.
    pub fn present(&self) -> ModalitySet {
        self.present
    }

    /// The first volume's voxels as in its file.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The same voxels in canonical order.
    pub fn canonical(&self) -> &Geometry {
        &self.canonical
    }

    /// Slices of the volume.
    pub fn n_slices(&self) -> usize {
        self.canonical.size[2]
    }

    /// The slices in which one of these sequences has brain.
    pub fn slices(&self, sequences: ModalitySet) -> Vec<usize> {
        let bits = bits(sequences);
        let has_brain = |slice: &[u8]| slice.iter().any(|brain| brain & bits != 0);
        let slices = self.brain.chunks_exact(self.slice_len()).enumerate();
        slices.filter(|(_, slice)| has_brain(slice)).map(|(position, _)| position).collect()
    }

    fn slice_len(&self) -> usize {
        self.canonical.size[0] * self.canonical.size[1]
    }

    /// Runs a network on a slice, given some of the sequences: the probability of enhancing tumour at each voxel of the
    /// slice, `[H, W]`; 0 where none of them has brain.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if there is no such slice or the plan is for another grid, and those of [`SegmenterPlan::run`].
    pub fn run(&self, plan: &mut SegmenterPlan, sequences: ModalitySet, slice: usize) -> Result<Vec<f32>> {
        if slice >= self.n_slices() {
            return Err(Error::Shape {
                what: "slice of a volume",
                expected: format!("one of {}", self.n_slices()),
                found: format!("number {slice}, counted from 0"),
            });
        }
        let plane = |modality: Modality| -> Option<&[f32]> {
            let planes = self.planes[modality.index()].as_ref().filter(|_| sequences.contains(modality))?;
            planes.get(slice * self.area..(slice + 1) * self.area)
        };
        let slices: SlicesOf<'_> = Modality::ALL.map(plane);
        let mut probabilities = self.to_volume.apply(plan.run(&slices)?)?;
        let (bits, begin) = (bits(sequences), slice * self.slice_len());
        for (probability, brain) in probabilities.iter_mut().zip(&self.brain[begin..]) {
            if brain & bits == 0 {
                *probability = 0.0;
            }
        }
        Ok(probabilities)
    }
}

fn bits(sequences: ModalitySet) -> u8 {
    sequences.iter().fold(0, |bits, modality| bits | 1 << modality.index())
}

/// Holds the sizes of all volumes, in canonical order, against that of the first one.
fn check_sizes(files: &[&str; Modality::COUNT], volumes: &[Option<Volume>; Modality::COUNT]) -> Result<()> {
    let geometries = volumes.iter().map(|volume| volume.as_ref().map(|volume| volume.geometry));
    let mut given = files.iter().zip(geometries).filter_map(|(file, geometry)| Some((*file, geometry?)));
    let Some((first, geometry)) = given.next() else { return Ok(()) };
    let size = |geometry: &Geometry| geometry.canonical().size;
    match given.find(|(_, other)| size(other) != size(&geometry)) {
        None => Ok(()),
        Some((second, other)) => {
            let words = |of: &Geometry| {
                let [x, y, z] = of.size;
                // Equal numbers along other axes would look like equal sizes.
                let axes = if geometry.size == other.size {
                    format!(" {}", of.orientation().letters())
                } else {
                    String::new()
                };
                format!("{x} x {y} x {z}{axes}")
            };
            Err(Error::VolumeSizes {
                first: first.to_owned(),
                first_size: words(&geometry),
                second: second.to_owned(),
                second_size: words(&other),
            })
        }
    }
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
            geometry: scan.geometry,
            threshold,
            mask: vec![0; scan.geometry.n_voxels()],
            slice_len: scan.slice_len(),
            slices: Vec::new(),
            of: scan.slices(sequences).len(),
        }
    }

    /// Takes a slice in: what [`PreparedScan::run`] gives. One that is not of this scan is left out.
    pub fn add(&mut self, slice: usize, probabilities: &[f32]) {
        let Some(mask) = self.mask.chunks_exact_mut(self.slice_len).nth(slice) else { return };
        for (label, probability) in mask.iter_mut().zip(probabilities) {
            // What is not brain has probability 0 and is no tumour at any threshold.
            *label = u8::from(*probability >= self.threshold && *probability > 0.0);
        }
        if let Err(place) = self.slices.binary_search(&slice) {
            self.slices.insert(place, slice);
        }
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
        scan.run(&mut self.plan, scan.present(), slice)
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
