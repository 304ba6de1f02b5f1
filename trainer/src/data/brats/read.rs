//! The volumes of a scan, and what must fit together in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shared::Modality;
use shared::io::{Geometry, Volume, metaimage, nifti, read_volume};

use super::{Scan, VolumeFile};
use crate::data::volumes::RawScan;
use crate::data::{DataError, Result};

/// The greatest label that any edition of BRATS uses.
const MAX_LABEL: f32 = 4.0;

/// Reads the sequences of a scan and its truth, in canonical order. Volumes of one scan are matched voxel by voxel: their
/// geometry may disagree, as it does in the edition of 2015, their size may not.
///
/// # Errors
///
/// [`DataError`] with the file's name: one that cannot be read, volumes of different sizes, a truth with a label that no
/// edition has.
pub fn read(scan: &Scan) -> Result<RawScan> {
    let mut files = BTreeMap::new();
    let mut sequences: [Option<Volume>; Modality::COUNT] = [None, None, None, None];
    let mut first: Option<(&Path, [usize; 3])> = None;
    for (volume, file) in sequences.iter_mut().zip(&scan.sequences) {
        let Some(file) = file else { continue };
        let read = canonical(file, &mut files)?;
        fits(scan, &mut first, &file.path, read.geometry.size)?;
        *volume = Some(read);
    }
    let truth = match &scan.truth {
        None => None,
        Some(file) => {
            let truth = canonical(file, &mut files)?;
            fits(scan, &mut first, &file.path, truth.geometry.size)?;
            Some(enhancing(scan, &file.path, &truth)?)
        }
    };
    Ok(RawScan { name: scan.name.clone(), patient: scan.patient.clone(), sequences, truth })
}

/// Reads the truth of a scan alone: its voxels, and whether each is enhancing tumour. Of a scan that nobody outlined the
/// first sequence is read, for its voxels.
///
/// # Errors
///
/// As [`read`].
pub fn read_truth(scan: &Scan) -> Result<(Geometry, Option<Vec<bool>>)> {
    let mut files = BTreeMap::new();
    if let Some(file) = &scan.truth {
        let truth = canonical(file, &mut files)?;
        return Ok((truth.geometry, Some(enhancing(scan, &file.path, &truth)?)));
    }
    match scan.sequences.iter().flatten().next() {
        Some(file) => Ok((canonical(file, &mut files)?.geometry, None)),
        None => Err(DataError::Scan { scan: scan.name.clone(), reason: "there is none of its sequences".to_owned() }),
    }
}

/// Reads the volumes of a file: of a `.mhd` with its data beside it, of a 4-D file all.
///
/// # Errors
///
/// [`DataError`] with the file's name.
pub fn read_file(path: &Path) -> Result<Vec<Volume>> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(DataError::read(path))?;
    let has_ending = |ending: &str| name.to_ascii_lowercase().ends_with(ending);
    if has_ending(".mhd") {
        let Some(data) = metaimage::data_file_name(&name, &bytes)? else {
            return Ok(vec![metaimage::read_metaimage(&name, &bytes, None)?]);
        };
        let data_path = path.with_file_name(&data);
        let data_bytes = std::fs::read(&data_path).map_err(DataError::read(&data_path))?;
        return Ok(vec![metaimage::read_metaimage(&name, &bytes, Some((&data, &data_bytes)))?]);
    }
    if has_ending(".nii") || has_ending(".nii.gz") {
        return Ok(nifti::read_nifti(&name, &bytes)?);
    }
    Ok(vec![read_volume(&name, &bytes)?])
}

/// One volume; a 4-D file is read once for all of its volumes.
fn canonical(file: &VolumeFile, files: &mut BTreeMap<PathBuf, Vec<Volume>>) -> Result<Volume> {
    let wrong = |reason: String| DataError::Scan { scan: file.path.display().to_string(), reason };
    let Some(position) = file.position else {
        let mut volumes = read_file(&file.path)?;
        let n = volumes.len();
        return match volumes.pop() {
            Some(volume) if n == 1 => Ok(volume.to_canonical()),
            _ => Err(wrong(format!("a 4-D file of {n} volumes where a 3-D one is expected"))),
        };
    };
    if !files.contains_key(&file.path) {
        files.insert(file.path.clone(), read_file(&file.path)?);
    }
    let volumes = &files[&file.path];
    let missing = || wrong(format!("it has {} volumes, volume {} is needed", volumes.len(), position + 1));
    Ok(volumes.get(position).ok_or_else(missing)?.to_canonical())
}

/// Holds the size of a volume against that of the first one.
fn fits<'a>(scan: &Scan, first: &mut Option<(&'a Path, [usize; 3])>, path: &'a Path, size: [usize; 3]) -> Result<()> {
    let (first_path, first_size) = *first.get_or_insert((path, size));
    if size == first_size {
        return Ok(());
    }
    let text = |[x, y, z]: [usize; 3]| format!("{x} x {y} x {z}");
    Err(DataError::Scan {
        scan: scan.name.clone(),
        reason: format!(
            "{} has {} voxels and {} has {}: they are not of one examination, or one was resampled; give files of one size",
            first_path.display(),
            text(first_size),
            path.display(),
            text(size)
        ),
    })
}

/// Whether each voxel is enhancing tumour.
fn enhancing(scan: &Scan, path: &Path, truth: &Volume) -> Result<Vec<bool>> {
    let known = |value: f32| (0.0..=MAX_LABEL).contains(&value) && value.fract() == 0.0;
    if let Some(at) = truth.voxels.iter().position(|&value| !known(value)) {
        return Err(DataError::Scan {
            scan: path.display().to_string(),
            reason: format!("voxel {at} has the label {}, expected 0, 1, 2, 3 or 4: is this a mask?", truth.voxels[at]),
        });
    }
    let label = f32::from(scan.enhancing_label);
    Ok(truth.voxels.iter().map(|&value| value == label).collect())
}

#[cfg(test)]
mod tests {
    use shared::io::nifti::write_nifti;

    use super::*;

    fn volume(size: [usize; 3], value: impl Fn(usize) -> f32) -> Volume {
        let row = |i: usize| std::array::from_fn(|j| if i == j { 1.0 } else { 0.0 });
        let geometry = Geometry { size, world_from_voxel: std::array::from_fn(row) };
        Volume::new(geometry, (0..geometry.n_voxels()).map(value).collect()).unwrap()
    }

    fn scan(dir: &Path, files: &[(&str, Volume)]) -> Scan {
        let file = |name: &str| {
            files.iter().find(|(other, _)| *other == name).map(|(name, volume)| {
                let path = dir.join(format!("{name}.nii.gz"));
                std::fs::write(&path, write_nifti(volume).unwrap()).unwrap();
                VolumeFile { path, position: None }
            })
        };
        let sequences = ["flair", "t1", "t1c", "t2"].map(file);
        Scan { name: "s".into(), patient: "p".into(), sequences, truth: file("truth"), enhancing_label: 4 }
    }

    #[test]
    fn sequences_and_truth_are_read_and_what_is_missing_stays_missing() {
        let dir = tempfile::tempdir().unwrap();
        let size = [3, 4, 2];
        let found =
            scan(dir.path(), &[("flair", volume(size, |i| i as f32)), ("truth", volume(size, |i| (i % 5) as f32))]);
        let read = read(&found).unwrap();
        assert!(read.sequences[0].is_some() && read.sequences[1].is_none());
        assert_eq!(read.truth.unwrap().iter().filter(|inside| **inside).count(), 4);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let files = [("flair", volume([3, 4, 2], |i| i as f32)), ("t2", volume([3, 4, 3], |i| i as f32))];
        let said = read(&scan(dir.path(), &files)).unwrap_err().to_string();
        assert!(said.contains("flair.nii.gz has 3 x 4 x 2") && said.contains("t2.nii.gz has 3 x 4 x 3"), "{said}");
        let files = [("t1", volume([3, 4, 2], |i| i as f32)), ("truth", volume([3, 4, 2], |i| i as f32))];
        let said = read(&scan(dir.path(), &files)).unwrap_err().to_string();
        assert!(said.contains("truth.nii.gz") && said.contains("label 5"), "{said}");
    }
}
