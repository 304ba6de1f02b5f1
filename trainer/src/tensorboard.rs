//! Event files that TensorBoard reads, holding scalars over training.
//!
//! A file is a list of records: length, its checksum, an event, its checksum. The events are protocol buffers of four
//! message types, few enough to be written by hand.
//!
//! Source: `tensorflow/core/lib/io/record_writer.cc` for the records, `tensorflow/core/util/event.proto` and
//! `tensorflow/core/framework/summary.proto` for the events.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// Scalars of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalars<'a> {
    /// When they were measured, in seconds since 1970.
    pub wall_time_secs: f64,
    /// Step or epoch, the chart's horizontal axis.
    pub step: u64,
    /// Name such as `loss/image` and value. TensorBoard groups its charts by the part before the slash.
    pub values: Vec<(&'a str, f32)>,
}

/// Name that makes TensorBoard see the file: when the run began, in seconds since 1970, and what it is called.
pub fn file_name(start_secs: u64, name: &str) -> String {
    format!("events.out.tfevents.{start_secs}.{name}")
}

/// A whole event file. More scalars at the end of the list add bytes at the end of the file and change none before.
pub fn encode(scalars: &[Scalars]) -> Vec<u8> {
    let start = scalars.first().map_or(0.0, |first| first.wall_time_secs);
    let mut file = Vec::new();
    let mut version = Message::default();
    version.double(1, start);
    version.bytes(3, b"brain.Event:2");
    push_record(&mut file, &version.0);
    for Scalars { wall_time_secs, step, values } in scalars {
        let mut summary = Message::default();
        for &(tag, value) in values {
            let mut entry = Message::default();
            entry.bytes(1, tag.as_bytes());
            entry.float(2, value);
            summary.bytes(1, &entry.0);
        }
        let mut event = Message::default();
        event.double(1, *wall_time_secs);
        event.varint(2, *step);
        event.bytes(5, &summary.0);
        push_record(&mut file, &event.0);
    }
    file
}

/// Writes [`encode`]'s bytes over the file's own, in place: TensorBoard keeps a file open and reads what is added, so
/// that a file renamed to its place would go unseen.
///
/// # Errors
///
/// What the operating system says.
pub fn write(path: &Path, scalars: &[Scalars]) -> io::Result<()> {
    let bytes = encode(scalars);
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.write_all(&bytes)?;
    file.set_len(bytes.len() as u64)
}

/// A protocol-buffer message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u64, wire_type: u64) {
        self.raw_varint(field << 3 | wire_type);
    }

    /// Seven bits a byte, the lowest first, the top bit set on all but the last.
    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.raw_varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    /// A string or a message within.
    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.raw_varint(value.len() as u64);
        self.0.extend(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }
}

fn push_record(file: &mut Vec<u8>, event: &[u8]) {
    let length = (event.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked_crc(&length).to_le_bytes());
    file.extend(event);
    file.extend(masked_crc(event).to_le_bytes());
}

/// The checksum as records store it: turned and shifted, so that a checksum of data that hold checksums stays telling.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 with Castagnoli's polynomial, bit by bit: the files are a few kilobytes.
fn crc32c(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in data {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_epochs() -> Vec<Scalars<'static>> {
        vec![
            Scalars { wall_time_secs: 1.7e9, step: 1, values: vec![("loss/image", 0.75), ("valid/macro_auroc", 0.6)] },
            Scalars { wall_time_secs: 1.7e9 + 60.5, step: 300, values: vec![("loss/image", f32::NAN)] },
        ]
    }

    /// Events of a file, their checksums checked.
    fn events(mut file: &[u8]) -> Vec<&[u8]> {
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes[..4].try_into().unwrap());
        let mut events = Vec::new();
        while !file.is_empty() {
            let n = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
            assert_eq!(word(&file[8..]), masked_crc(&file[..8]));
            let event = &file[12..12 + n];
            assert_eq!(word(&file[12 + n..]), masked_crc(event));
            events.push(event);
            file = &file[16 + n..];
        }
        events
    }

    #[test]
    fn checksum_of_the_known_vector() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn an_event_byte_by_byte() {
        let file = encode(&two_epochs());
        let found = events(&file);
        assert_eq!(found.len(), 3);
        assert_eq!(&found[0][9..], b"\x1a\x0dbrain.Event:2");
        // Worked out by hand from the definition of the message.
        let second = [
            &[0x09][..],
            &(1.7e9 + 60.5f64).to_le_bytes(),
            &[0x10, 0xac, 0x02, 0x2a, 19, 0x0a, 17, 0x0a, 10],
            b"loss/image",
            &[0x15],
            &f32::NAN.to_le_bytes(),
        ]
        .concat();
        assert_eq!(found[2], second);
    }

    #[test]
    fn a_longer_run_only_adds() {
        let all = two_epochs();
        let (short, long) = (encode(&all[..1]), encode(&all));
        assert!(long.starts_with(&short));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(file_name(1_700_000_000, "cmim"));
        for scalars in [&all[..], &all[..1]] {
            write(&path, scalars).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), encode(scalars), "also where the file becomes shorter");
        }
    }
}
