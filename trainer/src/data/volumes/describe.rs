//! What a source of MRI volumes holds, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rayon::prelude::*;
use serde::Serialize;
use shared::Modality;
use shared::io::Geometry;

use super::{VolumeListing, list};
use crate::data::source::VolumeSource;
use crate::data::{DataError, Result};

/// A source in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VolumeDescription {
    /// The source's name.
    pub source: String,
    /// How its folders and files are named.
    pub layout: String,
    /// Scans.
    pub n: usize,
    /// Patients.
    pub n_patients: usize,
    /// Scans that somebody outlined.
    pub n_with_truth: usize,
    /// Scans that have each sequence.
    pub sequences: BTreeMap<&'static str, usize>,
    /// Volume of the enhancing tumour; `None` without a truth.
    pub enhancing_ml: Option<Enhancing>,
    /// The sizes that occur, the most frequent first.
    pub voxels: Vec<VoxelCount>,
    /// What is missing, and what else is to know, in sentences.
    pub notes: Vec<String>,
}

/// How large the enhancing tumours are, over the scans with a truth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Enhancing {
    /// Scans with a truth that have none.
    pub n_without: usize,
    /// Median over all scans with a truth.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
    /// Of each scan with a truth.
    pub by_scan: BTreeMap<String, f64>,
}

/// How many scans have voxels of a size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoxelCount {
    /// Voxels to the right, to the front and upwards.
    pub size: [usize; 3],
    /// Their distances in mm, rounded to micrometres.
    pub spacing_mm: [f64; 3],
    /// Scans.
    pub n: usize,
}

/// Lists a source; of each scan the truth is read, or where there is none one volume.
///
/// # Errors
///
/// Those of the source; a truth that cannot be read, by name.
pub fn describe(source: &VolumeSource) -> Result<VolumeDescription> {
    let VolumeListing { entries, mut notes } = list(std::slice::from_ref(source))?;
    let layout = match source {
        // Its notes say what is missing.
        VolumeSource::Brats(dir) => crate::data::brats::discover(dir)?.layout.to_string(),
        VolumeSource::Phantom(_) => {
            notes.extend(entries.iter().filter_map(super::Entry::lacks));
            "generated heads".to_owned()
        }
    };
    if entries.is_empty() {
        return Err(DataError::NoStudies(source.to_string()));
    }
    let truth = |entry: &super::Entry| -> Result<(Geometry, Option<f64>)> {
        let (geometry, truth) = entry.truth()?;
        let ml = truth.map(|truth| truth.iter().filter(|inside| **inside).count() as f64 * geometry.voxel_ml());
        Ok((geometry, ml))
    };
    let read = entries.par_iter().map(truth).collect::<Result<Vec<_>>>()?;
    let by_scan: BTreeMap<String, f64> =
        entries.iter().zip(&read).filter_map(|(entry, (_, ml))| Some((entry.name.clone(), (*ml)?))).collect();
    let has = |modality: Modality| entries.iter().filter(|entry| entry.present.contains(modality)).count();
    Ok(VolumeDescription {
        source: source.to_string(),
        layout,
        n: entries.len(),
        n_patients: entries.iter().map(|entry| entry.patient.as_str()).collect::<BTreeSet<_>>().len(),
        n_with_truth: by_scan.len(),
        sequences: Modality::ALL.into_iter().map(|modality| (modality.name(), has(modality))).collect(),
        enhancing_ml: enhancing(by_scan),
        voxels: voxels(read.iter().map(|(geometry, _)| geometry)),
        notes,
    })
}

fn enhancing(by_scan: BTreeMap<String, f64>) -> Option<Enhancing> {
    let mut sorted: Vec<f64> = by_scan.values().copied().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let (&least, &greatest) = (sorted.first()?, sorted.last()?);
    let n = sorted.len();
    Some(Enhancing {
        n_without: sorted.iter().filter(|ml| **ml == 0.0).count(),
        median: f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]),
        least,
        greatest,
        by_scan,
    })
}

fn voxels<'a>(all: impl Iterator<Item = &'a Geometry>) -> Vec<VoxelCount> {
    let mut counts: BTreeMap<([usize; 3], [u64; 3]), usize> = BTreeMap::new();
    for geometry in all {
        let micrometres = geometry.spacing_mm().map(|mm| (mm * 1000.0).round() as u64);
        *counts.entry((geometry.size, micrometres)).or_default() += 1;
    }
    let count = |((size, micrometres), n): (([usize; 3], [u64; 3]), usize)| VoxelCount {
        size,
        spacing_mm: micrometres.map(|um| um as f64 / 1000.0),
        n,
    };
    let mut found: Vec<VoxelCount> = counts.into_iter().map(count).collect();
    found.sort_by_key(|count| std::cmp::Reverse(count.n));
    found
}

impl VolumeDescription {
    /// The numbers for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{}: {}, {} scans of {} patients, {} outlined\n",
            self.source, self.layout, self.n, self.n_patients, self.n_with_truth
        );
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        for modality in Modality::ALL {
            let n = self.sequences.get(modality.name()).copied().unwrap_or(0);
            let _ = writeln!(text, "{:<20}{n:>8} scans", modality.label());
        }
        for VoxelCount { size: [x, y, z], spacing_mm: [a, b, c], n } in &self.voxels {
            let _ = writeln!(text, "{:<20}{n:>8} scans of {x} x {y} x {z}, {a} x {b} x {c} mm", "voxels");
        }
        match &self.enhancing_ml {
            Some(Enhancing { n_without, median, least, greatest, .. }) => {
                let _ = write!(
                    text,
                    "enhancing tumour    {median:>8.2} ml in the median, {least:.2} to {greatest:.2} ml; {n_without} scans without"
                );
            }
            None => text.push_str("enhancing tumour    nobody outlined these scans"),
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use shared::phantom::BrainSource;

    use super::*;

    #[test]
    fn generated_heads_are_described() {
        let source = BrainSource { n: 9, size: 32, slices: 4, lacking: 50, ..BrainSource::default() };
        let found = describe(&VolumeSource::Phantom(source)).unwrap();
        assert_eq!((found.n, found.n_patients, found.n_with_truth), (9, 9, 9));
        assert!(found.sequences.values().any(|n| *n < 9) && !found.notes.is_empty(), "{found:?}");
        assert_eq!(found.voxels, [VoxelCount { size: [32, 32, 4], spacing_mm: [6.0; 3], n: 9 }]);
        let tumour = found.enhancing_ml.as_ref().unwrap();
        assert!(tumour.least <= tumour.median && tumour.median <= tumour.greatest && tumour.greatest > 0.0);
        assert_eq!(tumour.by_scan.len(), 9);
        let text = found.to_text();
        assert!(text.contains("9 scans of 9 patients") && text.contains("32 x 32 x 4, 6 x 6 x 6 mm"), "{text}");
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let by_scan = |values: &[f64]| values.iter().enumerate().map(|(i, ml)| (i.to_string(), *ml)).collect();
        let found = enhancing(by_scan(&[4.0, 0.0, 1.0, 2.0])).unwrap();
        assert_eq!((found.median, found.least, found.greatest, found.n_without), (1.5, 0.0, 4.0, 1));
        assert_eq!(enhancing(BTreeMap::new()), None);
    }
}
