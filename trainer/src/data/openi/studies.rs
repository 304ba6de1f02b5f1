//! Open-I's radiographs with their reports: which files there are, and which of a report's images is the frontal one.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::{Effusions, Record, records, usable};
use crate::data::error::{DataError, Result, first_five};
use crate::data::report::LeftOut;
use crate::data::table::Table;
use crate::data::{Origin, Study};

/// The Kaggle edition's reports and views.
const KAGGLE_REPORTS: &str = "indiana_reports.csv";
const PROJECTIONS: &str = "indiana_projections.csv";
/// The DICOM headers of the images, as Open-I publishes them.
const HEADERS: &str = "nlmcxr_dicom_metadata.csv.gz";
/// How deep below the folder images are sought.
const MAX_DEPTH: usize = 4;

/// How the frontal image of a report was told from the lateral one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FrontalRule {
    /// By `indiana_projections.csv`.
    Projections,
    /// That table is not there: by view position and patient orientation in the DICOM headers. Of 3812 real reports 3514
    /// get a frontal image so; the others' headers are empty or call a lateral image frontal.
    Headers,
    /// Neither table is there: the first image the report names, a frontal one for 3294 of 3851 real reports. (The
    /// captions do not help: they name all views of the study.)
    First,
}

impl FrontalRule {
    /// The rule in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Projections => "frontal by indiana_projections.csv",
            Self::Headers => {
                "no indiana_projections.csv: frontal by the DICOM headers, which are wrong or empty for about one in twelve"
            }
            Self::First => {
                "no table of views: the first image of each report was taken, which is a lateral one for about one in seven"
            }
        }
    }
}

/// The studies of a folder, and what was left out.
#[derive(Debug)]
pub struct OpenI {
    /// One frontal image for each report that can be used.
    pub studies: Vec<Study>,
    /// Reports read.
    pub n_reports: usize,
    /// Reports left out for what they are.
    pub left_out: LeftOut,
    /// Reports without a frontal image.
    pub n_without_frontal: usize,
    /// Frontal images that are named and not there, left out.
    pub missing: Vec<String>,
    /// How the frontal image was chosen.
    pub rule: FrontalRule,
}

/// Reads the reports (XML archive or folder, or the Kaggle edition's table) and finds the image files (PNG, JPEG or
/// DICOM, in folders up to four deep).
///
/// # Errors
///
/// [`DataError`]: no reports, a damaged one, a damaged table; [`DataError::MissingImages`] if more than half of the images
/// are missing.
pub fn studies(dir: &Path, source: usize) -> Result<OpenI> {
    let records = match records(dir) {
        Err(DataError::NoReports(_)) if dir.join(KAGGLE_REPORTS).is_file() => kaggle_records(dir)?,
        records => records?,
    };
    let views = Views::read(dir)?;
    let files = image_files(dir)?;
    let (usable, left_out) = usable(&records);
    let (mut studies, mut missing, mut n_without_frontal) = (Vec::new(), Vec::new(), 0);
    for record in usable {
        let Some(key) = views.frontal(&record.images) else {
            n_without_frontal += 1;
            continue;
        };
        let Some(path) = files.get(&key) else {
            missing.push(key);
            continue;
        };
        let number = record.id.trim_start_matches("CXR").parse::<u32>().ok().filter(|number| *number < FIRST_PATIENT);
        let number = number.ok_or_else(|| DataError::Report {
            file: dir.display().to_string(),
            reason: format!("report `{}`: its name is not CXR and a number", record.id),
        })?;
        studies.push(Study {
            image: format!("openi-{key}"),
            origin: Origin::File(path.clone()),
            patient: FIRST_PATIENT + number,
            findings: Some(record.findings(Effusions::Pleural)),
            report: Some(record.text.clone()),
            source,
        });
    }
    if missing.len() > studies.len() {
        let listed = missing.len() + studies.len();
        return Err(DataError::MissingImages {
            file: "the reports".to_owned(),
            folder: dir.to_owned(),
            missing,
            listed,
        });
    }
    Ok(OpenI { studies, n_reports: records.len(), left_out, n_without_frontal, missing, rule: views.rule })
}

impl OpenI {
    /// What was left out and how the frontal image was chosen, in sentences.
    pub fn notes(&self) -> Vec<String> {
        let out = &self.left_out;
        let mut notes = vec![
            format!("{} reports; {}", self.n_reports, self.rule.in_words()),
            format!(
                "left out: {} not indexed, {} of unsatisfactory quality, {} without text, {} without a frontal image",
                out.not_indexed, out.poor_quality, out.without_text, self.n_without_frontal
            ),
        ];
        if !self.missing.is_empty() {
            let (n, names) = (self.missing.len(), first_five(&self.missing));
            notes.push(format!("{n} frontal images are named and not there: {names}"));
        }
        notes
    }
}

/// Open-I's patients are numbered from here, so that they are not taken for the NIH's.
const FIRST_PATIENT: u32 = 1 << 28;

/// What an image is called in every edition: `CXR1_1_IM-0001-3001`, `1_IM-0001-3001.dcm` and `1_IM-0001-3001.dcm.png` are
/// all `1_IM-0001-3001`.
fn key(name: &str) -> String {
    let name = [".png", ".jpg", ".jpeg", ".dcm"].iter().fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
    let name = name.strip_suffix(".dcm").unwrap_or(name);
    let name = name.strip_prefix("CXR").unwrap_or(name);
    match name.split_once("_IM-") {
        Some((report, image)) => format!("{}_IM-{image}", report.rsplit('_').next().unwrap_or(report)),
        None => name.to_owned(),
    }
}

/// What the tables of a folder say of the images' views.
struct Views {
    /// By key.
    listed: HashMap<String, View>,
    /// Of an image that no table lists.
    unlisted: View,
    rule: FrontalRule,
}

/// What is known of an image's view, the likelier a frontal one the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum View {
    Lateral,
    Unknown,
    Frontal,
}

impl Views {
    /// Reads the best table there is.
    fn read(dir: &Path) -> Result<Self> {
        let (projections, headers) = (dir.join(PROJECTIONS), dir.join(HEADERS));
        if projections.is_file() {
            let listed = projected(&projections)?;
            Ok(Self { listed, unlisted: View::Lateral, rule: FrontalRule::Projections })
        } else if headers.is_file() {
            Ok(Self { listed: in_headers(&headers)?, unlisted: View::Unknown, rule: FrontalRule::Headers })
        } else {
            Ok(Self { listed: HashMap::new(), unlisted: View::Unknown, rule: FrontalRule::First })
        }
    }

    fn of(&self, key: &str) -> View {
        self.listed.get(key).copied().unwrap_or(self.unlisted)
    }

    /// Key of the likeliest frontal image, the first of several; `None` if all are lateral.
    fn frontal(&self, images: &[String]) -> Option<String> {
        // From behind, since the last of several greatest is what `max_by_key` gives.
        let keys = images.iter().rev().map(|image| key(image)).filter(|key| self.of(key) != View::Lateral);
        keys.max_by_key(|key| self.of(key))
    }
}

/// The Kaggle edition's table of views.
fn projected(path: &Path) -> Result<HashMap<String, View>> {
    let file = path.display().to_string();
    let bytes = std::fs::read(path).map_err(DataError::read(path))?;
    let mut views = HashMap::new();
    for (line, [name, projection]) in Table::parse(&file, &bytes, ["filename", "projection"])?.rows {
        let view = match projection.as_str() {
            "Frontal" => View::Frontal,
            "Lateral" => View::Lateral,
            _ => {
                let reason = format!("projection `{projection}` is neither Frontal nor Lateral");
                return Err(DataError::Row { file, line, reason });
            }
        };
        views.insert(key(&name), view);
    }
    Ok(views)
}

/// The views by the DICOM headers. What they call lateral is so but for one of 867 images; of what they call PA or AP a
/// third is lateral, and much is left empty.
fn in_headers(path: &Path) -> Result<HashMap<String, View>> {
    let file = path.display().to_string();
    let packed = std::fs::File::open(path).map_err(DataError::read(path))?;
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed).read_to_end(&mut bytes).map_err(DataError::read(path))?;
    let rows = Table::parse(&file, &bytes, ["imageid", "View Position", "Patient Orientation"])?.rows;
    let view = |position: &str, orientation: &str| {
        // Rows of the image run to the front or the back of a patient who stands sideways: `['A', 'F']`.
        let sideways = ["['A", "['P"].iter().any(|start| orientation.starts_with(start));
        if sideways || position.contains("LATERAL") || matches!(position, "LL" | "RL") {
            View::Lateral
        } else if matches!(position, "PA" | "AP") {
            View::Frontal
        } else {
            View::Unknown
        }
    };
    Ok(rows.into_iter().map(|(_, [image, position, way])| (key(&image), view(&position, &way))).collect())
}

/// All image files below the folder by their key; where there are several of one image, the first by path.
fn image_files(dir: &Path) -> Result<HashMap<String, PathBuf>> {
    let mut found: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut folders = vec![(dir.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(DataError::read(&folder))? {
            let entry = entry.map_err(DataError::read(&folder))?;
            let path = entry.path();
            if path.is_dir() {
                if depth < MAX_DEPTH {
                    folders.push((path, depth + 1));
                }
            } else if matches!(path.extension().and_then(OsStr::to_str), Some("png" | "jpg" | "jpeg" | "dcm")) {
                let key = key(&entry.file_name().to_string_lossy());
                found.insert(path, key);
            }
        }
    }
    let mut files = HashMap::new();
    for (path, key) in found {
        files.entry(key).or_insert(path);
    }
    Ok(files)
}

/// The Kaggle edition's reports, with the images that its table of views names.
fn kaggle_records(dir: &Path) -> Result<Vec<Record>> {
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read(&path).map_err(DataError::read(&path)).map(|bytes| (path.display().to_string(), bytes))
    };
    let (file, bytes) = read(PROJECTIONS)?;
    let mut images: HashMap<String, Vec<String>> = HashMap::new();
    for (_, [uid, name]) in Table::parse(&file, &bytes, ["uid", "filename"])?.rows {
        images.entry(uid).or_default().push(name);
    }
    let (file, bytes) = read(KAGGLE_REPORTS)?;
    let rows = Table::parse(&file, &bytes, ["uid", "MeSH", "findings", "impression"])?.rows;
    let record = |(_, [uid, mesh, findings, impression]): (u64, [String; 4])| {
        let sections = [findings, impression].into_iter().filter(|section| !section.is_empty());
        let text = sections.collect::<Vec<_>>().join(" ");
        Record {
            id: format!("CXR{uid}"),
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            headings: mesh.split(';').map(|heading| heading.trim().to_owned()).filter(|h| !h.is_empty()).collect(),
            images: images.remove(&uid).unwrap_or_default(),
        }
    };
    Ok(rows.into_iter().map(record).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use shared::{Finding, FindingSet};

    use super::*;

    fn write(path: &Path, bytes: &[u8]) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn xml(number: usize, heading: &str, images: &[&str]) -> String {
        let images = images.iter().flat_map(|id| ["<parentImage id=\"", id, "\"/>"]).collect::<String>();
        format!(
            "<eCitation><uId id=\"CXR{number}\"/><AbstractText Label=\"FINDINGS\">Seen, of {number}.</AbstractText>
             <MeSH><major>{heading}</major></MeSH>{images}</eCitation>"
        )
    }

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let reports = dir.path().join("ecgen-radiology");
        write(&reports.join("1.xml"), xml(1, "Mass", &["CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001"]).as_bytes());
        write(&reports.join("2.xml"), xml(2, "normal", &["CXR2_IM-0652-1001", "CXR2_IM-0652-2001"]).as_bytes());
        write(&reports.join("3.xml"), xml(3, "No Indexing", &["CXR3_IM-0001-1001"]).as_bytes());
        write(&reports.join("4.xml"), xml(4, "normal", &[]).as_bytes());
        dir
    }

    fn names(found: &OpenI) -> Vec<&str> {
        found.studies.iter().map(|study| study.image.as_str()).collect()
    }

    #[test]
    fn png_and_dicom_folders_are_recognised() {
        for files in [
            ["NLMCXR_png/CXR1_1_IM-0001-4001.png", "NLMCXR_png/CXR2_IM-0652-1001.png"],
            ["NLMCXR_dcm/1/1_IM-0001-4001.dcm", "NLMCXR_dcm/2/2_IM-0652-1001.dcm"],
            ["images/images_normalized/1_IM-0001-4001.dcm.png", "images/images_normalized/2_IM-0652-1001.dcm.png"],
            ["CXR1_1_IM-0001-4001.png", "CXR2_IM-0652-1001.png"],
        ] {
            let dir = folder();
            for file in files {
                write(&dir.path().join(file), b"");
            }
            let views = "uid,filename,projection\n1,1_IM-0001-4001.dcm.png,Frontal\n1,1_IM-0001-3001.dcm.png,Lateral\n\
                         2,2_IM-0652-1001.dcm.png,Frontal\n";
            write(&dir.path().join(PROJECTIONS), views.as_bytes());
            let found = studies(dir.path(), 3).unwrap();
            assert_eq!(names(&found), ["openi-1_IM-0001-4001", "openi-2_IM-0652-1001"]);
            assert_eq!((found.n_reports, found.left_out.not_indexed, found.n_without_frontal), (4, 1, 1));
            assert_eq!((found.rule, found.studies[0].source), (FrontalRule::Projections, 3));
            let mass: FindingSet = [Finding::Mass].into_iter().collect();
            assert_eq!(found.studies[0].findings, Some(mass));
            assert_eq!(found.studies[0].report.as_deref(), Some("Seen, of 1."));
        }
    }

    #[test]
    fn the_kaggle_edition_reads_like_the_xml() {
        let dir = tempfile::tempdir().unwrap();
        let reports = "uid,MeSH,Problems,image,indication,comparison,findings,impression\n\
                       1,Mass/lung;Nodule,Mass,\"Chest, PA\",Cough,None.,\"Seen, of\n 1.\",Known.\n\
                       2,normal,normal,Chest,,,,\n";
        write(&dir.path().join(KAGGLE_REPORTS), reports.as_bytes());
        let views = "uid,filename,projection\n1,1_IM-0001-4001.dcm.png,Frontal\n2,2_IM-0652-1001.dcm.png,Frontal\n";
        write(&dir.path().join(PROJECTIONS), views.as_bytes());
        write(&dir.path().join("images_normalized/1_IM-0001-4001.dcm.png"), b"");
        let found = studies(dir.path(), 0).unwrap();
        assert_eq!(found.left_out.without_text, 1);
        assert_eq!(found.studies[0].report.as_deref(), Some("Seen, of 1. Known."));
        assert_eq!(found.studies[0].known_findings().len(), 2);
        write(&dir.path().join(KAGGLE_REPORTS), b"uid,MeSH,findings\n1,Mass,Seen.\n");
        assert!(studies(dir.path(), 0).unwrap_err().to_string().contains("column `impression` is missing"));
    }

    #[test]
    fn without_a_table_of_views_the_first_image_is_taken_and_said_so() {
        let dir = folder();
        write(&dir.path().join("CXR1_1_IM-0001-3001.png"), b"");
        write(&dir.path().join("CXR2_IM-0652-1001.png"), b"");
        let found = studies(dir.path(), 0).unwrap();
        assert_eq!(names(&found), ["openi-1_IM-0001-3001", "openi-2_IM-0652-1001"]);
        assert!(found.rule.in_words().contains("first image"));
    }

    #[test]
    fn dicom_headers_tell_lateral_images_where_there_is_no_table_of_views() {
        let dir = folder();
        let headers = "imageid,Patient Orientation,View Position\nCXR1_1_IM-0001-3001,\"['A', 'F']\",PA\n\
                       CXR1_1_IM-0001-4001,,\nCXR2_IM-0652-1001,,\nCXR2_IM-0652-2001,\"['L', 'F']\",AP\n";
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, headers.as_bytes()).unwrap();
        write(&dir.path().join(HEADERS), &packed.finish().unwrap());
        for image in ["1_IM-0001-3001", "1_IM-0001-4001", "2_IM-0652-1001", "2_IM-0652-2001"] {
            write(&dir.path().join(format!("NLMCXR_dcm/{image}.dcm")), b"");
        }
        let found = studies(dir.path(), 0).unwrap();
        assert_eq!(names(&found), ["openi-1_IM-0001-4001", "openi-2_IM-0652-2001"]);
        assert_eq!(found.rule, FrontalRule::Headers);
        write(&dir.path().join(HEADERS), b"no gzip");
        assert!(studies(dir.path(), 0).unwrap_err().to_string().contains(HEADERS));
    }

    #[test]
    fn missing_images_are_one_summary_and_an_error_if_most_are_missing() {
        let dir = folder();
        write(&dir.path().join("CXR1_1_IM-0001-3001.png"), b"");
        let found = studies(dir.path(), 0).unwrap();
        assert_eq!(found.missing, ["2_IM-0652-1001"]);
        let error = studies(folder().path(), 0).unwrap_err().to_string();
        assert!(error.contains("2 of 2 images are not in") && error.contains("1_IM-0001-3001"), "{error}");
    }

    #[test]
    fn an_original_dicom_file_is_read() {
        let name = "../../shared/data/samples/dicom/gdcm-CR-MONO1-10-chest.dcm";
        let Ok(sample) = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)) else {
            eprintln!("skipped: {name} is not here");
            return;
        };
        let dir = folder();
        write(&dir.path().join("NLMCXR_dcm/1/1_IM-0001-3001.dcm"), &sample);
        let found = studies(dir.path(), 0).unwrap();
        let image = found.studies[0].radiograph(64).unwrap();
        assert!(image.width > 64 && image.pixels.iter().all(|grey| (0.0..=1.0).contains(grey)));
    }

    /// The real reports with empty files in the images' places: nothing here decodes them.
    #[test]
    fn the_real_reports_give_one_frontal_image_each() {
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/openi");
        if !real.join(super::super::ARCHIVE).is_file() {
            eprintln!("skipped: {} is not here", real.display());
            return;
        }
        let views = Views::read(&real).unwrap();
        assert_eq!(views.rule, FrontalRule::Projections);
        let is_frontal = |study: &Study| views.of(study.image.trim_start_matches("openi-")) == View::Frontal;
        let dir = tempfile::tempdir().unwrap();
        for name in [super::super::ARCHIVE, PROJECTIONS, KAGGLE_REPORTS] {
            std::fs::copy(real.join(name), dir.path().join(name)).unwrap();
        }
        let all = records(dir.path()).unwrap();
        for image in all.iter().flat_map(|record| &record.images) {
            write(&dir.path().join("NLMCXR_png").join(format!("{image}.png")), b"");
        }
        let found = studies(dir.path(), 0).unwrap();
        assert_eq!((found.n_reports, found.missing.len()), (3955, 0));
        let patients: HashSet<u32> = found.studies.iter().map(|study| study.patient).collect();
        assert_eq!(patients.len(), found.studies.len());
        assert!(found.studies.iter().all(is_frontal));
        assert_eq!((found.studies.len(), found.n_without_frontal), (3500, 246));
        // The Kaggle edition has the same reports, found by its tables alone.
        std::fs::remove_file(dir.path().join(super::super::ARCHIVE)).unwrap();
        let kaggle = studies(dir.path(), 0).unwrap();
        let same = kaggle.studies.iter().filter(|study| found.studies.iter().any(|s| s.image == study.image)).count();
        assert!(same as f64 > 0.98 * found.studies.len() as f64, "{same} of {}", found.studies.len());
        // Without the table of views the DICOM headers help, and the first image is mostly the frontal one.
        std::fs::copy(real.join(super::super::ARCHIVE), dir.path().join(super::super::ARCHIVE)).unwrap();
        std::fs::remove_file(dir.path().join(PROJECTIONS)).unwrap();
        let share = |expected: FrontalRule| {
            let found = studies(dir.path(), 0).unwrap();
            assert_eq!(found.rule, expected);
            let right = found.studies.iter().filter(|study| is_frontal(study)).count();
            eprintln!("{expected:?}: {right} of {} are frontal", found.studies.len());
            right as f64 / found.studies.len() as f64
        };
        assert!(share(FrontalRule::First) > 0.85);
        std::fs::copy(real.join(HEADERS), dir.path().join(HEADERS)).unwrap();
        assert!(share(FrontalRule::Headers) > 0.91);
    }
}
