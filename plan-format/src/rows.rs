//! Item rows on their way to a device whose bundle lacks them (`docs/format.md`, "Item rows, version 1").

use serde::Serialize;

use crate::bundle::{Bundle, Floats, ModelId};
use crate::envelope::{self, CRC_LEN, EnvelopeError};
use crate::wire::{self, Reader};

/// First bytes of a message.
pub const MAGIC: [u8; 2] = *b"CI";

/// Version of the message format.
pub const VERSION: u8 = 1;

/// Most bytes before the ranges: magic, version, model, items, dim.
const RECORD_LEN_MAX: usize = 2 + 1 + 8 + 5 + 3;

/// What precedes the ranges. Field order is wire order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Record {
    magic: [u8; 2],
    version: u8,
    model: ModelId,
    items: u32,
    dim: u16,
}

impl Record {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            magic: reader.bytes()?,
            version: reader.u8()?,
            model: ModelId(reader.bytes()?),
            items: reader.u32()?,
            dim: reader.u16()?,
        })
    }
}

/// A parsed message; borrows its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRows<'a> {
    record: Record,
    ranges: Floats<'a>,
    codes: &'a [i8],
}

/// Longest message with this many rows of `dim` codes, in bytes.
pub const fn longest(items: usize, dim: usize) -> usize {
    RECORD_LEN_MAX.saturating_add(items.saturating_mul(4 + dim)).saturating_add(CRC_LEN)
}

/// Encodes rows at the start of `out`; returns the length. `None` if they do not fit, or if there are not `dim` codes to
/// each range.
///
/// `codes` are signed master codes at 8 bits, items x dim; `ranges` are in 2^-64 ..= 2^64 (`docs/numerics.md`, section
/// 1), which the device checks.
pub fn encode(model: ModelId, dim: u16, codes: &[i8], ranges: &[f32], out: &mut [u8]) -> Option<usize> {
    if Some(codes.len()) != ranges.len().checked_mul(dim.into()) {
        return None;
    }
    let items = u32::try_from(ranges.len()).ok()?;
    let record = Record { magic: MAGIC, version: VERSION, model, items, dim };
    let start = wire::encode(&record, out)?.len();
    let (places, rest) = out.get_mut(start..)?.split_at_mut_checked(4 * ranges.len())?;
    for (place, range) in places.as_chunks_mut().0.iter_mut().zip(ranges) {
        *place = range.to_le_bytes();
    }
    rest.get_mut(..codes.len())?.copy_from_slice(bytemuck::cast_slice(codes));
    let end = start + 4 * ranges.len() + codes.len();
    let crc = envelope::crc(out.get(..end)?);
    *out.get_mut(end..)?.first_chunk_mut()? = crc;
    Some(end + CRC_LEN)
}

impl<'a> ItemRows<'a> {
    /// Parses a message and checks all of it that needs no bundle, but for the ranges, which the engine checks. `bytes` is
    /// exactly the message, at any alignment.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RowsError> {
        let body = envelope::open(bytes, MAGIC, VERSION)?;
        let mut reader = Reader { rest: body };
        let record = Record::read(&mut reader).ok_or(RowsError::Header)?;
        let Record { items, dim, .. } = record;
        let (needed, found) = (u64::from(items) * (4 + u64::from(dim)), reader.rest.len());
        if found as u64 != needed {
            return Err(RowsError::Length { needed, found });
        }
        let (ranges, codes) = reader.rest.split_at_checked(4 * items as usize).unwrap_or_default();
        Ok(Self { record, ranges: Floats::new(ranges), codes: bytemuck::cast_slice(codes) })
    }

    /// The model that the rows are of.
    pub fn model(&self) -> ModelId {
        self.record.model
    }

    /// Number of rows.
    pub fn items(&self) -> usize {
        self.ranges.len()
    }

    /// Signed master codes, items x dim.
    pub fn codes(&self) -> &'a [i8] {
        self.codes
    }

    /// Range of each row.
    pub fn ranges(&self) -> Floats<'a> {
        self.ranges
    }

    /// Checks that the rows are of this bundle's model.
    pub fn check_against(&self, bundle: &Bundle<'_>) -> Result<(), RowsError> {
        let (found, expected) = (self.record.model, bundle.model());
        if found != expected {
            return Err(RowsError::Model { rows: found, bundle: expected });
        }
        let (found, needed) = (self.record.dim.into(), bundle.manifest().dim());
        if found == needed { Ok(()) } else { Err(RowsError::Dim { needed, found }) }
    }
}

/// Why bytes are not item rows, or not some for this model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RowsError {
    /// Too short for a message.
    #[error("{found} bytes are too short for item rows")]
    TooShort {
        /// Length of the bytes.
        found: usize,
    },
    /// The first bytes are not those of item rows.
    #[error("magic {0:02x?}, expected \"CI\"")]
    Magic([u8; 2]),
    /// The format version is not one that this code reads.
    #[error("item rows format version {0}, this reader knows 1")]
    Version(u8),
    /// The bytes are damaged.
    #[error("the checksum does not match")]
    Checksum,
    /// The header is malformed.
    #[error("the header is malformed")]
    Header,
    /// The ranges and codes take another length.
    #[error("{needed} bytes of ranges and codes expected, {found} are there")]
    Length {
        /// Bytes expected.
        needed: u64,
        /// Bytes found.
        found: usize,
    },
    /// The rows are of another model.
    #[error("the item rows are of model {rows}, not {bundle}")]
    Model {
        /// Model in the message.
        rows: ModelId,
        /// Model of the bundle.
        bundle: ModelId,
    },
    /// The rows are of another length than the model's.
    #[error("rows of {needed} codes expected, they have {found}")]
    Dim {
        /// The model's dim.
        needed: usize,
        /// Codes of a row.
        found: usize,
    },
}

impl From<EnvelopeError> for RowsError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::TooShort { found } => Self::TooShort { found },
            EnvelopeError::Magic(magic) => Self::Magic(magic),
            EnvelopeError::Version(version) => Self::Version(version),
            EnvelopeError::Checksum => Self::Checksum,
        }
    }
}
