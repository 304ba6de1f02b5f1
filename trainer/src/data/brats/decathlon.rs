//! Task 1 of the Medical Segmentation Decathlon: all sequences of a scan in one file with four dimensions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use shared::Modality;

use super::layout::{Layout, Listing, Scan, VolumeFile, entries};
use super::names;
use crate::data::error::{DataError, Result};

/// The file that says which sequence stands where, and what the labels mean.
pub(super) const DESCRIPTION: &str = "dataset.json";
/// The folder of the scans.
pub(super) const IMAGES: &str = "imagesTr";
/// The folder of their truths, which have the names of the scans.
const LABELS: &str = "labelsTr";

/// What is needed of `dataset.json`.
#[derive(Debug, Deserialize)]
struct Description {
    modality: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

/// Lists the scans of a folder with [`IMAGES`].
pub(super) fn listing(dir: &Path) -> Result<Listing> {
    let path = dir.join(DESCRIPTION);
    let bytes = std::fs::read(&path).map_err(DataError::read(&path))?;
    let reason = |reason: String| DataError::BratsDescription { file: path.clone(), reason };
    let description: Description = serde_json::from_slice(&bytes).map_err(|error| reason(error.to_string()))?;
    let positions = positions(&description.modality).map_err(reason)?;
    let enhancing_label = enhancing_label(&description.labels).map_err(reason)?;
    let is_series = description.modality.len() > 1;

    let mut truths = volumes(&dir.join(LABELS))?;
    let mut notes = vec![format!(
        "{}: the names of the files do not say which scans are of one patient; each counts as a patient of its own",
        dir.display()
    )];
    let mut scans = Vec::new();
    for (name, path) in volumes(&dir.join(IMAGES))? {
        let truth = truths.remove(&name).map(|path| VolumeFile { path, position: None });
        let file = |position: usize| VolumeFile { path: path.clone(), position: is_series.then_some(position) };
        let sequences = positions.map(|position| position.map(file));
        let patient = Layout::Decathlon.patient(&name).to_owned();
        let scan = Scan { name, patient, sequences, truth, enhancing_label };
        notes.extend(scan.lacks());
        scans.push(scan);
    }
    notes.extend(truths.values().map(|path| format!("{}: there is no scan of this name", path.display())));
    Ok(Listing { layout: Layout::Decathlon, scans, notes })
}

/// The volumes of a folder by name; none if there is no such folder.
fn volumes(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut volumes = BTreeMap::new();
    if !folder.is_dir() {
        return Ok(volumes);
    }
    for (name, path) in entries(folder)? {
        let Some(stem) = names::stem(&name) else { continue };
        if let Some(first) = volumes.insert(stem.to_owned(), path.clone()) {
            return Err(DataError::BratsTwoFiles { scan: stem.to_owned(), part: "the volume", first, second: path });
        }
    }
    Ok(volumes)
}

/// Where each of [`Modality::ALL`] stands in the files.
fn positions(modality: &BTreeMap<String, String>) -> std::result::Result<[Option<usize>; 4], String> {
    let mut positions = [None; 4];
    for (position, name) in modality {
        let number = position.parse().map_err(|error| format!("`modality`: `{position}` is no position ({error})"))?;
        let sequence = match name.to_ascii_lowercase().as_str() {
            "flair" => 0,
            "t1w" | "t1" => 1,
            "t1gd" | "t1ce" | "t1c" => 2,
            "t2w" | "t2" => 3,
            _ => {
                return Err(format!(
                    "`modality`: `{name}` is none of {}",
                    Modality::ALL.map(Modality::label).join(", ")
                ));
            }
        };
        if positions[sequence].replace(number).is_some() {
            return Err(format!("`modality`: {} is there twice", Modality::ALL[sequence].label()));
        }
    }
    if positions == [None; 4] {
        return Err("`modality` is empty".to_owned());
    }
    Ok(positions)
}

/// The label whose description begins with "enhancing": `non-enhancing tumor` is another.
fn enhancing_label(labels: &BTreeMap<String, String>) -> std::result::Result<u8, String> {
    let is_enhancing = |(_, name): &(&String, &String)| name.trim().to_ascii_lowercase().starts_with("enhancing");
    let enhancing: Vec<&String> = labels.iter().filter(is_enhancing).map(|(label, _)| label).collect();
    match enhancing.as_slice() {
        [label] => label.parse().map_err(|error| format!("`labels`: `{label}` is no label ({error})")),
        several => Err(format!("`labels`: {} labels are of the enhancing tumour, expected 1", several.len())),
    }
}
