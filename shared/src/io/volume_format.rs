//! Which kind of volume the bytes are, told by the bytes alone.

use crate::error::{Error, Result};
use crate::io::format::describe;
use crate::io::voxels::is_gzip;
use crate::io::{Volume, metaimage, nifti};

/// Reads a file with one volume: NIfTI-1 (`.nii`, `.nii.gz`) or MetaImage (`.mha`), whatever the file is called.
///
/// `file` is the name to use in messages. A file is refused from its header, before memory is taken, if it promises
/// more voxels than it can hold.
///
/// # Errors
///
/// [`Error::EmptyFile`]; [`Error::UnknownVolumeFormat`]; [`Error::SeveralVolumes`] for a series;
/// [`Error::DataFileNeeded`] for a MetaImage header whose voxels are in another file (`.mhd`: see
/// [`metaimage::read_metaimage`]); whatever else [`nifti::read_nifti`] and [`metaimage::read_metaimage`] refuse.
pub fn read_volume(file: &str, bytes: &[u8]) -> Result<Volume> {
    if bytes.is_empty() {
        return Err(Error::EmptyFile { file: file.to_owned() });
    }
    if metaimage::is_metaimage(bytes) {
        metaimage::read_metaimage(file, bytes, None)
    } else {
        nifti::read_one(file, bytes)
    }
}

/// The error of a file that is neither format.
pub(crate) fn unknown(file: &str, bytes: &[u8]) -> Error {
    if bytes.is_empty() {
        return Error::EmptyFile { file: file.to_owned() };
    }
    let found = match nifti::opening(file, bytes) {
        Ok(opening) if nifti::Kind::of(&opening) == Some(nifti::Kind::Analyze) => {
            "it may be an ANALYZE header, of which no program knows left from right".to_owned()
        }
        Ok(opening) if is_gzip(bytes) => format!("a gzip archive; in it: {}", describe(&opening)),
        _ => describe(bytes),
    };
    Error::UnknownVolumeFormat { file: file.to_owned(), found }
}
