//! Little-endian numbers at any alignment.

use super::reader::row_of;

/// A row of f32 in a bundle or a message, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floats<'a>(&'a [[u8; 4]]);

impl<'a> Floats<'a> {
    /// The numbers in `bytes`; a remainder of less than four bytes is left out.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.as_chunks().0)
    }

    /// The last `len` numbers, all if there are fewer.
    pub fn last(&self, len: usize) -> Self {
        Self(self.0.get(self.0.len().saturating_sub(len)..).unwrap_or_default())
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number `index`; `None` past the end.
    pub fn get(&self, index: usize) -> Option<f32> {
        self.0.get(index).copied().map(f32::from_le_bytes)
    }

    /// The numbers in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = f32> + Clone + use<'a> {
        self.0.iter().copied().map(f32::from_le_bytes)
    }

    /// The numbers in memory; `None` where they do not lie as the target's f32 do.
    pub fn as_slice(&self) -> Option<&'a [f32]> {
        if cfg!(target_endian = "big") {
            return None;
        }
        bytemuck::try_cast_slice(self.0.as_flattened()).ok()
    }

    /// Row `row` of a matrix with `columns` columns; empty if there is none.
    pub(crate) fn row(&self, row: usize, columns: usize) -> Self {
        Self(row_of(self.0, row, columns))
    }
}

#[cfg(target_endian = "little")]
impl<'a> From<&'a [f32]> for Floats<'a> {
    fn from(numbers: &'a [f32]) -> Self {
        Self::new(bytemuck::cast_slice(numbers))
    }
}

impl<'a> IntoIterator for Floats<'a> {
    type Item = f32;
    type IntoIter = core::iter::Map<core::iter::Copied<core::slice::Iter<'a, [u8; 4]>>, fn([u8; 4]) -> f32>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().copied().map(f32::from_le_bytes)
    }
}
