//! Training, validation and test parts of scans, by patient.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::data::table::Table;
use crate::data::{DataError, Part, Result};

/// How patients are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Division {
    /// 70, 10 and 20 in a hundred.
    Shares,
    /// Into folds of equal size: one for test, the next one for validation.
    Folds {
        /// How many.
        n: usize,
        /// Which one is for test.
        test: usize,
    },
}

/// The part of each patient. Depends on the patients and the seed, not on the order of files.
///
/// # Errors
///
/// [`DataError::TooFewPatients`] if a part would be empty.
pub fn split(patients: &[String], division: Division, seed: u64) -> Result<BTreeMap<String, Part>> {
    let mut order = patients.to_vec();
    order.sort_unstable();
    order.dedup();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let n = order.len();
    let part = |i: usize| match division {
        Division::Folds { n, test } if i % n == test % n => Part::Test,
        Division::Folds { n, test } if i % n == (test + 1) % n => Part::Validation,
        Division::Folds { .. } => Part::Train,
        Division::Shares => {
            let validation = ((n as f64 * Part::Validation.share()).round() as usize).max(1);
            let test = ((n as f64 * Part::Test.share()).round() as usize).max(1);
            match i {
                i if i < test => Part::Test,
                i if i < test + validation => Part::Validation,
                _ => Part::Train,
            }
        }
    };
    let parts: BTreeMap<String, Part> = order.iter().enumerate().map(|(i, name)| (name.clone(), part(i))).collect();
    match Part::ALL.into_iter().find(|part| !parts.values().any(|other| other == part)) {
        Some(part) => Err(DataError::TooFewPatients { n, part }),
        None => Ok(parts),
    }
}

/// The table `scan,patient,part`.
pub fn to_csv<'a>(scans: impl Iterator<Item = (&'a str, &'a str, Part)>) -> String {
    let mut csv = String::from("scan,patient,part\n");
    for (scan, patient, part) in scans {
        let _ = writeln!(csv, "{scan},{patient},{part}");
    }
    csv
}

/// The part of each scan, as [`to_csv`] wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanParts {
    by_scan: BTreeMap<String, Part>,
}

impl ScanParts {
    /// Reads the table `scan,patient,part`.
    ///
    /// # Errors
    ///
    /// [`DataError`] with file and line: a missing column, an unknown part, a scan that is there twice.
    pub fn read(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        let bytes = std::fs::read(path).map_err(DataError::read(path))?;
        let mut by_scan = BTreeMap::new();
        for (line, [scan, _, part]) in Table::parse(&file, &bytes, ["scan", "patient", "part"])?.rows {
            let row = |reason: String| DataError::Row { file: file.clone(), line, reason };
            let part = Part::ALL
                .into_iter()
                .find(|known| known.name() == part)
                .ok_or_else(|| row(format!("`{part}` is not train, validation or test")))?;
            if by_scan.insert(scan.clone(), part).is_some() {
                return Err(row(format!("scan `{scan}` is there twice")));
            }
        }
        Ok(Self { by_scan })
    }

    /// Scans of a part.
    pub fn n(&self, part: Part) -> usize {
        self.by_scan.values().filter(|of| **of == part).count()
    }

    /// The part of a scan.
    pub fn part(&self, scan: &str) -> Option<Part> {
        self.by_scan.get(scan).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patients(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("p{i}")).collect()
    }

    #[test]
    fn every_patient_is_tested_in_one_fold() {
        let all = patients(10);
        let tested: Vec<String> = (0..4)
            .flat_map(|test| split(&all, Division::Folds { n: 4, test }, 7).unwrap())
            .filter(|(_, part)| *part == Part::Test)
            .map(|(name, _)| name)
            .collect();
        let mut sorted = tested.clone();
        sorted.sort();
        assert_eq!(sorted, all);
        let shares = split(&all, Division::Shares, 7).unwrap();
        assert_eq!(Part::ALL.map(|part| shares.values().filter(|p| **p == part).count()), [7, 1, 2]);
    }

    #[test]
    fn too_few_patients_are_an_error() {
        let error = split(&patients(2), Division::Folds { n: 4, test: 0 }, 0).unwrap_err().to_string();
        assert!(error.contains("2 patients") && error.contains("train"), "{error}");
    }

    #[test]
    fn the_table_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("split.csv");
        std::fs::write(&path, to_csv([("a_1", "a", Part::Train), ("b_1", "b", Part::Test)].into_iter())).unwrap();
        let read = ScanParts::read(&path).unwrap();
        assert_eq!(["a_1", "b_1", "c_1"].map(|scan| read.part(scan)), [Some(Part::Train), Some(Part::Test), None]);
        for (row, expected) in [("a_1,a,tset", "line 2: `tset`"), ("a_1,a,test\na_1,a,test", "line 3: scan `a_1`")] {
            std::fs::write(&path, format!("scan,patient,part\n{row}\n")).unwrap();
            let said = ScanParts::read(&path).unwrap_err().to_string();
            assert!(said.contains("split.csv") && said.contains(expected), "{said}");
        }
    }
}
