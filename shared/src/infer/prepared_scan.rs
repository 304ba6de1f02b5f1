//! The volumes of an examination as a network sees them.

use crate::error::{Error, Result};
use crate::infer::segmenter::{SegmenterPlan, SlicesOf};
use crate::io::{Geometry, Volume};
use crate::modality::{Modality, ModalitySet};
use crate::prep::volume::{Grid, Resampler, normalize};

/// One volume on a network's grid, whichever sequence it is.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedVolume {
    /// The voxels as in the file.
    pub geometry: Geometry,
    /// `[slice, size, size]`, standardized, 0 where there is no brain.
    pub planes: Vec<f32>,
    /// A bit for each voxel in canonical order, 1 where it is brain; eight to a byte, the lowest first.
    pub brain: Vec<u8>,
}

impl PreparedVolume {
    /// Standardizes a volume and puts it on the grid. `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// [`Error::NoBrain`] for a volume of one value, [`Error::Shape`] for an impossible grid.
    pub fn new(grid: Grid, file: &str, volume: &Volume) -> Result<Self> {
        let Volume { geometry: canonical, mut voxels } = volume.to_canonical();
        normalize(file, &canonical, &mut voxels)?;
        Self::of_standardized(grid, volume.geometry, &canonical, &voxels)
    }

    /// Puts voxels on the grid that are standardized and in canonical order; `geometry` is that of the file.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for an impossible grid, or if there are fewer voxels than the geometry says.
    pub fn of_standardized(grid: Grid, geometry: Geometry, canonical: &Geometry, voxels: &[f32]) -> Result<Self> {
        grid.check()?;
        // A file's own distances: they may disagree between the sequences.
        let from_volume = grid.from_volume(canonical);
        let mut planes = Vec::with_capacity(grid.area() * canonical.size[2]);
        for slice in voxels.chunks_exact((canonical.size[0] * canonical.size[1]).max(1)) {
            planes.extend(from_volume.apply(slice)?);
        }
        let bits = |eight: &[f32]| (0..).zip(eight).fold(0, |byte, (i, value)| byte | u8::from(*value != 0.0) << i);
        Ok(Self { geometry, planes, brain: voxels.chunks(8).map(bits).collect() })
    }

    /// Holds the numbers of values against each other, as they may come from elsewhere.
    fn check(&self, grid: Grid, size: [usize; 3]) -> Result<()> {
        let canonical = self.geometry.canonical().size;
        let expected = (size, grid.area() * size[2], self.geometry.n_voxels().div_ceil(8));
        let found = (canonical, self.planes.len(), self.brain.len());
        if found == expected {
            return Ok(());
        }
        Err(Error::Shape {
            what: "prepared volume: its size, pixels on the grid and bytes of brain",
            expected: format!("{expected:?}"),
            found: format!("{found:?}"),
        })
    }
}

/// The volumes of an examination on a network's grid.
///
/// Slices are axial and counted from the lowest up, whatever the order of the files; in a slice, `[H, W]`, rows go from the
/// back to the front and pixels from left to right.
pub struct PreparedScan {
    /// Of the first volume, as in its file.
    geometry: Geometry,
    /// The same in canonical order.
    canonical: Geometry,
    present: ModalitySet,
    /// Of each sequence that is there: `[slice, size, size]`, standardized, 0 where there is no brain.
    planes: [Option<Vec<f32>>; Modality::COUNT],
    area: usize,
    /// For each voxel in canonical order the sequences that have brain there, a bit each.
    brain: Vec<u8>,
    to_volume: Resampler,
}

impl PreparedScan {
    /// Standardizes the volumes of some sequences and puts them on the grid. `files` are their names in messages.
    ///
    /// The volumes are matched voxel by voxel in canonical order: their places in the world may disagree, as they do in
    /// BRATS of 2015; their sizes may not.
    ///
    /// # Errors
    ///
    /// [`Error::VolumeSizes`] if two volumes differ in size, wanted or not; [`Error::NoBrain`] for a volume of one value;
    /// [`Error::SequencesNeeded`] if none of the wanted ones is there.
    pub fn new(
        grid: Grid,
        wanted: ModalitySet,
        files: &[&str; Modality::COUNT],
        volumes: &[Option<Volume>; Modality::COUNT],
    ) -> Result<Self> {
        check_sizes(files, volumes)?;
        let mut prepared = [None, None, None, None];
        for modality in wanted.iter() {
            let at = modality.index();
            let prepare = |volume| PreparedVolume::new(grid, files[at], volume);
            prepared[at] = volumes[at].as_ref().map(prepare).transpose()?;
        }
        Self::of(grid, wanted, prepared)
    }

    /// Joins those of the wanted sequences that are there.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if a volume differs in size from the first or is not on this grid; [`Error::SequencesNeeded`] if
    /// none of the wanted ones is there.
    pub fn of(grid: Grid, wanted: ModalitySet, mut volumes: [Option<PreparedVolume>; Modality::COUNT]) -> Result<Self> {
        grid.check()?;
        let mut scan: Option<Self> = None;
        for modality in wanted.iter() {
            let Some(volume) = volumes[modality.index()].take() else { continue };
            let scan = scan.get_or_insert_with(|| Self::empty(grid, modality, volume.geometry));
            volume.check(grid, scan.canonical.size)?;
            scan.present = ModalitySet::new(scan.present.iter().chain([modality]))?;
            for (at, brain) in scan.brain.iter_mut().enumerate() {
                *brain |= (volume.brain[at / 8] >> (at % 8) & 1) << modality.index();
            }
            scan.planes[modality.index()] = Some(volume.planes);
        }
        scan.ok_or_else(|| Error::SequencesNeeded {
            needed: format!("at least one of {wanted}"),
            given: "none of them".to_owned(),
        })
    }

    fn empty(grid: Grid, modality: Modality, geometry: Geometry) -> Self {
        let canonical = geometry.canonical();
        Self {
            geometry,
            canonical,
            present: ModalitySet::one(modality),
            planes: [None, None, None, None],
            area: grid.area(),
            brain: vec![0; geometry.n_voxels()],
            to_volume: grid.to_volume(&canonical),
        }
    }

    /// The sequences that were put on the grid.
    pub fn present(&self) -> ModalitySet {
        self.present
    }

    /// The first volume's voxels as in its file.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The same voxels in canonical order.
    pub fn canonical(&self) -> &Geometry {
        &self.canonical
    }

    /// Slices of the volume.
    pub fn n_slices(&self) -> usize {
        self.canonical.size[2]
    }

    /// The slices in which one of these sequences has brain.
    pub fn slices(&self, sequences: ModalitySet) -> Vec<usize> {
        let bits = bits(sequences);
        let has_brain = |slice: &[u8]| slice.iter().any(|brain| brain & bits != 0);
        let slices = self.brain.chunks_exact(self.slice_len()).enumerate();
        slices.filter(|(_, slice)| has_brain(slice)).map(|(position, _)| position).collect()
    }

    pub(super) fn slice_len(&self) -> usize {
        self.canonical.size[0] * self.canonical.size[1]
    }

    /// Runs a network on a slice, given some of the sequences: the probability of enhancing tumour at each voxel of the
    /// slice, `[H, W]`; 0 where none of them has brain.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if there is no such slice or the plan is for another grid, and those of [`SegmenterPlan::run`].
    pub fn run(&self, plan: &mut SegmenterPlan, sequences: ModalitySet, slice: usize) -> Result<Vec<f32>> {
        if slice >= self.n_slices() {
            return Err(Error::Shape {
                what: "slice of a volume",
                expected: format!("one of {}", self.n_slices()),
                found: format!("number {slice}, counted from 0"),
            });
        }
        let plane = |modality: Modality| -> Option<&[f32]> {
            let planes = self.planes[modality.index()].as_ref().filter(|_| sequences.contains(modality))?;
            planes.get(slice * self.area..(slice + 1) * self.area)
        };
        let slices: SlicesOf<'_> = Modality::ALL.map(plane);
        let mut probabilities = self.to_volume.apply(plan.run(&slices)?)?;
        let (bits, begin) = (bits(sequences), slice * self.slice_len());
        for (probability, brain) in probabilities.iter_mut().zip(&self.brain[begin..]) {
            if brain & bits == 0 {
                *probability = 0.0;
            }
        }
        Ok(probabilities)
    }
}

fn bits(sequences: ModalitySet) -> u8 {
    sequences.iter().fold(0, |bits, modality| bits | 1 << modality.index())
}

/// Holds the sizes of all volumes, in canonical order, against that of the first one.
fn check_sizes(files: &[&str; Modality::COUNT], volumes: &[Option<Volume>; Modality::COUNT]) -> Result<()> {
    let geometries = volumes.iter().map(|volume| volume.as_ref().map(|volume| volume.geometry));
    let mut given = files.iter().zip(geometries).filter_map(|(file, geometry)| Some((*file, geometry?)));
    let Some((first, geometry)) = given.next() else { return Ok(()) };
    let size = |geometry: &Geometry| geometry.canonical().size;
    match given.find(|(_, other)| size(other) != size(&geometry)) {
        None => Ok(()),
        Some((second, other)) => {
            let words = |of: &Geometry| {
                let [x, y, z] = of.size;
                // Equal numbers along other axes would look like equal sizes.
                let axes = if geometry.size == other.size {
                    format!(" {}", of.orientation().letters())
                } else {
                    String::new()
                };
                format!("{x} x {y} x {z}{axes}")
            };
            Err(Error::VolumeSizes {
                first: first.to_owned(),
                first_size: words(&geometry),
                second: second.to_owned(),
                second_size: words(&other),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: Grid = Grid { size: 8, pixel_mm: 1.0 };

    fn volume(size: [usize; 3], value: impl Fn(usize) -> f32) -> Volume {
        let row = |i: usize| std::array::from_fn(|j| f64::from(u8::from(i == j)));
        let geometry = Geometry { size, world_from_voxel: std::array::from_fn(row) };
        Volume { geometry, voxels: (0..geometry.n_voxels()).map(value).collect() }
    }

    #[test]
    fn brain_has_a_bit_for_each_voxel() -> Result<()> {
        let volume = volume([3, 3, 3], |i| if i == 13 || i == 25 { i as f32 } else { 0.0 });
        let prepared = PreparedVolume::new(GRID, "f", &volume)?;
        assert_eq!(prepared.brain, [0, 1 << 5, 0, 1 << 1]);
        assert_eq!(prepared.planes.len(), 3 * 64);
        Ok(())
    }

    #[test]
    fn only_what_fits_is_joined() -> Result<()> {
        let prepared = |size| PreparedVolume::new(GRID, "f", &volume(size, |i| i as f32));
        let (first, other) = (prepared([4, 5, 6])?, prepared([4, 5, 7])?);
        let joined = |volumes| PreparedScan::of(GRID, ModalitySet::ALL, volumes);
        let scan = joined([None, Some(first.clone()), None, Some(first.clone())])?;
        assert_eq!(scan.present().name(), "t1+t2");
        assert_eq!(scan.slices(ModalitySet::one(Modality::T2)), [0, 1, 2, 3, 4, 5]);
        assert!(joined([Some(first.clone()), Some(other), None, None]).is_err());
        let cut = PreparedVolume { brain: vec![0; 2], ..first };
        assert!(joined([None, None, None, Some(cut)]).is_err());
        assert!(joined([None, None, None, None]).is_err());
        Ok(())
    }
}
