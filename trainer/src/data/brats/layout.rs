//! Which edition of BRATS a folder holds, and the files of each scan. Nothing here opens a volume.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use shared::Modality;

use super::decathlon;
use super::names::Part;
use crate::data::error::{DataError, Result};

/// Folders by grade (high, low) in the editions up to 2019.
const GRADES: [&str; 2] = ["HGG", "LGG"];

/// The file of one volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeFile {
    /// Where it is.
    pub path: PathBuf,
    /// Position of the volume in a file with four dimensions; `None` if the file has three.
    pub position: Option<usize>,
}

/// One scan of a patient: what is there of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Name that identifies it in its folder. Two scans of 2015 that have one name in HGG and LGG have these in front.
    pub name: String,
    /// Whose it is: scans of one patient must not be parted by a split.
    pub patient: String,
    /// The volumes, in the order of [`Modality::ALL`]; at least one is there.
    pub sequences: [Option<VolumeFile>; 4],
    /// The labels that experts drew.
    pub truth: Option<VolumeFile>,
    /// Label of the enhancing tumour in the truth.
    pub enhancing_label: u8,
}

impl Scan {
    /// What is missing, in a sentence.
    pub(super) fn lacks(&self) -> Option<String> {
        let sequences =
            Modality::ALL.into_iter().zip(&self.sequences).filter(|(_, file)| file.is_none()).map(|(of, _)| of.label());
        let truth = self.truth.is_none().then_some("truth");
        let missing: Vec<&str> = sequences.chain(truth).collect();
        (!missing.is_empty()).then(|| format!("{}: there is no {}", self.name, missing.join(", no ")))
    }
}

/// How an edition of BRATS names its folders and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `{HGG,LGG}/<scan>/VSD.Brain.XX.O.MR_{Flair,T1,T1c,T2}.<id>/*.mha`, truth `.OT.`; the files may also lie in the
    /// scan's folder itself.
    Brats2015,
    /// 2017 to 2021: `<scan>/<scan>_{flair,t1,t1ce,t2,seg}.nii.gz`, up to 2019 in HGG and LGG.
    Brats2017,
    /// From 2023: `<scan>/<scan>-{t2f,t1n,t1c,t2w,seg}.nii.gz`.
    Brats2023,
    /// `imagesTr`, `labelsTr` and `dataset.json`: Task 1 of the Medical Segmentation Decathlon.
    Decathlon,
    /// `<scan>/{Flair,T1,T1c,T2}_*.nii.gz` and `OTMultiClass.nii.gz`: scans of 2015 whose voxels are normalised.
    Prepared,
}

impl Layout {
    /// The layouts that have a folder for each scan.
    const WITH_FOLDERS: [Self; 4] = [Self::Brats2015, Self::Brats2017, Self::Brats2023, Self::Prepared];

    /// Label of the enhancing tumour, where the edition fixes it.
    fn enhancing_label(self) -> u8 {
        match self {
            Self::Brats2015 | Self::Brats2017 | Self::Prepared => 4,
            Self::Brats2023 | Self::Decathlon => 3,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Brats2015 => "BRATS of 2015",
            Self::Brats2017 => "BRATS of 2017 to 2021",
            Self::Brats2023 => "BRATS of 2023",
            Self::Decathlon => "Task 1 of the Medical Segmentation Decathlon",
            Self::Prepared => "BRATS of 2015, prepared",
        })
    }
}

/// The scans of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The edition.
    pub layout: Layout,
    /// The scans that have at least one sequence, sorted by name.
    pub scans: Vec<Scan>,
    /// For each scan that lacks something, what; what else is to know. In sentences.
    pub notes: Vec<String>,
}

/// Lists the scans of a folder: that of an edition, the one above it, or one of its folders HGG and LGG.
///
/// Volumes may be `.nii.gz`, `.nii`, `.mha` or `.mhd` in every edition. Scans that lack a sequence or the truth are
/// listed, with a note; those without any sequence are left out, with a note.
///
/// # Errors
///
/// [`DataError::Read`] for what cannot be listed; [`DataError::BratsLayout`], which says what was looked for, if there is
/// no scan; [`DataError::BratsSeveral`] if several folders in this one have scans;
/// [`DataError::BratsTwoFiles`] if a scan has two files of one sequence or two truths;
/// [`DataError::BratsDescription`] for a `dataset.json` that does not describe BRATS.
pub fn discover(dir: &Path) -> Result<Listing> {
    if let Some(listing) = listing(dir)? {
        return Ok(listing);
    }
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for (name, path) in entries(dir)? {
        seen.push(name);
        if path.is_dir()
            && let Some(listing) = listing(&path)?
        {
            found.push((path, listing));
        }
    }
    match found.len() {
        0 => Err(DataError::BratsLayout { folder: dir.to_owned(), found: seen }),
        1 => Ok(found.swap_remove(0).1),
        _ => Err(DataError::BratsSeveral {
            folder: dir.to_owned(),
            found: found.into_iter().map(|(path, _)| path.display().to_string()).collect(),
        }),
    }
}

/// The scans of a folder that is an edition's own; `None` if there is none.
fn listing(dir: &Path) -> Result<Option<Listing>> {
    if dir.join(decathlon::IMAGES).is_dir() && dir.join(decathlon::DESCRIPTION).is_file() {
        let listing = decathlon::listing(dir)?;
        return Ok((!listing.scans.is_empty()).then_some(listing));
    }
    let folders = scan_folders(dir)?;
    let n_scans = |layout: Layout| folders.iter().filter(|folder| folder.has_sequence(layout)).count();
    let mut best = Layout::Brats2015;
    for layout in Layout::WITH_FOLDERS {
        if n_scans(layout) > n_scans(best) {
            best = layout;
        }
    }
    if n_scans(best) == 0 {
        return Ok(None);
    }
    let mut scans = Vec::new();
    let mut notes = Vec::new();
    for folder in &folders {
        if folder.has_sequence(best) {
            let scan = folder.scan(best)?;
            notes.extend(scan.lacks());
            scans.push(scan);
        } else {
            notes.push(format!("{}: there is none of its sequences, so it is left out", folder.path.display()));
        }
    }
    scans.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Some(Listing { layout: best, scans, notes }))
}

/// A folder that may be that of a scan.
struct ScanFolder {
    path: PathBuf,
    /// Its own name.
    name: String,
    /// What tells it from a folder of the same name: HGG or LGG, or nothing.
    prefix: String,
    /// Name and path of the files in it, and in its folders for single volumes.
    files: Vec<(String, PathBuf)>,
}

impl ScanFolder {
    fn read(name: String, path: PathBuf) -> Result<Self> {
        let mut files = Vec::new();
        for (name, path) in entries(&path)? {
            if !path.is_dir() {
                files.push((name, path));
            } else if Layout::Brats2015.part(&format!("{name}.mha")).is_some() {
                // The editions up to 2015 have a folder for each volume.
                files.extend(entries(&path)?.into_iter().filter(|(_, path)| path.is_file()));
            }
        }
        Ok(Self { path, name, prefix: String::new(), files })
    }

    fn has_sequence(&self, layout: Layout) -> bool {
        self.files.iter().any(|(name, _)| matches!(layout.part(name), Some(Part::Sequence(_))))
    }

    fn scan(&self, layout: Layout) -> Result<Scan> {
        let mut sequences = [None, None, None, None];
        let mut truth = None;
        for (name, path) in &self.files {
            let (slot, part) = match layout.part(name) {
                Some(Part::Sequence(sequence)) => (&mut sequences[sequence], Modality::ALL[sequence].label()),
                Some(Part::Truth) => (&mut truth, "truth"),
                None => continue,
            };
            if let Some(VolumeFile { path: first, .. }) = slot {
                let (first, second) = (first.clone(), path.clone());
                return Err(DataError::BratsTwoFiles { scan: self.name.clone(), part, first, second });
            }
            *slot = Some(VolumeFile { path: path.clone(), position: None });
        }
        Ok(Scan {
            name: format!("{}{}", self.prefix, self.name),
            patient: format!("{}{}", self.prefix, layout.patient(&self.name)),
            sequences,
            truth,
            enhancing_label: layout.enhancing_label(),
        })
    }
}

/// The folders in a folder, and in its HGG and LGG.
fn scan_folders(dir: &Path) -> Result<Vec<ScanFolder>> {
    let mut folders = Vec::new();
    let mut by_grade = Vec::new();
    for (name, path) in entries(dir)? {
        if !path.is_dir() {
            continue;
        }
        if let Some(grade) = GRADES.into_iter().find(|grade| *grade == name) {
            let inside = entries(&path)?.into_iter().filter(|(_, path)| path.is_dir());
            by_grade.extend(inside.map(|(name, path)| (grade, name, path)));
        } else {
            folders.push(ScanFolder::read(name, path)?);
        }
    }
    // The patients of 2013 are counted from 1 in each grade, so that brats_2013_pat0013_1 of HGG and of LGG are two.
    let mut n_by_name = BTreeMap::new();
    for (_, name, _) in &by_grade {
        *n_by_name.entry(name.clone()).or_insert(0) += 1;
    }
    let repeated: BTreeSet<String> = n_by_name.into_iter().filter(|(_, n)| *n > 1).map(|(name, _)| name).collect();
    for (grade, name, path) in by_grade {
        let prefix = if repeated.contains(&name) { format!("{grade}_") } else { String::new() };
        folders.push(ScanFolder { prefix, ..ScanFolder::read(name, path)? });
    }
    Ok(folders)
}

/// Name and path of what is in a folder, sorted by name, without what is hidden.
pub(super) fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(DataError::read(folder))? {
        let path = entry.map_err(DataError::read(folder))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.starts_with('.') {
            entries.push((name, path));
        }
    }
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files, all empty: nothing here opens a volume.
    fn folder<T: AsRef<str>>(files: &[T]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file.as_ref());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, []).unwrap();
        }
        dir
    }

    /// The files of a scan of 2017 to 2021 below a folder, whose name ends with a slash or is empty.
    fn scan_2017(above: &str, name: &str) -> Vec<String> {
        let file = |part| format!("{above}{name}/{name}_{part}.nii.gz");
        ["flair", "t1", "t1ce", "t2", "seg"].map(file).to_vec()
    }

    /// The files of a scan of 2015.
    fn scan_2015(folder: &str, id: usize) -> Vec<String> {
        let names =
            ["Brain.XX.O.MR_Flair", "Brain.XX.O.MR_T1", "Brain.XX.O.MR_T1c", "Brain.XX.O.MR_T2", "Brain_3more.XX.O.OT"];
        let file = |(i, name)| format!("{folder}/VSD.{name}.{n}/VSD.{name}.{n}.mha", n = id + i);
        names.iter().enumerate().map(file).collect()
    }

    fn names(listing: &Listing) -> Vec<(&str, &str)> {
        listing.scans.iter().map(|scan| (scan.name.as_str(), scan.patient.as_str())).collect()
    }

    /// Paths of the four sequences and the truth below a folder.
    fn paths(scan: &Scan, dir: &Path) -> Vec<String> {
        let files = scan.sequences.iter().chain([&scan.truth]).flatten();
        files.map(|file| file.path.strip_prefix(dir).unwrap().display().to_string()).collect()
    }

    #[test]
    fn the_layout_of_2015_is_found() {
        let mut files = scan_2015("HGG/brats_tcia_pat105_0105", 35_533);
        files.extend(scan_2015("HGG/brats_tcia_pat105_0001", 35_543));
        files.extend(scan_2015("HGG/brats_2013_pat0013_1", 54_585));
        files.extend(scan_2015("LGG/brats_2013_pat0013_1", 54_674));
        files.push("HGG/brats_2013_pat0013_1/VSD.Brain.XX.O.MR_T1.54586/note.txt".to_owned());
        let dir = folder(&files);
        let listing = discover(dir.path()).unwrap();
        assert_eq!((listing.layout, listing.notes.as_slice()), (Layout::Brats2015, &[][..]));
        assert_eq!(
            names(&listing),
            [
                ("HGG_brats_2013_pat0013_1", "HGG_brats_2013_pat0013"),
                ("LGG_brats_2013_pat0013_1", "LGG_brats_2013_pat0013"),
                ("brats_tcia_pat105_0001", "brats_tcia_pat105"),
                ("brats_tcia_pat105_0105", "brats_tcia_pat105"),
            ]
        );
        assert_eq!(paths(&listing.scans[3], dir.path()), scan_2015("HGG/brats_tcia_pat105_0105", 35_533));
        assert!(listing.scans.iter().all(|scan| scan.enhancing_label == 4));
        // One of its folders, and the one above.
        let hgg = discover(&dir.path().join("HGG")).unwrap();
        assert_eq!(names(&hgg)[0], ("brats_2013_pat0013_1", "brats_2013_pat0013"));
        let above = folder(&scan_2015("BRATS2015_Training/LGG/brats_2013_pat0001_1", 54_629));
        assert_eq!(names(&discover(above.path()).unwrap()), [("brats_2013_pat0001_1", "brats_2013_pat0001")]);
    }

    #[test]
    fn the_files_of_2015_may_lie_in_the_folder_of_the_scan() {
        let dir = folder(&[
            "a/VSD.Brain.XX.O.MR_Flair.1.nii.gz",
            "a/SMIR.Brain.XX.O.MR_T1c.2.mhd",
            "a/SMIR.Brain.XX.O.MR_T1c.2.raw",
            "a/VSD.Brain_3more.XX.XX.OT.3.mha",
        ]);
        let listing = discover(dir.path()).unwrap();
        assert_eq!(listing.layout, Layout::Brats2015);
        assert_eq!(listing.notes, ["a: there is no T1, no T2"]);
        assert!(listing.scans[0].truth.is_some());
    }

    #[test]
    fn the_layout_of_2017_to_2021_is_found() {
        let high = scan_2017("MICCAI/HGG/", "Brats18_TCIA02_117_1");
        let dir = folder(&[high, scan_2017("MICCAI/LGG/", "Brats18_2013_0_1")].concat());
        for dir in [dir.path(), &dir.path().join("MICCAI")] {
            let listing = discover(dir).unwrap();
            assert_eq!((listing.layout, listing.notes.len()), (Layout::Brats2017, 0));
            assert_eq!(
                names(&listing),
                [("Brats18_2013_0_1", "Brats18_2013_0"), ("Brats18_TCIA02_117_1", "Brats18_TCIA02_117")]
            );
        }
        let mut files = scan_2017("", "BraTS20_Training_002");
        files.extend(scan_2017("", "BraTS20_Training_355"));
        assert_eq!(files.pop().unwrap(), "BraTS20_Training_355/BraTS20_Training_355_seg.nii.gz");
        files.push("BraTS20_Training_355/W39_1998.09.19_Segm.nii".to_owned());
        files.push("name_mapping.csv".to_owned());
        files.push("._BraTS20_Training_002/x_t1.nii".to_owned());
        let dir = folder(&files);
        let listing = discover(dir.path()).unwrap();
        assert_eq!((listing.scans.len(), listing.notes.len()), (2, 0));
        assert_eq!(paths(&listing.scans[0], dir.path()), files[..5]);
        // Scans without truth are listed and noted.
        std::fs::remove_file(dir.path().join("BraTS20_Training_355/W39_1998.09.19_Segm.nii")).unwrap();
        assert_eq!(discover(dir.path()).unwrap().notes, ["BraTS20_Training_355: there is no truth"]);
    }

    #[test]
    fn the_layout_of_2023_is_found() {
        let parts = ["t2f", "t1n", "t1c", "t2w", "seg"];
        let file = |case: &str, part: &str| format!("BraTS-GLI-{case}/BraTS-GLI-{case}-{part}.nii.gz");
        let mut files: Vec<String> = parts.iter().map(|part| file("00005-100", part)).collect();
        files.push(file("00005-000", "t1c"));
        files.push("BraTS-GLI-00006-000/readme.txt".to_owned());
        let dir = folder(&files);
        let listing = discover(dir.path()).unwrap();
        assert_eq!(listing.layout, Layout::Brats2023);
        assert_eq!(
            names(&listing),
            [("BraTS-GLI-00005-000", "BraTS-GLI-00005"), ("BraTS-GLI-00005-100", "BraTS-GLI-00005")]
        );
        assert_eq!(paths(&listing.scans[1], dir.path()), files[..5]);
        assert_eq!(listing.scans[0].enhancing_label, 3);
        assert_eq!(listing.notes[0], "BraTS-GLI-00005-000: there is no FLAIR, no T1, no T2, no truth");
        assert!(listing.notes[1].contains("BraTS-GLI-00006-000: there is none of its sequences"));
    }

    /// What dataset.json of Task01_BrainTumour says, in another order.
    const DESCRIPTION: &str = r#"{"name": "BRATS", "modality": {"0": "T1w", "1": "FLAIR", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}}"#;

    #[test]
    fn the_decathlon_is_found() {
        let dir = folder(&[
            "Task01_BrainTumour/imagesTr/BRATS_001.nii.gz",
            "Task01_BrainTumour/imagesTr/._BRATS_001.nii.gz",
            "Task01_BrainTumour/imagesTr/BRATS_002.nii.gz",
            "Task01_BrainTumour/labelsTr/BRATS_002.nii.gz",
            "Task01_BrainTumour/labelsTr/BRATS_003.nii.gz",
        ]);
        let description = dir.path().join("Task01_BrainTumour/dataset.json");
        std::fs::write(&description, DESCRIPTION).unwrap();
        let listing = discover(dir.path()).unwrap();
        assert_eq!(listing.layout, Layout::Decathlon);
        assert_eq!(names(&listing), [("BRATS_001", "BRATS_001"), ("BRATS_002", "BRATS_002")]);
        let positions = listing.scans[0].sequences.clone().map(|file| file.unwrap().position.unwrap());
        assert_eq!((positions, listing.scans[0].enhancing_label), ([1, 0, 2, 3], 3));
        assert!(listing.scans[1].truth.as_ref().is_some_and(|truth| truth.path.ends_with("labelsTr/BRATS_002.nii.gz")));
        assert_eq!(listing.notes.len(), 3);
        assert_eq!(listing.notes[1], "BRATS_001: there is no truth");
        assert!(listing.notes[2].contains("BRATS_003"));
        for (old, new, words) in [
            ("T1w", "CT", "`CT` is none of FLAIR"),
            ("T2w", "flair", "FLAIR is there twice"),
            ("\"enhancing", "\"other", "0 labels are of the enhancing tumour"),
            ("\"3\": \"enh", "\"x\": \"enh", "`x` is no label"),
            ("labels", "classes", "missing field `labels`"),
        ] {
            assert!(DESCRIPTION.contains(old));
            std::fs::write(&description, DESCRIPTION.replace(old, new)).unwrap();
            let error = discover(dir.path()).unwrap_err().to_string();
            assert!(error.contains("dataset.json: ") && error.contains(words), "{error}");
        }
    }

    #[test]
    fn prepared_scans_are_found() {
        let files = ["Flair_subtrMeanDivStd", "T1c_subtrMeanDivStd", "OTMultiClass", "brainmask"];
        let dir = folder(&files.map(|file| format!("brats_2013_pat0003_1/{file}.nii.gz")));
        let listing = discover(dir.path()).unwrap();
        assert_eq!(listing.layout, Layout::Prepared);
        assert_eq!(names(&listing), [("brats_2013_pat0003_1", "brats_2013_pat0003")]);
        assert_eq!(listing.notes, ["brats_2013_pat0003_1: there is no T1, no T2"]);
        assert_eq!(paths(&listing.scans[0], dir.path()).len(), 3);
    }

    #[test]
    fn a_sequence_that_is_there_twice_names_both_files() {
        let mut files = scan_2017("", "BraTS2021_00000");
        files.push("BraTS2021_00000/BraTS2021_00000_t1ce.nii".to_owned());
        let error = discover(folder(&files).path()).unwrap_err().to_string();
        for words in ["scan `BraTS2021_00000`: T1c is there twice", "00000_t1ce.nii and", "00000_t1ce.nii.gz"] {
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_folder_of_something_else_says_what_was_looked_for() {
        let dir = folder(&["photos/1.png", "text.txt"]);
        let error = discover(dir.path()).unwrap_err().to_string();
        let folder_name = dir.path().display().to_string();
        for words in [&folder_name, "MR_Flair", "_flair", "-t2f", "Flair_*", "imagesTr", "HGG", "photos, text.txt"] {
            assert!(error.contains(words), "{words}: {error}");
        }
        let error = discover(folder::<&str>(&[]).path()).unwrap_err().to_string();
        assert!(error.contains("In the folder: nothing"), "{error}");
        let error = discover(&dir.path().join("absent")).unwrap_err();
        assert!(matches!(&error, DataError::Read { path, .. } if path.ends_with("absent")), "{error}");
        let both =
            [scan_2017("Training/", "BraTS20_Training_001"), scan_2017("Test/", "BraTS20_Validation_001")].concat();
        let error = discover(folder(&both).path()).unwrap_err().to_string();
        assert!(error.contains("several folders here") && error.contains("/Test, "), "{error}");
    }
}
