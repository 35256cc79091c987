//! Scalars for TensorBoard: a file of TFRecords, each a `tensorflow.Event` in protobuf's wire format.
//!
//! Framing: <https://www.tensorflow.org/tutorials/load_data/tfrecord>; fields: `tensorflow/core/util/event.proto` and
//! `tensorflow/core/framework/summary.proto`. The few fields of a scalar are encoded by hand: the crates for it are
//! no longer kept up, or need protoc.

use crc::{CRC_32_ISCSI, Crc, Table};
use std::fs::File;
use std::io::{Error, ErrorKind, Result, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const CRC32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// A file of events of its own, new for every writer: one that was cut short by a kill is never written to again.
#[derive(Debug)]
pub struct EventWriter {
    file: File,
}

impl EventWriter {
    /// A new file in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (seconds, process) = (now() as u64, std::process::id());
        for number in 0..u32::MAX {
            // TensorBoard reads the files of a folder in the order of their names.
            let name = format!("events.out.tfevents.{seconds:010}.chord.{process}.{number}");
            match File::create_new(folder.join(name)) {
                Ok(file) => {
                    let mut writer = Self { file };
                    writer.record(&[double(1, now()), bytes(3, b"brain.Event:2")].concat())?;
                    return Ok(writer);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::from(ErrorKind::AlreadyExists))
    }

    /// Writes values by tag at one step, in one event.
    ///
    /// # Errors
    /// What the system says.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        let value = |&(tag, value): &(&str, f64)| {
            bytes(1, &[bytes(1, tag.as_bytes()), float(2, value as f32)].concat())
        };
        let summary: Vec<u8> = values.iter().flat_map(value).collect();
        self.record(&[double(1, now()), integer(2, step), bytes(5, &summary)].concat())
    }

    /// Length, its checksum, content, its checksum: in one write, so that a kill cannot part them.
    fn record(&mut self, content: &[u8]) -> Result<()> {
        let length = (content.len() as u64).to_le_bytes();
        let masked = |bytes: &[u8]| masked(CRC32C.checksum(bytes)).to_le_bytes();
        self.file.write_all(&[&length[..], &masked(&length), content, &masked(content)].concat())
    }
}

/// A checksum of data that holds checksums: TFRecord rotates and shifts it, so that these do not cancel out.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Unix time in seconds.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// Wire types of protobuf: 0 is a varint, 1 has 64 bits, 2 has a length, 5 has 32 bits.
fn field(number: u64, wire_type: u64, content: &[u8]) -> Vec<u8> {
    [&varint(number << 3 | wire_type), content].concat()
}

fn integer(number: u64, value: u64) -> Vec<u8> {
    field(number, 0, &varint(value))
}

fn double(number: u64, value: f64) -> Vec<u8> {
    field(number, 1, &value.to_le_bytes())
}

fn bytes(number: u64, content: &[u8]) -> Vec<u8> {
    field(number, 2, &[&varint(content.len() as u64), content].concat())
}

fn float(number: u64, value: f32) -> Vec<u8> {
    field(number, 5, &value.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of a message: number and content, varints as 8 bytes.
    fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
        fn varint(message: &mut &[u8]) -> u64 {
            let end = message.iter().position(|byte| byte & 0x80 == 0).unwrap();
            let (taken, rest) = message.split_at(end + 1);
            *message = rest;
            taken.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
        }
        let mut found = Vec::new();
        while !message.is_empty() {
            let key = varint(&mut message);
            let length = match key & 7 {
                0 => {
                    found.push((key >> 3, varint(&mut message).to_le_bytes().to_vec()));
                    continue;
                }
                1 => 8,
                2 => varint(&mut message) as usize,
                5 => 4,
                wire_type => panic!("wire type {wire_type}"),
            };
            let (content, rest) = message.split_at(length);
            found.push((key >> 3, content.to_vec()));
            message = rest;
        }
        found
    }

    fn records(mut file: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !file.is_empty() {
            let (length, rest) = file.split_at(8);
            let content = &rest[4..][..u64::from_le_bytes(length.try_into().unwrap()) as usize];
            let (first, second) = (&rest[..4], &rest[4 + content.len()..][..4]);
            for (checked, stored) in [(length, first), (content, second)] {
                assert_eq!(masked(CRC32C.checksum(checked)).to_le_bytes(), stored);
            }
            found.push(content.to_vec());
            file = &rest[8 + content.len()..];
        }
        found
    }

    /// RFC 3720, appendix B.4: 32 zeros. The mask: what TensorFlow writes for a record of 8 zero bytes' length.
    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(CRC32C.checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(masked(0), 0xa282_ead8);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(folder.path()).unwrap();
        writer.scalars(300, &[("train/loss", 2.5), ("validation/ndcg", -0.25)]).unwrap();
        let path = folder.path().read_dir().unwrap().next().unwrap().unwrap().path();
        let [version, event] = &records(&std::fs::read(&path).unwrap())[..] else { panic!("two records") };
        assert_eq!(fields(version)[1], (3, b"brain.Event:2".to_vec()));
        let event = fields(event);
        assert_eq!(event.iter().map(|field| field.0).collect::<Vec<_>>(), [1, 2, 5]);
        let time = f64::from_le_bytes(event[0].1[..].try_into().unwrap());
        assert!((now() - time).abs() < 60.0, "{time} is not in Unix seconds");
        assert_eq!(event[1].1, 300_u64.to_le_bytes());
        let values = fields(&event[2].1).into_iter().map(|(number, value)| (number, fields(&value)));
        let value = |tag: &str, value: f32| {
            (1, vec![(1, tag.as_bytes().to_vec()), (2, value.to_le_bytes().to_vec())])
        };
        assert_eq!(values.collect::<Vec<_>>(), [value("train/loss", 2.5), value("validation/ndcg", -0.25)]);
    }

    #[test]
    fn every_writer_has_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let writers = [0, 1, 2].map(|_| EventWriter::create(folder.path()).unwrap());
        assert_eq!(folder.path().read_dir().unwrap().count(), writers.len());
    }
}
