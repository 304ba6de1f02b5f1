//! A folder laid out as the NIH's ChestX-ray14: `labels.csv` and `images/`.
//!
//! `labels.csv` has the columns `image` (a file name in `images/`), `patient_id` and `findings` (`|` between findings,
//! or `No Finding`); other columns, such as view, age and sex, are not read.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::Path;

use shared::{Finding, FindingSet};

use super::error::{DataError, Result};
use super::table::{Table, check_file_name, parse_patient};
use super::{Origin, Study};

/// The cell that stands for the empty set.
const NO_FINDING: &str = "No Finding";

/// Lists the studies of a folder in the order of its `labels.csv`. `source` is the folder's number among the sources.
///
/// # Errors
///
/// [`DataError`] with file and line for whatever is wrong in `labels.csv`; all images that are missing in one error.
pub fn studies(dir: &Path, source: usize) -> Result<Vec<Study>> {
    let path = dir.join("labels.csv");
    let file = path.display().to_string();
    let bytes = std::fs::read(&path).map_err(DataError::read(&path))?;
    let table = Table::parse(&file, &bytes, ["image", "patient_id", "findings"])?;
    let folder = dir.join("images");
    let mut first_lines = HashMap::new();
    let mut studies = Vec::with_capacity(table.rows.len());
    for (line, [image, patient, findings]) in table.rows {
        check_file_name(&file, line, &image)?;
        if let Some(&first_line) = first_lines.get(&image) {
            return Err(DataError::DuplicateImage { file, line, image, first_line });
        }
        first_lines.insert(image.clone(), line);
        studies.push(Study {
            origin: Origin::File(folder.join(&image)),
            image,
            patient: parse_patient(&file, line, &patient)?,
            findings: Some(parse_findings(&file, line, &findings)?),
            report: None,
            source,
        });
    }
    let present = file_names(&folder)?;
    let listed = studies.len();
    let missing: Vec<String> = studies
        .iter()
        .filter(|study| !present.contains(&OsString::from(&study.image)))
        .map(|study| study.image.clone())
        .collect();
    if missing.is_empty() { Ok(studies) } else { Err(DataError::MissingImages { file, folder, missing, listed }) }
}

/// One listing of the folder instead of a question for each image.
fn file_names(folder: &Path) -> Result<HashSet<OsString>> {
    let entries = std::fs::read_dir(folder).map_err(DataError::read(folder))?;
    entries.map(|entry| Ok(entry.map_err(DataError::read(folder))?.file_name())).collect()
}

fn parse_findings(file: &str, line: u64, cell: &str) -> Result<FindingSet> {
    let mut findings = FindingSet::default();
    let mut says_none = false;
    for name in cell.split('|').map(str::trim) {
        if name == NO_FINDING {
            says_none = true;
        } else {
            let finding: Finding =
                name.parse().map_err(|source| DataError::UnknownFinding { file: file.to_owned(), line, source })?;
            findings.insert(finding);
        }
    }
    if says_none && !findings.is_empty() {
        return Err(DataError::ContradictoryFindings { file: file.to_owned(), line, findings: cell.to_owned() });
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "image,patient_id,view,age,sex,findings\n";

    /// A folder with this table and the images `a.png`, `b.png`, `c.png` (empty: nothing here decodes them).
    fn folder(labels: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("images")).unwrap();
        for name in ["a.png", "b.png", "c.png"] {
            std::fs::write(dir.path().join("images").join(name), []).unwrap();
        }
        std::fs::write(dir.path().join("labels.csv"), labels).unwrap();
        dir
    }

    fn error(labels: &[u8]) -> String {
        let error = studies(folder(labels).path(), 0).unwrap_err().to_string();
        assert!(error.contains("labels.csv"), "{error}");
        error
    }

    fn row_error(rows: &str) -> String {
        error(format!("{HEADER}{rows}").as_bytes())
    }

    #[test]
    fn rows_become_studies() {
        let labels = format!("\u{feff}{HEADER}a.png,7,PA,50,F,Mass|Hernia\nb.png,8,AP,51,M,No Finding\n");
        let dir = folder(labels.as_bytes());
        let studies = studies(dir.path(), 3).unwrap();
        assert_eq!(studies[0].origin, Origin::File(dir.path().join("images/a.png")));
        assert_eq!((studies[0].image.as_str(), studies[0].patient, studies[0].source), ("a.png", 7, 3));
        assert_eq!(studies[0].findings, Some([Finding::Mass, Finding::Hernia].into_iter().collect()));
        assert_eq!(studies[1].findings, Some(FindingSet::default()));
    }

    #[test]
    fn an_unknown_finding_is_named_with_its_line_and_the_allowed_names() {
        let error = row_error("a.png,7,PA,50,F,Mass\nb.png,8,AP,51,M,Mass|Cold\n");
        assert!(
            error.contains("line 3") && error.contains("`Cold`") && error.contains("Pleural_Thickening"),
            "{error}"
        );
        assert!(row_error("a.png,7,PA,50,F,\n").contains("No Finding"));
    }

    #[test]
    fn no_finding_excludes_findings() {
        assert!(row_error("a.png,7,PA,50,F,No Finding|Mass\n").contains("line 2: `No Finding|Mass`"));
    }

    #[test]
    fn missing_images_are_summarised() {
        let rows: Vec<String> = (0..7).map(|i| format!("x{i}.png,{i},PA,50,F,Mass")).collect();
        let error = row_error(&format!("{}\na.png,1,PA,50,F,Mass\n", rows.join("\n")));
        assert!(error.contains("7 of 8 images"), "{error}");
        assert!(error.contains("x0.png, x1.png, x2.png, x3.png, x4.png, …"), "{error}");
    }

    #[test]
    fn a_duplicate_names_both_lines() {
        let error = row_error("a.png,7,PA,50,F,Mass\na.png,7,PA,50,F,Mass\n");
        assert!(error.contains("line 3: image `a.png` is already in line 2"), "{error}");
    }

    #[test]
    fn tables_that_are_none_say_why() {
        assert!(error(b"").contains("the file is empty"));
        assert!(error(HEADER.as_bytes()).contains("no row below the header"));
        assert!(error(b"image,findings\na.png,Mass\n").contains("column `patient_id` is missing"));
        assert!(error(b"image,patient_id,findings\na.png,1,Mass\n\xff.png,2,Mass\n").contains("line 3: not UTF-8"));
        assert!(row_error("a.png,7,PA\n").contains("line 2: 3 fields, the header has 6"));
    }

    #[test]
    fn cells_are_checked() {
        assert!(row_error("a.png,seven,PA,50,F,Mass\n").contains("line 2: patient `seven`"));
        assert!(row_error("a.png,-7,PA,50,F,Mass\n").contains("line 2: patient `-7`"));
        assert!(row_error("../a.png,7,PA,50,F,Mass\n").contains("`../a.png` is not a file name"));
    }

    #[test]
    fn a_folder_without_a_table_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(studies(dir.path(), 0).unwrap_err().to_string().contains("labels.csv"));
    }
}
