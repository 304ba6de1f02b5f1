//! The patients of a lesson.

use serde::{Deserialize, Serialize};
use shared::Modality;
use shared::phantom::BrainSource;

/// A patient of a lesson.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Case {
    /// A generated head, whose tumour is known exactly.
    Head(usize),
    /// A real patient among the page's samples, without a truth.
    Real(String),
}

/// The generated heads of the lesson: those that the shipped networks were tested on, so that none has been trained on.
pub const HEADS: BrainSource = BrainSource { n: 60, seed: 13, size: 96, slices: 18, difficulty: 30, lacking: 0 };

impl Case {
    /// The case of a name in the address: `head-7`, or that of a sample.
    pub fn of_name(name: &str) -> Option<Self> {
        match name.strip_prefix("head-") {
            Some(number) => {
                let number: usize = number.parse().ok()?;
                (1..=HEADS.n).contains(&number).then(|| Self::Head(number - 1))
            }
            None => REAL.iter().find(|real| real.name == name).map(|real| Self::Real(real.name.to_owned())),
        }
    }

    /// Its name in the address.
    pub fn name(&self) -> String {
        match self {
            Self::Head(index) => format!("head-{}", index + 1),
            Self::Real(name) => name.clone(),
        }
    }
}

impl Default for Case {
    /// A head whose tumour is large and enhances.
    fn default() -> Self {
        Self::Head(12)
    }
}

/// A real patient among the page's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RealCase {
    /// Its name in the address and for people.
    pub name: &'static str,
    /// Its files in `samples/mri`, in the order of [`Modality::ALL`].
    pub files: [&'static str; Modality::COUNT],
}

/// The real patients.
pub const REAL: [RealCase; 2] = [
    RealCase {
        name: "TCGA-FG-6692",
        files: [
            "TCGA-FG-6692_fla.nii.gz",
            "TCGA-FG-6692_t1.nii.gz",
            "TCGA-FG-6692_t1c.nii.gz",
            "TCGA-FG-6692_t2.nii.gz",
        ],
    },
    RealCase {
        name: "TCGA-DU-7294",
        files: [
            "TCGA-DU-7294_fla.nii.gz",
            "TCGA-DU-7294_t1.nii.gz",
            "TCGA-DU-7294_t1c.nii.gz",
            "TCGA-DU-7294_t2.nii.gz",
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_real_patients_are_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../static/samples/mri/");
        for file in REAL.iter().flat_map(|real| real.files) {
            assert!(std::path::Path::new(&format!("{folder}{file}")).is_file(), "{file}");
        }
    }

    #[test]
    fn names_come_back_and_others_are_none() {
        let real = REAL.iter().map(|real| Case::Real(real.name.to_owned()));
        for case in [Case::Head(0), Case::Head(59)].into_iter().chain(real) {
            assert_eq!(Case::of_name(&case.name()), Some(case));
        }
        for name in ["head-0", "head-61", "head-x", "", "head", "elsewhere"] {
            assert_eq!(Case::of_name(name), None, "{name}");
        }
    }
}
