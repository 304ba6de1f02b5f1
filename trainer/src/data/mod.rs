//! Data sources: images with findings, reports with findings, and pairs of both.
//!
//! [`Dataset::load`] reads images, [`Reports::load`] reads reports, [`Split`] divides the images by patient, [`Pairs`]
//! finds a report for an image, and [`augment::augment`] varies an image.

pub mod augment;
pub mod brats;
pub mod covid;
pub mod describe;
pub mod error;
mod fingerprint;
pub mod labeler;
pub mod nih;
pub mod openi;
pub mod pairs;
pub mod phantom;
pub mod report;
pub mod source;
pub mod split;
mod store;
mod table;
pub mod volumes;

use std::collections::HashMap;
use std::path::PathBuf;

use rayon::prelude::*;
use shared::FindingSet;
use shared::io::{Radiograph, read_radiograph};
use shared::phantom::{PhantomSource, xray};
use shared::prep::image::Preprocessing;

pub use augment::Augment;
pub use error::{DataError, Result};
pub use fingerprint::Fingerprint;
pub use pairs::{PairKey, Pairs};
pub use report::{LeftOut, Report, Reports};
pub use source::{ImageSource, ReportSource, VolumeSource};
pub use split::{Part, Split};
use store::Store;

/// An image and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Study {
    /// Name that identifies it over all sources: the file name.
    pub image: String,
    /// Where its pixels come from.
    pub origin: Origin,
    /// Whose it is; the same number is the same patient in every source of one kind.
    pub patient: u32,
    /// What it shows; `None` if nobody labelled it.
    pub findings: Option<FindingSet>,
    /// What the radiologist wrote of it; `None` if there is no report.
    pub report: Option<String>,
    /// Position of its source among the sources.
    pub source: usize,
}

/// Where pixels come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// [`xray::examination`] of this seed and index.
    Phantom {
        /// The source.
        source: PhantomSource,
        /// Position in it.
        index: usize,
    },
}

/// The studies of some sources.
#[derive(Debug, Default)]
pub struct Listing {
    /// What is known of each image.
    pub studies: Vec<Study>,
    /// Images that an earlier source already had, left out.
    pub n_repeated: usize,
    /// What else was left out, and how choices were made, in sentences.
    pub notes: Vec<String>,
}

/// Images of several sources, decoded and reduced to the model's size, in a temporary file.
#[derive(Debug)]
pub struct Dataset {
    /// What is known of each image.
    pub studies: Vec<Study>,
    /// Images that an earlier source already had, left out.
    pub n_repeated: usize,
    /// What else was left out, and how choices were made, in sentences.
    pub notes: Vec<String>,
    size: usize,
    store: Store,
}

/// Share of unreadable images that is put up with.
const MAX_UNREADABLE: f64 = 0.01;

impl Dataset {
    /// Lists all sources and reads every image, on all cores. Takes `4 · size²` bytes of disk an image, and next to no
    /// memory.
    ///
    /// # Errors
    ///
    /// [`DataError`]: whatever is wrong with a table, a missing image, unreadable images if they are more than one in a
    /// hundred, preprocessing that makes no sense, no source.
    pub fn load(sources: &[ImageSource], prep: &Preprocessing) -> Result<Self> {
        prep.check()?;
        let Listing { studies: listed, n_repeated, mut notes } = union(sources)?;
        let store = Store::new(4 * prep.size * prep.size)?;
        let read = |(index, study): (usize, &Study)| match study.radiograph(prep.size) {
            Ok(image) => store.write_f32(index, &prep.square(&image)).map(|()| None),
            Err(error) => Ok(Some(error)),
        };
        let errors = listed.par_iter().enumerate().map(read).collect::<Result<Vec<Option<DataError>>>>()?;
        let mut studies = Vec::with_capacity(listed.len());
        let mut unreadable = Vec::new();
        for (index, (study, error)) in listed.into_iter().zip(errors).enumerate() {
            if let Some(error) = error {
                unreadable.push(error.to_string());
                continue;
            }
            if !unreadable.is_empty() {
                store.write(studies.len(), &store.read(index)?)?;
            }
            studies.push(study);
        }
        let n = studies.len() + unreadable.len();
        if unreadable.len() as f64 > MAX_UNREADABLE * n as f64 {
            return Err(DataError::UnreadableImages { n, errors: unreadable });
        }
        if !unreadable.is_empty() {
            notes.push(format!(
                "{} of {n} images cannot be read: {}",
                unreadable.len(),
                error::first_five(&unreadable)
            ));
        }
        Ok(Self { studies, n_repeated, notes, size: prep.size, store })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.studies.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.studies.is_empty()
    }

    /// Height and width of the images.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Checksum of each image's pixels.
    pub fn checksums(&self) -> Vec<u32> {
        self.store.checksums(self.len())
    }

    /// An image, `[size, size]` row by row, in `0..=1`.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`] if the temporary file cannot be read.
    pub fn square(&self, index: usize) -> Result<Vec<f32>> {
        self.store.read_f32(index)
    }
}

impl Study {
    /// The findings of a labelled study; none for an unlabelled one, as in tables that count findings.
    pub fn known_findings(&self) -> FindingSet {
        self.findings.unwrap_or_default()
    }

    /// Reads or generates the image; a generated one is `size` x `size`.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`] or [`DataError::Image`], naming the file.
    pub fn radiograph(&self, size: usize) -> Result<Radiograph> {
        match &self.origin {
            Origin::File(path) => {
                let bytes = std::fs::read(path).map_err(DataError::read(path))?;
                Ok(read_radiograph(&path.display().to_string(), &bytes)?)
            }
            Origin::Phantom { source, index } => Ok(xray::examination(source, *index, size).image),
        }
    }
}

/// The studies of all sources; of images that several sources have, the first source's.
///
/// # Errors
///
/// Those of the sources; [`DataError::PatientConflict`] if two sources give one image to different patients.
pub fn union(sources: &[ImageSource]) -> Result<Listing> {
    if sources.is_empty() {
        return Err(DataError::NoSources);
    }
    let Listing { mut studies, mut n_repeated, mut notes } = Listing::default();
    let mut positions: HashMap<String, usize> = HashMap::new();
    for (number, source) in sources.iter().enumerate() {
        for study in list(source, number, &mut notes)? {
            let Some(&position) = positions.get(&study.image) else {
                positions.insert(study.image.clone(), studies.len());
                studies.push(study);
                continue;
            };
            let first = &studies[position];
            if first.patient != study.patient {
                return Err(DataError::PatientConflict {
                    image: study.image,
                    first: first.patient,
                    first_source: sources[first.source].to_string(),
                    second: study.patient,
                    second_source: source.to_string(),
                });
            }
            n_repeated += 1;
        }
    }
    Ok(Listing { studies, n_repeated, notes })
}

fn list(source: &ImageSource, number: usize, notes: &mut Vec<String>) -> Result<Vec<Study>> {
    match source {
        ImageSource::Nih(dir) => nih::studies(dir, number),
        ImageSource::OpenI(dir) => {
            let found = openi::studies(dir, number)?;
            notes.extend(found.notes());
            Ok(found.studies)
        }
        ImageSource::Covid(dir) => covid::studies(dir, number),
        ImageSource::Phantom(source) => Ok((0..source.n).map(|index| phantom::study(source, index, number)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use shared::prep::image::Normalization;

    use super::*;

    const PREP: Preprocessing = Preprocessing { size: 8, channels: 1, normalization: Normalization::PerImage };

    /// A folder with one 16 x 16 image of this grey for each row, which begins with the image's name.
    fn folder(grey: u8, rows: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("images")).unwrap();
        for row in rows {
            let name = row.split(',').next().unwrap();
            let image = image::GrayImage::from_pixel(16, 16, image::Luma([grey]));
            image.save(dir.path().join("images").join(name)).unwrap();
        }
        std::fs::write(dir.path().join("labels.csv"), format!("image,patient_id,findings\n{}\n", rows.join("\n")))
            .unwrap();
        dir
    }

    fn nih(dir: &tempfile::TempDir) -> ImageSource {
        ImageSource::Nih(dir.path().to_owned())
    }

    #[test]
    fn the_first_of_a_repeated_image_is_kept() {
        let first = folder(51, &["a.png,1,Mass", "b.png,2,No Finding"]);
        let second = folder(204, &["b.png,2,No Finding", "c.png,1,Hernia"]);
        let data = Dataset::load(&[nih(&first), nih(&second)], &PREP).unwrap();
        assert_eq!((data.len(), data.n_repeated), (3, 1));
        let greys: Vec<f32> = (0..3).map(|i| data.square(i).unwrap()[0]).collect();
        assert!(greys.iter().zip([0.2, 0.2, 0.8]).all(|(a, b)| (a - b).abs() < 1e-4), "{greys:?}");
        assert_eq!(data.studies.iter().map(|study| study.source).collect::<Vec<_>>(), [0, 0, 1]);
        // One patient over both sources: one part.
        let split = Split::new(&data.studies, 0);
        assert_eq!(split.part("a.png"), split.part("c.png"));
    }

    #[test]
    fn one_image_of_two_patients_is_an_error() {
        let (first, second) = (folder(0, &["a.png,1,Mass"]), folder(0, &["a.png,2,Mass"]));
        let error = union(&[nih(&first), nih(&second)]).unwrap_err().to_string();
        assert!(error.contains("image `a.png` is of patient 1 in nih:"), "{error}");
        assert!(matches!(union(&[]), Err(DataError::NoSources)));
    }

    #[test]
    fn an_unreadable_image_is_named() {
        let dir = folder(0, &["a.png,1,Mass", "b.png,2,Mass"]);
        std::fs::write(dir.path().join("images/b.png"), b"\x89PNG\r\n\x1a\nrest").unwrap();
        let error = Dataset::load(&[nih(&dir)], &PREP).unwrap_err().to_string();
        assert!(error.contains("b.png"), "{error}");
    }

    #[test]
    fn one_unreadable_image_in_a_hundred_is_left_out_and_named() {
        let rows: Vec<String> = (0..120).map(|i| format!("{i:03}.png,{i},Mass")).collect();
        let dir = folder(51, &rows.iter().map(String::as_str).collect::<Vec<_>>());
        std::fs::write(dir.path().join("images/007.png"), b"\x89PNG\r\n\x1a\nrest").unwrap();
        let white = image::GrayImage::from_pixel(16, 16, image::Luma([255]));
        white.save(dir.path().join("images/119.png")).unwrap();
        let data = Dataset::load(&[nih(&dir)], &PREP).unwrap();
        assert_eq!((data.len(), data.notes.len()), (119, 1));
        assert!(data.notes[0].contains("1 of 120") && data.notes[0].contains("007.png"), "{:?}", data.notes);
        // The images after it still belong to their studies.
        assert_eq!((data.studies[118].image.as_str(), data.square(118).unwrap()[0]), ("119.png", 1.0));
        assert!(data.square(6).unwrap()[0] < 0.3);
    }

    #[test]
    fn phantoms_load_like_files() {
        let source = PhantomSource { n: 20, seed: 3, ..PhantomSource::PLAIN };
        let dir = folder(0, &["a.png,1,Mass"]);
        let data = Dataset::load(&[ImageSource::Phantom(source), nih(&dir)], &PREP).unwrap();
        assert_eq!((data.len(), data.size()), (21, 8));
        assert_eq!(data.square(4).unwrap(), PREP.square(&xray::examination(&source, 4, 8).image));
        let reports = Reports::load(&[ReportSource::Phantom(source)]).unwrap().reports;
        assert_eq!(Some(reports[4].findings), data.studies[4].findings);
        assert_eq!(Pairs::new(&reports).n_with_partner(data.studies[..20].iter().map(Study::known_findings)), 20);
    }
}
