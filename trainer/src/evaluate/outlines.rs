//! Outlines of a segmenter beside the truth, volume by volume, on the volume's own voxels.

use rayon::prelude::*;
use serde::Serialize;
use shared::infer::PreparedScan;
use shared::io::Geometry;
use shared::metric::overlap::hausdorff95_mm;
use shared::metric::{Bootstrap, Interval, Overlap};
use shared::{Modality, ModalitySet};

use crate::data::volumes::{Entry, RawScan};
use crate::error::Result;
use crate::model_dir::SegmenterDir;
use crate::outliner::Outliner;

/// Resamples of each interval.
const RESAMPLES: usize = 1000;

/// What is measured, and how what is empty counts.
const RULE: &str = "measured on each volume's own voxels, mean over scans, 95% bootstrap intervals by patient; Dice is 1 where \
                    truth and outline are both empty and 0 where one of them is; sensitivity is over the scans with tumour, \
                    the Hausdorff distance over the scans where neither is empty";

/// One scan's outline beside its truth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScanResult {
    /// The scan.
    pub scan: String,
    /// Its patient.
    pub patient: String,
    /// Dice similarity coefficient.
    pub dice: f64,
    /// Share of the tumour that was found; `None` without tumour.
    pub sensitivity: Option<f64>,
    /// 95th percentile of the surfaces' distances; `None` where one mask is empty.
    pub hausdorff95_mm: Option<f64>,
    /// Volume of the outline.
    pub outlined_ml: f64,
    /// Volume of the tumour.
    pub tumour_ml: f64,
}

impl ScanResult {
    fn new(scan: &Entry, outlined: &[bool], truth: &[bool], geometry: &Geometry) -> Self {
        let overlap = Overlap::new(outlined.iter().copied(), truth.iter().copied());
        let ml = geometry.voxel_ml();
        Self {
            scan: scan.name.clone(),
            patient: scan.patient.clone(),
            dice: overlap.dice(),
            sensitivity: overlap.sensitivity(),
            hausdorff95_mm: hausdorff95_mm(outlined, truth, geometry.size, geometry.spacing_mm()),
            outlined_ml: overlap.predicted as f64 * ml,
            tumour_ml: overlap.truth as f64 * ml,
        }
    }
}

/// The mean of a measure over the scans in which it is defined.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The scans.
    pub n: usize,
}

impl Mean {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.collect();
        let n = values.len();
        (n > 0).then(|| Self { mean: values.iter().sum::<f64>() / n as f64, n })
    }
}

/// Volumes of the outlines minus volumes of the tumours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VolumeError {
    /// Mean, below 0 where too little is outlined.
    pub mean: f64,
    /// Mean of the amounts.
    pub mean_absolute: f64,
}

/// What a model is worth, given certain sequences.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubsetReport {
    /// What is given.
    pub present: ModalitySet,
    /// Probability from which a voxel is called tumour.
    pub threshold: f32,
    /// Scans that have these sequences.
    pub n: usize,
    /// Their patients.
    pub n_patients: usize,
    /// Scans among them without enhancing tumour.
    pub n_without_tumour: usize,
    /// Mean Dice; `None` without a scan.
    pub dice: Option<Interval>,
    /// Mean sensitivity.
    pub sensitivity: Option<Mean>,
    /// Mean 95% Hausdorff distance.
    pub hausdorff95_mm: Option<Mean>,
    /// In ml.
    pub volume_error_ml: Option<VolumeError>,
    /// Scan by scan.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scans: Vec<ScanResult>,
}

impl SubsetReport {
    fn new(present: ModalitySet, threshold: f32, scans: Vec<ScanResult>) -> Self {
        let patients: Vec<&str> = scans.iter().map(|scan| scan.patient.as_str()).collect();
        let dice: Vec<f64> = scans.iter().map(|scan| scan.dice).collect();
        let error = |scan: &ScanResult| scan.outlined_ml - scan.tumour_ml;
        let volume_error_ml = Mean::of(scans.iter().map(error))
            .zip(Mean::of(scans.iter().map(|scan| error(scan).abs())))
            .map(|(mean, absolute)| VolumeError { mean: mean.mean, mean_absolute: absolute.mean });
        Self {
            present,
            threshold,
            n: scans.len(),
            n_patients: numbers(&patients).1,
            n_without_tumour: scans.iter().filter(|scan| scan.sensitivity.is_none()).count(),
            dice: mean_by_patient(&patients, &dice),
            sensitivity: Mean::of(scans.iter().filter_map(|scan| scan.sensitivity)),
            hausdorff95_mm: Mean::of(scans.iter().filter_map(|scan| scan.hausdorff95_mm)),
            volume_error_ml,
            scans,
        }
    }
}

/// What `cmim eval --json` prints of a segmenter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutlineReport {
    /// Scans that were measured.
    pub n: usize,
    /// What is measured, and how what is empty counts.
    pub rule: &'static str,
    /// By sequences that are given; those that no scan has all of are left out.
    pub subsets: Vec<SubsetReport>,
}

impl OutlineReport {
    /// Leaves out the single scans.
    #[must_use]
    pub fn without_scans(mut self) -> Self {
        self.subsets.iter_mut().for_each(|subset| subset.scans.clear());
        self
    }
}

/// The sets of sequences that a model answers from in different ways.
pub fn subsets(model: &SegmenterDir) -> Vec<ModalitySet> {
    let is_own = |present: &ModalitySet| model.card.architecture.used(*present) == Some(*present);
    ModalitySet::all().into_iter().filter(is_own).collect()
}

/// Measures a model on scans that have a truth, given each of some sets of sequences. The scans are read one after the
/// other, their slices are run on all cores; `progress` learns how many scans are done.
///
/// # Errors
///
/// An unreadable scan, by name; sequences that the model cannot answer from; weights that do not fit.
pub fn measure(
    model: &SegmenterDir,
    scans: &[Entry],
    subsets: &[ModalitySet],
    progress: &mut impl FnMut(usize),
) -> Result<OutlineReport> {
    let mut outliner = Outliner::new(model)?;
    let mut results: Vec<Vec<ScanResult>> = subsets.iter().map(|_| Vec::new()).collect();
    let mut n = 0;
    for (done, entry) in (1..).zip(scans) {
        let is_measured = |subset: &ModalitySet| entry.is_labelled && entry.present.contains_all(*subset);
        let (found, present): (Vec<usize>, Vec<ModalitySet>) =
            subsets.iter().copied().enumerate().filter(|(_, subset)| is_measured(subset)).unzip();
        if let Some(measured) = measure_scan(&mut outliner, entry, &present)? {
            n += 1;
            for (subset, result) in found.into_iter().zip(measured) {
                results[subset].push(result);
            }
        }
        progress(done);
    }
    let report = |(present, results)| SubsetReport::new(present, model.card.threshold(present), results);
    let measured = subsets.iter().copied().zip(results).filter(|(_, results)| !results.is_empty());
    Ok(OutlineReport { n, rule: RULE, subsets: measured.map(report).collect() })
}

/// A scan, and where a model outlines its tumour.
pub struct Outlined {
    /// The scan as it was read.
    pub raw: RawScan,
    /// Its voxels, in canonical order.
    pub geometry: Geometry,
    /// For each set of sequences: 1 where a voxel is called tumour.
    pub masks: Vec<Vec<u8>>,
}

/// Outlines the tumour of a scan, given each of some sets of sequences; `None` if there is no set.
///
/// # Errors
///
/// As [`measure`].
pub fn outline(outliner: &mut Outliner, entry: &Entry, subsets: &[ModalitySet]) -> Result<Option<Outlined>> {
    let Ok(wanted) = ModalitySet::new(subsets.iter().flat_map(|subset| subset.iter())) else { return Ok(None) };
    let raw = entry.read()?;
    let names = Modality::ALL.map(|modality| format!("{}, {modality}", raw.name));
    let scan = PreparedScan::new(outliner.card().grid, wanted, &names.each_ref().map(String::as_str), &raw.sequences)?;
    let mut masks = Vec::with_capacity(subsets.len());
    for &subset in subsets {
        masks.push(outliner.outline(&scan, subset)?.canonical().to_vec());
    }
    let geometry = *scan.canonical();
    Ok(Some(Outlined { raw, geometry, masks }))
}

/// A scan's results for each set of sequences; `None` if there is none, or no truth.
fn measure_scan(outliner: &mut Outliner, entry: &Entry, subsets: &[ModalitySet]) -> Result<Option<Vec<ScanResult>>> {
    let Some(Outlined { raw, geometry, masks }) = outline(outliner, entry, subsets)? else { return Ok(None) };
    let Some(truth) = &raw.truth else { return Ok(None) };
    let result = |mask: &Vec<u8>| {
        let mask: Vec<bool> = mask.iter().map(|label| *label == 1).collect();
        ScanResult::new(entry, &mask, truth, &geometry)
    };
    Ok(Some(masks.par_iter().map(result).collect()))
}

/// Mean of one value a scan with its bootstrap interval by patient; `None` without a scan.
pub fn mean_by_patient(patients: &[impl AsRef<str>], values: &[f64]) -> Option<Interval> {
    let names: Vec<&str> = patients.iter().map(AsRef::as_ref).collect();
    Bootstrap::by_patient(&numbers(&names).0, RESAMPLES, 0).interval(|counts| {
        let n: u32 = counts.iter().sum();
        let sum: f64 = counts.iter().zip(values).map(|(count, value)| f64::from(*count) * value).sum();
        (n > 0).then(|| sum / f64::from(n))
    })
}

/// A number for each name, and how many different ones there are.
fn numbers(names: &[&str]) -> (Vec<u32>, usize) {
    let mut unique = names.to_vec();
    unique.sort_unstable();
    unique.dedup();
    let number = |name: &&str| unique.partition_point(|other| other < name) as u32;
    (names.iter().map(number).collect(), unique.len())
}

#[cfg(test)]
mod tests {
    use shared::phantom::BrainSource;

    use super::*;

    fn result(patient: &str, dice: f64, volumes: [f64; 2]) -> ScanResult {
        let [outlined_ml, tumour_ml] = volumes;
        ScanResult {
            scan: patient.to_owned(),
            patient: patient.to_owned(),
            dice,
            sensitivity: (tumour_ml > 0.0).then_some(0.5),
            hausdorff95_mm: (tumour_ml * outlined_ml > 0.0).then_some(4.0),
            outlined_ml,
            tumour_ml,
        }
    }

    #[test]
    fn means_are_over_the_scans_where_a_measure_is_defined() {
        let flair = ModalitySet::one(Modality::Flair);
        let scans = vec![
            result("a", 0.5, [4.0, 2.0]),
            result("a", 0.7, [1.0, 2.0]),
            result("b", 1.0, [0.0, 0.0]),
            result("c", 0.0, [3.0, 0.0]),
        ];
        let report = SubsetReport::new(flair, 0.4, scans);
        assert_eq!((report.n, report.n_patients, report.n_without_tumour), (4, 3, 2));
        let dice = report.dice.unwrap();
        assert!((dice.value - 0.55).abs() < 1e-12 && dice.lo < dice.value && dice.value < dice.hi, "{dice:?}");
        assert_eq!(report.sensitivity, Some(Mean { mean: 0.5, n: 2 }));
        assert_eq!(report.hausdorff95_mm, Some(Mean { mean: 4.0, n: 2 }));
        assert_eq!(report.volume_error_ml, Some(VolumeError { mean: 1.0, mean_absolute: 1.5 }));
        assert_eq!(SubsetReport::new(flair, 0.4, Vec::new()).dice, None);
    }

    #[test]
    fn volumes_are_in_ml_and_distances_in_mm() {
        let mut world_from_voxel = [[0.0; 4]; 3];
        for (axis, row) in world_from_voxel.iter_mut().enumerate() {
            row[axis] = [2.0, 5.0, 10.0][axis];
        }
        let geometry = Geometry { size: [4, 1, 1], world_from_voxel };
        let source = BrainSource { n: 1, ..BrainSource::default() };
        let listing = crate::data::volumes::list(&[crate::data::VolumeSource::Phantom(source)]).unwrap();
        let found =
            ScanResult::new(&listing.entries[0], &[true, true, true, false], &[true, false, false, false], &geometry);
        assert!((found.outlined_ml - 0.3).abs() < 1e-12 && (found.tumour_ml - 0.1).abs() < 1e-12, "{found:?}");
        assert_eq!((found.dice, found.sensitivity, found.hausdorff95_mm), (0.5, Some(1.0), Some(4.0)));
    }
}
