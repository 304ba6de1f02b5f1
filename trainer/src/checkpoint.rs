//! Files that are either whole or not there, and the checkpoint from which a run resumes exactly.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use safetensors::View;
use safetensors::tensor::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::io::weights::{NamedTensor, sha256_hex};
use shared::model::classifier::RunningMeans;

use crate::data::Fingerprint;
use crate::error::{Error, Result};
use crate::train::{EpochRecord, OpenEpoch};

/// Writes a file by way of a temporary one beside it: after a failure the old file is still there, whole.
///
/// # Errors
///
/// [`Error::File`], for example on a full disk.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = write_beside(path, bytes)?;
    std::fs::rename(&temporary, path).map_err(Error::file(path, "cannot write (the last version is kept)"))
}

/// Writes the temporary file that is to take the place of `path`, down to the disk.
fn write_beside(path: &Path, bytes: &[u8]) -> Result<PathBuf> {
    let temporary = beside(path, "partial");
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    match written {
        Ok(()) => Ok(temporary),
        Err(source) => {
            // Best effort: the error to report is the one above.
            let _ = std::fs::remove_file(&temporary);
            Err(Error::File { path: path.to_owned(), action: "cannot write (the last version is kept)", source })
        }
    }
}

/// The file's name with another ending after its own.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Where a run stands, beside its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress<C> {
    /// Optimizer steps taken.
    pub step: usize,
    /// A record of each epoch completed.
    pub records: Vec<EpochRecord>,
    /// The epoch that has begun.
    pub open: OpenEpoch,
    /// What the mutual-information estimators remember.
    pub means: RunningMeans,
    /// What computes, in words.
    pub processor: String,
    /// The algorithms that a GPU computes with.
    pub algorithms: Option<String>,
    /// What is trained on.
    pub data: Fingerprint,
    /// The resolved configuration.
    pub config: C,
}

impl<C> Progress<C> {
    /// Of a run that begins.
    pub fn new(config: C, data: Fingerprint, processor: String) -> Self {
        Self {
            step: 0,
            records: Vec::new(),
            open: OpenEpoch::default(),
            means: RunningMeans::default(),
            processor,
            algorithms: None,
            data,
            config,
        }
    }

    /// Epochs completed.
    pub fn epochs(&self) -> usize {
        self.records.len()
    }

    /// The best epoch so far.
    pub fn best(&self) -> Option<&EpochRecord> {
        EpochRecord::best_of(&self.records)
    }

    /// Its number, from 1; 0 before the first.
    pub fn best_epoch(&self) -> usize {
        self.best().map_or(0, |record| record.epoch)
    }
}

/// All that a run needs to go on as if it had never stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint<C> {
    /// Where it stands.
    pub progress: Progress<C>,
    /// Variables, optimizer moments, averaged and best weights, by name.
    pub tensors: BTreeMap<String, NamedTensor>,
}

/// Keys of the progress and of the hash of everything in the file's metadata.
const PROGRESS: &str = "progress";
const HASH: &str = "sha256";

impl<C: Serialize + DeserializeOwned> Checkpoint<C> {
    /// The bytes of a safetensors file.
    ///
    /// # Errors
    ///
    /// A message if it cannot be serialised.
    fn to_bytes(&self) -> std::result::Result<Vec<u8>, String> {
        let progress = serde_json::to_string(&self.progress).map_err(|error| error.to_string())?;
        let stored = || self.tensors.iter().map(|(name, tensor)| (name.as_str(), Stored(tensor)));
        let hash = hash(&progress, stored().collect());
        let metadata = HashMap::from([(PROGRESS.to_owned(), progress), (HASH.to_owned(), hash)]);
        safetensors::serialize(stored(), Some(metadata)).map_err(|error| error.to_string())
    }

    /// Reads what [`Checkpoints::write`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if there is no such file, [`Error::NotResumable`] if it is damaged or from another version.
    fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::file(path, "cannot read the checkpoint"))?;
        let failed = |reason: String| Error::NotResumable { path: path.to_owned(), reason };
        let damaged = |error: safetensors::SafeTensorError| failed(format!("it is damaged: {error}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let entry = |key: &str| header.metadata().as_ref().and_then(|metadata| metadata.get(key));
        let (Some(progress), Some(written)) = (entry(PROGRESS), entry(HASH)) else {
            return Err(failed("the file is no checkpoint of this version of the program".to_owned()));
        };
        let views = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let tensors: BTreeMap<String, NamedTensor> = views
            .tensors()
            .into_par_iter()
            .map(|(name, view)| {
                let data = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                (name, NamedTensor { shape: view.shape().to_vec(), data })
            })
            .collect();
        if hash(progress, tensors.iter().map(|(name, tensor)| (name.as_str(), Stored(tensor))).collect()) != *written {
            return Err(failed(
                "it is damaged: its contents do not have the hash that was written with them".to_owned(),
            ));
        }
        let progress = serde_json::from_str(progress)
            .map_err(|error| failed(format!("it was written by another version of the program: {error}")))?;
        Ok(Self { progress, tensors })
    }
}

/// A tensor as its bytes in a file.
struct Stored<'a>(&'a NamedTensor);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        if cfg!(target_endian = "little") {
            return Cow::Borrowed(bytemuck::cast_slice(&self.0.data));
        }
        Cow::Owned(self.0.data.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        4 * self.0.data.len()
    }
}

/// Hash of the progress and of every tensor's name, shape and values.
fn hash(progress: &str, tensors: Vec<(&str, Stored<'_>)>) -> String {
    let of_tensors: Vec<String> = tensors
        .into_par_iter()
        .map(|(name, tensor)| format!("{name} {:?} {}", tensor.shape(), sha256_hex(&tensor.data())))
        .collect();
    sha256_hex(
        of_tensors
            .iter()
            .fold(progress.to_owned(), |mut text, line| {
                // Writing to a String cannot fail.
                let _ = write!(text, "\n{line}");
                text
            })
            .as_bytes(),
    )
}

/// The newest checkpoint of a run and the one before it, in its folder.
pub struct Checkpoints {
    newest: PathBuf,
    previous: PathBuf,
}

/// A checkpoint to go on from.
pub struct Found<C> {
    /// It.
    pub checkpoint: Checkpoint<C>,
    /// Why it is not the newest, if it is not.
    pub instead: Option<String>,
}

impl Checkpoints {
    /// Those of a run's folder.
    pub fn of(run: &Path) -> Self {
        Self { newest: run.join("checkpoint.safetensors"), previous: run.join("checkpoint.previous.safetensors") }
    }

    /// Whether there is one.
    pub fn exist(&self) -> bool {
        self.newest.exists() || self.previous.exists()
    }

    /// Where the newest lies.
    pub fn newest(&self) -> &Path {
        &self.newest
    }

    /// Writes the newest. The one that was the newest becomes the previous one.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the disk refuses it, and then both are as they were; [`Error::NotResumable`] if it cannot be
    /// serialised.
    pub fn write<C: Serialize + DeserializeOwned>(&self, checkpoint: &Checkpoint<C>) -> Result<()> {
        let failed = |reason: String| Error::NotResumable { path: self.newest.clone(), reason };
        let next = write_beside(&self.newest, &checkpoint.to_bytes().map_err(failed)?)?;
        // Between the two renames the previous one is there.
        if self.newest.exists() {
            std::fs::rename(&self.newest, &self.previous).map_err(Error::file(&self.newest, "cannot rename"))?;
        }
        std::fs::rename(&next, &self.newest).map_err(Error::file(&next, "cannot rename"))
    }

    /// The newest that can be read; `None` if there is none.
    ///
    /// A damaged one is put aside under another name, so that it does not take the place of the previous one.
    ///
    /// # Errors
    ///
    /// That of the newest if neither can be read.
    pub fn read<C: Serialize + DeserializeOwned>(&self) -> Result<Option<Found<C>>> {
        if !self.exist() {
            return Ok(None);
        }
        let newest = if self.newest.exists() {
            match Checkpoint::read(&self.newest) {
                Ok(checkpoint) => return Ok(Some(Found { checkpoint, instead: None })),
                Err(error) => Some(error),
            }
        } else {
            None
        };
        match (Checkpoint::<C>::read(&self.previous), newest) {
            (Ok(checkpoint), error) => {
                let why = error
                    .as_ref()
                    .map_or_else(|| format!("{} is not there", self.newest.display()), ToString::to_string);
                if error.is_some() {
                    let aside = beside(&self.newest, "damaged");
                    std::fs::rename(&self.newest, &aside).map_err(Error::file(&self.newest, "cannot rename"))?;
                }
                let epochs = checkpoint.progress.epochs();
                let instead = format!("{why}; the one before it is taken, with {epochs} complete epochs");
                Ok(Some(Found { checkpoint, instead: Some(instead) }))
            }
            (Err(error), newest) => Err(newest.unwrap_or(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, SMOKE};

    fn checkpoint(step: usize) -> Checkpoint<Config> {
        let config = Config::parse("smoke", SMOKE).unwrap();
        let data = Fingerprint::default().with("images", ["a", "b"]);
        // A number that a careless reader of decimals gets wrong in its last bit.
        let loss = 0.843_794_117_647_058_8;
        let record = EpochRecord { epoch: 2, best: true, validation: Some(loss), loss, ..EpochRecord::default() };
        let progress = Progress { step, records: vec![record], ..Progress::new(config, data, "CPU".to_owned()) };
        assert_eq!((progress.epochs(), progress.best_epoch()), (1, 2));
        let tensor = NamedTensor { shape: vec![2, 1], data: vec![0.5, -1.0] };
        Checkpoint { progress, tensors: BTreeMap::from([("param:w".to_owned(), tensor)]) }
    }

    fn step(checkpoints: &Checkpoints) -> (usize, Option<String>) {
        let found = checkpoints.read::<Config>().unwrap().unwrap();
        (found.checkpoint.progress.step, found.instead)
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of(dir.path());
        assert!(checkpoints.read::<Config>().unwrap().is_none());
        checkpoints.write(&checkpoint(42)).unwrap();
        assert_eq!(checkpoints.read().unwrap().unwrap().checkpoint, checkpoint(42));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        checkpoints.write(&checkpoint(43)).unwrap();
        assert_eq!(step(&checkpoints), (43, None));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn of_a_damaged_one_every_byte_is_noticed_and_the_previous_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of(dir.path());
        checkpoints.write(&checkpoint(1)).unwrap();
        checkpoints.write(&checkpoint(2)).unwrap();
        let whole = std::fs::read(checkpoints.newest()).unwrap();
        // Space at the end of the header alone is without meaning.
        let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
        let padding = header - whole[..header].iter().rev().take_while(|byte| **byte == b' ').count();
        for position in (0..whole.len()).filter(|position| !(padding..header).contains(position)) {
            let mut bytes = whole.clone();
            bytes[position] ^= 1;
            std::fs::write(checkpoints.newest(), &bytes).unwrap();
            assert!(Checkpoint::<Config>::read(checkpoints.newest()).is_err(), "byte {position}");
        }
        for bytes in [&whole[..whole.len() / 2], b"", b"\x08\0\0\0\0\0\0\0{}      "] {
            std::fs::write(checkpoints.newest(), bytes).unwrap();
            let (step, instead) = step(&checkpoints);
            assert!(step == 1 && instead.is_some_and(|why| why.contains("checkpoint.safetensors")));
            assert!(dir.path().join("checkpoint.safetensors.damaged").is_file() && !checkpoints.newest().exists());
        }
        // The next one does not take the good one's place with the damaged one.
        checkpoints.write(&checkpoint(3)).unwrap();
        std::fs::write(checkpoints.newest(), b"").unwrap();
        assert_eq!(step(&checkpoints).0, 1);
        // Killed between the two renames.
        assert!(!checkpoints.newest().exists());
        let (_, instead) = step(&checkpoints);
        assert!(instead.is_some_and(|why| why.contains("is not there")));
        // Both gone.
        std::fs::write(dir.path().join("checkpoint.previous.safetensors"), b"").unwrap();
        assert!(checkpoints.read::<Config>().is_err());
    }

    #[test]
    fn a_failed_write_keeps_the_last_version() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of(dir.path());
        checkpoints.write(&checkpoint(1)).unwrap();
        // A folder in the place of the temporary file makes the write fail.
        std::fs::create_dir(dir.path().join("checkpoint.safetensors.partial")).unwrap();
        let error = checkpoints.write(&checkpoint(2)).unwrap_err().to_string();
        assert!(error.contains("checkpoint.safetensors") && error.contains("last version is kept"), "{error}");
        assert_eq!(step(&checkpoints), (1, None));
    }
}
