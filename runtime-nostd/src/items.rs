//! Where the embeddings of a history's items and of candidates come from.

use chord_plan::bundle::Floats;
use chord_plan::numerics::{RANGE_MAX, RANGE_MIN};
use chord_plan::{Bundle, ItemRows};

use crate::error::{Error, List};
use crate::span::{last, span};

/// A list of items: rows of the bundle's table, `&[u32]`, or [`Embeddings`] that came with the request.
pub trait Items: Copy + sealed::Source {}

impl Items for &[u32] {}
impl Items for Embeddings<'_> {}

/// Item embeddings that the bundle's table need not have: a catalogue may be larger than a device, or newer. A bundle
/// without a table takes nothing else.
///
/// They are what rows of the table are (`docs/numerics.md`, section 1): master codes at 8 bits and a range. In results
/// an item is called by its place in the list, from 0. [`ItemRows`] are a message that carries some.
#[derive(Clone, Copy, Debug)]
pub struct Embeddings<'e> {
    /// Signed master codes, items x dim.
    pub codes: &'e [i8],
    /// Range of each item, 2^-64 ..= 2^64.
    pub ranges: Floats<'e>,
}

#[cfg(feature = "defmt")]
impl defmt::Format for Embeddings<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Embeddings {{ codes: {}, ranges: {} }}", self.codes.len(), self.ranges);
    }
}

impl<'e> From<ItemRows<'e>> for Embeddings<'e> {
    fn from(rows: ItemRows<'e>) -> Self {
        Self { codes: rows.codes(), ranges: rows.ranges() }
    }
}

pub(crate) mod sealed {
    use super::{Bundle, Error, List};

    /// What the engine asks of a list.
    pub trait Source {
        fn len(self) -> usize;

        /// The last `len` items, all if there are fewer.
        fn last(self, len: usize, dim: usize) -> Self;

        /// What results call an item.
        fn id(self, index: usize) -> u32;

        /// Codes and range of an item.
        fn row<'b>(self, bundle: &Bundle<'b>, index: usize) -> (&'b [i8], f32)
        where
            Self: 'b;

        /// Checks the list, which must not be empty.
        fn check(self, list: List, bundle: &Bundle<'_>) -> Result<(), Error>;
    }
}

/// Checks that the bundle's table has the item that stands at `index` of a list.
pub(crate) fn check_row(bundle: &Bundle<'_>, list: List, index: usize, item: u32) -> Result<(), Error> {
    match bundle.manifest().items() {
        0 => Err(Error::NoItemTable { list }),
        items if item >= items => Err(Error::UnknownItem { list, index, item, items }),
        _ => Ok(()),
    }
}

impl sealed::Source for &[u32] {
    fn len(self) -> usize {
        <[u32]>::len(self)
    }

    fn last(self, len: usize, _: usize) -> Self {
        last(self, len)
    }

    fn id(self, index: usize) -> u32 {
        self.get(index).copied().unwrap_or(u32::MAX)
    }

    fn row<'b>(self, bundle: &Bundle<'b>, index: usize) -> (&'b [i8], f32)
    where
        Self: 'b,
    {
        let row = self.id(index) as usize;
        (bundle.item_codes(row), bundle.item_range(row))
    }

    fn check(self, list: List, bundle: &Bundle<'_>) -> Result<(), Error> {
        if self.is_empty() {
            return Err(Error::Empty(list));
        }
        self.iter().enumerate().try_for_each(|(index, &item)| check_row(bundle, list, index, item))
    }
}

impl sealed::Source for Embeddings<'_> {
    fn len(self) -> usize {
        self.ranges.len()
    }

    fn last(self, len: usize, dim: usize) -> Self {
        let ranges = self.ranges.last(len);
        Self { codes: last(self.codes, ranges.len().saturating_mul(dim)), ranges }
    }

    fn id(self, index: usize) -> u32 {
        index as u32
    }

    fn row<'b>(self, bundle: &Bundle<'b>, index: usize) -> (&'b [i8], f32)
    where
        Self: 'b,
    {
        let dim = bundle.manifest().dim();
        (span(self.codes, index * dim, dim), self.ranges.get(index).unwrap_or(f32::NAN))
    }

    fn check(self, list: List, bundle: &Bundle<'_>) -> Result<(), Error> {
        if self.ranges.is_empty() {
            return Err(Error::Empty(list));
        }
        let (needed, given) = (self.ranges.len().saturating_mul(bundle.manifest().dim()), self.codes.len());
        if needed != given {
            return Err(Error::EmbeddingCodes { list, needed, given });
        }
        let allowed = RANGE_MIN..=RANGE_MAX;
        match self.ranges.iter().enumerate().find(|(_, range)| !allowed.contains(range)) {
            Some((index, range)) => Err(Error::EmbeddingRange { list, index, range }),
            None => Ok(()),
        }
    }
}
