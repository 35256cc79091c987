use std::ops::Range;
use std::sync::Arc;

use memmap2::Mmap;

use super::block::Block;

/// The item rows of every user, oldest first, in one block of memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequences {
    items: Block<u32>,
    /// User `u` has `items[offsets[u]..offsets[u + 1]]`.
    offsets: Vec<usize>,
}

impl Sequences {
    /// Item rows of 4 bytes, little-endian, at `range` of a mapped file; user `u` has those from `offsets[u]` to
    /// `offsets[u + 1]`. `None` if these do not fit the range.
    pub(super) fn mapped(map: &Arc<Mmap>, range: Range<usize>, offsets: Vec<usize>) -> Option<Self> {
        let items = Block::mapped(map, range, |row| u32::from_le_bytes(row.try_into().expect("4 bytes")))?;
        let fits = offsets.is_sorted() && offsets.last() == Some(&items.len());
        fits.then_some(Self { items, offsets })
    }

    /// Number of users.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no user.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item rows of user row `user`, oldest first.
    ///
    /// # Panics
    /// If `user` is not below [`Sequences::len`].
    #[must_use]
    pub fn user(&self, user: usize) -> &[u32] {
        &self.items[self.range(user)]
    }

    /// The sequences of all users, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.offsets.windows(2).map(|bounds| &self.items[bounds[0]..bounds[1]])
    }

    /// Where the interactions of user row `user` lie among those of all users.
    ///
    /// # Panics
    /// If `user` is not below [`Sequences::len`].
    #[must_use]
    pub fn range(&self, user: usize) -> Range<usize> {
        self.offsets[user]..self.offsets[user + 1]
    }

    /// Item rows of all users, one after the other.
    #[must_use]
    pub fn interactions(&self) -> &[u32] {
        &self.items
    }
}

impl<S: AsRef<[u32]>> FromIterator<S> for Sequences {
    fn from_iter<I: IntoIterator<Item = S>>(users: I) -> Self {
        let (mut items, mut offsets) = (Vec::new(), vec![0]);
        for user in users {
            items.extend_from_slice(user.as_ref());
            offsets.push(items.len());
        }
        Self { items: Block::Owned(items), offsets }
    }
}
