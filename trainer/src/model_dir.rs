//! The folder that a run leaves behind and the page loads: `model.json`, `model.safetensors`, `split.csv`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use shared::infer::{SegmenterPlan, XrayClassifier};
use shared::io::card::WeightsFile;
use shared::io::weights::sha256_hex;
use shared::io::{Encoding, ModelCard, SegmenterCard, Weights};

use crate::checkpoint::write_atomically;
use crate::data::Split;
use crate::data::volumes::ScanParts;
use crate::error::{Error, Result};

/// Name of the model card.
pub const CARD: &str = "model.json";
/// Name of the weights.
pub const WEIGHTS: &str = "model.safetensors";
/// Name of the table that says which image was for training, validation and test.
pub const SPLIT: &str = "split.csv";

/// Name of the resolved configuration.
pub const CONFIG: &str = "config.toml";
/// Name of the tokenizer, for methods that read reports.
pub const TOKENIZER: &str = "tokenizer.json";
/// Name of the weights of the whole model, for methods that are more than an image path.
pub const WHOLE_WEIGHTS: &str = "whole.safetensors";

/// A trained model as it lies in its folder.
pub struct ModelDir {
    /// The folder.
    pub path: PathBuf,
    /// What the model is.
    pub card: ModelCard,
    /// Its weights, expanded to 32 bits.
    pub weights: Weights,
}

impl ModelDir {
    /// Reads card and weights, and holds the one against the other.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for a missing file, else the errors of the card, the hash and the weights.
    pub fn read(path: &Path) -> Result<Self> {
        let (file, json) = read_file(path, CARD)?;
        let card = ModelCard::from_json(&file, &json)?;
        let weights = read_weights(path, &card.weights)?;
        Ok(Self { path: path.to_owned(), card, weights })
    }

    /// The model, ready to answer.
    ///
    /// # Errors
    ///
    /// If the weights do not fit the card.
    pub fn classifier(&self) -> Result<XrayClassifier> {
        Ok(XrayClassifier::new(self.card.clone(), &self.weights)?)
    }
}

/// A trained network that outlines tumours in MRI, as it lies in its folder.
pub struct SegmenterDir {
    /// The folder.
    pub path: PathBuf,
    /// What the model is.
    pub card: SegmenterCard,
    /// Its weights, expanded to 32 bits.
    pub weights: Weights,
}

impl SegmenterDir {
    /// Reads card and weights, and holds the one against the other.
    ///
    /// # Errors
    ///
    /// As [`ModelDir::read`].
    pub fn read(path: &Path) -> Result<Self> {
        let (file, json) = read_file(path, CARD)?;
        let card = SegmenterCard::from_json(&file, &json)?;
        let weights = read_weights(path, &card.weights)?;
        Ok(Self { path: path.to_owned(), card, weights })
    }

    /// The network, ready to answer.
    ///
    /// # Errors
    ///
    /// If the weights do not fit the card.
    pub fn plan(&self) -> Result<SegmenterPlan> {
        Ok(SegmenterPlan::new(&self.card.architecture, self.card.grid, &self.weights)?)
    }
}

/// Whether a folder holds a network that outlines tumours in MRI, by its card; a card that cannot be read is none.
pub fn is_segmenter(dir: &Path) -> bool {
    let card = std::fs::read(dir.join(CARD)).ok().and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    card.is_some_and(|card| card["architecture"]["network"].is_string())
}

fn read_file(dir: &Path, name: &str) -> Result<(String, Vec<u8>)> {
    let file = dir.join(name);
    let bytes = std::fs::read(&file).map_err(Error::file(&file, "cannot read the model"))?;
    Ok((file.display().to_string(), bytes))
}

fn read_weights(dir: &Path, expected: &WeightsFile) -> Result<Weights> {
    let (file, bytes) = read_file(dir, &expected.file)?;
    Ok(expected.read(&file, &bytes)?)
}

/// The parts of the scans that the segmenter of a folder was trained with; `None` if the folder has no split.
///
/// # Errors
///
/// If the table cannot be read or breaks its rules.
pub fn read_scan_parts(dir: &Path) -> Result<Option<ScanParts>> {
    let path = dir.join(SPLIT);
    Ok(if path.is_file() { Some(ScanParts::read(&path)?) } else { None })
}

/// The split that the model of a folder was trained with; `None` if the folder has none.
///
/// # Errors
///
/// If the table cannot be read or breaks its rules.
pub fn read_split(dir: &Path) -> Result<Option<Split>> {
    let path = dir.join(SPLIT);
    Ok(if path.is_file() { Some(Split::read(&path)?) } else { None })
}

/// Whether a folder holds a model that is more than an image path, so that only the whole of it answers.
pub fn is_whole_only(dir: &Path) -> bool {
    !dir.join(CARD).is_file() && dir.join(WHOLE_WEIGHTS).is_file()
}

/// Writes the weights in an encoding, then the card that describes exactly them.
///
/// # Errors
///
/// [`Error::File`], for example on a full disk.
pub fn write(path: &Path, mut card: ModelCard, weights: &Weights, encoding: Encoding) -> Result<ModelCard> {
    card.weights = write_weights(path, weights, encoding)?;
    write_card(path, &card.to_json()?)?;
    Ok(card)
}

/// The same for a segmenter.
///
/// # Errors
///
/// As [`write`].
pub fn write_segmenter(
    path: &Path,
    mut card: SegmenterCard,
    weights: &Weights,
    encoding: Encoding,
) -> Result<SegmenterCard> {
    card.weights = write_weights(path, weights, encoding)?;
    write_card(path, &card.to_json()?)?;
    Ok(card)
}

/// Writes a card anew beside the weights that it describes.
///
/// # Errors
///
/// [`Error::File`], for example on a full disk.
pub fn write_card(path: &Path, json: &str) -> Result<()> {
    write_atomically(&path.join(CARD), json.as_bytes())
}

fn write_weights(path: &Path, weights: &Weights, encoding: Encoding) -> Result<WeightsFile> {
    let bytes = weights.to_safetensors(encoding)?;
    write_atomically(&path.join(WEIGHTS), &bytes)?;
    Ok(WeightsFile { file: WEIGHTS.to_owned(), bytes: bytes.len() as u64, sha256: sha256_hex(&bytes), encoding })
}
