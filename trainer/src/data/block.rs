use std::ops::{Deref, Range};
use std::sync::Arc;

use bytemuck::Pod;
use memmap2::Mmap;

/// Numbers in memory, or in a mapped file.
#[derive(Debug, Clone)]
pub(super) enum Block<T> {
    Owned(Vec<T>),
    Mapped(Arc<Mmap>, Range<usize>),
}

impl<T: Pod> Block<T> {
    /// The little-endian numbers at `range` of a mapped file, in place where the machine can use them so. `None` if
    /// the range is not in the file.
    pub(super) fn mapped(
        map: &Arc<Mmap>,
        range: Range<usize>,
        from_bytes: impl Fn(&[u8]) -> T,
    ) -> Option<Self> {
        let bytes = map.get(range.clone())?;
        let in_place = cfg!(target_endian = "little") && bytemuck::try_cast_slice::<u8, T>(bytes).is_ok();
        Some(match in_place {
            true => Self::Mapped(Arc::clone(map), range),
            false => Self::Owned(bytes.chunks_exact(size_of::<T>()).map(from_bytes).collect()),
        })
    }
}

impl<T: Pod> Deref for Block<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Owned(numbers) => numbers,
            Self::Mapped(map, range) => bytemuck::cast_slice(&map[range.clone()]),
        }
    }
}

impl<T: Pod + PartialEq> PartialEq for Block<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
