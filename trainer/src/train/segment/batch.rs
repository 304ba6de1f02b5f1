//! Batches of slices.

use candle_core::{Device, Tensor};
use rand::Rng;
use shared::model::segmenter::Slices;
use shared::prep::volume::Grid;
use shared::{Modality, ModalitySet};

use crate::data::volumes::{Slice, VolumeSet};
use crate::error::Result;

/// One step's input.
pub(super) struct Batch {
    /// Positions of the slices: first the outlined ones.
    pub(super) items: Vec<usize>,
    /// What the test-time path sees.
    pub(super) shown: Slices,
    /// All sequences, blank where a scan lacks one.
    pub(super) all: Slices,
    /// How many of the rows are outlined, and their outlines: `[M, H, W]`.
    pub(super) n_labelled: usize,
    pub(super) targets: Tensor,
    /// The patient of each row.
    pub(super) patients: Vec<usize>,
    /// The rows that have every sequence.
    pub(super) complete: Vec<u32>,
}

impl Batch {
    /// Puts slices together; `shown` are the sequences that the test-time path sees.
    pub(super) fn new(
        data: &VolumeSet,
        items: Vec<usize>,
        slices: &[Slice],
        n_labelled: usize,
        patients: Vec<usize>,
        [sequences, shown]: [ModalitySet; 2],
    ) -> Result<Self> {
        let size = data.grid.size;
        let plane = |modality: Modality| -> Result<Option<Tensor>> {
            sequences.contains(modality).then(|| sequence(slices, data.grid, modality)).transpose()
        };
        let [flair, t1, t1c, t2] = Modality::ALL.map(plane);
        let all = [flair?, t1?, t1c?, t2?];
        let targets: Vec<u32> =
            slices[..n_labelled].iter().flat_map(|slice| slice.outline.iter().map(|label| u32::from(*label))).collect();
        let has_all = |item: &usize| data.scans[data.slices[*item].scan].present.contains_all(sequences);
        let complete = (0..).zip(&items).filter(|(_, item)| has_all(item)).map(|(row, _)| row).collect();
        Ok(Self {
            shown: super::model::only(&all, shown),
            all,
            n_labelled,
            targets: Tensor::from_vec(targets, (n_labelled, size, size), &Device::Cpu)?,
            patients,
            complete,
            items,
        })
    }

    /// The rows that have every sequence, as a tensor.
    pub(super) fn complete_rows(&self) -> Result<Tensor> {
        Ok(Tensor::from_slice(&self.complete, self.complete.len(), &Device::Cpu)?)
    }

    /// Values of one sequence at drawn voxels of the brain, `[V, 1]`, and those of all four there, `[V, 4]`; `None` where
    /// there is no such voxel. A sequence that the data have not is 0.
    pub(super) fn voxels(
        &self,
        modality: Modality,
        sequences: ModalitySet,
        n: usize,
        rng: &mut impl Rng,
    ) -> Result<Option<(Tensor, Tensor)>> {
        if !sequences.contains(modality) || self.complete.is_empty() {
            return Ok(None);
        }
        let rows = self.complete_rows()?;
        let mut planes = Vec::with_capacity(Modality::COUNT);
        for slice in &self.all {
            planes.push(match slice {
                Some(slice) => Some(slice.index_select(&rows, 0)?.flatten_all()?.to_vec1::<f32>()?),
                None => None,
            });
        }
        let Some(given) = &planes[modality.index()] else { return Ok(None) };
        let brain: Vec<usize> = (0..given.len()).filter(|&at| given[at] != 0.0).collect();
        if brain.is_empty() {
            return Ok(None);
        }
        let drawn: Vec<usize> = (0..n).map(|_| brain[rng.random_range(0..brain.len())]).collect();
        let x: Vec<f32> = drawn.iter().map(|&at| given[at]).collect();
        let y: Vec<f32> = drawn
            .iter()
            .flat_map(|&at| planes.iter().map(move |plane| plane.as_ref().map_or(0.0, |p| p[at])))
            .collect();
        let x = Tensor::from_vec(x, (n, 1), &Device::Cpu)?;
        Ok(Some((x, Tensor::from_vec(y, (n, Modality::COUNT), &Device::Cpu)?)))
    }
}

/// One sequence of some slices: `[N, 1, size, size]`.
pub(super) fn sequence(slices: &[Slice], grid: Grid, modality: Modality) -> Result<Tensor> {
    let range = modality.index() * grid.area()..(modality.index() + 1) * grid.area();
    let values: Vec<f32> = slices.iter().flat_map(|slice| slice.pixels[range.clone()].iter().copied()).collect();
    Ok(Tensor::from_vec(values, (slices.len(), 1, grid.size, grid.size), &Device::Cpu)?)
}
