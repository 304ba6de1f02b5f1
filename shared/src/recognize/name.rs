//! What a file is, by its name.

use serde::{Deserialize, Serialize};

use crate::modality::Modality;

/// What a file is to its examination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// One of the four sequences.
    Sequence(Modality),
    /// The outline that somebody drew.
    Truth,
    /// A mask of the brain, which is not used.
    BrainMask,
}

/// Words that say that contrast agent was given, beside one that says T1.
const CONTRAST: [&str; 15] = [
    "c",
    "ce",
    "cm",
    "gd",
    "gad",
    "gado",
    "gadolinium",
    "km",
    "post",
    "postcontrast",
    "postgad",
    "contrast",
    "enhanced",
    "iv",
    "gadovist",
];

const T1C: [&str; 12] =
    ["t1c", "t1ce", "t1gd", "t1gad", "t1post", "t1postcontrast", "t1contrast", "t1km", "t1cm", "t1wc", "t1wce", "t1cw"];
const T1: [&str; 9] = ["t1", "t1w", "t1n", "t1pre", "t1wi", "t1native", "mprage", "spgr", "t1mprage"];
const T2: [&str; 5] = ["t2", "t2w", "t2wi", "t2tse", "t2fse"];
const FLAIR: [&str; 6] = ["flair", "fla", "t2f", "t2flair", "flairt2", "darkfluid"];
const TRUTH: [&str; 16] = [
    "seg",
    "segm",
    "segmentation",
    "truth",
    "groundtruth",
    "gt",
    "mask",
    "ot",
    "otmulticlass",
    "label",
    "labels",
    "gold",
    "lesion",
    "lesions",
    "roi",
    "tumor",
];
const BRAIN_MASK: [&str; 3] = ["brainmask", "bet", "skullstripmask"];

/// What a file is by its path: its own name first, then those of its folders from the nearest on. `None` where no name
/// says it, or where one says two things.
pub fn role_of(path: &str) -> Option<Role> {
    path.rsplit(['/', '\\']).find_map(of_part)
}

fn of_part(name: &str) -> Option<Role> {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let has = |of: &[&str]| words.iter().any(|word| of.contains(word));
    let next_to = |first: &str, second: &str| words.windows(2).any(|pair| pair == [first, second]);
    if has(&BRAIN_MASK) || next_to("brain", "mask") {
        return Some(Role::BrainMask);
    }
    if has(&TRUTH) {
        return Some(Role::Truth);
    }
    if has(&FLAIR) {
        return Some(Role::Sequence(Modality::Flair));
    }
    let (t1c, t1, t2) = (has(&T1C), has(&T1), has(&T2));
    let sequence = match (t1c || t1, t2) {
        (true, false) if t1c || has(&CONTRAST) => Modality::T1c,
        (true, false) => Modality::T1,
        (false, true) => Modality::T2,
        _ => return None,
    };
    Some(Role::Sequence(sequence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_many_archives_are_understood() {
        let (flair, t1, t1c, t2) = (Modality::Flair, Modality::T1, Modality::T1c, Modality::T2);
        for (name, sequence) in [
            ("TCGA-DU-7294_fla.nii.gz", flair),
            ("TCGA-DU-7294_t1.nii.gz", t1),
            ("TCGA-DU-7294_t1c.nii.gz", t1c),
            ("TCGA-DU-7294_t2.nii.gz", t2),
            ("VSD.Brain.XX.O.MR_Flair.54512.mha", flair),
            ("VSD.Brain.XX.O.MR_T1c.54514.mha", t1c),
            ("BraTS19_CBICA_AAB_1_t1ce.nii.gz", t1c),
            ("BraTS-GLI-00000-000-t2f.nii.gz", flair),
            ("BraTS-GLI-00000-000-t1n.nii.gz", t1),
            ("BraTS-GLI-00000-000-t2w.nii.gz", t2),
            ("T1POST_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz", t1c),
            ("T1_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz", t1),
            ("sub-01_ce-gadolinium_T1w.nii.gz", t1c),
            ("sub-01_acq-mprage.nii", t1),
            ("AX T2 FLAIR.nii", flair),
            ("ax_t1_post.nii", t1c),
            ("BRATS_HG0001_T1C_slice90.nii.gz", t1c),
            ("t1 km.nii", t1c),
            ("exam/T2/image.nii", t2),
            (r"exam\flair\0001.mha", flair),
        ] {
            assert_eq!(role_of(name), Some(Role::Sequence(sequence)), "{name}");
        }
        for name in [
            "TCGA-DU-7294_fused_algorithms_seg.nii.gz",
            "VSD.Brain_3more.XX.O.OT.54517.mha",
            "OTMultiClass.nii.gz",
            "flair_seg.nii",
            "W39_1998.09.19_Segm.nii",
            "GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz",
            "truth.mhd",
        ] {
            assert_eq!(role_of(name), Some(Role::Truth), "{name}");
        }
        for name in ["brainmask.nii.gz", "sub-01_brain_mask.nii"] {
            assert_eq!(role_of(name), Some(Role::BrainMask), "{name}");
        }
    }

    #[test]
    fn a_name_that_says_nothing_or_two_things_is_not_read() {
        for name in ["scan.nii.gz", "IM0001", "t1_to_t2_registration.nii", "not1.nii", "head/volume.mha", ""] {
            assert_eq!(role_of(name), None, "{name}");
        }
    }
}
