//! A folder laid out as the COVID-19 image collection: `metadata.csv` and `images/`.
//!
//! Its radiographs have notes and other labels than the 14 findings: they are unlabelled here, and serve as pairs of an
//! image and its own text. Columns read: `image`, `patient_id`, `view`, `clinical_notes`.
//!
//! Source: Cohen et al. 2020, arXiv 2006.11988.

use std::path::Path;

use super::error::{DataError, Result};
use super::table::{Table, check_file_name};
use super::{Origin, Study};

/// The collection's patients are numbered from here, so that they are not taken for another data set's.
const FIRST_PATIENT: u32 = 1 << 29;
/// Numbers of patients stay below this; a letter after the number moves the patient up by as much.
const NUMBERS: u32 = 1 << 20;
/// Views from the front or the back, as the column `view` calls them.
const FRONTAL: [&str; 3] = ["PA", "AP", "AP Supine"];

/// Lists the frontal images. `source` is the folder's number among the sources.
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
        if !FRONTAL.contains(&view.as_str()) {
            continue;
        }
        check_file_name(&file, line, &image)?;
        let Some(patient) = number(&patient) else {
            let reason = format!(
                "patient `{patient}` is not a whole number below {NUMBERS}, with or without a letter behind it"
            );
            return Err(DataError::Row { file, line, reason });
        };
        let origin = folder.join(&image);
        if !origin.is_file() {
            missing.push(image);
            continue;
        }
        let text = notes.split_whitespace().collect::<Vec<_>>().join(" ");
        studies.push(Study {
            image: format!("covid-{image}"),
            origin: Origin::File(origin),
            patient,
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

/// A patient's number. Some ids end in a letter: `331a` and `331b` are two people of one publication.
fn number(id: &str) -> Option<u32> {
    let (digits, letter) = match id.char_indices().next_back() {
        Some((at, letter @ 'a'..='z')) => (&id[..at], letter as u32 - 'a' as u32 + 1),
        _ => (id, 0),
    };
    let number = digits.parse::<u32>().ok().filter(|number| *number < NUMBERS)?;
    Some(FIRST_PATIENT + letter * NUMBERS + number)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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

    #[test]
    fn a_letter_behind_the_number_is_another_patient() {
        let ids = ["331", "331a", "331b", "332", "0", "1048575z"];
        let numbers: HashSet<u32> = ids.iter().map(|id| number(id).unwrap()).collect();
        assert_eq!(numbers.len(), ids.len());
        assert!(numbers.iter().all(|n| (FIRST_PATIENT..crate::data::phantom::FIRST_PATIENT).contains(n)));
        for id in ["", "a", "331ab", "331A", "-1", "1048576", "3.0"] {
            assert_eq!(number(id), None, "{id}");
        }
    }

    #[test]
    fn the_real_collection_is_read() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/covid-cxr");
        if !dir.join("metadata.csv").is_file() {
            eprintln!("skipped: {} is not here", dir.display());
            return;
        }
        let studies = studies(&dir, 0).unwrap();
        let patients: HashSet<u32> = studies.iter().map(|study| study.patient).collect();
        let n_with_report = studies.iter().filter(|study| study.report.is_some()).count();
        assert_eq!((studies.len(), patients.len(), n_with_report), (307, 172, 215));
        assert!(studies.iter().all(|study| study.findings.is_none()));
    }
}
