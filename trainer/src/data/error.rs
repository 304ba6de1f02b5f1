//! The error type of the data sources: each variant names the file, and the line where there is one.

use std::path::{Path, PathBuf};

use shared::finding::UnknownFinding;

/// Result with [`DataError`].
pub type Result<T> = std::result::Result<T, DataError>;

/// What can be wrong with training data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder that cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A table without content.
    #[error("{file}: the file is empty")]
    EmptyFile {
        /// Name of the file.
        file: String,
    },
    /// A table that has a header and nothing below it.
    #[error("{file}: there is no row below the header")]
    NoRows {
        /// Name of the file.
        file: String,
    },
    /// A table in another encoding.
    #[error("{file}, line {line}: not UTF-8 text; save the file as UTF-8")]
    NotUtf8 {
        /// Name of the file.
        file: String,
        /// Line number, from 1.
        line: u64,
    },
    /// A table without a column that is needed.
    #[error("{file}, line 1: column `{column}` is missing; the columns are: {found}")]
    MissingColumn {
        /// Name of the file.
        file: String,
        /// The column.
        column: &'static str,
        /// The columns there are.
        found: String,
    },
    /// A row that breaks the rules of the table.
    #[error("{file}, line {line}: {reason}")]
    Row {
        /// Name of the file.
        file: String,
        /// Line number, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// A label that is none of the 14 findings.
    #[error("{file}, line {line}: {source}; write `No Finding` for none")]
    UnknownFinding {
        /// Name of the file.
        file: String,
        /// Line number, from 1.
        line: u64,
        /// The label.
        source: UnknownFinding,
    },
    /// "No Finding" beside findings.
    #[error("{file}, line {line}: `{findings}` says `No Finding` and names findings")]
    ContradictoryFindings {
        /// Name of the file.
        file: String,
        /// Line number, from 1.
        line: u64,
        /// The cell.
        findings: String,
    },
    /// A patient number that is not one.
    #[error("{file}, line {line}: patient `{value}` is not a whole number below {}", super::phantom::FIRST_PATIENT)]
    PatientId {
        /// Name of the file.
        file: String,
        /// Line number, from 1.
        line: u64,
        /// The cell.
        value: String,
    },
    /// An image that is listed twice.
    #[error("{file}, line {line}: image `{image}` is already in line {first_line}")]
    DuplicateImage {
        /// Name of the file.
        file: String,
        /// Line number, from 1.
        line: u64,
        /// The image.
        image: String,
        /// Where it was first.
        first_line: u64,
    },
    /// Images that are listed but not there.
    #[error("{file}: {} of {listed} images are not in {}: {}", missing.len(), folder.display(), first_five(missing))]
    MissingImages {
        /// Name of the file that lists them.
        file: String,
        /// Where they were sought.
        folder: PathBuf,
        /// All images that are missing.
        missing: Vec<String>,
        /// How many images are listed.
        listed: usize,
    },
    /// Two data sets that give the same image name to different patients.
    #[error("image `{image}` is of patient {first} in {first_source} and of patient {second} in {second_source}")]
    PatientConflict {
        /// The image.
        image: String,
        /// Patient in the first data set.
        first: u32,
        /// The first data set.
        first_source: String,
        /// Patient in the second data set.
        second: u32,
        /// The second data set.
        second_source: String,
    },
    /// An archive or a report that cannot be understood.
    #[error("{file}: {reason}")]
    Report {
        /// Name of the file; for an archive its name and the member's.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// No reports where they were sought.
    #[error("{}: neither NLMCXR_reports.tgz nor XML reports are there", .0.display())]
    NoReports(PathBuf),
    /// A data source that is not known.
    #[error("`{text}` is not {what}: {reason}; known are {known}")]
    Source {
        /// What was given.
        text: String,
        /// What was expected.
        what: &'static str,
        /// Why it is not.
        reason: String,
        /// The forms that are known.
        known: &'static str,
    },
    /// An image of which nobody knows where its findings are.
    #[error("image `{0}`: the method `oracle` needs the place of every finding, which only generated images have")]
    NoPlaces(String),
    /// Too many images that cannot be read.
    #[error("{} of {n} images cannot be read, more than one in a hundred: {}", errors.len(), first_five(errors))]
    UnreadableImages {
        /// How many images there are.
        n: usize,
        /// What is wrong with each.
        errors: Vec<String>,
    },
    /// Sources for different parts that share a patient.
    #[error("patient {patient} is in the {first} and in the {second} images: what is learned must not be tested on")]
    PatientInTwoParts {
        /// The patient.
        patient: u32,
        /// One part.
        first: super::Part,
        /// The other.
        second: super::Part,
    },
    /// A split that does not know an image.
    #[error("image `{0}` is not in the split; make a new split for these data")]
    NotInSplit(String),
    /// An augmentation parameter out of its range.
    #[error("augmentation: `{name}` is {value}, expected {expected}")]
    Augmentation {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: f32,
        /// The range.
        expected: &'static str,
    },
    /// A part of the patients would be empty.
    #[error("{n} patients are too few: none is left for {part}; give more data, or fewer folds")]
    TooFewPatients {
        /// How many there are.
        n: usize,
        /// The empty part.
        part: super::Part,
    },
    /// Volumes of one scan that do not fit each other.
    #[error("{scan}: {reason}")]
    Scan {
        /// Name of the scan.
        scan: String,
        /// What does not fit, and where.
        reason: String,
    },
    /// No images at all.
    #[error("no image source is given")]
    NoSources,
    /// A source of which nothing can be used.
    #[error("{0}: there is no study in it that can be used")]
    NoStudies(String),
    /// A folder without BRATS scans.
    #[error(
        "{}: there is no BRATS scan here or one folder below. Looked for, in the folder of each scan, also in HGG and LGG: \
         VSD.Brain.XX.O.MR_Flair.<id> (2015), <scan>_flair.nii.gz (2017 to 2021), <scan>-t2f.nii.gz (2023), \
         Flair_*.nii.gz (prepared), or one of their other sequences; and imagesTr with dataset.json (Decathlon). \
         In the folder: {}",
        folder.display(),
        if found.is_empty() { "nothing".to_owned() } else { first_five(found) }
    )]
    BratsLayout {
        /// The folder.
        folder: PathBuf,
        /// Names of what is in it.
        found: Vec<String>,
    },
    /// A folder with several folders of BRATS scans.
    #[error("{}: BRATS scans are in several folders here; give one of them: {}", folder.display(), first_five(found))]
    BratsSeveral {
        /// The folder.
        folder: PathBuf,
        /// The folders that have scans.
        found: Vec<String>,
    },
    /// Two files where a scan has one.
    #[error("scan `{scan}`: {part} is there twice, as {} and as {}; take one away", first.display(), second.display())]
    BratsTwoFiles {
        /// Name of the scan's folder.
        scan: String,
        /// The sequence, or the truth.
        part: &'static str,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A description of a data set that is not one of BRATS.
    #[error("{}: {reason}", file.display())]
    BratsDescription {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An image that cannot be decoded; the message names the file.
    #[error(transparent)]
    Image(#[from] shared::Error),
}

impl DataError {
    /// [`DataError::Read`] of a path, for `map_err`.
    pub(super) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Read { path: path.to_owned(), source }
    }
}

/// The first five names, and a sign that there are more.
pub(super) fn first_five(names: &[String]) -> String {
    let more = if names.len() > 5 { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(5)].join(", "))
}
