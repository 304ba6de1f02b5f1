//! Folders of BRATS.

use std::path::Path;

use super::Result;
use super::volumes::RawScan;

pub struct Scan;
pub struct Listing {
    pub scans: Vec<Scan>,
    pub notes: Vec<String>,
}
pub fn discover(_dir: &Path) -> Result<Listing> {
    Ok(Listing { scans: Vec::new(), notes: Vec::new() })
}
pub fn read(_scan: &Scan) -> Result<RawScan> {
    unreachable!()
}
