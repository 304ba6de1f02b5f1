//! Prepared images and slices in a temporary file: memory does not grow with the data set, and the operating system keeps
//! in memory what it has room for.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use super::error::{DataError, Result};

/// Records of one size, by number. The file has no name and is gone when the program ends, however it ends.
#[derive(Debug)]
pub(super) struct Store {
    file: Mutex<File>,
    record_bytes: usize,
    /// Of each record, taken as it is written: reading all of them again would take minutes for a large data set.
    checksums: Mutex<Vec<u32>>,
}

impl Store {
    /// An empty store for records of so many bytes, in the folder for temporary files (`TMPDIR`).
    pub(super) fn new(record_bytes: usize) -> Result<Self> {
        let file = tempfile::tempfile().map_err(DataError::read(&std::env::temp_dir()))?;
        Ok(Self { file: Mutex::new(file), record_bytes, checksums: Mutex::default() })
    }

    /// Writes record `index`.
    pub(super) fn write(&self, index: usize, record: &[u8]) -> Result<()> {
        self.at(index, |file| file.write_all(record))?;
        let checksum = crc32fast::hash(record);
        let mut checksums = self.checksums.lock().unwrap_or_else(PoisonError::into_inner);
        let len = checksums.len().max(index + 1);
        checksums.resize(len, 0);
        checksums[index] = checksum;
        Ok(())
    }

    /// Checksums of the first `n` records.
    pub(super) fn checksums(&self, n: usize) -> Vec<u32> {
        self.checksums.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().take(n).collect()
    }

    /// Reads record `index`.
    pub(super) fn read(&self, index: usize) -> Result<Vec<u8>> {
        let mut record = vec![0; self.record_bytes];
        self.at(index, |file| file.read_exact(&mut record))?;
        Ok(record)
    }

    /// Writes values as record `index`.
    pub(super) fn write_f32(&self, index: usize, values: &[f32]) -> Result<()> {
        self.write(index, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
    }

    /// Reads the values of record `index`.
    pub(super) fn read_f32(&self, index: usize) -> Result<Vec<f32>> {
        let record = self.read(index)?;
        Ok(record.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
    }

    fn at(&self, index: usize, act: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start((index * self.record_bytes) as u64))
            .and_then(|_position| act(&mut file))
            .map_err(DataError::read(&std::env::temp_dir()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_any_order_is_read() {
        let store = Store::new(12).unwrap();
        for index in [4, 0, 2] {
            store.write_f32(index, &[index as f32, 0.1, -1.0]).unwrap();
        }
        for index in [0, 2, 4] {
            assert_eq!(store.read_f32(index).unwrap(), [index as f32, 0.1, -1.0]);
        }
        assert!(store.read(5).is_err());
        let before = store.checksums(5);
        store.write_f32(2, &[3.0, 0.1, -1.0]).unwrap();
        let after = store.checksums(5);
        assert_eq!((after.len(), before[0], before[4]), (5, after[0], after[4]));
        assert_ne!(before[2], after[2]);
    }
}
