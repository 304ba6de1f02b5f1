//! Reports with findings, from any source.

use shared::FindingSet;

use super::error::Result;
use super::openi::{self, Effusions};
use super::phantom;
use super::source::ReportSource;

/// A report whose findings are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Name in its source, such as `CXR1`.
    pub id: String,
    /// What the radiologist saw and concluded, in one line; never empty.
    pub text: String,
    /// The findings; empty if it has none of the 14, though it may have others.
    pub findings: FindingSet,
    /// Whether the radiograph was indexed as normal altogether.
    pub normal: bool,
}

/// The reports of some sources, and how many were left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reports {
    /// Those that can be used.
    pub reports: Vec<Report>,
    /// Those that cannot.
    pub left_out: LeftOut,
}

/// How many reports were left out, and why. Each is counted once, for the first reason that holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Nobody indexed them: unlabelled, which is not the same as without findings.
    pub not_indexed: usize,
    /// The technical quality of the image was unsatisfactory.
    pub poor_quality: usize,
    /// Neither findings nor impression are written.
    pub without_text: usize,
}

impl Reports {
    /// Reads all sources, one after the other.
    ///
    /// # Errors
    ///
    /// A folder without reports, a damaged archive, a damaged report: each named.
    pub fn load(sources: &[ReportSource]) -> Result<Self> {
        let mut all = Self::default();
        for source in sources {
            match source {
                ReportSource::OpenI(dir) => {
                    let Self { reports, left_out } = openi::select(&openi::records(dir)?, Effusions::Pleural);
                    all.reports.extend(reports);
                    all.left_out.not_indexed += left_out.not_indexed;
                    all.left_out.poor_quality += left_out.poor_quality;
                    all.left_out.without_text += left_out.without_text;
                }
                ReportSource::Phantom(source) => {
                    all.reports.extend((0..source.n).map(|index| phantom::report(source, index)));
                }
            }
        }
        Ok(all)
    }
}
