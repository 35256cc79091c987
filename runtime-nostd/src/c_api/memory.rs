//! Memory that C hands over: checked as far as an address can be.
//!
//! Whether an address is that of memory nobody can check. That it is, and that nobody else writes to it during the
//! call, is the contract of every function here and in the header.

use super::status::ChordStatus;
use crate::Ranked;

/// A type of which every bit pattern is a value.
///
/// # Safety
/// It is so.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: numbers.
unsafe impl Plain for u8 {}
// SAFETY: numbers.
unsafe impl Plain for u32 {}
// SAFETY: numbers.
unsafe impl Plain for f32 {}
// SAFETY: two numbers.
unsafe impl Plain for Ranked {}

/// Addresses of a piece of memory, the end excluded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Region {
    /// `len` values at `pointer`: neither null nor misaligned nor longer than a Rust slice may be.
    pub(super) fn of<T>(pointer: *const T, len: usize) -> Result<Self, ChordStatus> {
        if pointer.is_null() {
            return Err(ChordStatus::NullPointer);
        }
        if !pointer.is_aligned() {
            return Err(ChordStatus::Misaligned);
        }
        let start = pointer.addr();
        let bytes = len.checked_mul(size_of::<T>()).filter(|&bytes| isize::try_from(bytes).is_ok());
        let end = bytes.and_then(|bytes| start.checked_add(bytes)).ok_or(ChordStatus::Length)?;
        Ok(Self { start, end })
    }

    /// Whether the two have no byte in common.
    fn is_apart_from(self, other: Self) -> bool {
        self.end <= other.start || other.end <= self.start
    }
}

/// That memory which is written has no byte in common with the others. Those that are none are left to [`input`].
pub(super) fn apart(written: Region, others: &[Result<Region, ChordStatus>]) -> Result<(), ChordStatus> {
    let apart = others.iter().flatten().all(|&other| written.is_apart_from(other));
    if apart { Ok(()) } else { Err(ChordStatus::Overlap) }
}

/// The `len` values at `pointer`, to read.
///
/// # Safety
/// A `pointer` that [`Region::of`] accepts is that of `len` initialised values, which nobody writes to during `'a`.
pub(super) unsafe fn input<'a, T: Plain>(pointer: *const T, len: usize) -> Result<&'a [T], ChordStatus> {
    Region::of(pointer, len)?;
    // SAFETY: not null, aligned, not too long; the rest is the caller's contract. Every bit pattern is a `T`.
    Ok(unsafe { core::slice::from_raw_parts(pointer, len) })
}

/// The `len` values at `pointer`, to write: zeros at first, since C need not have initialised them.
///
/// # Safety
/// A `pointer` that [`Region::of`] accepts is that of memory for `len` values, which nobody else uses during `'a`.
pub(super) unsafe fn output<'a, T: Plain>(pointer: *mut T, len: usize) -> Result<&'a mut [T], ChordStatus> {
    Region::of(pointer, len)?;
    // SAFETY: not null, aligned, not too long; the rest is the caller's contract. Zeros are a `T`.
    Ok(unsafe {
        pointer.write_bytes(0, len);
        core::slice::from_raw_parts_mut(pointer, len)
    })
}
