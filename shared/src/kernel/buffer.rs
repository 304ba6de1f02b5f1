//! Memory for vectors.

use std::ops::{Deref, DerefMut};

use crate::error::{Error, Result};

/// Bytes of a cache line: vectors that begin at multiples of their size never cross one.
const LINE: usize = 64;

/// A fixed number of floats that begin at a cache line.
pub(crate) struct Buffer {
    data: Vec<f32>,
    start: usize,
}

impl Buffer {
    /// `len` zeros.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`] if the machine has no room for them.
    pub(crate) fn zeros(len: usize) -> Result<Self> {
        let floats = len.saturating_add(LINE / size_of::<f32>());
        let mut data: Vec<f32> = Vec::new();
        data.try_reserve_exact(floats)
            .map_err(|_source| Error::OutOfMemory { bytes: floats.saturating_mul(size_of::<f32>()) })?;
        // Where alignment cannot be found out, the floats still begin inside the buffer.
        let start = data.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
        data.resize(start + len, 0.0);
        Ok(Self { data, start })
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.data[self.start..]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..]
    }
}
