//! The folder of a run: one program at a time trains in it.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::PathBuf;

use super::{Options, Start};
use crate::checkpoint::Checkpoints;
use crate::error::{Error, Result};

/// Name of the file whose lock says that a program trains in the folder; in it, which one.
const LOCK: &str = ".lock";

/// A folder that is this program's until it is dropped, or the program ends in whatever way.
pub(super) struct RunFolder {
    pub(super) path: PathBuf,
    pub(super) checkpoints: Checkpoints,
    _lock: File,
}

impl RunFolder {
    /// Makes the folder and takes it, before anything that takes long is done.
    ///
    /// # Errors
    ///
    /// [`Error::RunInUse`] if another program trains in it, [`Error::RunExists`] if it holds a run that is not to be
    /// continued.
    pub(super) fn take(options: &Options) -> Result<Self> {
        let path = options.out.clone();
        std::fs::create_dir_all(&path).map_err(Error::file(&path, "cannot make the folder"))?;
        let lock = path.join(LOCK);
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(Error::file(&lock, "cannot write"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&lock).unwrap_or_default();
                return Err(Error::RunInUse { path, holder: holder.trim().to_owned() });
            }
            // Some network file systems have no locks; training there is better than none.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => {
                return Err(Error::File { path: lock, action: "cannot lock", source });
            }
        }
        let told = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        told.map_err(Error::file(&lock, "cannot write"))?;
        let checkpoints = Checkpoints::of(&path);
        if options.start == Start::Fresh && checkpoints.exist() {
            return Err(Error::RunExists { path });
        }
        Ok(Self { path, checkpoints, _lock: file })
    }
}
