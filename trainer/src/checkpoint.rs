//! Files that are either whole or not there, and the checkpoint from which a run resumes exactly.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::io::weights::NamedTensor;
use shared::model::classifier::RunningMeans;

use crate::error::{Error, Result};

/// Writes a file by way of a temporary one beside it: after a failure the old file is still there, whole.
///
/// # Errors
///
/// [`Error::File`], for example on a full disk.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".partial");
    let temporary = Path::new(&temporary);
    let written = File::create(temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(temporary, path));
    renamed.map_err(|source| {
        // Best effort: the error to report is the one above.
        let _ = std::fs::remove_file(temporary);
        Error::File { path: path.to_owned(), action: "cannot write (the last version is kept)", source }
    })
}

/// Where a run stands, beside its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress<C> {
    /// Epochs completed.
    pub epoch: usize,
    /// Optimizer steps taken.
    pub step: usize,
    /// Epoch of the best validation result, from 1; 0 before the first.
    pub best_epoch: usize,
    /// That result.
    pub best: Option<f64>,
    /// What the mutual-information estimators remember.
    #[serde(default)]
    pub means: RunningMeans,
    /// The resolved configuration.
    pub config: C,
}

/// All that a run needs to go on as if it had never stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint<C> {
    /// Where it stands.
    pub progress: Progress<C>,
    /// Variables, optimizer moments, averaged and best weights, by name.
    pub tensors: BTreeMap<String, NamedTensor>,
}

/// Key of the progress in the file's metadata.
const PROGRESS: &str = "progress";

impl<C: Serialize + DeserializeOwned> Checkpoint<C> {
    /// Writes one safetensors file, atomically.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the disk refuses it, [`Error::NotResumable`] if it cannot be serialised.
    pub fn write(&self, path: &Path) -> Result<()> {
        let failed = |reason: String| Error::NotResumable { path: path.to_owned(), reason };
        let progress = serde_json::to_string(&self.progress).map_err(|error| failed(error.to_string()))?;
        let bytes: Vec<(&String, &NamedTensor, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, tensor)| (name, tensor, tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect()))
            .collect();
        let views = bytes
            .iter()
            .map(|(name, tensor, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)?)))
            .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| failed(error.to_string()))?;
        let metadata = HashMap::from([(PROGRESS.to_owned(), progress)]);
        let file = safetensors::serialize(views, Some(metadata)).map_err(|error| failed(error.to_string()))?;
        write_atomically(path, &file)
    }

    /// Reads what [`Self::write`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if there is no such file, [`Error::NotResumable`] if it is damaged or from another version.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::file(path, "cannot read the checkpoint"))?;
        let failed = |reason: String| Error::NotResumable { path: path.to_owned(), reason };
        let damaged = |error: safetensors::SafeTensorError| failed(error.to_string());
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let progress = header
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(PROGRESS))
            .ok_or_else(|| failed("the file is no checkpoint of this program".to_owned()))?;
        let progress = serde_json::from_str(progress).map_err(|error| failed(error.to_string()))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let tensors = tensors
            .iter()
            .map(|(name, view)| {
                let data = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                (name.to_owned(), NamedTensor { shape: view.shape().to_vec(), data })
            })
            .collect();
        Ok(Self { progress, tensors })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, SMOKE};

    fn checkpoint() -> Checkpoint<Config> {
        let config = Config::parse("smoke", SMOKE).unwrap();
        let progress =
            Progress { epoch: 3, step: 42, best_epoch: 2, best: Some(0.75), means: RunningMeans::default(), config };
        let tensor = NamedTensor { shape: vec![2, 1], data: vec![0.5, -1.0] };
        Checkpoint { progress, tensors: BTreeMap::from([("param.w".to_owned(), tensor)]) }
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint.safetensors");
        checkpoint().write(&path).unwrap();
        assert_eq!(Checkpoint::<Config>::read(&path).unwrap(), checkpoint());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_or_foreign_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint.safetensors");
        checkpoint().write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(Checkpoint::<Config>::read(&path), Err(Error::NotResumable { .. })));
        let foreign = safetensors::serialize(Vec::<(&str, TensorView<'_>)>::new(), None).unwrap();
        std::fs::write(&path, foreign).unwrap();
        assert!(Checkpoint::<Config>::read(&path).unwrap_err().to_string().contains("no checkpoint"));
    }

    #[test]
    fn a_failed_write_keeps_the_last_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint.safetensors");
        checkpoint().write(&path).unwrap();
        // A folder in the place of the temporary file makes the write fail.
        std::fs::create_dir(dir.path().join("checkpoint.safetensors.partial")).unwrap();
        let error = checkpoint().write(&path).unwrap_err().to_string();
        assert!(error.contains("checkpoint.safetensors") && error.contains("last version is kept"), "{error}");
        assert_eq!(Checkpoint::<Config>::read(&path).unwrap(), checkpoint());
    }
}
