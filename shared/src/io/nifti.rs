//! NIfTI-1 volumes in one file: `.nii`, and `.nii.gz` whatever it is called.
//!
//! The place of the voxels is that of `sform`, else of `qform`, else of the distances alone (`pixdim`); the last have no
//! direction, so x is taken to run to the left and the middle of the volume to lie at 0, as nibabel and FSL do. Units of
//! metres and micrometres become mm. Of the voxels' numbers, `scl_slope` and `scl_inter` make values.
//!
//! Source: the NIfTI-1 standard, nifti1.h of <https://nifti.nimh.nih.gov/nifti-1>.

use std::io::Write;

use ::nifti::{Endianness, NiftiHeader, NiftiType, Unit};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::{Error, Result};
use crate::io::format::Origin;
use crate::io::volume::{Geometry, Volume};
use crate::io::volume_format::unknown;
use crate::io::voxels::{ByteOrder, Element, Encoding, Packing, Unpacked, is_gzip, n_voxels};

const FORMAT: &str = "NIfTI";

/// Bytes of the header.
const HEADER_BYTES: usize = 348;

/// Where the voxels begin in a file without extensions.
const VOXEL_OFFSET: u16 = 352;

/// `NIFTI_XFORM_SCANNER_ANAT`: the world is that of the patient in the scanner.
const SCANNER: i16 = 1;

/// Largest difference between two matrices that are the same but for the rounding to 32 bits, in spacings.
const ROUNDING: f64 = 1e-4;

/// Reads the volumes of a NIfTI-1 file: one of a file with three dimensions; of one with four, one for each last index.
///
/// `file` is the name to use in messages.
///
/// # Errors
///
/// [`Error::EmptyFile`], [`Error::UnknownVolumeFormat`], [`Error::Damaged`], [`Error::VolumeHeader`],
/// [`Error::VoxelType`], [`Error::TooFewVoxels`], [`Error::TooManyVoxels`], [`Error::NonFiniteVoxel`];
/// [`Error::Unsupported`] for NIfTI-2 and for headers whose voxels are in another file (`.hdr` and `.img`).
pub fn read_nifti(file: &str, bytes: &[u8]) -> Result<Vec<Volume>> {
    NiftiFile::open(file, bytes)?.volumes()
}

/// Reads the volume of a file that must hold one: the voxels of several are not even unpacked.
pub(crate) fn read_one(file: &str, bytes: &[u8]) -> Result<Volume> {
    let nifti = NiftiFile::open(file, bytes)?;
    if nifti.n_volumes != 1 {
        return Err(Error::SeveralVolumes { file: file.to_owned(), n_volumes: nifti.n_volumes as usize });
    }
    let mut volumes = nifti.volumes()?;
    Ok(volumes.swap_remove(0))
}

/// Which of the relatives of NIfTI-1 the first bytes (unpacked) are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A NIfTI-1 file with its voxels.
    Single,
    /// A NIfTI-1 header whose voxels are in another file.
    Header,
    /// A file of the second version of the format, with 64-bit sizes.
    Second,
    /// The older format that NIfTI-1 grew out of.
    Analyze,
}

impl Kind {
    pub(crate) fn of(unpacked: &[u8]) -> Option<Self> {
        let header_bytes = unpacked.first_chunk().map(|&size| [i32::from_le_bytes(size), i32::from_be_bytes(size)])?;
        if header_bytes.contains(&540) && matches!(unpacked.get(4..7), Some(b"n+2" | b"ni2")) {
            return Some(Self::Second);
        }
        if !header_bytes.contains(&(HEADER_BYTES as i32)) {
            return None;
        }
        Some(match unpacked.get(HEADER_BYTES - 4..HEADER_BYTES)? {
            b"n+1\0" => Self::Single,
            b"ni1\0" => Self::Header,
            _ => Self::Analyze,
        })
    }
}

/// The first bytes of a file, unpacked: as many as a header has, or all of a shorter file.
pub(crate) fn opening(file: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut header = vec![0; HEADER_BYTES];
    let n = unpacked(file, bytes).fill(&mut header)?;
    header.truncate(n);
    Ok(header)
}

fn unpacked<'a>(file: &'a str, bytes: &'a [u8]) -> Unpacked<'a> {
    Unpacked::new(file, FORMAT, if is_gzip(bytes) { Packing::Gzip } else { Packing::None }, bytes)
}

/// A file whose header is read and whose voxels are not.
struct NiftiFile<'a> {
    geometry: Geometry,
    n_volumes: u64,
    encoding: Encoding,
    /// The file from its first voxel on.
    voxels: Unpacked<'a>,
}

impl<'a> NiftiFile<'a> {
    fn open(file: &'a str, bytes: &'a [u8]) -> Result<Self> {
        let origin = Origin { file, format: FORMAT };
        let opening = opening(file, bytes)?;
        match Kind::of(&opening) {
            Some(Kind::Single) => {}
            Some(Kind::Header) => {
                return Err(origin.unsupported(
                    "a NIfTI header whose voxels are in another file (.hdr and .img)",
                    "save the volume as one .nii or .nii.gz file",
                ));
            }
            Some(Kind::Second) => {
                return Err(origin.unsupported("the second version of NIfTI", "save the volume as NIfTI-1"));
            }
            Some(Kind::Analyze) | None => return Err(unknown(file, bytes)),
        }
        let header = NiftiHeader::from_reader(opening.as_slice()).map_err(|error| origin.damaged(error.to_string()))?;
        let header = Header { file, header };
        header.check("sizeof_hdr", header.header.sizeof_hdr, "348", |n| n == HEADER_BYTES as i32)?;
        let (size, n_volumes) = header.size()?;
        let encoding = header.encoding()?;
        let geometry = Geometry { size: size.map(|side| side as usize), world_from_voxel: header.affine(size)? };
        let offset = header.voxel_offset()?;
        let mut voxels = unpacked(file, bytes);
        voxels.skip(offset)?;
        Ok(Self { geometry, n_volumes, encoding, voxels })
    }

    fn volumes(self) -> Result<Vec<Volume>> {
        self.voxels.volumes(self.geometry, self.n_volumes, self.encoding)
    }
}

/// A parsed header, and the name of its file for messages.
struct Header<'a> {
    file: &'a str,
    header: NiftiHeader,
}

impl Header<'_> {
    /// Voxels along x, y and z, and how many volumes there are.
    fn size(&self) -> Result<([u64; 3], u64)> {
        let [n_dims, sides @ ..] = self.header.dim;
        self.check("dim[0]", n_dims, "3, or 4 for a series of volumes", |n| (3..=7).contains(&n))?;
        let mut size = [1; 7];
        for (side, &given) in size.iter_mut().zip(&sides[..usize::from(n_dims)]) {
            self.check("dim", given, "sizes of 1 to 32767", |n| (1..=i16::MAX as u16).contains(&n))?;
            *side = u64::from(given);
        }
        let [x, y, z, n_volumes, more @ ..] = size;
        for side in more {
            self.check("dim", side, "1 beyond the fourth dimension", |n| n == 1)?;
        }
        n_voxels(self.file, [x, y, z], n_volumes)?;
        Ok(([x, y, z], n_volumes))
    }

    fn encoding(&self) -> Result<Encoding> {
        let voxel_type = |found: String| Error::VoxelType { file: self.file.to_owned(), found };
        let element = match self.header.data_type() {
            Ok(NiftiType::Uint8) => Element::U8,
            Ok(NiftiType::Int8) => Element::I8,
            Ok(NiftiType::Uint16) => Element::U16,
            Ok(NiftiType::Int16) => Element::I16,
            Ok(NiftiType::Uint32) => Element::U32,
            Ok(NiftiType::Int32) => Element::I32,
            Ok(NiftiType::Uint64) => Element::U64,
            Ok(NiftiType::Int64) => Element::I64,
            Ok(NiftiType::Float32) => Element::F32,
            Ok(NiftiType::Float64) => Element::F64,
            Ok(other) => return Err(voxel_type(format!("of NIfTI's type {other:?}"))),
            Err(_) => return Err(voxel_type(format!("of the NIfTI type number {}", self.header.datatype))),
        };
        let order = match self.header.endianness {
            Endianness::Little => ByteOrder::Little,
            Endianness::Big => ByteOrder::Big,
        };
        let (slope, intercept) = (f64::from(self.header.scl_slope), f64::from(self.header.scl_inter));
        // The standard: without a slope there is no scaling. Writers also put NaN for none.
        if slope == 0.0 || !slope.is_finite() {
            return Ok(Encoding { element, order, slope: 1.0, intercept: 0.0 });
        }
        self.check("scl_inter", intercept, "a finite number", f64::is_finite)?;
        Ok(Encoding { element, order, slope, intercept })
    }

    /// Bytes before the first voxel.
    fn voxel_offset(&self) -> Result<u64> {
        let offset = self.header.vox_offset;
        if offset == 0.0 {
            return Ok(VOXEL_OFFSET.into()); // Some writers leave it out.
        }
        let is_possible = |v: f32| v >= f32::from(VOXEL_OFFSET) && v.fract() == 0.0 && v.is_finite();
        self.check("vox_offset", offset, "a whole number of at least 352", is_possible)?;
        Ok(offset as u64)
    }

    /// From voxels to mm.
    fn affine(&self, size: [u64; 3]) -> Result<[[f64; 4]; 3]> {
        let h = &self.header;
        let (field, affine) = if h.sform_code > 0 {
            ("sform", [h.srow_x, h.srow_y, h.srow_z].map(|row| row.map(f64::from)))
        } else if h.qform_code > 0 {
            ("qform", self.qform()?)
        } else {
            ("pixdim", self.base(size)?)
        };
        let mm = match h.xyzt_to_space() {
            Ok(Unit::Meter) => 1000.0,
            Ok(Unit::Micron) => 0.001,
            _ => 1.0,
        };
        let affine = affine.map(|row| row.map(|v| v * mm));
        let is_invertible =
            |affine: &[[f64; 4]; 3]| Geometry { size: [1; 3], world_from_voxel: *affine }.is_invertible();
        if !is_invertible(&affine) {
            let expected = "three axes that are not in one plane".to_owned();
            return Err(self.error(field, expected, format!("{affine:?}")));
        }
        Ok(affine)
    }

    /// Distances of neighbours, in the unit of the file.
    fn spacing(&self) -> Result<[f64; 3]> {
        let [_, x, y, z, ..] = self.header.pixdim.map(f64::from);
        for distance in [x, y, z] {
            self.check("pixdim", distance, "distances above 0", |v| v > 0.0 && v.is_finite())?;
        }
        Ok([x, y, z])
    }

    /// Method 2 of the standard: distances, then a rotation, then a shift.
    fn qform(&self) -> Result<[[f64; 4]; 3]> {
        let h = &self.header;
        let mut spacing = self.spacing()?;
        if h.pixdim[0] < 0.0 {
            spacing[2] = -spacing[2];
        }
        let bcd = [h.quatern_b, h.quatern_c, h.quatern_d].map(f64::from);
        let rotation = rotation(bcd);
        let shift = [h.quatern_x, h.quatern_y, h.quatern_z].map(f64::from);
        Ok(std::array::from_fn(|row| {
            let [x, y, z] = std::array::from_fn(|axis| rotation[row][axis] * spacing[axis]);
            [x, y, z, shift[row]]
        }))
    }

    /// Method 1 of the standard, which knows no directions.
    fn base(&self, size: [u64; 3]) -> Result<[[f64; 4]; 3]> {
        let [x, y, z] = self.spacing()?;
        let steps = [-x, y, z];
        Ok(std::array::from_fn(|axis| {
            let mut row = [0.0; 4];
            row[axis] = steps[axis];
            row[3] = -steps[axis] * (size[axis] as f64 - 1.0) / 2.0;
            row
        }))
    }

    fn check<T: Copy + ToString>(
        &self,
        field: &'static str,
        value: T,
        expected: &str,
        is_valid: impl Fn(T) -> bool,
    ) -> Result<()> {
        if is_valid(value) { Ok(()) } else { Err(self.error(field, expected.to_owned(), value.to_string())) }
    }

    fn error(&self, field: &'static str, expected: String, found: String) -> Error {
        Error::VolumeHeader { file: self.file.to_owned(), format: FORMAT, field, expected, found }
    }
}

/// The rotation of a quaternion whose first number is left out, as it follows from the others.
fn rotation([b, c, d]: [f64; 3]) -> [[f64; 3]; 3] {
    let length = b * b + c * c + d * d;
    // Rounding may make the three longer than 1; then the first is 0.
    let (a, scale) = if length < 1.0 { ((1.0 - length).sqrt(), 1.0) } else { (0.0, length.sqrt().recip()) };
    let [b, c, d] = [b, c, d].map(|v| v * scale);
    [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ]
}

/// The quaternion of a rotation, without its first number, which is made at least 0.
fn quaternion(r: [[f64; 3]; 3]) -> [f64; 3] {
    // Four times the square of each number; the largest is safe to divide by.
    let squares = [
        1.0 + r[0][0] + r[1][1] + r[2][2],
        1.0 + r[0][0] - r[1][1] - r[2][2],
        1.0 - r[0][0] + r[1][1] - r[2][2],
        1.0 - r[0][0] - r[1][1] + r[2][2],
    ];
    let largest = (1..4).fold(0, |best, i| if squares[i] > squares[best] { i } else { best });
    let s = 2.0 * squares[largest].max(f64::MIN_POSITIVE).sqrt(); // four times the largest number
    let (ab, ac, ad) = (r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]);
    let (bc, bd, cd) = (r[0][1] + r[1][0], r[0][2] + r[2][0], r[1][2] + r[2][1]);
    let [a, b, c, d] = match largest {
        0 => [s / 4.0, ab / s, ac / s, ad / s],
        1 => [ab / s, s / 4.0, bc / s, bd / s],
        2 => [ac / s, bc / s, s / 4.0, cd / s],
        _ => [ad / s, bd / s, cd / s, s / 4.0],
    };
    if a < 0.0 { [-b, -c, -d] } else { [b, c, d] }
}

/// The bytes of a `.nii.gz` file with these labels, 8 bits a voxel.
///
/// # Shapes
///
/// - `labels`: `[z, y, x]` of the geometry
///
/// # Errors
///
/// [`Error::Shape`] if there are not as many labels as voxels, or if a side is longer than NIfTI-1 can say (32767).
pub fn write_mask(geometry: &Geometry, labels: &[u8]) -> Result<Vec<u8>> {
    let header = header_bytes(geometry, labels.len(), NiftiType::Uint8)?;
    pack(&header, |file| file.write_all(labels))
}

/// The bytes of a `.nii.gz` file with this volume, a 32-bit float a voxel.
///
/// # Errors
///
/// [`Error::Shape`] if a side is longer than NIfTI-1 can say (32767), or if the voxels do not fit the geometry.
pub fn write_nifti(volume: &Volume) -> Result<Vec<u8>> {
    let header = header_bytes(&volume.geometry, volume.voxels.len(), NiftiType::Float32)?;
    pack(&header, |file| {
        for chunk in volume.voxels.chunks(1 << 14) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|voxel| voxel.to_le_bytes()).collect();
            file.write_all(&bytes)?;
        }
        Ok(())
    })
}

fn pack(header: &[u8], voxels: impl FnOnce(&mut GzEncoder<Vec<u8>>) -> std::io::Result<()>) -> Result<Vec<u8>> {
    let mut file = GzEncoder::new(Vec::new(), Compression::default());
    let written = file.write_all(header).and_then(|()| voxels(&mut file)).and_then(|()| file.finish());
    // Nothing but the memory can run out.
    written.map_err(|error| {
        Origin { file: "NIfTI file to write", format: FORMAT }.damaged(format!("it cannot be packed: {error}"))
    })
}

/// The header and the four bytes that say that no extension follows.
fn header_bytes(geometry: &Geometry, n_given: usize, voxel: NiftiType) -> Result<Vec<u8>> {
    let [x, y, z] = geometry.size;
    if n_given == 0 || n_given != geometry.n_voxels() {
        let expected = format!("{x} x {y} x {z}, at least one");
        return Err(Error::Shape { what: "voxels of a NIfTI file", expected, found: n_given.to_string() });
    }
    let sides = geometry.size.iter().map(|&side| i16::try_from(side)).collect::<std::result::Result<Vec<_>, _>>();
    let sides = sides.map_err(|error| Error::Shape {
        what: "size of a NIfTI file",
        expected: "sides of at most 32767 voxels".to_owned(),
        found: format!("{x} x {y} x {z} ({error})"),
    })?;
    let spacing = geometry.spacing_mm();
    let qform = Qform::of(geometry);

    let mut bytes = vec![0; usize::from(VOXEL_OFFSET)];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &(HEADER_BYTES as i32).to_le_bytes());
    put(38, b"r");
    for (i, side) in [3].into_iter().chain(sides).chain([1; 4]).enumerate() {
        put(40 + 2 * i, &side.to_le_bytes());
    }
    put(70, &(voxel as i16).to_le_bytes());
    put(72, &(8 * voxel.size_of() as i16).to_le_bytes());
    for (i, distance) in [qform.handedness].into_iter().chain(spacing).chain([1.0; 4]).enumerate() {
        put(76 + 4 * i, &(distance as f32).to_le_bytes());
    }
    put(108, &f32::from(VOXEL_OFFSET).to_le_bytes());
    put(112, &1f32.to_le_bytes()); // scl_slope
    put(123, &[Unit::Mm as u8]);
    put(252, &qform.code.to_le_bytes());
    put(254, &SCANNER.to_le_bytes()); // sform_code
    let shift = geometry.column(3);
    for (i, number) in qform.quaternion.into_iter().chain(shift).enumerate() {
        put(256 + 4 * i, &(number as f32).to_le_bytes());
    }
    for (i, number) in geometry.world_from_voxel.iter().flatten().enumerate() {
        put(280 + 4 * i, &(*number as f32).to_le_bytes());
    }
    put(344, b"n+1\0");
    Ok(bytes)
}

/// The axes of a geometry as a rotation, where they are one.
struct Qform {
    /// `NIFTI_XFORM` code: 0 if the axes are not at right angles, which a rotation cannot express.
    code: i16,
    /// -1 if z has to be turned round to make the axes a rotation, else 1.
    handedness: f64,
    quaternion: [f64; 3],
}

impl Qform {
    fn of(geometry: &Geometry) -> Self {
        let spacing = geometry.spacing_mm();
        let mut axes = geometry.world_from_voxel.map(|row| [0, 1, 2].map(|axis| row[axis] / spacing[axis]));
        let [x, y, z] = [0, 1, 2].map(|axis| axes.map(|row| row[axis]));
        let cross = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]];
        let handedness = if cross.iter().zip(z).map(|(a, b)| a * b).sum::<f64>() < 0.0 { -1.0 } else { 1.0 };
        for row in &mut axes {
            row[2] *= handedness;
        }
        let quaternion = quaternion(axes);
        let turned = rotation(quaternion);
        let is_rotation = axes.iter().flatten().zip(turned.iter().flatten()).all(|(a, b)| (a - b).abs() < ROUNDING);
        Self { code: if is_rotation { SCANNER } else { 0 }, handedness, quaternion }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_is_that_of_its_quaternion() {
        // Half turns, where the first number of the quaternion is 0, and turns about all axes.
        let half_turns = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.6, 0.8, 0.0]];
        let others = [[0.0; 3], [0.5, 0.5, 0.5], [-0.5, 0.5, -0.5], [0.1, -0.9, 0.3], [0.0, 0.7, -0.7]];
        for numbers in half_turns.into_iter().chain(others) {
            let matrix = rotation(numbers);
            let again = rotation(quaternion(matrix));
            let pairs = matrix.iter().flatten().zip(again.iter().flatten());
            assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-9), "{numbers:?}: {matrix:?} {again:?}");
        }
        // Numbers that rounding made too long are made shorter.
        assert_eq!(rotation([2.0, 0.0, 0.0]), rotation([1.0, 0.0, 0.0]));
    }

    fn geometry() -> Geometry {
        let world_from_voxel = [[0.0, 0.0, 3.0, -7.0], [-2.0, 0.0, 0.0, 8.0], [0.0, 1.0, 0.0, 9.5]];
        Geometry { size: [2, 1, 3], world_from_voxel }
    }

    /// The bytes of a file that is not packed.
    fn plain(edits: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = header_bytes(&geometry(), 6, NiftiType::Uint8).unwrap();
        bytes.extend(0..6);
        for (at, value) in edits {
            bytes[*at..at + value.len()].copy_from_slice(value);
        }
        bytes
    }

    #[test]
    fn every_unit_becomes_mm() {
        let volume = |unit: Unit| read_nifti("x", &plain(&[(123, &[unit as u8])])).unwrap().swap_remove(0);
        assert_eq!(volume(Unit::Mm).geometry, geometry());
        assert_eq!(volume(Unit::Unknown).geometry, geometry());
        assert_eq!(volume(Unit::Meter).geometry.spacing_mm(), [2000.0, 1000.0, 3000.0]);
        let spacing = volume(Unit::Micron).geometry.spacing_mm();
        assert!(spacing.iter().zip([0.002, 0.001, 0.003]).all(|(a, b)| (a - b).abs() < 1e-12), "{spacing:?}");
    }

    #[test]
    fn an_offset_that_is_left_out_is_the_usual_one() {
        let volumes = read_nifti("x", &plain(&[(108, &[0; 4])])).unwrap();
        assert_eq!(volumes[0].voxels, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        assert!(matches!(write_mask(&geometry(), &[0; 5]), Err(Error::Shape { .. })));
        let long = Geometry { size: [40_000, 1, 1], ..geometry() };
        let error = write_mask(&long, &vec![0; 40_000]).unwrap_err();
        assert!(error.to_string().contains("at most 32767"), "{error}");
        let volume = Volume { geometry: geometry(), voxels: vec![] };
        assert!(matches!(write_nifti(&volume), Err(Error::Shape { .. })));
    }
}
