//! A folder laid out as the COVID-19 image collection: `metadata.csv` and `images/`.
//!
//! Its radiographs have notes and other labels than the 14 findings: they are unlabelled here, and serve as pairs of an
//! image and its own text. Columns read: `image`, `patient_id`, `view`, `clinical_notes`.
//!
//! Source: Cohen et al. 2020, arXiv 2006.11988.

use std::path::Path;

use super::error::{DataError, Result};
use super::table::{Table, parse_patient};
use super::{Origin, Study};

/// The collection's patients are numbered from here, so that they are not taken for another data set's.
const FIRST_PATIENT: u32 = 1 << 29;
/// Patients it can have.
const MAX_PATIENTS: u32 = 1 << 28;

/// Lists the frontal images (views that begin with PA or AP). `source` is the folder's number among the sources.
///
/// # Errors
///
/// [`DataError`] with file and line for whatever is wrong in `metadata.csv`; all images that are missing in one error.
pub fn studies(dir: &Path, source: usize) -> Result<Vec<Study>> {
    let path = dir.join("metadata.csv");
    let file = path.display().to_string();
    let bytes = std::fs::read(&path).map_err(DataError::read(&path))?;
    let folder = dir.join("images");
    let (mut studies, mut missing) = (Vec::new(), Vec::new());
    for (line, [image, patient, view, notes]) in
        Table::parse(&file, &bytes, ["image", "patient_id", "view", "clinical_notes"])?.rows
    {
        if !(view.starts_with("PA") || view.starts_with("AP")) {
            continue;
        }
        if image.is_empty() || image.contains(['/', '\\']) || image == ".." {
            return Err(DataError::Row { file, line, reason: format!("image `{image}` is not a file name") });
        }
        let number = parse_patient(&file, line, &patient)?;
        if number >= MAX_PATIENTS {
            return Err(DataError::PatientId { file, line, value: patient });
        }
        let origin = folder.join(&image);
        if !origin.is_file() {
            missing.push(image);
            continue;
        }
        let text = notes.split_whitespace().collect::<Vec<_>>().join(" ");
        studies.push(Study {
            image: format!("covid-{image}"),
            origin: Origin::File(origin),
            patient: FIRST_PATIENT + number,
            findings: None,
            report: (!text.is_empty()).then_some(text),
            source,
        });
    }
    if missing.is_empty() {
        Ok(studies)
    } else {
        let listed = studies.len() + missing.len();
        Err(DataError::MissingImages { file, folder, missing, listed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(rows: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("images")).unwrap();
        for name in ["a.jpg", "b.jpg", "c.jpg"] {
            std::fs::write(dir.path().join("images").join(name), b"").unwrap();
        }
        let header = "image,patient_id,finding,view,clinical_notes\n";
        std::fs::write(dir.path().join("metadata.csv"), format!("{header}{rows}")).unwrap();
        dir
    }

    #[test]
    fn frontal_images_come_with_their_notes_and_without_labels() {
        let dir = folder("a.jpg,5,ARDS,PA,\"Severe, with\n tube.\"\nb.jpg,6,x,L,Lateral.\nc.jpg,5,x,AP Supine,\n");
        let studies = studies(dir.path(), 2).unwrap();
        let names: Vec<&str> = studies.iter().map(|study| study.image.as_str()).collect();
        assert_eq!(names, ["covid-a.jpg", "covid-c.jpg"]);
        assert_eq!(studies[0].report.as_deref(), Some("Severe, with tube."));
        assert_eq!((studies[1].report.as_ref(), studies[1].findings, studies[1].source), (None, None, 2));
        assert_eq!(studies[0].patient, studies[1].patient);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |rows| studies(folder(rows).path(), 0).unwrap_err().to_string();
        assert!(error("d.jpg,5,x,PA,n\n").contains("1 of 1 images are not in"));
        assert!(error("a.jpg,five,x,PA,n\n").contains("line 2: patient `five`"));
        assert!(error("../a.jpg,5,x,PA,n\n").contains("is not a file name"));
    }
}
