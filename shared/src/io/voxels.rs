//! What the volume formats have in common: numbers of every type in either byte order, compressed or not.

use std::io::{Cursor, Read};

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};

use crate::error::{Error, Result};
use crate::io::volume::{Geometry, Volume};

/// Most voxels that are read into memory.
pub(crate) const MAX_VOXELS: u64 = 1 << 30;

/// Most bytes that one byte of deflated data can become.
const MAX_EXPANSION: u64 = 1032;

/// Bytes decoded at a time: fits the cache, and a whole number of every kind of number.
const CHUNK: usize = 1 << 16;

/// A number as it stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl Element {
    pub(crate) fn n_bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// Which byte of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

/// How numbers become voxels: `slope * number + intercept`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Encoding {
    pub(crate) element: Element,
    pub(crate) order: ByteOrder,
    pub(crate) slope: f64,
    pub(crate) intercept: f64,
}

impl Encoding {
    /// Appends the numbers of some bytes.
    fn decode(&self, bytes: &[u8], voxels: &mut Vec<f32>) {
        match self.element {
            Element::U8 => self.extend(bytes, voxels, |[byte]| f64::from(byte)),
            Element::I8 => self.extend(bytes, voxels, |[byte]| f64::from(byte as i8)),
            Element::U16 => self.extend(bytes, voxels, |bytes| f64::from(u16::from_le_bytes(bytes))),
            Element::I16 => self.extend(bytes, voxels, |bytes| f64::from(i16::from_le_bytes(bytes))),
            Element::U32 => self.extend(bytes, voxels, |bytes| f64::from(u32::from_le_bytes(bytes))),
            Element::I32 => self.extend(bytes, voxels, |bytes| f64::from(i32::from_le_bytes(bytes))),
            Element::U64 => self.extend(bytes, voxels, |bytes| u64::from_le_bytes(bytes) as f64),
            Element::I64 => self.extend(bytes, voxels, |bytes| i64::from_le_bytes(bytes) as f64),
            Element::F32 => self.extend(bytes, voxels, |bytes| f64::from(f32::from_le_bytes(bytes))),
            Element::F64 => self.extend(bytes, voxels, f64::from_le_bytes),
        }
    }

    fn extend<const N: usize>(&self, bytes: &[u8], voxels: &mut Vec<f32>, number: impl Fn([u8; N]) -> f64) {
        let (slope, intercept) = (self.slope, self.intercept);
        let numbers = bytes.as_chunks::<N>().0;
        match self.order {
            ByteOrder::Little => {
                voxels.extend(numbers.iter().map(|&bytes| (number(bytes) * slope + intercept) as f32));
            }
            ByteOrder::Big => voxels.extend(numbers.iter().map(|&(mut bytes)| {
                bytes.reverse();
                (number(bytes) * slope + intercept) as f32
            })),
        }
    }
}

/// How the bytes of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zlib,
}

/// Whether these are the first bytes of a gzip file.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x1f\x8b")
}

/// The bytes of a file, unpacked as they are read.
pub(crate) struct Unpacked<'a> {
    file: &'a str,
    format: &'static str,
    stream: Stream<'a>,
    /// Bytes that can still come out of the stream.
    bytes_left: u64,
}

enum Stream<'a> {
    Plain(Cursor<&'a [u8]>),
    Gzip(Box<MultiGzDecoder<&'a [u8]>>),
    Zlib(Box<ZlibDecoder<&'a [u8]>>),
}

impl<'a> Unpacked<'a> {
    pub(crate) fn new(file: &'a str, format: &'static str, packing: Packing, bytes: &'a [u8]) -> Self {
        let n_bytes = bytes.len() as u64;
        let (stream, bytes_left) = match packing {
            Packing::None => (Stream::Plain(Cursor::new(bytes)), n_bytes),
            Packing::Gzip => (Stream::Gzip(Box::new(MultiGzDecoder::new(bytes))), n_bytes * MAX_EXPANSION),
            Packing::Zlib => (Stream::Zlib(Box::new(ZlibDecoder::new(bytes))), n_bytes * MAX_EXPANSION),
        };
        Self { file, format, stream, bytes_left }
    }

    /// Fills the buffer as far as the bytes reach; says how far.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut n_filled = 0;
        while n_filled < buffer.len() {
            let rest = &mut buffer[n_filled..];
            let read = match &mut self.stream {
                Stream::Plain(bytes) => bytes.read(rest),
                Stream::Gzip(stream) => stream.read(rest),
                Stream::Zlib(stream) => stream.read(rest),
            };
            match read {
                Ok(0) => break,
                Ok(n) => n_filled += n,
                Err(error) => return Err(self.damaged(&error)),
            }
        }
        self.bytes_left = self.bytes_left.saturating_sub(n_filled as u64);
        Ok(n_filled)
    }

    /// Passes over this many bytes, or over all that are left.
    pub(crate) fn skip(&mut self, n_bytes: u64) -> Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut left = n_bytes;
        while left > 0 {
            let n = self.fill(&mut buffer[..left.min(CHUNK as u64) as usize])?;
            if n == 0 {
                break;
            }
            left -= n as u64;
        }
        Ok(())
    }

    /// Reads some volumes of one geometry, one after the other. Takes no more memory than the file can fill.
    pub(crate) fn volumes(mut self, geometry: Geometry, n_volumes: u64, encoding: Encoding) -> Result<Vec<Volume>> {
        let n_voxels = n_voxels(self.file, geometry.size.map(|side| side as u64), n_volumes)? / n_volumes.max(1);
        let n_bytes = n_voxels * encoding.element.n_bytes() as u64;
        let expected = n_bytes * n_volumes;
        if expected > self.bytes_left {
            return Err(Error::TooFewVoxels { file: self.file.to_owned(), expected, found: self.bytes_left });
        }
        let mut buffer = vec![0; CHUNK];
        let mut volumes = Vec::new();
        for number in 0..n_volumes {
            let mut voxels = Vec::new();
            let out_of_memory = |_| Error::OutOfMemory { bytes: (n_voxels * 4) as usize };
            voxels.try_reserve_exact(n_voxels as usize).map_err(out_of_memory)?;
            let mut done = 0;
            while done < n_bytes {
                let chunk = &mut buffer[..(n_bytes - done).min(CHUNK as u64) as usize];
                let n = self.fill(chunk)?;
                done += n as u64;
                if n < chunk.len() {
                    let found = number * n_bytes + done;
                    return Err(Error::TooFewVoxels { file: self.file.to_owned(), expected, found });
                }
                encoding.decode(chunk, &mut voxels);
            }
            volumes.push(self.volume(geometry, voxels)?);
        }
        // Reading to the end is what makes the decoders compare the checksum; more than a little is not looked at.
        self.fill(&mut buffer[..1])?;
        Ok(volumes)
    }

    fn volume(&self, geometry: Geometry, voxels: Vec<f32>) -> Result<Volume> {
        Volume::new(geometry, voxels).map_err(|error| match error {
            Error::NonFinite { index, value, .. } => {
                let [w, h, _] = geometry.size;
                let voxel = [index % w, index / w % h, index / w / h];
                Error::NonFiniteVoxel { file: self.file.to_owned(), voxel, value }
            }
            other => other,
        })
    }

    fn damaged(&self, error: &std::io::Error) -> Error {
        Error::Damaged {
            file: self.file.to_owned(),
            format: self.format,
            reason: format!("its compressed data cannot be unpacked ({error}); fetch or save it again"),
        }
    }
}

/// How many voxels some volumes of this size have together.
pub(crate) fn n_voxels(file: &str, size: [u64; 3], n_volumes: u64) -> Result<u64> {
    let n_voxels = size.iter().fold(n_volumes, |n, &side| n.saturating_mul(side));
    if n_voxels > MAX_VOXELS {
        return Err(Error::TooManyVoxels { file: file.to_owned(), n_voxels, max_voxels: MAX_VOXELS });
    }
    Ok(n_voxels)
}
