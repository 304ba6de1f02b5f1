//! The record of a GPU's algorithms in the user's cache folder: runs on one machine repeat each other bit by bit.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use shared::kernel::algorithms::{Algorithms, Machine};
use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// The file of one machine.
#[derive(Debug, Clone)]
pub struct AlgorithmCache {
    machine: Machine,
    path: PathBuf,
}

impl AlgorithmCache {
    /// In `cmim` below `$XDG_CACHE_HOME`, or below `.cache` in the user's folder; `None` for a user without one.
    pub fn of_user(machine: &Machine) -> Option<Self> {
        let folder = |name: &str| std::env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
        Some(Self::new(&caches.join("cmim"), machine))
    }

    /// In a folder, which need not be there yet.
    pub fn new(folder: &Path, machine: &Machine) -> Self {
        let Machine { gpu, driver, cudnn } = machine;
        let gpu: String = gpu.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let path = folder.join(format!("algorithms-{gpu}-driver-{driver}-cudnn-{cudnn}.json"));
        Self { machine: machine.clone(), path }
    }

    /// What was chosen on this machine. Nothing if no file says so, or one that is damaged or of another version: then all
    /// is chosen anew.
    pub fn read(&self) -> Algorithms {
        let record = fs::read_to_string(&self.path).ok().and_then(|text| Algorithms::of_json(&text).ok());
        record
            .filter(|record| *record.machine() == self.machine)
            .unwrap_or_else(|| Algorithms::new(self.machine.clone()))
    }

    /// Adds what is new. What another program has written meanwhile stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the folder cannot be written to.
    pub fn add(&self, chosen: &Algorithms) -> Result<()> {
        let mut record = self.read();
        record.fill(chosen);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let written = fs::create_dir_all(folder).and_then(|()| {
            let mut file = NamedTempFile::new_in(folder)?;
            file.write_all(record.to_json().as_bytes())?;
            file.persist(&self.path)?;
            Ok(())
        });
        written.map_err(Error::file(&self.path, "cannot keep the GPU's algorithms"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(gpu: &str) -> Machine {
        Machine { gpu: gpu.to_owned(), driver: 13000, cudnn: 91900 }
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// A record with one choice, as its text is.
    fn record(gpu: &str) -> Algorithms {
        let empty = Algorithms::new(machine(gpu)).to_json();
        let task = r#"{"direction":"forward","real":"f32","math":0,"n":4,"c_in":3,"c_out":8,"input":[9,9],"kernel":[3,3],"stride":[1,1],"padding":[1,1]}"#;
        let choice = r#"{"order":"planes","algorithm":1,"math":0}"#;
        let text = empty.replace("\"choices\":[]", &format!("\"choices\":[[{task},[{choice}]]]"));
        Algorithms::of_json(&text).unwrap()
    }

    #[test]
    fn what_is_added_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("not/there");
        let cache = AlgorithmCache::new(&folder, &machine("NVIDIA H100 80GB/HBM3"));
        assert!(cache.read().is_empty());
        cache.add(&record("NVIDIA H100 80GB/HBM3")).unwrap();
        assert_eq!(cache.read(), record("NVIDIA H100 80GB/HBM3"));
        assert_eq!(names(&folder), ["algorithms-NVIDIA-H100-80GB-HBM3-driver-13000-cudnn-91900.json"]);
    }

    #[test]
    fn a_damaged_or_foreign_file_is_ignored_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let cache = AlgorithmCache::new(folder.path(), &machine("a"));
        for text in
            ["", "{", "[1]", &record("b").to_json(), &record("a").to_json().replace("\"version\":1", "\"version\":9")]
        {
            fs::write(&cache.path, text).unwrap();
            assert!(cache.read().is_empty(), "{text}");
        }
        cache.add(&record("a")).unwrap();
        assert_eq!(cache.read().len(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = AlgorithmCache::new(&folder.path().join("file"), &machine("a")).add(&record("a")).unwrap_err();
        assert!(error.to_string().contains("algorithms-a-"), "{error}");
    }
}
