//! The scans of some sources, before they are read.

use shared::io::Geometry;
use shared::phantom::{BrainSource, brain};
use shared::{Modality, ModalitySet};

use super::RawScan;
use crate::data::source::VolumeSource;
use crate::data::{DataError, Result, brats};

/// The scans of some sources.
#[derive(Debug, Default)]
pub struct VolumeListing {
    /// One for each scan, source by source.
    pub entries: Vec<Entry>,
    /// What was left out or is missing, in sentences.
    pub notes: Vec<String>,
}

/// A scan that can be read.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Position of its source among the sources.
    pub source: usize,
    /// Name that identifies it.
    pub name: String,
    /// The patient.
    pub patient: String,
    /// The sequences that are there.
    pub present: ModalitySet,
    /// Whether somebody outlined it.
    pub is_labelled: bool,
    origin: Origin,
}

/// Where a scan comes from.
#[derive(Debug, Clone)]
enum Origin {
    Phantom(BrainSource, usize),
    Brats(Box<brats::Scan>),
}

/// Lists the scans of all sources; no volume is opened.
///
/// # Errors
///
/// [`DataError::NoSources`], and those of [`brats::discover`].
pub fn list(sources: &[VolumeSource]) -> Result<VolumeListing> {
    if sources.is_empty() {
        return Err(DataError::NoSources);
    }
    let mut listing = VolumeListing::default();
    for (number, source) in sources.iter().enumerate() {
        match source {
            VolumeSource::Phantom(source) => {
                listing.entries.extend((0..source.n).map(|index| Entry::phantom(number, *source, index)));
            }
            VolumeSource::Brats(dir) => {
                let found = brats::discover(dir)?;
                listing.notes.extend(found.notes);
                for scan in found.scans {
                    listing.entries.push(Entry::brats(number, scan)?);
                }
            }
        }
    }
    Ok(listing)
}

impl Entry {
    fn phantom(number: usize, source: BrainSource, index: usize) -> Self {
        let name = format!("phantom-brain-{}-{index:06}", source.seed);
        Self {
            source: number,
            patient: name.clone(),
            name,
            present: brain::present(&source, index),
            is_labelled: true,
            origin: Origin::Phantom(source, index),
        }
    }

    fn brats(number: usize, scan: brats::Scan) -> Result<Self> {
        Ok(Self {
            source: number,
            name: scan.name.clone(),
            patient: scan.patient.clone(),
            present: ModalitySet::of_present(&scan.sequences)?,
            is_labelled: scan.truth.is_some(),
            origin: Origin::Brats(Box::new(scan)),
        })
    }

    /// The sequences that are missing, in a sentence.
    pub(super) fn lacks(&self) -> Option<String> {
        let missing = Modality::ALL.into_iter().filter(|modality| !self.present.contains(*modality));
        let missing: Vec<&str> = missing.map(Modality::label).collect();
        (!missing.is_empty()).then(|| format!("{}: there is no {}", self.name, missing.join(", no ")))
    }

    /// Reads or generates the scan.
    ///
    /// # Errors
    ///
    /// Those of [`brats::read`].
    pub fn read(&self) -> Result<RawScan> {
        match &self.origin {
            Origin::Phantom(source, index) => {
                let head = brain::patient(source, *index);
                let mut sequences = head.sequences.map(Some);
                for modality in Modality::ALL.into_iter().filter(|modality| !self.present.contains(*modality)) {
                    sequences[modality.index()] = None;
                }
                let truth = Some(enhancing(&head.truth));
                Ok(RawScan { name: self.name.clone(), patient: self.patient.clone(), sequences, truth })
            }
            Origin::Brats(scan) => brats::read(scan),
        }
    }

    /// The voxels of the scan in canonical order, and whether each is enhancing tumour where somebody outlined it; as
    /// little as possible is read.
    ///
    /// # Errors
    ///
    /// Those of [`brats::read_truth`].
    pub fn truth(&self) -> Result<(Geometry, Option<Vec<bool>>)> {
        match &self.origin {
            Origin::Phantom(source, index) => {
                let head = brain::patient(source, *index);
                Ok((head.sequences[0].geometry, Some(enhancing(&head.truth))))
            }
            Origin::Brats(scan) => brats::read_truth(scan),
        }
    }
}

fn enhancing(labels: &[u8]) -> Vec<bool> {
    labels.iter().map(|&label| label == brain::ENHANCING).collect()
}
