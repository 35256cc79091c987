//! One user's plan: two bits per output channel (`docs/format.md`, "Plan, version 1").

use serde::Serialize;

use crate::bundle::{Bundle, ModelId};
use crate::envelope::{self, CRC_LEN, EnvelopeError};
use crate::manifest::{Layer, Manifest};
use crate::palette::Palette;
use crate::wire::{self, Reader};

/// First bytes of a plan.
pub const MAGIC: [u8; 2] = *b"CP";

/// Version of the plan format.
pub const VERSION: u8 = 1;

/// What a plan says about itself. Field order is wire order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PlanHeader {
    /// The model that the plan is for.
    pub model: ModelId,
    /// Grows with every plan sent to a user.
    pub sequence: u32,
    /// Average bits per weight, in 1/1000.
    pub budget: u16,
    /// Number of codes.
    pub channels: u32,
}

/// The header as it is on the wire.
#[derive(Serialize)]
struct Record {
    magic: [u8; 2],
    version: u8,
    header: PlanHeader,
}

impl Record {
    fn new(header: &PlanHeader) -> Self {
        Self { magic: MAGIC, version: VERSION, header: *header }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (magic, version) = (reader.bytes()?, reader.u8()?);
        let header = PlanHeader {
            model: ModelId(reader.bytes()?),
            sequence: reader.u32()?,
            budget: reader.u16()?,
            channels: reader.u32()?,
        };
        Some(Self { magic, version, header })
    }
}

/// A parsed plan; borrows its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    header: PlanHeader,
    codes: &'a [u8],
}

/// Length in bytes of a plan with this header; `None` if memory cannot hold it.
pub fn encoded_len(header: &PlanHeader) -> Option<usize> {
    let mut scratch = [0; wire::RECORD_MAX];
    let record = wire::encode(&Record::new(header), &mut scratch)?.len();
    (record + CRC_LEN).checked_add(header.channels.div_ceil(4) as usize)
}

/// Encodes a plan at the start of `out`; returns its length, which is [`encoded_len`].
///
/// `codes` has one code (0..=3) per channel, `header.channels` of them.
pub fn encode(header: &PlanHeader, codes: &[u8], out: &mut [u8]) -> Result<usize, EncodeError> {
    if header.channels as usize != codes.len() {
        return Err(EncodeError::Channels { header: header.channels, codes: codes.len() });
    }
    if let Some(channel) = codes.iter().position(|&code| code > 3) {
        return Err(EncodeError::Code { channel, code: codes[channel] });
    }
    let needed = encoded_len(header).unwrap_or(usize::MAX);
    let found = out.len();
    let too_small = EncodeError::BufferTooSmall { needed, found };
    let out = out.get_mut(..needed).ok_or(too_small)?;
    let (body, crc) = out.split_at_mut(needed - CRC_LEN);
    let start = wire::encode(&Record::new(header), body).ok_or(too_small)?.len();
    for (byte, codes) in body[start..].iter_mut().zip(codes.chunks(4)) {
        *byte = codes.iter().rev().fold(0, |byte, code| byte << 2 | code);
    }
    crc.copy_from_slice(&envelope::crc(body));
    Ok(needed)
}

impl<'a> Plan<'a> {
    /// Parses a plan and checks all of it that needs no bundle. `bytes` is exactly the plan.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PlanError> {
        let body = envelope::open(bytes, MAGIC, VERSION)?;
        let mut reader = Reader { rest: body };
        let Record { header, .. } = Record::read(&mut reader).ok_or(PlanError::Header)?;
        let codes = reader.rest;
        let needed = header.channels.div_ceil(4) as usize;
        if codes.len() != needed {
            return Err(PlanError::CodesLength { needed, found: codes.len() });
        }
        let used_bits = 2 * (header.channels % 4);
        if used_bits != 0 && codes.last().is_some_and(|last| last >> used_bits != 0) {
            return Err(PlanError::Padding);
        }
        Ok(Self { header, codes })
    }

    /// The header.
    pub fn header(&self) -> &PlanHeader {
        &self.header
    }

    /// Code of a channel, 0..=3; `None` past the last.
    pub fn code(&self, channel: usize) -> Option<u8> {
        let four = self.codes.get(channel / 4).filter(|_| channel < self.header.channels as usize)?;
        Some(four >> (2 * (channel % 4)) & 3)
    }

    /// The codes of all channels in order.
    pub fn codes(&self) -> impl Iterator<Item = u8> + Clone + use<'a> {
        let fours = self.codes.iter().flat_map(|&byte| [0, 2, 4, 6].map(|bit| byte >> bit & 3));
        fours.take(self.header.channels as usize)
    }

    /// The codes as they are on the wire, four to a byte.
    pub fn packed_codes(&self) -> &'a [u8] {
        self.codes
    }

    /// Checks that the plan is for this bundle: model, number of channels, codes in the palette.
    pub fn check_against(&self, bundle: &Bundle<'_>) -> Result<(), PlanError> {
        let (plan, expected) = (self.header.model, bundle.model());
        if plan != expected {
            return Err(PlanError::Model { plan, bundle: expected });
        }
        let channels = bundle.manifest().channels();
        if self.header.channels as usize != channels {
            return Err(PlanError::Channels { plan: self.header.channels, bundle: channels });
        }
        self.check_codes(&bundle.manifest().palette)
    }

    fn check_codes(&self, palette: &Palette) -> Result<(), PlanError> {
        for channel in 0..self.header.channels as usize {
            let code = self.code(channel).unwrap_or(0);
            if palette.bits(code).is_none() {
                return Err(PlanError::Code { channel, code });
            }
        }
        Ok(())
    }

    /// Bits of quantised weights that the plan keeps in a model; codes that the palette does not use count 0.
    ///
    /// Over [`Manifest::quantised_weights`] this is the average width that the budget promises.
    pub fn kept_bits(&self, manifest: &Manifest) -> u64 {
        let bits =
            |channel| self.code(channel).and_then(|code| manifest.palette.bits(code)).map_or(0, u32::from);
        let kept = |layer: Layer| {
            let channels = layer.first_channel..layer.first_channel + layer.outputs;
            layer.inputs as u64 * u64::from(channels.map(bits).sum::<u32>())
        };
        manifest.layers().map(kept).sum()
    }
}

/// Why bytes are not a plan, or not one for this model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PlanError {
    /// Too short for a plan.
    #[error("{found} bytes are too short for a plan")]
    TooShort {
        /// Length of the bytes.
        found: usize,
    },
    /// The first bytes are not those of a plan.
    #[error("magic {0:02x?}, expected \"CP\"")]
    Magic([u8; 2]),
    /// The format version is not one that this code reads.
    #[error("plan format version {0}, this reader knows 1")]
    Version(u8),
    /// The bytes are damaged.
    #[error("the checksum does not match: the plan is damaged")]
    Checksum,
    /// The header is not a postcard record in its shortest form.
    #[error("the header is malformed")]
    Header,
    /// The codes take another length than the header's channels need.
    #[error("{found} bytes of codes, the header's channels take {needed}")]
    CodesLength {
        /// Bytes for the channels in the header.
        needed: usize,
        /// Bytes between header and checksum.
        found: usize,
    },
    /// Unused bits of the last byte of codes are not 0.
    #[error("unused bits after the last code are not 0")]
    Padding,
    /// The plan is for another model.
    #[error("the plan is for model {plan}, the bundle is {bundle}")]
    Model {
        /// Model in the plan.
        plan: ModelId,
        /// Model of the bundle.
        bundle: ModelId,
    },
    /// The plan has another number of channels than the model.
    #[error("the plan has {plan} channels, the model {bundle}")]
    Channels {
        /// Channels of the plan.
        plan: u32,
        /// Channels of the model.
        bundle: usize,
    },
    /// The palette does not use this code.
    #[error("channel {channel} has code {code}, which is not in the palette")]
    Code {
        /// The channel.
        channel: usize,
        /// Its code.
        code: u8,
    },
}

/// Why a plan cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EncodeError {
    /// The header states another number of channels than there are codes.
    #[error("{codes} codes, the header says {header}")]
    Channels {
        /// Channels in the header.
        header: u32,
        /// Codes given.
        codes: usize,
    },
    /// A code takes more than two bits.
    #[error("channel {channel} has code {code}, at most 3 is allowed")]
    Code {
        /// The channel.
        channel: usize,
        /// Its code.
        code: u8,
    },
    /// The buffer is too small.
    #[error("the plan takes {needed} bytes, the buffer has {found}")]
    BufferTooSmall {
        /// Length of the plan.
        needed: usize,
        /// Length of the buffer.
        found: usize,
    },
}

impl From<EnvelopeError> for PlanError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::TooShort { found } => Self::TooShort { found },
            EnvelopeError::Magic(magic) => Self::Magic(magic),
            EnvelopeError::Version(version) => Self::Version(version),
            EnvelopeError::Checksum => Self::Checksum,
        }
    }
}
