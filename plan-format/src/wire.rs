//! postcard with one encoding per value.

use serde::{Serialize, de::DeserializeOwned};

/// Longest record of either format, in bytes.
pub(crate) const RECORD_MAX: usize = 128;

/// Decodes a `T` from the start of `bytes`; returns it and its length in bytes.
///
/// `None` if the bytes are malformed or are not what [`encode`] writes (a varint longer than needed, say).
pub(crate) fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<(T, usize)> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).ok()?;
    let used = bytes.get(..bytes.len().checked_sub(rest.len())?)?;
    let mut scratch = [0; RECORD_MAX];
    (encode(&value, &mut scratch)? == used).then_some((value, used.len()))
}

/// Encodes `value` at the start of `out`; `None` if it does not fit.
pub(crate) fn encode<'a, T: Serialize>(value: &T, out: &'a mut [u8]) -> Option<&'a [u8]> {
    postcard::to_slice(value, out).ok().map(|used| &*used)
}
