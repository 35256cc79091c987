//! postcard with one encoding per value.
//!
//! Records are written by postcard and read here: what serde makes of reading takes 3 KiB more flash, half of it to
//! write the value again and see whether it was in its shortest form.

use serde::Serialize;

/// Longest record of either format, in bytes.
pub(crate) const RECORD_MAX: usize = 128;

/// Encodes `value` at the start of `out`; `None` if it does not fit.
pub(crate) fn encode<'a, T: Serialize>(value: &T, out: &'a mut [u8]) -> Option<&'a [u8]> {
    postcard::to_slice(value, out).ok().map(|used| &*used)
}

/// Reads a record field by field. `None` if the bytes end, or are not what [`encode`] writes.
pub(crate) struct Reader<'a> {
    /// What follows.
    pub(crate) rest: &'a [u8],
}

impl Reader<'_> {
    #[inline(never)]
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.rest.split_off_first().copied()
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.u32()?.try_into().ok()
    }

    #[inline(never)]
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            // The fifth byte has four bits to give; a last byte of 0 is one too many.
            let excess = shift == 28 && byte > 0x0f || shift > 0 && byte == 0;
            if excess || byte < 0x80 {
                return (!excess).then_some(value);
            }
            shift += 7;
        }
    }

    pub(crate) fn f32(&mut self) -> Option<f32> {
        self.bytes().map(f32::from_le_bytes)
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    type Record = (u32, u16, u8, [u8; 3], u32, f32);

    fn read(bytes: &[u8]) -> Option<(Record, &[u8])> {
        let mut reader = Reader { rest: bytes };
        let record =
            (reader.u32()?, reader.u16()?, reader.u8()?, reader.bytes()?, reader.u32()?, reader.f32()?);
        Some((record, reader.rest))
    }

    /// What postcard reads, if it writes it so.
    fn shortest(bytes: &[u8]) -> Option<(Record, &[u8])> {
        let (record, rest) = postcard::take_from_bytes::<Record>(bytes).ok()?;
        let mut scratch = [0; RECORD_MAX];
        (encode(&record, &mut scratch)? == &bytes[..bytes.len() - rest.len()]).then_some((record, rest))
    }

    fn bits((record, rest): (Record, &[u8])) -> (u32, u16, u8, [u8; 3], u32, u32, &[u8]) {
        let (a, b, c, d, e, f) = record;
        (a, b, c, d, e, f.to_bits(), rest)
    }

    /// Bytes that say often that there are more, or nothing more.
    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![any::<u8>(), 0x80u8..=0xff, prop_oneof![Just(0), Just(3), Just(4), Just(15), Just(16)]]
    }

    proptest! {
        #[test]
        fn any_bytes_are_what_postcard_takes_them_for(bytes in proptest::collection::vec(byte(), 0..24)) {
            prop_assert_eq!(read(&bytes).map(bits), shortest(&bytes).map(bits));
        }

        #[test]
        fn what_postcard_writes_is_read(a: u32, b: u16, c: u8, d: [u8; 3], e: u32, shift in 0u32..32, f: u32) {
            let record = (a >> shift, b >> (shift / 2), c, d, e >> shift, f32::from_bits(f));
            let mut scratch = [0; RECORD_MAX];
            let mut bytes: Vec<u8> = encode(&record, &mut scratch).unwrap().into();
            bytes.push(7);
            prop_assert_eq!(read(&bytes).map(bits), Some(bits((record, &[7]))));
        }
    }
}
