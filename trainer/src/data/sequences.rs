use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::Mmap;

/// The item rows of every user, oldest first, in one block of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequences {
    items: Items,
    /// User `u` has `items[offsets[u]..offsets[u + 1]]`.
    offsets: Vec<usize>,
}

/// Item rows in memory, or in a mapped file.
#[derive(Debug, Clone)]
enum Items {
    Owned(Vec<u32>),
    Mapped(Arc<Mmap>, Range<usize>),
}

impl Deref for Items {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match self {
            Self::Owned(items) => items,
            Self::Mapped(map, range) => bytemuck::cast_slice(&map[range.clone()]),
        }
    }
}

impl PartialEq for Items {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Items {}

impl Sequences {
    /// Item rows of 4 bytes, little-endian, at `range` of a mapped file; user `u` has those from `offsets[u]` to
    /// `offsets[u + 1]`. `None` if these do not fit the range.
    pub(super) fn mapped(map: Arc<Mmap>, range: Range<usize>, offsets: Vec<usize>) -> Option<Self> {
        let bytes = map.get(range.clone())?;
        let fits = offsets.is_sorted() && offsets.last() == Some(&(bytes.len() / 4));
        let in_place = cfg!(target_endian = "little") && bytemuck::try_cast_slice::<u8, u32>(bytes).is_ok();
        let items = if in_place {
            Items::Mapped(map, range)
        } else {
            Items::Owned(bytes.as_chunks().0.iter().map(|&row| u32::from_le_bytes(row)).collect())
        };
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
        &self.items[self.offsets[user]..self.offsets[user + 1]]
    }

    /// The sequences of all users, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.offsets.windows(2).map(|bounds| &self.items[bounds[0]..bounds[1]])
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
        Self { items: Items::Owned(items), offsets }
    }
}
