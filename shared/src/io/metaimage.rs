//! MetaImage volumes: `.mha` with the voxels in the file, `.mhd` with the voxels in another file.
//!
//! The header is text, `Key = Value`, and ends with the line `ElementDataFile`. Its world grows to the left, to the back
//! and to the head; it is turned into that of [`Geometry`]. As in ITK, `ElementToIntensityFunctionSlope` and its offset
//! are not applied: the numbers of the file are the values.
//!
//! Source: <https://itk.org/Wiki/ITK/MetaIO/Documentation>, and metaImage.cxx of MetaIO where that says less.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::write::ZlibEncoder;

use crate::error::{Error, Result};
use crate::io::format::Origin;
use crate::io::volume::{Geometry, Volume};
use crate::io::volume_format::unknown;
use crate::io::voxels::{ByteOrder, Element, Encoding, Packing, Unpacked, is_gzip, n_voxels};

const FORMAT: &str = "MetaImage";

/// Longest header that is looked through; real ones have less than a thousand bytes.
const MAX_HEADER_BYTES: usize = 1 << 20;

/// The value of `ElementDataFile` if the voxels follow the header.
const LOCAL: &str = "LOCAL";

/// Keys that stand for one thing, the newest first.
const POSITION: [&str; 3] = ["Offset", "Position", "Origin"];
const AXES: [&str; 3] = ["TransformMatrix", "Rotation", "Orientation"];
const SPACING: [&str; 2] = ["ElementSpacing", "ElementSize"];
const BYTE_ORDER: [&str; 2] = ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"];

/// Whether the voxels of a file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    Plain,
    /// By zlib.
    Zlib,
}

/// Whether these are the first bytes of a MetaImage header: text whose keys come before anything else.
pub(crate) fn is_metaimage(bytes: &[u8]) -> bool {
    let lines = bytes[..bytes.len().min(4096)].split(|&byte| byte == b'\n').take(20);
    let mut keys = lines.map(|line| line.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii());
    keys.any(|key| key == b"NDims")
}

/// Reads a volume: a `.mha` file, or a `.mhd` header with the name and the bytes of the file that it asks for
/// ([`data_file_name`]).
///
/// `file` is the name to use in messages.
///
/// # Errors
///
/// [`Error::EmptyFile`], [`Error::UnknownVolumeFormat`], [`Error::Damaged`], [`Error::VolumeHeader`],
/// [`Error::VoxelType`], [`Error::TooFewVoxels`], [`Error::TooManyVoxels`], [`Error::NonFiniteVoxel`],
/// [`Error::SeveralVolumes`]; [`Error::DataFileNeeded`] for a `.mhd` header without its data file.
pub fn read_metaimage(file: &str, bytes: &[u8], data: Option<(&str, &[u8])>) -> Result<Volume> {
    let header = Header::parse(file, bytes)?;
    let size = header.size()?;
    let encoding = header.encoding()?;
    let n_bytes = n_voxels(file, size, 1)? * encoding.element.n_bytes() as u64;
    let geometry = header.geometry(size.map(|side| side as usize))?;
    let (data_file, data, begin) = match (header.data_file()?, data) {
        (None, _) => (file, bytes, header.n_bytes),
        (Some(_), Some((name, data))) => (name, data, 0),
        (Some(name), None) => {
            return Err(Error::DataFileNeeded { file: file.to_owned(), data_file: name.to_owned() });
        }
    };
    let data = header.packed(data_file, data, begin, n_bytes)?;
    let packing = match header.compression()? {
        Compression::Plain => Packing::None,
        Compression::Zlib if is_gzip(data) => Packing::Gzip,
        Compression::Zlib => Packing::Zlib,
    };
    let mut volumes = Unpacked::new(data_file, FORMAT, packing, data).volumes(geometry, 1, encoding)?;
    Ok(volumes.swap_remove(0))
}

/// The file in which a header says its voxels are, as it is written there; `None` if they follow the header.
///
/// A name without folders is beside the header.
///
/// # Errors
///
/// [`Error::EmptyFile`], [`Error::UnknownVolumeFormat`], [`Error::Damaged`]; [`Error::VolumeHeader`] for voxels that are
/// spread over several files.
pub fn data_file_name(file: &str, bytes: &[u8]) -> Result<Option<String>> {
    Ok(Header::parse(file, bytes)?.data_file()?.map(str::to_owned))
}

/// The keys of a header and their values.
struct Header<'a> {
    file: &'a str,
    values: BTreeMap<String, String>,
    /// Length of the header with the end of its last line.
    n_bytes: usize,
}

impl<'a> Header<'a> {
    fn parse(file: &'a str, bytes: &[u8]) -> Result<Self> {
        if !is_metaimage(bytes) {
            return Err(unknown(file, bytes));
        }
        let origin = Origin { file, format: FORMAT };
        let mut values = BTreeMap::new();
        let mut n_bytes = 0;
        for line in bytes[..bytes.len().min(MAX_HEADER_BYTES)].split_inclusive(|&byte| byte == b'\n') {
            n_bytes += line.len();
            let line = String::from_utf8_lossy(line);
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let Some((key, value)) = line.split_once('=') else {
                return Err(origin.damaged(format!("`{}` in its header is not `Key = Value`", excerpt(line))));
            };
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            let is_last = key == "ElementDataFile";
            values.insert(key, value);
            if is_last {
                return Ok(Self { file, values, n_bytes });
            }
        }
        Err(origin.damaged("the last line of the header, `ElementDataFile`, is missing"))
    }

    /// The value of the first of some keys that is there.
    fn get(&self, keys: &[&'static str]) -> Option<(&'static str, &str)> {
        keys.iter().find_map(|&key| Some((key, self.values.get(key)?.as_str())))
    }

    /// The numbers of the first of some keys that is there.
    fn numbers(&self, keys: &[&'static str], n: usize) -> Result<Option<Vec<f64>>> {
        let Some((key, value)) = self.get(keys) else { return Ok(None) };
        let numbers: Option<Vec<f64>> = value.split_whitespace().map(|word| word.parse().ok()).collect();
        match numbers {
            Some(numbers) if numbers.len() == n && numbers.iter().all(|v| v.is_finite()) => Ok(Some(numbers)),
            _ => Err(self.error(key, format!("{n} finite numbers"), value)),
        }
    }

    fn whole(&self, key: &'static str) -> Result<Option<i64>> {
        let Some((_, value)) = self.get(&[key]) else { return Ok(None) };
        match value.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(self.error(key, "a whole number".to_owned(), value)),
        }
    }

    fn truth(&self, key: &'static str) -> Result<Option<bool>> {
        let Some((_, value)) = self.get(&[key]) else { return Ok(None) };
        match value.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" => Ok(Some(true)),
            "false" | "f" | "0" => Ok(Some(false)),
            _ => Err(self.error(key, "True or False".to_owned(), value)),
        }
    }

    /// How many dimensions there are: 3, or 4 of which the last has one element.
    fn n_dims(&self) -> Result<usize> {
        match self.whole("NDims")? {
            Some(n @ (3 | 4)) => Ok(n as usize),
            found => {
                let found = found.map_or("missing".to_owned(), |n| n.to_string());
                Err(self.error("NDims", "3 (a volume)".to_owned(), &found))
            }
        }
    }

    /// Voxels along x, y and z.
    fn size(&self) -> Result<[u64; 3]> {
        let n_dims = self.n_dims()?;
        let value = self.values.get("DimSize").map_or("missing", String::as_str);
        let sides: Option<Vec<u64>> = value.split_whitespace().map(|word| word.parse().ok()).collect();
        match sides.as_deref() {
            Some(&[x, y, z, ref series @ ..]) if series.len() + 3 == n_dims && ![x, y, z].contains(&0) => {
                match series {
                    [] | [1] => Ok([x, y, z]),
                    [0, ..] => Err(self.error("DimSize", "sizes above 0".to_owned(), value)),
                    [n_volumes, ..] => {
                        Err(Error::SeveralVolumes { file: self.file.to_owned(), n_volumes: *n_volumes as usize })
                    }
                }
            }
            _ => Err(self.error("DimSize", format!("{n_dims} sizes above 0"), value)),
        }
    }

    fn encoding(&self) -> Result<Encoding> {
        let voxel_type = |found: String| Error::VoxelType { file: self.file.to_owned(), found };
        match self.whole("ElementNumberOfChannels")? {
            None | Some(1) => {}
            Some(n) => return Err(voxel_type(format!("{n} numbers (`ElementNumberOfChannels`)"))),
        }
        if self.truth("BinaryData")? == Some(false) {
            return Err(self.error("BinaryData", "True (voxels as text are not read)".to_owned(), "False"));
        }
        let value = self.values.get("ElementType").map_or("missing", String::as_str);
        let element = match value {
            "MET_UCHAR" => Element::U8,
            "MET_CHAR" => Element::I8,
            "MET_USHORT" => Element::U16,
            "MET_SHORT" => Element::I16,
            // As in MetaIO, LONG has 32 bits on every machine.
            "MET_UINT" | "MET_ULONG" => Element::U32,
            "MET_INT" | "MET_LONG" => Element::I32,
            "MET_ULONG_LONG" => Element::U64,
            "MET_LONG_LONG" => Element::I64,
            "MET_FLOAT" => Element::F32,
            "MET_DOUBLE" => Element::F64,
            "missing" => return Err(self.error("ElementType", "a type such as MET_SHORT".to_owned(), value)),
            other => return Err(voxel_type(format!("of MetaImage's type `{}`", excerpt(other)))),
        };
        let orders = [self.truth(BYTE_ORDER[0])?, self.truth(BYTE_ORDER[1])?];
        let order = match orders {
            [Some(true), Some(false)] | [Some(false), Some(true)] => {
                let expected = format!("the same as `{}`", BYTE_ORDER[1]);
                return Err(self.error(BYTE_ORDER[0], expected, &self.values[BYTE_ORDER[0]]));
            }
            [Some(true), _] | [_, Some(true)] => ByteOrder::Big,
            _ => ByteOrder::Little,
        };
        Ok(Encoding { element, order, slope: 1.0, intercept: 0.0 })
    }

    fn geometry(&self, size: [usize; 3]) -> Result<Geometry> {
        let n = self.n_dims()?;
        let spacing = self.numbers(&SPACING, n)?.unwrap_or_else(|| vec![1.0; n]);
        let position = self.numbers(&POSITION, n)?.unwrap_or_else(|| vec![0.0; n]);
        let axes = self.numbers(&AXES, n * n)?;
        // Each row of the file's matrix is the direction of one axis of the voxels.
        let direction = |axis: usize, world: usize| match &axes {
            Some(axes) => axes[axis * n + world],
            None => f64::from(u8::from(axis == world)),
        };
        let world_from_voxel = std::array::from_fn(|world| {
            // Left and posterior become right and anterior.
            let sign = if world < 2 { -1.0 } else { 1.0 };
            let [x, y, z] = std::array::from_fn(|axis| sign * direction(axis, world) * spacing[axis]);
            [x, y, z, sign * position[world]]
        });
        let geometry = Geometry { size, world_from_voxel };
        if !spacing.iter().all(|&v| v > 0.0) {
            let (key, value) = self.get(&SPACING).unwrap_or((SPACING[0], "missing"));
            return Err(self.error(key, "distances above 0".to_owned(), value));
        }
        if !geometry.is_invertible() {
            let (key, value) = self.get(&AXES).unwrap_or((AXES[0], "missing"));
            return Err(self.error(key, "three directions that are not in one plane".to_owned(), value));
        }
        Ok(geometry)
    }

    fn compression(&self) -> Result<Compression> {
        Ok(if self.truth("CompressedData")? == Some(true) { Compression::Zlib } else { Compression::Plain })
    }

    /// The file of the voxels, if it is not this one.
    fn data_file(&self) -> Result<Option<&str>> {
        let value = self.values["ElementDataFile"].as_str();
        let is_list = value == "LIST" || value.starts_with("LIST ") || value.contains('%');
        if value.is_empty() || is_list {
            return Err(self.error("ElementDataFile", "LOCAL or the name of one file".to_owned(), value));
        }
        Ok((!value.eq_ignore_ascii_case(LOCAL)).then_some(value))
    }

    /// The bytes of the voxels as they are in the file; `begin` is the first place where they can be.
    fn packed<'b>(&self, data_file: &str, data: &'b [u8], begin: usize, n_bytes: u64) -> Result<&'b [u8]> {
        let available = data.len() as u64;
        let compression = self.compression()?;
        let first = begin as u64;
        let begin = match (self.whole("HeaderSize")?, compression) {
            (None | Some(0), _) => first,
            // The last bytes of the file; where they are too few, the check of the number of voxels says so.
            (Some(-1), Compression::Plain) => available.saturating_sub(n_bytes).max(first),
            (Some(n), _) if n > 0 && (first..=available).contains(&(n as u64)) => n as u64,
            (Some(n), compression) => {
                let expected = match compression {
                    Compression::Plain => format!("-1, 0, or from {first} to {available}, the bytes of `{data_file}`"),
                    Compression::Zlib => format!("0, or from {first} to {available}, the bytes of `{data_file}`"),
                };
                return Err(self.error("HeaderSize", expected, &n.to_string()));
            }
        };
        let data = &data[begin as usize..];
        match (compression, self.whole("CompressedDataSize")?) {
            (Compression::Zlib, Some(n)) if n > 0 => {
                let found = data.len() as u64;
                if n as u64 > found {
                    return Err(Error::TooFewVoxels { file: data_file.to_owned(), expected: n as u64, found });
                }
                Ok(&data[..n as usize])
            }
            _ => Ok(data),
        }
    }

    fn error(&self, field: &'static str, expected: String, found: &str) -> Error {
        Error::VolumeHeader { file: self.file.to_owned(), format: FORMAT, field, expected, found: excerpt(found) }
    }
}

/// The start of a text that may be long, for messages.
fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The bytes of a `.mha` file with this volume, a 32-bit float a voxel.
///
/// # Errors
///
/// [`Error::Shape`] if the voxels do not fit the geometry.
pub fn write_metaimage(volume: &Volume, compression: Compression) -> Result<Vec<u8>> {
    let plain = volume.voxels.iter().flat_map(|voxel| voxel.to_le_bytes()).collect();
    write(&volume.geometry, volume.voxels.len(), "MET_FLOAT", plain, compression)
}

/// The bytes of a compressed `.mha` file with these labels, 8 bits a voxel.
///
/// # Shapes
///
/// - `labels`: `[z, y, x]` of the geometry
///
/// # Errors
///
/// [`Error::Shape`] if there are not as many labels as voxels.
pub fn write_mask(geometry: &Geometry, labels: &[u8]) -> Result<Vec<u8>> {
    write(geometry, labels.len(), "MET_UCHAR", labels.to_vec(), Compression::Zlib)
}

/// A file of `n_given` voxels of a type.
fn write(
    geometry: &Geometry,
    n_given: usize,
    element: &str,
    plain: Vec<u8>,
    compression: Compression,
) -> Result<Vec<u8>> {
    let [x, y, z] = geometry.size;
    if n_given == 0 || n_given != geometry.n_voxels() {
        let expected = format!("{x} x {y} x {z}, at least one");
        return Err(Error::Shape { what: "voxels of a MetaImage file", expected, found: n_given.to_string() });
    }
    let (data, compression_lines) = match compression {
        Compression::Plain => (plain, "CompressedData = False\n".to_owned()),
        Compression::Zlib => {
            let mut packed = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            // Nothing but the memory can run out.
            let packed = packed.write_all(&plain).and_then(|()| packed.finish()).map_err(|error| {
                Origin { file: "MetaImage file to write", format: FORMAT }
                    .damaged(format!("it cannot be packed: {error}"))
            })?;
            let lines = format!("CompressedData = True\nCompressedDataSize = {}\n", packed.len());
            (packed, lines)
        }
    };
    let spacing = geometry.spacing_mm();
    // Right and anterior become left and posterior.
    let turned = |axis: usize| {
        let [right, anterior, superior] = geometry.column(axis);
        [-right, -anterior, superior]
    };
    let axes: Vec<f64> = (0..3).flat_map(|axis| turned(axis).map(|v| v / spacing[axis])).collect();
    let header = format!(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n{compression_lines}\
         TransformMatrix = {}\nOffset = {}\nCenterOfRotation = 0 0 0\nAnatomicalOrientation = {}\n\
         ElementSpacing = {}\nDimSize = {x} {y} {z}\nElementType = {element}\nElementDataFile = {LOCAL}\n",
        words(&axes),
        words(&turned(3)),
        anatomical_orientation(geometry),
        words(&spacing),
    );
    Ok([header.as_bytes(), &data].concat())
}

/// Numbers as they can be read again without loss. Zero has no sign.
fn words(numbers: &[f64]) -> String {
    numbers.iter().map(|number| (number + 0.0).to_string()).collect::<Vec<_>>().join(" ")
}

/// MetaImage's letters name where each axis comes from, not where it goes to.
fn anatomical_orientation(geometry: &Geometry) -> String {
    let opposite = |letter| match letter {
        'R' => 'L',
        'L' => 'R',
        'A' => 'P',
        'P' => 'A',
        'S' => 'I',
        _ => 'S',
    };
    geometry.orientation().letters().chars().map(opposite).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume() -> Volume {
        // x to the left, y to the back, z to the head: the world of MetaImage itself.
        let world_from_voxel = [[-2.0, 0.0, 0.0, 7.0], [0.0, -1.5, 0.0, 8.0], [0.0, 0.0, 0.1, -9.0]];
        let geometry = Geometry { size: [2, 1, 1], world_from_voxel };
        Volume::new(geometry, vec![0.25, -1.0]).unwrap()
    }

    #[test]
    fn the_header_is_in_the_world_of_the_format() {
        let bytes = write_metaimage(&volume(), Compression::Plain).unwrap();
        let text = String::from_utf8_lossy(&bytes[..bytes.len() - 8]);
        for line in [
            "TransformMatrix = 1 0 0 0 1 0 0 0 1\n",
            "Offset = -7 -8 -9\n",
            "AnatomicalOrientation = RAI\n",
            "ElementSpacing = 2 1.5 0.1\n",
            "DimSize = 2 1 1\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(text.ends_with("ElementDataFile = LOCAL\n"), "{text}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        for compression in [Compression::Plain, Compression::Zlib] {
            let bytes = write_metaimage(&volume(), compression).unwrap();
            assert_eq!(read_metaimage("x.mha", &bytes, None).unwrap(), volume());
            assert_eq!(data_file_name("x.mha", &bytes).unwrap(), None);
        }
        let empty = Volume { voxels: vec![], ..volume() };
        assert!(matches!(write_metaimage(&empty, Compression::Plain), Err(Error::Shape { .. })));
    }

    #[test]
    fn only_text_with_the_number_of_dimensions_is_a_header() {
        assert!(is_metaimage(b"Comment = a = b\r\nNDims=3\r\n"));
        assert!(!is_metaimage(b"Comment = NDims\nObjectType = Image\n"));
        assert!(!is_metaimage(b""));
    }
}
