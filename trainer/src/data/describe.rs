//! What a data source holds, for people: how many of what, in which part, and what was left out and why.

use std::fmt::Write as _;

use serde::Serialize;
use shared::{Finding, FindingSet};

use super::{DataError, ImageSource, Listing, Part, Result, Split, Study, labeler};

/// A source in numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Description {
    /// The source's name.
    pub source: String,
    /// Images.
    pub n: usize,
    /// Patients.
    pub n_patients: usize,
    /// Images with labels.
    pub n_labelled: usize,
    /// Images with a report of their own.
    pub n_with_report: usize,
    /// Labelled images with none of the 14 findings.
    pub n_without_finding: usize,
    /// By finding.
    pub findings: Vec<FindingCounts>,
    /// What was left out, and how choices were made, in sentences.
    pub notes: Vec<String>,
    /// Seed of the split.
    pub split_seed: u64,
    /// Images of training, validation and test.
    pub parts: [usize; 3],
}

/// How often a finding occurs, and how well rules read it from the reports.
#[derive(Debug, Clone, Serialize)]
pub struct FindingCounts {
    /// The finding.
    pub finding: Finding,
    /// Images with it.
    pub n: usize,
    /// Of training, validation and test.
    pub parts: [usize; 3],
    /// Share of the labelled images with it whose report says so by rules.
    pub sensitivity: Option<f64>,
    /// Share of the labelled images without it whose report does not say so by rules.
    pub specificity: Option<f64>,
}

/// Lists a source and splits it; the images are not read.
///
/// # Errors
///
/// Those of the source.
pub fn describe(source: &ImageSource, split_seed: u64) -> Result<(Description, Split)> {
    let Listing { studies, notes, .. } = super::union(std::slice::from_ref(source))?;
    if studies.is_empty() {
        return Err(DataError::NoStudies(source.to_string()));
    }
    let split = Split::new(&studies, split_seed);
    let part = |study: &&Study| split.part(&study.image).unwrap_or(Part::Train) as usize;
    let mut parts = [0; 3];
    for study in &studies {
        parts[part(&study)] += 1;
    }
    let labelled: Vec<&Study> = studies.iter().filter(|study| study.findings.is_some()).collect();
    let read: Vec<(FindingSet, FindingSet)> = labelled
        .iter()
        .filter_map(|study| Some((study.known_findings(), labeler::findings(study.report.as_ref()?))))
        .collect();
    let findings = Finding::ALL.map(|finding| {
        let with: Vec<&&Study> = labelled.iter().filter(|study| study.known_findings().contains(finding)).collect();
        let mut parts = [0; 3];
        for study in &with {
            parts[part(study)] += 1;
        }
        let share = |present: bool| {
            let of: Vec<bool> = read
                .iter()
                .filter(|(labels, _)| labels.contains(finding) == present)
                .map(|(_, found)| found.contains(finding) == present)
                .collect();
            (!of.is_empty()).then(|| of.iter().filter(|right| **right).count() as f64 / of.len() as f64)
        };
        FindingCounts { finding, n: with.len(), parts, sensitivity: share(true), specificity: share(false) }
    });
    let mut patients: Vec<u32> = studies.iter().map(|study| study.patient).collect();
    patients.sort_unstable();
    patients.dedup();
    let description = Description {
        source: source.to_string(),
        n: studies.len(),
        n_patients: patients.len(),
        n_labelled: labelled.len(),
        n_with_report: studies.iter().filter(|study| study.report.is_some()).count(),
        n_without_finding: labelled.iter().filter(|study| study.known_findings().is_empty()).count(),
        findings: findings.to_vec(),
        notes,
        split_seed,
        parts,
    };
    Ok((description, split))
}

impl Description {
    /// The numbers as a table for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{}: {} images of {} patients, {} labelled, {} with a report\n",
            self.source, self.n, self.n_patients, self.n_labelled, self.n_with_report
        );
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        let [train, validation, test] = self.parts;
        let _ = writeln!(text, "split by patient, seed {}: {train} / {validation} / {test}\n", self.split_seed);
        let _ = writeln!(text, "{:<20}{:>8}{:>18}   read from reports by rules", "", "images", "train/val/test");
        let share = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
        for FindingCounts { finding, n, parts: [a, b, c], sensitivity, specificity } in &self.findings {
            let rules = match (sensitivity, specificity) {
                (None, None) => String::new(),
                _ => format!("sensitivity {:<6} specificity {}", share(*sensitivity), share(*specificity)),
            };
            let empty = if *b == 0 || *c == 0 { "  (none in a part: not measurable there)" } else { "" };
            let _ = writeln!(text, "{:<20}{n:>8}{:>18}   {rules}{empty}", finding.name(), format!("{a}/{b}/{c}"));
        }
        let _ = write!(text, "{:<20}{:>8}", "none of the 14", self.n_without_finding);
        text
    }
}

#[cfg(test)]
mod tests {
    use shared::phantom::PhantomSource;

    use super::*;

    #[test]
    fn numbers_add_up() {
        let source = ImageSource::Phantom(PhantomSource { n: 300, ..PhantomSource::PLAIN });
        let (found, split) = describe(&source, 3).unwrap();
        assert_eq!((found.n, found.n_patients, found.n_labelled, found.n_with_report), (300, 150, 300, 300));
        assert_eq!(found.parts.iter().sum::<usize>(), 300);
        assert!(found.findings.iter().all(|f| f.parts.iter().sum::<usize>() == f.n));
        assert!(found.findings.iter().all(|f| f.sensitivity.is_some_and(|s| s > 0.9)));
        let text = found.to_text();
        assert!(text.contains("300 images of 150 patients") && text.contains("Pleural_Thickening"), "{text}");
        assert!(split.to_csv().lines().count() == 301);
    }

    #[test]
    fn a_source_without_studies_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let report = "<eCitation><uId id=\"CXR1\"/><MeSH><major>No Indexing</major></MeSH></eCitation>";
        std::fs::write(dir.path().join("1.xml"), report).unwrap();
        let error = describe(&ImageSource::OpenI(dir.path().to_owned()), 0).unwrap_err().to_string();
        assert!(error.contains("openi:") && error.contains("no study in it that can be used"), "{error}");
    }
}
