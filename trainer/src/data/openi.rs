//! Open-I: the radiology reports of `NLMCXR_reports.tgz`, or the XML files in it, and in [`studies`] their images.

mod studies;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use roxmltree::{Document, Node};
use shared::{Finding, FindingSet};

use super::error::{DataError, Result};
use super::report::{LeftOut, Report, Reports};

pub use studies::{FrontalRule, OpenI, studies};

/// Name of the archive as Open-I publishes it.
const ARCHIVE: &str = "NLMCXR_reports.tgz";
/// Name of the folder in it.
const FOLDER: &str = "ecgen-radiology";
/// Largest report that is read, in bytes; the real ones are below 30 000.
const MAX_REPORT_BYTES: u64 = 1 << 20;

/// A report as it is in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `uId`, such as `CXR1`.
    pub id: String,
    /// FINDINGS, then IMPRESSION, white space collapsed. INDICATION and COMPARISON are left out: they were written
    /// before the image was read, so they do not describe it.
    pub text: String,
    /// The headings of the human indexer, `MeSH/major`, such as `Calcified Granuloma/lung/upper lobe/right`.
    pub headings: Vec<String>,
    /// Identifiers of the images, which are the names of their files without `.png`; none for 104 of the real reports.
    pub images: Vec<String>,
}

/// Which headings mean the finding Effusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effusions {
    /// Pleural effusion; a pericardial one is none of the 14 findings.
    Pleural,
    /// Every heading with "effusion", as the NIH counted when it published its numbers for Open-I.
    Every,
}

impl Record {
    /// The part of each heading before the first `/`.
    fn terms(&self) -> impl Iterator<Item = &str> {
        self.headings.iter().map(|heading| heading.split('/').next().unwrap_or_default().trim())
    }

    fn has_term(&self, term: &str) -> bool {
        self.terms().any(|other| other.eq_ignore_ascii_case(term))
    }

    /// Whether somebody indexed the report.
    pub fn is_indexed(&self) -> bool {
        !self.headings.is_empty() && !self.has_term("No Indexing")
    }

    /// Whether the indexer called the radiograph normal.
    pub fn is_normal(&self) -> bool {
        self.has_term("normal")
    }

    /// Whether the indexer called the image technically unsatisfactory.
    pub fn has_poor_quality(&self) -> bool {
        self.has_term("Technical Quality of Image Unsatisfactory")
    }

    /// The findings among the headings.
    pub fn findings(&self, effusions: Effusions) -> FindingSet {
        self.headings.iter().filter_map(|heading| finding(heading, effusions)).collect()
    }
}

/// The finding that a heading stands for, if it is one of the 14.
fn finding(heading: &str, effusions: Effusions) -> Option<Finding> {
    let heading = heading.to_lowercase();
    let mut parts = heading.split('/').map(str::trim);
    match parts.next()? {
        "pulmonary atelectasis" => Some(Finding::Atelectasis),
        "cardiomegaly" => Some(Finding::Cardiomegaly),
        "infiltrate" => Some(Finding::Infiltration),
        "mass" => Some(Finding::Mass),
        "nodule" => Some(Finding::Nodule),
        "pneumonia" => Some(Finding::Pneumonia),
        "pneumothorax" => Some(Finding::Pneumothorax),
        "consolidation" => Some(Finding::Consolidation),
        "pulmonary edema" => Some(Finding::Edema),
        // Not the subcutaneous nor the mediastinal one: that air is outside the lung.
        "emphysema" | "pulmonary emphysema" | "bullous emphysema" => Some(Finding::Emphysema),
        // Not "cystic fibrosis", which is the name of a disease.
        "fibrosis" | "pulmonary fibrosis" => Some(Finding::Fibrosis),
        "hernia, hiatal" | "hernia, diaphragmatic" => Some(Finding::Hernia),
        "thickening" if parts.any(|part| part == "pleura") => Some(Finding::Pleural_Thickening),
        "pericardial effusion" if effusions == Effusions::Pleural => None,
        term if term.contains("effusion") => Some(Finding::Effusion),
        _ => None,
    }
}

/// The records that can be used; the others are counted.
fn usable(records: &[Record]) -> (Vec<&Record>, LeftOut) {
    let mut left_out = LeftOut::default();
    let mut usable = Vec::with_capacity(records.len());
    for record in records {
        if !record.is_indexed() {
            left_out.not_indexed += 1;
        } else if record.has_poor_quality() {
            left_out.poor_quality += 1;
        } else if record.text.is_empty() {
            left_out.without_text += 1;
        } else {
            usable.push(record);
        }
    }
    (usable, left_out)
}

/// The records that can be used, as reports; the others are counted.
pub fn select(records: &[Record], effusions: Effusions) -> Reports {
    let (usable, left_out) = usable(records);
    let report = |record: &Record| Report {
        id: record.id.clone(),
        text: record.text.clone(),
        findings: record.findings(effusions),
        normal: record.is_normal(),
    };
    Reports { reports: usable.into_iter().map(report).collect(), left_out }
}

/// Reads all reports of a folder: the archive in it, the folder `ecgen-radiology` in it, or the XML files in it.
/// They come sorted by identifier, whatever the order of the files.
///
/// # Errors
///
/// [`DataError::NoReports`] where there are none; [`DataError::Report`] for a damaged archive or report, naming the file
/// and the member of the archive, and for an identifier that occurs twice.
pub fn records(dir: &Path) -> Result<Vec<Record>> {
    let archive = dir.join(ARCHIVE);
    let folder = dir.join(FOLDER);
    let mut records = if archive.is_file() {
        records_of_archive(&archive)?
    } else {
        records_of_folder(if folder.is_dir() { &folder } else { dir })?
    };
    if records.is_empty() {
        return Err(DataError::NoReports(dir.to_owned()));
    }
    // By length first, so that CXR2 comes before CXR10.
    records.sort_by(|(_, a), (_, b)| (a.id.len(), &a.id).cmp(&(b.id.len(), &b.id)));
    for pair in records.windows(2) {
        let [(first, a), (second, b)] = pair else { continue };
        if a.id == b.id {
            return Err(DataError::Report {
                file: second.clone(),
                reason: format!("report `{}` is already in {first}", b.id),
            });
        }
    }
    Ok(records.into_iter().map(|(_, record)| record).collect())
}

/// Records with the names of their files.
fn records_of_folder(dir: &Path) -> Result<Vec<(String, Record)>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(DataError::read(dir))? {
        let path = entry.map_err(DataError::read(dir))?.path();
        if path.extension() == Some(OsStr::new("xml")) {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.display().to_string();
        let bytes = std::fs::read(&path).map_err(DataError::read(&path))?;
        let record = parse(&name, &bytes)?;
        Ok((name, record))
    };
    paths.into_iter().map(read).collect()
}

/// Records with the name of the archive and of the member.
fn records_of_archive(path: &Path) -> Result<Vec<(String, Record)>> {
    let archive = path.display().to_string();
    let damaged = |file: &str, error: &std::io::Error| DataError::Report {
        file: file.to_owned(),
        reason: format!("damaged or incomplete archive: {error}"),
    };
    let file = File::open(path).map_err(DataError::read(path))?;
    let mut tar = tar::Archive::new(MultiGzDecoder::new(file));
    let mut records = Vec::new();
    for entry in tar.entries().map_err(|error| damaged(&archive, &error))? {
        let entry = entry.map_err(|error| damaged(&archive, &error))?;
        let member = entry.path().map_err(|error| damaged(&archive, &error))?.into_owned();
        if member.extension() != Some(OsStr::new("xml")) {
            continue;
        }
        let name = format!("{archive}, {}", member.display());
        let mut bytes = Vec::new();
        entry.take(MAX_REPORT_BYTES + 1).read_to_end(&mut bytes).map_err(|error| damaged(&name, &error))?;
        let record = parse(&name, &bytes)?;
        records.push((name, record));
    }
    Ok(records)
}

/// Reads one report; `file` is its name in messages.
///
/// # Errors
///
/// [`DataError::Report`] if it is not UTF-8, not XML, larger than a megabyte, or has no identifier.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Record> {
    let damaged = |reason: String| DataError::Report { file: file.to_owned(), reason };
    if bytes.len() as u64 > MAX_REPORT_BYTES {
        return Err(damaged("a report of more than a megabyte".to_owned()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| damaged(format!("not UTF-8 text: {error}")))?;
    let document = Document::parse(text).map_err(|error| damaged(format!("not a well-formed XML file: {error}")))?;
    let root = document.root_element();
    let named = |name: &'static str| root.descendants().filter(move |node| node.has_tag_name(name));
    let id = named("uId").find_map(|node| node.attribute("id")).map(str::trim).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| damaged("not a report of Open-I: there is no <uId id=…>".to_owned()))?;
    let section = |label: &'static str| {
        named("AbstractText").filter(move |node| node.attribute("Label") == Some(label)).map(text_of)
    };
    let sections: Vec<String> =
        section("FINDINGS").chain(section("IMPRESSION")).filter(|text| !text.is_empty()).collect();
    Ok(Record {
        id: id.to_owned(),
        text: sections.join(" "),
        headings: named("MeSH")
            .flat_map(|mesh| mesh.children().filter(|node| node.has_tag_name("major")))
            .map(text_of)
            .filter(|heading| !heading.is_empty())
            .collect(),
        images: named("parentImage").filter_map(|node| node.attribute("id")).map(str::to_owned).collect(),
    })
}

/// All text below a node, white space collapsed.
fn text_of(node: Node<'_, '_>) -> String {
    let text: String = node.descendants().filter_map(|node| node.is_text().then(|| node.text()).flatten()).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
