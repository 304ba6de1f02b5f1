//! What the names of BRATS files and folders mean.

use super::layout::Layout;

/// Ends of the names of volumes; of a `.mhd` header it is the header that counts, not the file of its voxels.
const EXTENSIONS: [&str; 4] = [".nii.gz", ".nii", ".mha", ".mhd"];

/// What a file is to its scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The sequence at this position among [`shared::Modality::ALL`].
    Sequence(usize),
    /// The labels that experts drew.
    Truth,
}

/// What marks the files of the four sequences, in the order of [`shared::Modality::ALL`], and of the truth.
#[derive(Debug, Clone, Copy)]
struct Marks {
    /// In small letters.
    sequences: [&'static str; 4],
    truth: &'static str,
    place: Place,
}

/// Where a mark stands in the name without its extension.
#[derive(Debug, Clone, Copy)]
enum Place {
    Start,
    Inside,
    End,
}

impl Layout {
    /// How the files of a scan are told apart; `None` where one file has all sequences.
    fn marks(self) -> Option<Marks> {
        Some(match self {
            // VSD.Brain.XX.O.MR_T1c.54538: with its point, T1 is not the beginning of T1c. The truth is called
            // VSD.Brain_3more.XX.O.OT.54541 or VSD.Brain_3more.XX.XX.OT.54559; some downloads begin with SMIR.
            Self::Brats2015 => {
                let sequences = [".mr_flair.", ".mr_t1.", ".mr_t1c.", ".mr_t2."];
                Marks { sequences, truth: ".ot.", place: Place::Inside }
            }
            Self::Brats2017 => Marks { sequences: ["_flair", "_t1", "_t1ce", "_t2"], truth: "_seg", place: Place::End },
            Self::Brats2023 => Marks { sequences: ["-t2f", "-t1n", "-t1c", "-t2w"], truth: "-seg", place: Place::End },
            Self::Prepared => {
                Marks { sequences: ["flair_", "t1_", "t1c_", "t2_"], truth: "otmulticlass", place: Place::Start }
            }
            Self::Decathlon => return None,
        })
    }

    /// What a file is, by its name; `None` for a file that is no part of a scan.
    pub(super) fn part(self, file_name: &str) -> Option<Part> {
        let stem = stem(file_name)?.to_ascii_lowercase();
        let marks = self.marks()?;
        let has = |mark: &str| match marks.place {
            Place::Start => stem.starts_with(mark),
            Place::Inside => stem.contains(mark),
            Place::End => stem.ends_with(mark),
        };
        if let Some(sequence) = marks.sequences.iter().position(|mark| has(mark)) {
            return Some(Part::Sequence(sequence));
        }
        // The truth of BraTS20_Training_355 was published as W39_1998.09.19_Segm.nii.
        let is_published_so = matches!(self, Self::Brats2017) && stem.ends_with("_segm");
        (has(marks.truth) || is_published_so).then_some(Part::Truth)
    }

    /// Whose scan it is, by the name of its folder.
    pub(super) fn patient(self, scan: &str) -> &str {
        let lower = scan.to_ascii_lowercase();
        let begins = |starts: &[&str]| starts.iter().any(|start| lower.starts_with(start));
        // The last number counts the scans of a patient: brats_tcia_pat105_0105, Brats18_TCIA02_117_1,
        // BraTS-GLI-00005-100. In BraTS20_Training_001 and BraTS2021_00000 it counts the patients.
        let separator = match self {
            Self::Brats2015 | Self::Prepared if begins(&["brats_2013_pat", "brats_tcia_pat"]) => '_',
            Self::Brats2017 if begins(&["brats17_", "brats18_", "brats19_"]) => '_',
            Self::Brats2023 => '-',
            _ => return scan,
        };
        match scan.rsplit_once(separator) {
            Some((patient, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                patient
            }
            _ => scan,
        }
    }
}

/// The name of a volume without its extension; `None` for other files, also for the `._` files that macOS leaves.
pub(super) fn stem(file_name: &str) -> Option<&str> {
    if file_name.starts_with('.') {
        return None;
    }
    let lower = file_name.to_ascii_lowercase();
    let extension = EXTENSIONS.iter().find(|extension| lower.ends_with(**extension))?;
    Some(&file_name[..file_name.len() - extension.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_every_edition_are_told_apart() {
        use Layout::{Brats2015, Brats2017, Brats2023, Prepared};
        for (layout, name, part) in [
            (Brats2015, "VSD.Brain.XX.O.MR_Flair.54512.mha", Some(Part::Sequence(0))),
            (Brats2015, "VSD.Brain.XX.O.MR_T1.54513.mha", Some(Part::Sequence(1))),
            (Brats2015, "VSD.Brain.XX.O.MR_T1c.54514.mha", Some(Part::Sequence(2))),
            (Brats2015, "SMIR.Brain.XX.O.MR_T2.54515.mha", Some(Part::Sequence(3))),
            (Brats2015, "VSD.Brain_3more.XX.O.OT.54517.mha", Some(Part::Truth)),
            (Brats2015, "VSD.Brain_3more.XX.XX.OT.54559.nii.gz", Some(Part::Truth)),
            (Brats2015, "VSD.Brain.XX.O.MR_T1.54513.txt", None),
            (Brats2017, "Brats17_2013_10_1_flair.nii.gz", Some(Part::Sequence(0))),
            (Brats2017, "BraTS20_Training_001_t1.nii", Some(Part::Sequence(1))),
            (Brats2017, "BraTS19_CBICA_AAB_1_t1ce.nii.gz", Some(Part::Sequence(2))),
            (Brats2017, "BraTS2021_00000_t2.nii.gz", Some(Part::Sequence(3))),
            (Brats2017, "BraTS2021_00000_seg.nii.gz", Some(Part::Truth)),
            (Brats2017, "W39_1998.09.19_Segm.nii", Some(Part::Truth)),
            (Brats2017, "._BraTS2021_00000_t2.nii.gz", None),
            (Brats2023, "BraTS-GLI-00000-000-t2f.nii.gz", Some(Part::Sequence(0))),
            (Brats2023, "BraTS-GLI-00000-000-t1n.nii.gz", Some(Part::Sequence(1))),
            (Brats2023, "BraTS-GLI-00000-000-t1c.nii.gz", Some(Part::Sequence(2))),
            (Brats2023, "BraTS-GLI-00000-000-t2w.nii.gz", Some(Part::Sequence(3))),
            (Brats2023, "BraTS-GLI-00000-000-seg.nii", Some(Part::Truth)),
            (Prepared, "Flair_subtrMeanDivStd.nii.gz", Some(Part::Sequence(0))),
            (Prepared, "T1_subtrMeanDivStd.nii.gz", Some(Part::Sequence(1))),
            (Prepared, "T1c_subtrMeanDivStd.nii.gz", Some(Part::Sequence(2))),
            (Prepared, "OTMultiClass.nii.gz", Some(Part::Truth)),
            (Prepared, "brainmask.nii.gz", None),
        ] {
            assert_eq!(layout.part(name), part, "{name}");
        }
    }

    #[test]
    fn scans_of_one_patient_have_one_patient() {
        use Layout::{Brats2015, Brats2017, Brats2023, Decathlon, Prepared};
        for (layout, scan, patient) in [
            (Brats2015, "brats_2013_pat0001_1", "brats_2013_pat0001"),
            (Brats2015, "brats_tcia_pat105_0001", "brats_tcia_pat105"),
            (Brats2015, "brats_tcia_pat105_0105", "brats_tcia_pat105"),
            (Brats2015, "case_1", "case_1"),
            (Prepared, "brats_2013_pat0003_1", "brats_2013_pat0003"),
            (Brats2017, "Brats17_TCIA_105_1", "Brats17_TCIA_105"),
            (Brats2017, "Brats18_2013_0_1", "Brats18_2013_0"),
            (Brats2017, "Brats18_TCIA02_117_1", "Brats18_TCIA02_117"),
            (Brats2017, "BraTS19_CBICA_AAB_1", "BraTS19_CBICA_AAB"),
            (Brats2017, "BraTS20_Training_001", "BraTS20_Training_001"),
            (Brats2017, "BraTS2021_00000", "BraTS2021_00000"),
            (Brats2023, "BraTS-GLI-00005-100", "BraTS-GLI-00005"),
            (Brats2023, "BraTS-GLI-mine", "BraTS-GLI-mine"),
            (Decathlon, "BRATS_001", "BRATS_001"),
        ] {
            assert_eq!(layout.patient(scan), patient, "{scan}");
        }
    }
}
