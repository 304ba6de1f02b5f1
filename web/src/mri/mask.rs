//! A mask that grows slice by slice, beside the truth.

use std::sync::Arc;

use shared::metric::Overlap;

use super::scan::Scan;

/// What is outlined of a scan so far.
#[derive(Debug, Clone)]
pub struct GrowingMask {
    /// 1 for tumour, in canonical order.
    mask: Vec<u8>,
    truth: Option<Arc<Vec<u8>>>,
    slice_len: usize,
    /// Which slices are in it.
    outlined: Vec<bool>,
    n_voxels: usize,
    overlap: Overlap,
    voxel_ml: f64,
}

impl GrowingMask {
    /// An empty mask of a scan.
    pub fn new(scan: &Scan) -> Self {
        Self {
            mask: vec![0; scan.canonical.n_voxels()],
            truth: scan.truth.clone(),
            slice_len: scan.slice_len(),
            outlined: vec![false; scan.n_slices()],
            n_voxels: 0,
            overlap: Overlap::default(),
            voxel_ml: scan.canonical.voxel_ml(),
        }
    }

    /// Takes a slice in: `[H, W]`, 1 for tumour. One that is there already, or does not fit, is left out.
    pub fn add(&mut self, slice: usize, labels: &[u8]) {
        let voxels = slice * self.slice_len..(slice + 1) * self.slice_len;
        let fits = labels.len() == self.slice_len && self.outlined.get(slice) == Some(&false);
        let Some(mask) = self.mask.get_mut(voxels.clone()).filter(|_| fits) else { return };
        mask.copy_from_slice(labels);
        self.outlined[slice] = true;
        self.n_voxels += labels.iter().map(|label| usize::from(*label)).sum::<usize>();
        if let Some(truth) = self.truth.as_ref().and_then(|truth| truth.get(voxels)) {
            let of = |labels: &[u8]| labels.iter().map(|label| *label == 1).collect::<Vec<_>>();
            let slice = Overlap::new(of(labels), of(truth));
            self.overlap.both += slice.both;
            self.overlap.predicted += slice.predicted;
            self.overlap.truth += slice.truth;
        }
    }

    /// The mask, in canonical order.
    pub fn mask(&self) -> &[u8] {
        &self.mask
    }

    /// Whether a slice is in it.
    pub fn has(&self, slice: usize) -> bool {
        self.outlined.get(slice) == Some(&true)
    }

    /// Voxels of tumour so far.
    pub fn n_voxels(&self) -> usize {
        self.n_voxels
    }

    /// Their volume.
    pub fn volume_ml(&self) -> f64 {
        self.n_voxels as f64 * self.voxel_ml
    }

    /// Dice with the truth over the slices so far; `None` without a truth.
    pub fn dice(&self) -> Option<f64> {
        self.truth.is_some().then(|| self.overlap.dice())
    }

    /// Dice with the truth over the whole volume, once the outline is done: where no sequence has brain, the truth counts
    /// all the same. `None` without a truth.
    pub fn dice_of_all(&self) -> Option<f64> {
        let truth = self.truth.as_ref()?;
        let n_truth = truth.iter().map(|label| usize::from(*label == 1)).sum::<usize>();
        Some(Overlap { truth: n_truth, ..self.overlap }.dice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mri::scan::tests::head;

    #[test]
    fn dice_follows_the_mask() {
        let scan = head(1);
        let truth = scan.truth.clone().expect("a truth");
        let n_truth = truth.iter().map(|label| usize::from(*label == 1)).sum::<usize>();
        assert!(n_truth > 0, "a head with a tumour");
        let mut mask = GrowingMask::new(&scan);
        for (slice, labels) in truth.chunks(scan.slice_len()).enumerate() {
            assert!(!mask.has(slice));
            mask.add(slice, labels);
            assert_eq!(mask.dice(), Some(1.0));
            mask.add(slice, labels); // once more changes nothing
        }
        assert_eq!((mask.n_voxels(), mask.mask()), (n_truth, &truth[..]));
        assert!((mask.volume_ml() - n_truth as f64 * scan.canonical.voxel_ml()).abs() < 1e-9);
        assert_eq!(mask.dice_of_all(), Some(1.0));

        let mut nothing = GrowingMask::new(&scan);
        nothing.add(0, &vec![0; scan.slice_len()]);
        nothing.add(1, &[1]);
        nothing.add(99, &vec![1; scan.slice_len()]);
        assert_eq!((nothing.n_voxels(), nothing.dice_of_all()), (0, Some(0.0)));
    }
}
