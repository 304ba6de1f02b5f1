//! Training, validation and test parts, by patient.
//!
//! The split depends on the images, their patients and findings, and the seed; not on the order of files. As a table
//! (`image,patient,part`) it can be published beside results and read back.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;
use std::path::Path;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use shared::{Finding, FindingSet};

use super::Study;
use super::error::{DataError, Result};
use super::table::Table;

/// What a patient's images are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The weights are fitted to these.
    Train,
    /// Early stopping and thresholds are chosen on these.
    Validation,
    /// Results are reported on these.
    Test,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Share of the images: 70, 10 and 20 in a hundred.
    pub fn share(self) -> f64 {
        match self {
            Self::Train => 0.7,
            Self::Validation => 0.1,
            Self::Test => 0.2,
        }
    }

    /// Name as in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which image belongs to which part. No patient is in two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    images: BTreeMap<String, (u32, Part)>,
}

/// What is balanced over the parts: each finding, "no finding", and all images.
const STRATA: usize = Finding::COUNT + 2;
const NO_FINDING: usize = Finding::COUNT;
const ALL_IMAGES: usize = Finding::COUNT + 1;

impl Split {
    /// Splits the patients so that each finding has about its share in each part.
    ///
    /// Greedy: the finding with the fewest images left comes first; its patients, those with most images of it first and
    /// equals in random order, go where they bring the images' numbers nearest to the shares, in the sense of
    /// chi-square over all findings. After Sechidis et al. 2011, "On the stratification of multi-label data", with
    /// patients in the place of samples. Patients of whom no image is labelled can only be trained on.
    pub fn new(studies: &[Study], seed: u64) -> Self {
        let mut patients: BTreeMap<u32, [u32; STRATA]> = BTreeMap::new();
        let labelled: BTreeSet<u32> = studies.iter().filter(|s| s.findings.is_some()).map(|s| s.patient).collect();
        for study in studies.iter().filter(|study| labelled.contains(&study.patient)) {
            let counts = patients.entry(study.patient).or_default();
            for finding in study.known_findings().iter() {
                counts[finding.index()] += 1;
            }
            counts[NO_FINDING] += u32::from(study.findings.is_some_and(FindingSet::is_empty));
            counts[ALL_IMAGES] += 1;
        }
        let part_of = assign(patients.into_iter().collect(), &mut ChaCha8Rng::seed_from_u64(seed));
        let part = |study: &Study| part_of.get(&study.patient).copied().unwrap_or(Part::Train);
        Self { images: studies.iter().map(|s| (s.image.clone(), (s.patient, part(s)))).collect() }
    }

    /// Studies whose parts are given, each by the position of its source: the parts of whole sources.
    ///
    /// # Errors
    ///
    /// [`DataError::PatientInTwoParts`] if a patient would be in two parts.
    pub fn by_source(studies: &[Study], parts: &[Part]) -> Result<Self> {
        let mut part_of = BTreeMap::new();
        let mut images = BTreeMap::new();
        for study in studies {
            let part = parts[study.source];
            let first = *part_of.entry(study.patient).or_insert(part);
            if first != part {
                return Err(DataError::PatientInTwoParts { patient: study.patient, first, second: part });
            }
            images.insert(study.image.clone(), (study.patient, part));
        }
        Ok(Self { images })
    }

    /// The part of an image.
    pub fn part(&self, image: &str) -> Option<Part> {
        self.images.get(image).map(|&(_, part)| part)
    }

    /// Images of a part.
    pub fn n(&self, part: Part) -> usize {
        self.images.values().filter(|(_, of)| *of == part).count()
    }

    /// Positions of the studies that belong to a part, in their order.
    ///
    /// # Errors
    ///
    /// [`DataError::NotInSplit`] for a study that the split does not know.
    pub fn indices(&self, studies: &[Study], part: Part) -> Result<Vec<usize>> {
        let mut indices = Vec::new();
        for (i, study) in studies.iter().enumerate() {
            let found = self.part(&study.image).ok_or_else(|| DataError::NotInSplit(study.image.clone()))?;
            if found == part {
                indices.push(i);
            }
        }
        Ok(indices)
    }

    /// The table `image,patient,part`, sorted by image.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from("image,patient,part\n");
        for (image, (patient, part)) in &self.images {
            // File names may hold commas and quotes.
            if image.contains([',', '"', '\n', '\r']) {
                let _ = writeln!(csv, "\"{}\",{patient},{part}", image.replace('"', "\"\""));
            } else {
                let _ = writeln!(csv, "{image},{patient},{part}");
            }
        }
        csv
    }

    /// Reads a table of the kind that [`Self::to_csv`] writes from a file.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`], and those of [`Self::from_csv`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(DataError::read(path))?;
        Self::from_csv(&path.display().to_string(), &bytes)
    }

    /// Reads the table that [`Self::to_csv`] writes; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// [`DataError`] with file and line for a table that breaks the rules: an image listed twice, a patient in two
    /// parts, a part that does not exist.
    pub fn from_csv(file: &str, bytes: &[u8]) -> Result<Self> {
        let mut images = BTreeMap::new();
        let mut parts: BTreeMap<u32, (Part, u64)> = BTreeMap::new();
        let mut first_lines = BTreeMap::new();
        for (line, [image, patient, part]) in Table::parse(file, bytes, ["image", "patient", "part"])?.rows {
            let wrong = |reason: String| DataError::Row { file: file.to_owned(), line, reason };
            let patient: u32 =
                patient.parse().map_err(|_unused| wrong(format!("patient `{patient}` is not a whole number")))?;
            let part = Part::ALL
                .into_iter()
                .find(|candidate| candidate.name() == part)
                .ok_or_else(|| wrong(format!("part `{part}` is none of train, validation, test")))?;
            if let Some(first_line) = first_lines.insert(image.clone(), line) {
                return Err(DataError::DuplicateImage { file: file.to_owned(), line, image, first_line });
            }
            let (first_part, first_line) = *parts.entry(patient).or_insert((part, line));
            if first_part != part {
                return Err(wrong(format!(
                    "patient {patient} is in part {part} here and in part {first_part} in line {first_line}"
                )));
            }
            images.insert(image, (patient, part));
        }
        Ok(Self { images })
    }
}

/// A part for each patient, from the patient's images in each stratum.
fn assign(mut patients: Vec<(u32, [u32; STRATA])>, rng: &mut impl Rng) -> BTreeMap<u32, Part> {
    patients.shuffle(rng);
    let totals: [u32; STRATA] = std::array::from_fn(|s| patients.iter().map(|(_, counts)| counts[s]).sum());
    let mut left = totals;
    // How many images of each stratum each part still wants; negative when it has too many.
    let mut wanted = Part::ALL.map(|part| totals.map(|n| f64::from(n) * part.share()));
    let mut parts = BTreeMap::new();
    while let Some(stratum) = (0..ALL_IMAGES).filter(|&s| left[s] > 0).min_by_key(|&s| left[s]) {
        let (mut chosen, others): (Vec<_>, Vec<_>) = patients.into_iter().partition(|(_, counts)| counts[stratum] > 0);
        patients = others;
        // A patient with many images placed last would upset a part that was already right.
        chosen.sort_by_key(|(_, counts)| Reverse(counts[stratum]));
        for (patient, counts) in chosen {
            // By how much chi-square, the sum of deviation² / expected, falls if part `p` takes the patient.
            let gain = |p: usize| -> f64 {
                let present = (0..STRATA).filter(|&s| counts[s] > 0);
                let fall = |s: usize| {
                    let n = f64::from(counts[s]);
                    n * (2.0 * wanted[p][s] - n) / (f64::from(totals[s]) * Part::ALL[p].share())
                };
                present.map(fall).sum()
            };
            let p = (1..Part::ALL.len()).fold(0, |best, p| if gain(p) > gain(best) { p } else { best });
            for (s, &n) in counts.iter().enumerate() {
                wanted[p][s] -= f64::from(n);
                left[s] -= n;
            }
            parts.insert(patient, Part::ALL[p]);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::Origin;

    fn study(i: usize, patient: u32, findings: FindingSet) -> Study {
        let image = format!("{i:05}.png");
        let origin = Origin::File(image.clone().into());
        Study { origin, image, patient, findings: Some(findings), report: None, source: 0 }
    }

    /// 1000 images of 500 patients; every tenth has a mass, every fiftieth a hernia.
    fn cohort() -> Vec<Study> {
        (0..1000)
            .map(|i| {
                let mass = (i % 10 == 0).then_some(Finding::Mass);
                let hernia = (i % 50 == 3).then_some(Finding::Hernia);
                study(i, i as u32 / 2, mass.into_iter().chain(hernia).collect())
            })
            .collect()
    }

    #[test]
    fn every_finding_has_its_share_in_every_part() {
        let studies = cohort();
        let split = Split::new(&studies, 0);
        for (finding, total) in [(Finding::Mass, 100.0), (Finding::Hernia, 20.0)] {
            for part in Part::ALL {
                let indices = split.indices(&studies, part).unwrap();
                let n = indices.iter().filter(|&&i| studies[i].known_findings().contains(finding)).count();
                assert!((n as f64 - total * part.share()).abs() <= 1.0, "{finding} {part}: {n}");
                assert!((indices.len() as f64 - 1000.0 * part.share()).abs() <= 4.0, "{part}: {}", indices.len());
            }
        }
    }

    #[test]
    fn a_patient_with_many_images_does_not_empty_the_other_parts() {
        let emphysema: FindingSet = [Finding::Emphysema].into_iter().collect();
        // 15 images of one patient, 15 of 15 others.
        let studies: Vec<Study> = (0..30).map(|i| study(i, (i as u32).saturating_sub(14), emphysema)).collect();
        for seed in 0..20 {
            let split = Split::new(&studies, seed);
            assert_eq!(Part::ALL.map(|part| split.indices(&studies, part).unwrap().len()), [21, 3, 6], "seed {seed}");
        }
    }

    #[test]
    fn the_seed_decides_and_the_order_does_not() {
        let mut studies = cohort();
        let split = Split::new(&studies, 5);
        studies.reverse();
        assert_eq!(Split::new(&studies, 5), split);
        assert_ne!(Split::new(&studies, 6), split);
    }

    #[test]
    fn a_table_round_trips() {
        let mut studies = cohort();
        studies[0].image = "a, \"b\".png".to_owned();
        let split = Split::new(&studies, 1);
        assert_eq!(Split::from_csv("s.csv", split.to_csv().as_bytes()).unwrap(), split);
    }

    #[test]
    fn a_wrong_table_is_refused_with_its_line() {
        let error = |rows: &str| {
            Split::from_csv("s.csv", format!("image,patient,part\n{rows}").as_bytes()).unwrap_err().to_string()
        };
        assert!(error("a,1,train\na,1,train\n").contains("s.csv, line 3: image `a` is already in line 2"));
        assert!(error("a,1,train\nb,1,test\n").contains("line 3: patient 1 is in part test here and in part train"));
        assert!(error("a,1,training\n").contains("line 2: part `training` is none of"));
        assert!(error("a,x,train\n").contains("line 2: patient `x`"));
        assert!(error("").contains("no row"));
        let unknown = Split::from_csv("s.csv", b"image,patient,part\na,1,train\n").unwrap();
        let missing = unknown.indices(&cohort(), Part::Train).unwrap_err().to_string();
        assert!(missing.contains("`00000.png` is not in the split"), "{missing}");
    }

    proptest! {
        #[test]
        fn no_patient_is_in_two_parts_and_no_image_is_lost(
            rows in prop::collection::vec((0u32..40, prop::collection::vec(0usize..14, 0..4)), 1..200),
            seed: u64,
        ) {
            let studies: Vec<Study> = rows
                .into_iter()
                .enumerate()
                .map(|(i, (patient, findings))| {
                    study(i, patient, findings.into_iter().map(|f| Finding::ALL[f]).collect())
                })
                .collect();
            let split = Split::new(&studies, seed);
            let mut parts = BTreeMap::new();
            for study in &studies {
                let part = split.part(&study.image).expect("every image has a part");
                prop_assert_eq!(*parts.entry(study.patient).or_insert(part), part);
            }
            let n: usize = Part::ALL.iter().map(|&part| split.indices(&studies, part).unwrap().len()).sum();
            prop_assert_eq!(n, studies.len());
        }
    }
}
