//! An examination on the page: its volumes, which sequence each of them is, and the truth.

use std::sync::Arc;

use shared::io::Geometry;
use shared::recognize::{Guess, Traits, guess, intensity};
use shared::{Modality, ModalitySet};

use super::protocol::{Kind, ScanId, VolumeHead, VolumeId};

/// A volume that was read.
#[derive(Debug)]
pub struct Image {
    /// Its number.
    pub id: VolumeId,
    /// Path of its file.
    pub path: String,
    /// The voxels as in the file.
    pub geometry: Geometry,
    /// Values of the file at 0 and at 65535 of [`Self::shown`].
    pub range: [f32; 2],
    /// Values between which the brain lies.
    pub window: [f32; 2],
    /// What its shades tell of its sequence.
    pub traits: Option<Traits>,
    /// Voxels for the screen, in canonical order.
    pub shown: Vec<u16>,
    /// Pixels on the networks' grid, as the bytes of 32-bit floats.
    pub planes: Vec<u8>,
    /// Bits of the brain.
    pub brain: Vec<u8>,
}

impl PartialEq for Image {
    /// Numbers are never given twice, and voxels are many.
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Image {
    /// An image of what a worker said; `None` if it is none.
    pub fn new(id: VolumeId, path: &str, head: &VolumeHead, bytes: Vec<Vec<u8>>) -> Option<Self> {
        let Kind::Image { range, window, traits } = head.kind else { return None };
        let [shown, planes, brain] = <[Vec<u8>; 3]>::try_from(bytes).ok()?;
        let shown = shown.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect();
        let geometry = head.geometry;
        Some(Self { id, path: path.to_owned(), geometry, range, window, traits, shown, planes, brain })
    }

    /// The value in the file of a voxel for the screen.
    pub fn value(&self, shown: u16) -> f32 {
        let [lo, hi] = self.range;
        lo + (hi - lo) * f32::from(shown) / f32::from(u16::MAX)
    }
}

/// An examination: up to four volumes of one size, and a truth. It does not change: another assignment is another scan.
#[derive(Debug)]
pub struct Scan {
    /// Its number; the workers know it by it.
    pub id: ScanId,
    /// Voxels in canonical order: those of the first sequence.
    pub canonical: Geometry,
    /// The sequences that are there, in the order of [`Modality::ALL`].
    pub images: [Option<Arc<Image>>; Modality::COUNT],
    /// 1 where the enhancing tumour is, in canonical order.
    pub truth: Option<Arc<Vec<u8>>>,
    present: ModalitySet,
}

impl Scan {
    /// A scan of these sequences, which must be of one size; `None` if there is none.
    pub fn new(id: ScanId, images: [Option<Arc<Image>>; Modality::COUNT], truth: Option<Arc<Vec<u8>>>) -> Option<Self> {
        let present = ModalitySet::of_present(&images).ok()?;
        let canonical = images.iter().flatten().next()?.geometry.canonical();
        let truth = truth.filter(|truth| truth.len() == canonical.n_voxels());
        Some(Self { id, canonical, images, truth, present })
    }

    /// The sequences that are there.
    pub fn present(&self) -> ModalitySet {
        self.present
    }

    /// Slices of each volume.
    pub fn n_slices(&self) -> usize {
        self.canonical.size[2]
    }

    /// Voxels of a slice.
    pub fn slice_len(&self) -> usize {
        self.canonical.size[0] * self.canonical.size[1]
    }

    /// The slices, from the lowest up, in which one of some sequences has brain.
    pub fn slices(&self, sequences: ModalitySet) -> Vec<usize> {
        let used = || sequences.iter().filter_map(|modality| self.images[modality.index()].as_ref());
        let has_brain = |slice: &usize| {
            let voxels = slice * self.slice_len()..(slice + 1) * self.slice_len();
            used().any(|image| any_bit(&image.brain, voxels.clone()))
        };
        (0..self.n_slices()).filter(has_brain).collect()
    }

    /// The voxels of the file that a mask is written for: of the sequences that were used, the first.
    pub fn geometry_of(&self, sequences: ModalitySet) -> Option<Geometry> {
        let mut used = sequences.iter().filter_map(|modality| self.images[modality.index()].as_ref());
        used.next().map(|image| image.geometry)
    }
}

/// Whether one of some bits is set.
fn any_bit(bits: &[u8], range: std::ops::Range<usize>) -> bool {
    let (first, last) = (range.start.div_ceil(8), range.end / 8);
    let bit = |at: usize| bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
    bits.get(first..last).is_some_and(|bytes| bytes.iter().any(|byte| *byte != 0))
        || (range.start..range.end.min(first * 8)).any(bit)
        || (range.start.max(last * 8)..range.end).any(bit)
}

/// Slices that a correlation looks at: the shades of the whole brain are in a few of them.
const EVERY: usize = 16;

/// What unnamed images may be, by their shades; `taken` are the sequences that names told.
pub fn guesses(images: &[Arc<Image>], taken: &[Modality], grid_area: usize) -> Vec<Option<Guess>> {
    let traits: Vec<Option<Traits>> = images.iter().map(|image| image.traits).collect();
    let planes: Vec<Vec<f32>> = images
        .iter()
        .map(|image| {
            let slices = image.planes.chunks_exact(4 * grid_area.max(1)).step_by(EVERY);
            slices.flat_map(|slice| slice.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))).collect()
        })
        .collect();
    guess(&traits, taken, |i, j| intensity::correlation(&planes[i], &planes[j]))
}

#[cfg(test)]
pub(crate) mod tests {
    use shared::phantom::BrainSource;
    use shared::prep::volume::Grid;

    use super::*;
    use crate::mri::protocol::Head;
    use crate::mri::reader::generate;

    /// A generated head as the page has it.
    pub(crate) fn head(index: usize) -> Scan {
        let BrainSource { size, .. } = BrainSource::default();
        let head = Head { seed: 9, index, size, slices: 8 };
        let mut volumes = generate(head, Grid { size: 64, pixel_mm: 3.0 }).expect("a head");
        let truth = volumes.pop().map(|(_, mut bytes)| Arc::new(bytes.swap_remove(0)));
        let mut id = 0;
        let images = volumes.into_iter().map(|(head, bytes)| {
            id += 1;
            Image::new(id, "head", &head, bytes).map(Arc::new)
        });
        let images: Vec<Option<Arc<Image>>> = images.collect();
        Scan::new(1, images.try_into().expect("four"), truth).expect("a scan")
    }

    #[test]
    fn only_slices_with_brain_count() {
        let mut scan = head(0);
        assert_eq!(scan.slices(scan.present()).len(), 8);
        let flair = scan.images[0].take().expect("a FLAIR");
        let slice = scan.slice_len();
        let mut brain = vec![0; flair.brain.len()];
        // The last voxel of slice 2 and the first of slice 5.
        for at in [3 * slice - 1, 5 * slice] {
            brain[at / 8] |= 1 << (at % 8);
        }
        let image = |flair: Image| Image { brain, ..flair };
        scan.images[0] = Arc::try_unwrap(flair).ok().map(image).map(Arc::new);
        assert_eq!(scan.slices(ModalitySet::one(Modality::Flair)), [2, 5]);
        assert_eq!(scan.slices(ModalitySet::ALL).len(), 8);
    }

    #[test]
    fn bits_are_found_at_every_offset() {
        for at in 0..40 {
            let mut bits = [0u8; 5];
            bits[at / 8] |= 1 << (at % 8);
            for start in 0..40 {
                for end in start..=40 {
                    assert_eq!(any_bit(&bits, start..end), (start..end).contains(&at), "{at} {start} {end}");
                }
            }
        }
    }

    #[test]
    fn a_truth_of_another_size_is_left_out() {
        let scan = head(1);
        assert!(scan.truth.is_some());
        let other = Scan::new(2, scan.images.clone(), Some(Arc::new(vec![0; 3]))).expect("a scan");
        assert!(other.truth.is_none());
        assert!(Scan::new(3, [None, None, None, None], None).is_none());
    }

    #[test]
    fn unnamed_images_are_guessed() {
        let scan = head(2);
        let images: Vec<Arc<Image>> = scan.images.iter().flatten().cloned().collect();
        let guesses = guesses(&images, &[], 64 * 64);
        assert!(guesses.iter().all(Option::is_some), "{guesses:?}");
        // T2 is the surest.
        assert_eq!(guesses[3].expect("a guess").modality, Modality::T2);
    }
}
