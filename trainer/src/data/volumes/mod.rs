//! MRI volumes as slices on a network's grid, each decompressed and prepared once, in a temporary file.

pub mod augment;
pub mod describe;
pub mod listing;
pub mod split;

use std::ops::Range;

use half::f16;
use rayon::prelude::*;
use shared::io::{Geometry, Volume};
use shared::prep::volume::{Grid, normalize};
use shared::{Modality, ModalitySet};

use super::source::VolumeSource;
use super::store::Store;
use super::{DataError, Result};

pub use augment::SliceAugment;
pub use listing::{Entry, VolumeListing, list};
pub use split::{Division, ScanParts, split};

/// One scan of a patient, raw: what a source gives.
#[derive(Debug, Clone)]
pub struct RawScan {
    /// Name that identifies it.
    pub name: String,
    /// The patient.
    pub patient: String,
    /// The sequences that are there, in canonical order of voxels, all of one size.
    pub sequences: [Option<Volume>; Modality::COUNT],
    /// Whether each voxel is enhancing tumour; absent where nobody outlined it.
    pub truth: Option<Vec<bool>>,
}

/// One scan on the grid.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Name that identifies it.
    pub name: String,
    /// The patient.
    pub patient: String,
    /// Position of its source among the sources.
    pub source: usize,
    /// The sequences that are there.
    pub present: ModalitySet,
    /// Whether somebody outlined it.
    pub is_labelled: bool,
    /// Its slices, among those of the set: all in which there is brain.
    pub slices: Range<usize>,
    /// Positions of those slices in the volume.
    pub positions: Vec<usize>,
    /// The volume, canonical.
    pub geometry: Geometry,
}

/// What is known of a slice without reading it.
#[derive(Debug, Clone, Copy)]
pub struct SliceInfo {
    /// Its scan.
    pub scan: usize,
    /// Pixels of enhancing tumour.
    pub n_enhancing: usize,
}

/// A slice on the grid.
#[derive(Debug, Clone)]
pub struct Slice {
    /// `[4, size, size]`, in the order of [`Modality::ALL`]; 0 where there is no brain, or no such sequence.
    pub pixels: Vec<f32>,
    /// `[size, size]`: 1 for enhancing tumour.
    pub outline: Vec<u8>,
}

/// Scans of several sources.
#[derive(Debug)]
pub struct VolumeSet {
    /// What is known of each scan.
    pub scans: Vec<Scan>,
    /// What is known of each slice.
    pub slices: Vec<SliceInfo>,
    /// What was left out or is missing, in sentences.
    pub notes: Vec<String>,
    /// Pixels of the slices.
    pub grid: Grid,
    store: Store,
}

impl VolumeSet {
    /// Reads and prepares every volume, on all cores. Takes 9 bytes of disk a pixel, and little memory.
    ///
    /// # Errors
    ///
    /// [`DataError`]: an unreadable file, volumes of one scan that do not fit each other, no source.
    pub fn load(sources: &[VolumeSource], grid: Grid) -> Result<Self> {
        grid.check()?;
        let VolumeListing { entries, notes } = list(sources)?;
        let area = grid.area();
        let store = Store::new((2 * Modality::COUNT + 1) * area)?;
        let mut set = Self { scans: Vec::new(), slices: Vec::new(), notes, grid, store };
        // As many scans at a time as there are cores: memory does not grow with the data.
        for part in entries.chunks(rayon::current_num_threads()) {
            let prepared = part.par_iter().map(|entry| prepare(&entry.read()?, grid)).collect::<Result<Vec<_>>>()?;
            for (entry, (geometry, slices)) in part.iter().zip(prepared) {
                set.push(entry, geometry, slices)?;
            }
        }
        if set.slices.is_empty() {
            return Err(DataError::NoStudies(sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
        }
        Ok(set)
    }

    fn push(&mut self, entry: &Entry, geometry: Geometry, slices: Vec<Record>) -> Result<()> {
        let first = self.slices.len();
        let mut positions = Vec::with_capacity(slices.len());
        for (position, n_enhancing, record) in slices {
            self.store.write(self.slices.len(), &record)?;
            self.slices.push(SliceInfo { scan: self.scans.len(), n_enhancing });
            positions.push(position);
        }
        self.scans.push(Scan {
            name: entry.name.clone(),
            patient: entry.patient.clone(),
            source: entry.source,
            present: entry.present,
            is_labelled: entry.is_labelled,
            slices: first..self.slices.len(),
            positions,
            geometry,
        });
        Ok(())
    }

    /// Checksum of each slice, its outline included.
    pub fn checksums(&self) -> Vec<u32> {
        self.store.checksums(self.slices.len())
    }

    /// A slice.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`] if the temporary file cannot be read.
    pub fn slice(&self, index: usize) -> Result<Slice> {
        let record = self.store.read(index)?;
        let (pixels, outline) = record.split_at(2 * Modality::COUNT * self.grid.area());
        let pixels = pixels.as_chunks::<2>().0.iter().map(|value| f16::from_le_bytes(*value).to_f32()).collect();
        Ok(Slice { pixels, outline: outline.to_vec() })
    }
}

/// Position of a slice in its volume, its enhancing pixels, and its bytes in the store.
type Record = (usize, usize, Vec<u8>);

/// The geometry of a scan, and each slice in which there is brain.
fn prepare(scan: &RawScan, grid: Grid) -> Result<(Geometry, Vec<Record>)> {
    let geometry = scan.sequences.iter().flatten().next().map(|volume| volume.geometry);
    let geometry = geometry.ok_or_else(|| DataError::NoStudies(scan.name.clone()))?;
    let mut standardized: Vec<Option<Vec<f32>>> = Vec::with_capacity(Modality::COUNT);
    for volume in &scan.sequences {
        standardized.push(match volume {
            Some(volume) => {
                let mut voxels = volume.voxels.clone();
                normalize(&scan.name, &volume.geometry, &mut voxels)?;
                Some(voxels)
            }
            None => None,
        });
    }
    let resampler = grid.from_volume(&geometry);
    let [width, height, depth] = geometry.size;
    let mut slices = Vec::new();
    for position in 0..depth {
        let range = position * width * height..(position + 1) * width * height;
        let present = standardized.iter().flatten();
        if !present.clone().any(|voxels| voxels[range.clone()].iter().any(|value| *value != 0.0)) {
            continue;
        }
        let mut record = Vec::with_capacity((2 * Modality::COUNT + 1) * grid.area());
        for voxels in &standardized {
            match voxels {
                Some(voxels) => {
                    let plane = resampler.apply(&voxels[range.clone()])?;
                    record.extend(plane.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()));
                }
                None => record.resize(record.len() + 2 * grid.area(), 0),
            }
        }
        let mut n_enhancing = 0;
        match &scan.truth {
            Some(truth) => {
                let mask: Vec<f32> = truth[range].iter().map(|&inside| f32::from(u8::from(inside))).collect();
                let mask = resampler.apply(&mask)?;
                // A pixel of which half or more is tumour.
                let labels = mask.iter().map(|share| u8::from(*share >= 0.5));
                n_enhancing = labels.clone().filter(|label| *label == 1).count();
                record.extend(labels);
            }
            None => record.resize(record.len() + grid.area(), 0),
        }
        slices.push((position, n_enhancing, record));
    }
    Ok((geometry, slices))
}

#[cfg(test)]
mod tests {
    use shared::phantom::{BrainSource, brain};

    use super::*;

    #[test]
    fn generated_heads_become_slices() {
        let source = BrainSource { n: 5, size: 32, slices: 4, lacking: 40, ..BrainSource::default() };
        let grid = Grid { size: 32, pixel_mm: 6.0 };
        let set = VolumeSet::load(&[VolumeSource::Phantom(source)], grid).unwrap();
        assert_eq!(set.scans.len(), 5);
        assert!(set.scans.iter().any(|scan| scan.present != ModalitySet::ALL));
        for (index, scan) in set.scans.iter().enumerate() {
            let head = brain::patient(&source, index);
            for (at, &position) in scan.slices.clone().zip(&scan.positions) {
                let slice = set.slice(at).unwrap();
                assert_eq!(
                    slice.outline.iter().map(|label| usize::from(*label)).sum::<usize>(),
                    set.slices[at].n_enhancing
                );
                let truth = &head.truth[position * 1024..(position + 1) * 1024];
                assert!(slice.outline.iter().zip(truth).all(|(a, b)| (*a == 1) == (*b == brain::ENHANCING)));
                for (modality, plane) in Modality::ALL.into_iter().zip(slice.pixels.chunks(1024)) {
                    let has = plane.iter().any(|value| *value != 0.0);
                    assert_eq!(has, scan.present.contains(modality));
                }
            }
        }
        assert!(VolumeSet::load(&[], grid).is_err());
    }
}
