//! A volume as every reader delivers it, and how its axes lie in the patient.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The six orders of three axes.
const PERMUTATIONS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// Where the voxels of a volume are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Geometry {
    /// Voxels along x, y and z, each at least 1; x is the fastest in memory.
    pub size: [usize; 3],
    /// From the indices (i, j, k, 1) of a voxel to the place of its centre in mm.
    ///
    /// The world is that of NIfTI: x grows to the right of the patient, y to the front, z to the head. The upper three
    /// rows of the matrix; the fourth would be 0 0 0 1.
    pub world_from_voxel: [[f64; 4]; 3],
}

impl Geometry {
    /// How many voxels there are; the largest number there is if they cannot be counted.
    pub fn n_voxels(&self) -> usize {
        self.size.iter().fold(1, |n: usize, &side| n.saturating_mul(side))
    }

    /// Distance between the centres of neighbours along x, y and z in mm.
    pub fn spacing_mm(&self) -> [f64; 3] {
        std::array::from_fn(|axis| self.column(axis).iter().map(|v| v * v).sum::<f64>().sqrt())
    }

    /// Volume of a voxel in ml, also where the axes are not at right angles.
    pub fn voxel_ml(&self) -> f64 {
        let [a, b, c] = std::array::from_fn(|axis| self.column(axis));
        determinant(a, b, c).abs() / 1000.0
    }

    /// How the axes lie in the patient.
    pub fn orientation(&self) -> Orientation {
        let spacing = self.spacing_mm();
        let cosine = |world: usize, axis: usize| self.world_from_voxel[world][axis] / spacing[axis];
        let agreement = |order: &[usize; 3]| (0..3).map(|world| cosine(world, order[world]).abs()).sum::<f64>();
        let mut file_axis = PERMUTATIONS[0];
        for order in &PERMUTATIONS[1..] {
            // Exactly diagonal axes agree equally well with several orders: the first is kept, whatever the rounding.
            if agreement(order) > agreement(&file_axis) + 1e-9 {
                file_axis = *order;
            }
        }
        let direction = std::array::from_fn(|world| {
            if cosine(world, file_axis[world]) < 0.0 { Direction::Backward } else { Direction::Forward }
        });
        Orientation { file_axis, direction }
    }

    /// The geometry of the same voxels in the order right, anterior, superior: see [`Volume::to_canonical`].
    #[must_use]
    pub fn canonical(&self) -> Self {
        let Orientation { file_axis, direction } = self.orientation();
        let mut canonical = Self { size: file_axis.map(|axis| self.size[axis]), ..*self };
        for (row, file_row) in canonical.world_from_voxel.iter_mut().zip(&self.world_from_voxel) {
            for world in 0..3 {
                let step = file_row[file_axis[world]];
                row[world] = match direction[world] {
                    Direction::Forward => step,
                    Direction::Backward => {
                        // Counting begins at the other end of the axis.
                        row[3] += step * (canonical.size[world] as f64 - 1.0);
                        -step
                    }
                };
            }
        }
        canonical
    }

    /// The step along an axis of the file, in mm.
    pub(crate) fn column(&self, axis: usize) -> [f64; 3] {
        self.world_from_voxel.map(|row| row[axis])
    }

    /// Whether every voxel has a place of its own: all numbers finite, and no axis in the plane of the others.
    pub(crate) fn is_invertible(&self) -> bool {
        let spacing = self.spacing_mm();
        let [a, b, c] = std::array::from_fn(|axis| self.column(axis).map(|v| v / spacing[axis]));
        self.world_from_voxel.iter().flatten().all(|v| v.is_finite()) && determinant(a, b, c).abs() > 1e-6
    }
}

/// Volume of the body that three steps span; negative for a left-handed one.
fn determinant(a: [f64; 3], b: [f64; 3], c: [f64; 3]) -> f64 {
    a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])
}

/// Which axis of the file, in which direction, is nearest to each of right, anterior and superior.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientation {
    /// The file's axis for each axis of the world.
    file_axis: [usize; 3],
    /// How that axis runs.
    direction: [Direction; 3],
}

/// Whether an axis of the file runs with the axis of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

impl Orientation {
    /// Reorders the voxels of a file to right, anterior, superior.
    ///
    /// # Shapes
    ///
    /// - `file_size`: voxels along x, y and z in the file
    /// - `voxels`: `[z, y, x]` of the file
    /// - returns: `[superior, anterior, right]`
    ///
    /// # Panics
    ///
    /// If there are not as many voxels as `file_size` says.
    pub fn to_canonical<T: Copy>(&self, file_size: [usize; 3], voxels: &[T]) -> Vec<T> {
        assert_eq!(voxels.len(), file_size.iter().product::<usize>(), "the size is that of the voxels");
        let mut canonical = Vec::with_capacity(voxels.len());
        self.visit(file_size, |index| canonical.push(voxels[index]));
        canonical
    }

    /// Undoes [`Orientation::to_canonical`].
    ///
    /// # Shapes
    ///
    /// - `file_size`: voxels along x, y and z in the file
    /// - `canonical`: `[superior, anterior, right]`
    /// - returns: `[z, y, x]` of the file
    ///
    /// # Panics
    ///
    /// If there are not as many voxels as `file_size` says.
    pub fn from_canonical<T: Copy>(&self, file_size: [usize; 3], canonical: &[T]) -> Vec<T> {
        assert_eq!(canonical.len(), file_size.iter().product::<usize>(), "the size is that of the voxels");
        let mut voxels = canonical.to_vec();
        let mut values = canonical.iter();
        self.visit(file_size, |index| {
            if let Some(value) = values.next() {
                voxels[index] = *value;
            }
        });
        voxels
    }

    /// Where each axis of the file points: `LPS` for a file whose x grows to the left, y to the back, z to the head.
    pub fn letters(&self) -> String {
        let mut letters = [' '; 3];
        for (world, [forward, backward]) in [['R', 'L'], ['A', 'P'], ['S', 'I']].into_iter().enumerate() {
            letters[self.file_axis[world]] = match self.direction[world] {
                Direction::Forward => forward,
                Direction::Backward => backward,
            };
        }
        letters.iter().collect()
    }

    /// Calls with the position in the file of each voxel, in the order right, anterior, superior.
    fn visit(&self, file_size: [usize; 3], mut at: impl FnMut(usize)) {
        let file_strides = [1, file_size[0], file_size[0] * file_size[1]];
        let [x, y, z] = std::array::from_fn(|world| {
            let axis = self.file_axis[world];
            Steps { n: file_size[axis], stride: file_strides[axis], direction: self.direction[world] }
        });
        for superior in 0..z.n {
            for anterior in 0..y.n {
                let row = z.offset(superior) + y.offset(anterior);
                for right in 0..x.n {
                    at(row + x.offset(right));
                }
            }
        }
    }
}

/// The positions along one axis.
struct Steps {
    n: usize,
    stride: usize,
    direction: Direction,
}

impl Steps {
    fn offset(&self, index: usize) -> usize {
        match self.direction {
            Direction::Forward => index * self.stride,
            Direction::Backward => (self.n - 1 - index) * self.stride,
        }
    }
}

/// A scalar volume, all voxels finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Where the voxels are.
    pub geometry: Geometry,
    /// `[z, y, x]`, x the fastest, in the unit of the file after its own scaling.
    pub voxels: Vec<f32>,
}

impl Volume {
    /// A volume of these voxels.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if there are not as many voxels as the geometry says, or none;
    /// [`Error::NonFinite`] at the first NaN or infinity.
    pub fn new(geometry: Geometry, voxels: Vec<f32>) -> Result<Self> {
        if voxels.is_empty() || voxels.len() != geometry.n_voxels() {
            let [x, y, z] = geometry.size;
            return Err(Error::Shape {
                what: "voxels of a volume",
                expected: format!("{x} x {y} x {z}, at least one"),
                found: voxels.len().to_string(),
            });
        }
        match voxels.iter().position(|voxel| !voxel.is_finite()) {
            Some(index) => Err(Error::NonFinite { what: "voxels of a volume", index, value: voxels[index] }),
            None => Ok(Self { geometry, voxels }),
        }
    }

    /// The same voxels in the order right, anterior, superior: each axis is the one of the file that is nearest.
    ///
    /// Nothing is resampled: an oblique volume stays oblique, and every voxel keeps its place in the world.
    #[must_use]
    pub fn to_canonical(&self) -> Self {
        let voxels = self.geometry.orientation().to_canonical(self.geometry.size, &self.voxels);
        Self { geometry: self.geometry.canonical(), voxels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Axes of a file in the world: `steps[axis]` is a signed world axis, counted from 1; spacing 1, 2 and 3 mm.
    fn geometry(size: [usize; 3], steps: [i32; 3]) -> Geometry {
        let mut world_from_voxel = [[0.0, 0.0, 0.0, 10.0], [0.0, 0.0, 0.0, 20.0], [0.0, 0.0, 0.0, 30.0]];
        for (axis, step) in steps.into_iter().enumerate() {
            world_from_voxel[step.unsigned_abs() as usize - 1][axis] = f64::from(step.signum()) * (axis as f64 + 1.0);
        }
        Geometry { size, world_from_voxel }
    }

    fn world(geometry: &Geometry, voxel: [usize; 3]) -> [f64; 3] {
        let [x, y, z] = voxel.map(|v| v as f64);
        geometry.world_from_voxel.map(|row| row[0] * x + row[1] * y + row[2] * z + row[3])
    }

    #[test]
    fn every_voxel_keeps_its_place() {
        for order in PERMUTATIONS {
            for signs in 0..8 {
                let steps =
                    [0, 1, 2].map(|axis| (order[axis] as i32 + 1) * if signs >> axis & 1 == 1 { -1 } else { 1 });
                let file = geometry([2, 3, 4], steps);
                let volume = Volume::new(file, (0..24u8).map(f32::from).collect()).unwrap();
                let canonical = volume.to_canonical();
                assert_eq!(canonical.geometry.orientation().letters(), "RAS");
                let [w, h, _] = canonical.geometry.size;
                for (index, value) in canonical.voxels.iter().enumerate() {
                    let before = *value as usize;
                    let there = world(&canonical.geometry, [index % w, index / w % h, index / w / h]);
                    assert_eq!(there, world(&file, [before % 2, before / 2 % 3, before / 6]), "{steps:?}");
                }
                let back = file.orientation().from_canonical(file.size, &canonical.voxels);
                assert_eq!(back, volume.voxels, "{steps:?}");
            }
        }
    }

    #[test]
    fn letters_and_spacing_are_those_of_the_file() {
        let file = geometry([2, 3, 4], [-2, 3, -1]);
        assert_eq!(file.orientation().letters(), "PSL");
        assert_eq!(file.spacing_mm(), [1.0, 2.0, 3.0]);
        assert!((file.voxel_ml() - 0.006).abs() < 1e-15);
        assert_eq!((file.canonical().size, file.canonical().spacing_mm()), ([4, 2, 3], [3.0, 1.0, 2.0]));
    }

    #[test]
    fn oblique_axes_go_to_the_nearest_order() {
        // Two axes of the file are both nearest to the world's x; one of them has to take another.
        let row = |x: f64, y: f64, z: f64| [x, y, z, 0.0];
        let file = Geometry {
            size: [2, 2, 2],
            world_from_voxel: [row(0.9, 0.8, 0.0), row(-0.3, 0.6, 0.0), row(0.3, 0.0, 1.0)],
        };
        assert_eq!(file.orientation().letters(), "RAS");
        let nothing = Geometry { size: [1, 1, 1], world_from_voxel: [[f64::NAN; 4]; 3] };
        assert_eq!(nothing.orientation().letters(), "RAS");
        assert!(file.is_invertible() && !nothing.is_invertible());
        assert!(!Geometry { size: [1, 1, 1], world_from_voxel: [row(1.0, 1.0, 0.0); 3] }.is_invertible());
    }

    #[test]
    fn wrong_voxels_are_refused() {
        let file = geometry([2, 1, 1], [1, 2, 3]);
        assert!(matches!(Volume::new(file, vec![0.0]), Err(Error::Shape { .. })));
        let error = Volume::new(file, vec![0.0, f32::INFINITY]).unwrap_err();
        assert!(matches!(error, Error::NonFinite { index: 1, .. }), "{error}");
        let huge = Geometry { size: [usize::MAX; 3], ..file };
        assert!(matches!(Volume::new(huge, vec![0.0]), Err(Error::Shape { .. })));
    }
}
