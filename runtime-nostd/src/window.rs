//! The items that a session remembers, oldest first.

use core::cell::Cell;

use chord_plan::bundle::Floats;

use crate::error::Error;
use crate::items::Embeddings;
use crate::span::{copy, span, span_mut};

/// Numbers of rows of the bundle's table, or the rows themselves where it has none.
pub(crate) struct Window<'a> {
    /// Of each item its number, or its range as [`Floats`] reads it.
    words: &'a mut [u32],
    /// Codes of each item, dim; none of a row of the table.
    codes: &'a mut [i8],
    /// Codes of an item.
    width: usize,
    len: usize,
}

impl<'a> Window<'a> {
    /// Bytes that `tokens` items of `width` codes take, at an alignment of 4.
    pub(crate) fn bytes(tokens: usize, width: usize) -> usize {
        tokens * (size_of::<u32>() + width)
    }

    /// Without items; `bytes` are [`Window::bytes`] long.
    pub(crate) fn cut(bytes: &'a mut [u8], tokens: usize, width: usize, small: Error) -> Result<Self, Error> {
        let (words, codes) = bytes.split_at_mut_checked(size_of::<u32>() * tokens).ok_or(small)?;
        let words = bytemuck::try_cast_slice_mut(words).map_err(|_| small)?;
        Ok(Self { words, codes: bytemuck::cast_slice_mut(codes), width, len: 0 })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends a row of the table; returns whether the oldest item had to go.
    pub(crate) fn push(&mut self, item: u32) -> bool {
        self.push_words(item, &[])
    }

    /// As [`push`](Self::push), for a row that came with a request.
    pub(crate) fn push_row(&mut self, (codes, range): (&[i8], f32)) -> bool {
        self.push_words(u32::from_ne_bytes(range.to_le_bytes()), codes)
    }

    fn push_words(&mut self, word: u32, codes: &[i8]) -> bool {
        let is_full = self.len == self.words.len();
        if is_full {
            drop_first(self.words, 1);
            drop_first(self.codes, self.width);
        } else {
            self.len += 1;
        }
        let last = self.len.saturating_sub(1);
        span_mut(self.words, last, 1).fill(word);
        copy(codes, span_mut(self.codes, last * self.width, self.width));
        is_full
    }

    /// Items that are rows of the table.
    pub(crate) fn numbers(&self) -> &[u32] {
        if self.width == 0 { span(self.words, 0, self.len) } else { &[] }
    }

    /// Items that came with requests.
    pub(crate) fn rows(&self) -> Embeddings<'_> {
        let len = if self.width == 0 { 0 } else { self.len };
        let ranges = Floats::new(bytemuck::cast_slice(span(self.words, 0, len)));
        Embeddings { codes: span(self.codes, 0, len * self.width), ranges }
    }
}

/// Moves all but the first `count` elements to the front. Not `copy_within`, which may panic.
fn drop_first<T: Copy>(x: &mut [T], count: usize) {
    let cells = Cell::from_mut(x).as_slice_of_cells();
    cells.iter().zip(cells.iter().skip(count)).for_each(|(to, from)| to.set(from.get()));
}
