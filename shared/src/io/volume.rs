//! Volumes: voxels and where they are.

use crate::error::{Error, Result};

/// Where the voxels of a volume are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// Voxels along x, y and z; x is the fastest.
    pub size: [usize; 3],
    /// Affine map in mm, to a world whose axes point right, anterior and superior.
    pub world_from_voxel: [[f64; 4]; 3],
}

impl Geometry {
    /// Voxels in all.
    pub fn n_voxels(&self) -> usize {
        self.size.iter().product()
    }

    /// Distance of neighbours along each axis, in mm.
    pub fn spacing_mm(&self) -> [f64; 3] {
        std::array::from_fn(|axis| self.world_from_voxel.iter().map(|row| row[axis] * row[axis]).sum::<f64>().sqrt())
    }
}

/// A scalar volume, all voxels finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Where the voxels are.
    pub geometry: Geometry,
    /// Their values, x fastest.
    pub voxels: Vec<f32>,
}

impl Volume {
    /// Checks length and values.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for another number of voxels, [`Error::NonFinite`] at the first NaN or infinity.
    pub fn new(geometry: Geometry, voxels: Vec<f32>) -> Result<Self> {
        if voxels.len() != geometry.n_voxels() {
            let (expected, found) = (geometry.n_voxels().to_string(), voxels.len().to_string());
            return Err(Error::Shape { what: "voxels of a volume", expected, found });
        }
        if let Some(index) = voxels.iter().position(|value| !value.is_finite()) {
            return Err(Error::NonFinite { what: "voxels of a volume", index, value: voxels[index] });
        }
        Ok(Self { geometry, voxels })
    }
}
