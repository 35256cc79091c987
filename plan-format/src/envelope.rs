//! What every message has around its content (`docs/format.md`): magic and version in front, a CRC behind.

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

/// Length of the CRC.
pub(crate) const CRC_LEN: usize = 4;

// Messages come once in a while: no table in flash.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// Why bytes are no message of a format.
pub(crate) enum EnvelopeError {
    TooShort { found: usize },
    Magic([u8; 2]),
    Version(u8),
    Checksum,
}

/// The CRC that follows a message's other bytes.
pub(crate) fn crc(body: &[u8]) -> [u8; CRC_LEN] {
    CRC.checksum(body).to_le_bytes()
}

/// Checks magic, version and CRC of a message, in this order; returns its bytes before the CRC.
pub(crate) fn open(bytes: &[u8], magic: [u8; 2], version: u8) -> Result<&[u8], EnvelopeError> {
    let too_short = EnvelopeError::TooShort { found: bytes.len() };
    let &[m0, m1, found, ..] = bytes else { return Err(too_short) };
    if [m0, m1] != magic {
        return Err(EnvelopeError::Magic([m0, m1]));
    }
    if found != version {
        return Err(EnvelopeError::Version(found));
    }
    let Some((body, &found)) = bytes.split_last_chunk() else { return Err(too_short) };
    if crc(body) == found { Ok(body) } else { Err(EnvelopeError::Checksum) }
}
