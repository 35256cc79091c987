//! A user embedding on its way to where plans are made (`docs/format.md`, "User embedding, version 1").

use serde::Serialize;

use crate::bundle::{Bundle, ModelId};
use crate::envelope::{self, CRC_LEN, EnvelopeError};
use crate::numerics::quantise_token;
use crate::wire::{self, Reader};

/// First bytes of a message.
pub const MAGIC: [u8; 2] = *b"CE";

/// Version of the message format.
pub const VERSION: u8 = 1;

/// Most bytes before the codes: magic, version, model, interactions, size, scale.
const RECORD_LEN_MAX: usize = 2 + 1 + 8 + 5 + 3 + 4;

/// What precedes the codes. Field order is wire order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Record {
    magic: [u8; 2],
    version: u8,
    model: ModelId,
    interactions: u32,
    hidden: u16,
    scale: f32,
}

impl Record {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            magic: reader.bytes()?,
            version: reader.u8()?,
            model: ModelId(reader.bytes()?),
            interactions: reader.u32()?,
            hidden: reader.u16()?,
            scale: reader.f32()?,
        })
    }
}

/// A parsed message; borrows its bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UserEmbedding<'a> {
    record: Record,
    codes: &'a [i8],
}

/// Longest message with an embedding of this size, in bytes.
pub const fn longest(hidden: usize) -> usize {
    RECORD_LEN_MAX + hidden + CRC_LEN
}

/// Encodes an embedding of finite numbers at the start of `out`, as one token of 8-bit codes (`docs/numerics.md`,
/// section 2); returns its length. `None` if it does not fit, has more than 4096 numbers, or one that is not finite.
///
/// `interactions` is how many of them made the embedding.
pub fn encode(model: ModelId, interactions: u32, embedding: &[f32], out: &mut [u8]) -> Option<usize> {
    let hidden = u16::try_from(embedding.len()).ok().filter(|&hidden| hidden <= HIDDEN_MAX)?;
    // The codes go behind the longest record first, for their scale; then behind the record.
    let codes = out.get_mut(RECORD_LEN_MAX..)?.get_mut(..embedding.len())?;
    let scale = quantise_token(embedding, bytemuck::cast_slice_mut(codes));
    if !scale.is_finite() {
        return None;
    }
    let record = Record { magic: MAGIC, version: VERSION, model, interactions, hidden, scale };
    let mut start = [0; RECORD_LEN_MAX];
    let start = wire::encode(&record, &mut start)?;
    let end = start.len() + embedding.len();
    for i in 0..embedding.len() {
        let code = *out.get(RECORD_LEN_MAX + i)?;
        *out.get_mut(start.len() + i)? = code;
    }
    out.get_mut(..start.len())?.copy_from_slice(start);
    let crc = envelope::crc(out.get(..end)?);
    *out.get_mut(end..)?.first_chunk_mut()? = crc;
    Some(end + CRC_LEN)
}

/// Largest size of an embedding.
const HIDDEN_MAX: u16 = 4096;

impl<'a> UserEmbedding<'a> {
    /// Parses a message and checks all of it that needs no bundle. `bytes` is exactly the message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EmbeddingError> {
        let body = envelope::open(bytes, MAGIC, VERSION)?;
        let mut reader = Reader { rest: body };
        let record = Record::read(&mut reader).ok_or(EmbeddingError::Header)?;
        let codes = reader.rest;
        let needed = usize::from(record.hidden);
        if codes.len() != needed || record.hidden > HIDDEN_MAX {
            return Err(EmbeddingError::Length { needed, found: codes.len() });
        }
        if !(record.scale.is_finite() && record.scale > 0.0) {
            return Err(EmbeddingError::Scale(record.scale));
        }
        Ok(Self { record, codes: bytemuck::cast_slice(codes) })
    }

    /// The model that the encoder is of.
    pub fn model(&self) -> ModelId {
        self.record.model
    }

    /// How many interactions made the embedding.
    pub fn interactions(&self) -> u32 {
        self.record.interactions
    }

    /// The embedding's numbers, codes times the scale.
    pub fn numbers(&self) -> impl ExactSizeIterator<Item = f32> + Clone + use<'a> {
        let scale = self.record.scale;
        self.codes.iter().map(move |&code| f32::from(code) * scale)
    }

    /// Checks that the embedding is of this bundle's profile encoder.
    pub fn check_against(&self, bundle: &Bundle<'_>) -> Result<(), EmbeddingError> {
        let (found, expected) = (self.record.model, bundle.model());
        if found != expected {
            return Err(EmbeddingError::Model { embedding: found, bundle: expected });
        }
        let needed = bundle.manifest().profile.map_or(0, |profile| profile.hidden.into());
        let found = self.codes.len();
        if found == needed { Ok(()) } else { Err(EmbeddingError::Length { needed, found }) }
    }
}

/// Why bytes are not a user embedding, or not one for this model.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EmbeddingError {
    /// Too short for a message.
    #[error("{found} bytes are too short for a user embedding")]
    TooShort {
        /// Length of the bytes.
        found: usize,
    },
    /// The first bytes are not those of a user embedding.
    #[error("magic {0:02x?}, expected \"CE\"")]
    Magic([u8; 2]),
    /// The format version is not one that this code reads.
    #[error("user embedding format version {0}, this reader knows 1")]
    Version(u8),
    /// The bytes are damaged.
    #[error("the checksum does not match")]
    Checksum,
    /// The header is malformed.
    #[error("the header is malformed")]
    Header,
    /// The embedding has another size.
    #[error("{needed} codes expected, {found} are there")]
    Length {
        /// Codes expected.
        needed: usize,
        /// Codes found.
        found: usize,
    },
    /// The scale is not a finite number above 0.
    #[error("the scale is {0}, not a finite number above 0")]
    Scale(f32),
    /// The embedding is of another model.
    #[error("the user embedding is of model {embedding}, not {bundle}")]
    Model {
        /// Model in the message.
        embedding: ModelId,
        /// Model of the bundle.
        bundle: ModelId,
    },
}

impl From<EnvelopeError> for EmbeddingError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::TooShort { found } => Self::TooShort { found },
            EnvelopeError::Magic(magic) => Self::Magic(magic),
            EnvelopeError::Version(version) => Self::Version(version),
            EnvelopeError::Checksum => Self::Checksum,
        }
    }
}
