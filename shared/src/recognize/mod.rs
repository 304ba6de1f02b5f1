//! What a file is to its examination: one of the four sequences, the truth, or neither.
//!
//! A [name](name::role_of) usually tells. Where it does not, the [grey values](intensity) allow a guess, which a person
//! should be able to correct.

pub mod intensity;
pub mod name;

pub use intensity::{Guess, Traits, guess};
pub use name::{Role, role_of};

use crate::io::Volume;

/// Hounsfield units below which there is only air; no MRI has values like these in a good part of its voxels.
const AIR_HU: f32 = -500.0;

/// Share of air that makes a volume a CT: a head fills less than nine tenths of what is scanned.
const AIR_SHARE: f64 = 0.02;

/// Whether the values are those of a CT, in Hounsfield units: much of what is around the head is near -1000, and nothing
/// is far below.
pub fn is_ct(volume: &Volume) -> bool {
    let air = volume.voxels.iter().filter(|value| (-4100.0..AIR_HU).contains(*value)).count();
    let below = volume.voxels.iter().filter(|value| **value < -4100.0).count();
    below == 0 && air as f64 >= AIR_SHARE * volume.voxels.len() as f64
}

/// Highest label of a truth: BRATS uses 0 to 4, atlases more.
const MAX_LABEL: f32 = 255.0;

/// Greatest share of a volume that a tumour may fill; a mask of the brain fills more of one without its skull.
const MAX_TRUTH_SHARE: f64 = 0.15;

/// Whether a volume has few whole numbers as values, like a mask or labels, and not the shades of an image.
pub fn is_labels(volume: &Volume) -> bool {
    let mut seen = [false; MAX_LABEL as usize + 1];
    for value in &volume.voxels {
        if !(0.0..=MAX_LABEL).contains(value) || value.fract() != 0.0 {
            return false;
        }
        seen[*value as usize] = true;
    }
    seen.iter().filter(|seen| **seen).count() <= 16
}

/// Whether labels mark so much that they are a mask of the brain, not of a tumour.
pub fn is_brain_mask(labels: &Volume) -> bool {
    let marked = labels.voxels.iter().filter(|value| **value != 0.0).count();
    marked as f64 > MAX_TRUTH_SHARE * labels.voxels.len() as f64
}

/// Whether each voxel of a truth is enhancing tumour, 1 or 0. Labels of BRATS: it is 4, or in editions without a 4 it is
/// 3. A mask of nothing but one label that BRATS does not use alone, 1 or one above 4, is taken as a whole.
pub fn enhancing(labels: &[f32]) -> Vec<u8> {
    let mut marked = labels.iter().copied().filter(|value| *value != 0.0);
    let first = marked.next().unwrap_or(0.0);
    let is_mask = (first == 1.0 || first > 4.0) && marked.all(|value| value == first);
    let label = match first {
        first if is_mask => first,
        _ if labels.contains(&4.0) => 4.0,
        _ => 3.0,
    };
    labels.iter().map(|&value| u8::from(value == label)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Geometry;

    fn volume(values: impl Fn(usize) -> f32) -> Volume {
        let row = |i: usize| std::array::from_fn(|j| f64::from(u8::from(i == j)));
        let geometry = Geometry { size: [10, 10, 10], world_from_voxel: std::array::from_fn(row) };
        Volume { geometry, voxels: (0..1000).map(values).collect() }
    }

    #[test]
    fn a_ct_is_told_by_its_air() {
        assert!(is_ct(&volume(|i| if i < 300 { -1000.0 } else { 40.0 })));
        // Standardized values, an MRI with an offset, an MRI of plain numbers.
        assert!(!is_ct(&volume(|i| (i % 7) as f32 - 3.0)));
        assert!(!is_ct(&volume(|i| if i < 300 { -32768.0 } else { -900.0 })));
        assert!(!is_ct(&volume(|i| i as f32)));
    }

    #[test]
    fn labels_are_few_whole_numbers() {
        assert!(is_labels(&volume(|i| (i % 5) as f32)));
        assert!(!is_labels(&volume(|i| (i % 40) as f32)));
        assert!(!is_labels(&volume(|i| (i % 2) as f32 - 0.5)));
        assert!(is_brain_mask(&volume(|i| f32::from(u8::from(i < 400)))));
        assert!(!is_brain_mask(&volume(|i| f32::from(u8::from(i < 40)))));
    }

    #[test]
    fn enhancing_tumour_has_the_label_of_its_edition() {
        assert_eq!(enhancing(&[0.0, 1.0, 2.0, 4.0, 3.0]), [0, 0, 0, 1, 0]);
        assert_eq!(enhancing(&[0.0, 1.0, 2.0, 3.0]), [0, 0, 0, 1]);
        assert_eq!(enhancing(&[0.0, 1.0, 1.0]), [0, 1, 1]);
        assert_eq!(enhancing(&[0.0, 255.0]), [0, 1]);
        assert_eq!(enhancing(&[0.0, 2.0, 2.0]), [0, 0, 0]);
        assert_eq!(enhancing(&[0.0, 1.0, 2.0]), [0, 0, 0]);
        assert_eq!(enhancing(&[0.0]), [0]);
    }
}
