//! An engine or a profile encoder in memory of the caller's.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

use super::memory::{Region, output};
use super::status::ChordStatus;
use crate::{Engine, Profile};

/// An engine, which lies in the caller's memory with all that it works in.
pub struct ChordEngine(Object<Engine<'static>>);

/// A profile encoder, which lies in the caller's memory with all that it works in.
pub struct ChordProfile(Object<Profile<'static>>);

#[cfg(feature = "defmt")]
impl defmt::Format for ChordEngine {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "ChordEngine {{ engine: {} }}", self.0.value);
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for ChordProfile {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "ChordProfile {{ profile: {} }}", self.0.value);
    }
}

/// What C has a pointer to.
pub(super) trait Handle: Sized {
    /// What calls work on.
    type Value: 'static;

    /// Tells its kind from the others.
    const MARK: usize;

    /// What a pointer that is none is answered with.
    const NONE: ChordStatus;

    /// The object that it is and nothing else.
    ///
    /// # Safety
    /// As much memory as `Self` takes lies there.
    unsafe fn object(handle: *mut Self) -> *mut Object<Self::Value>;
}

impl Handle for ChordEngine {
    type Value = Engine<'static>;
    const MARK: usize = 0xC40D_5EA1;
    const NONE: ChordStatus = ChordStatus::NotAnEngine;

    unsafe fn object(handle: *mut Self) -> *mut Object<Self::Value> {
        // SAFETY: this function's contract; no reference is made.
        unsafe { &raw mut (*handle).0 }
    }
}

impl Handle for ChordProfile {
    type Value = Profile<'static>;
    const MARK: usize = 0xC40D_B0F1;
    const NONE: ChordStatus = ChordStatus::NotAProfile;

    unsafe fn object(handle: *mut Self) -> *mut Object<Self::Value> {
        // SAFETY: this function's contract; no reference is made.
        unsafe { &raw mut (*handle).0 }
    }
}

/// A value with what tells it from memory that holds anything else, a moved one included.
pub(super) struct Object<T> {
    /// [`seal`] of the address.
    seal: usize,
    /// Whether a call is at work.
    busy: AtomicBool,
    /// The memory that it lies in.
    memory: Region,
    value: T,
}

/// A number that only a handle of this kind at this address holds.
fn seal<H: Handle>(handle: *const H) -> usize {
    handle.addr() ^ H::MARK
}

/// Bytes of memory, at any alignment, for a handle whose value works in an arena of so many bytes.
pub(super) fn memory_bytes<H>(arena_bytes: usize) -> usize {
    align_of::<H>() - 1 + size_of::<H>() + arena_bytes
}

/// Puts what `make` makes of the arena at the start of the caller's memory, the arena behind it.
///
/// # Safety
/// `memory` is that of `len` bytes, which as long as the handle is used nothing else uses.
pub(super) unsafe fn place<H: Handle>(
    memory: *mut u8,
    len: usize,
    make: impl FnOnce(&'static mut [u8]) -> Result<H::Value, crate::Error>,
) -> Result<*mut H, ChordStatus> {
    let region = Region::of(memory, len)?;
    let skipped = memory.align_offset(align_of::<H>());
    let head = skipped.saturating_add(size_of::<H>());
    let handle = memory.wrapping_add(skipped).cast::<H>();
    // SAFETY: this function's contract. All of it is cleared: a handle that lay there, whose arena this was, is none, even
    // if nothing is made here.
    let arena = unsafe { output(memory, len)? }.get_mut(head..).ok_or(ChordStatus::MemoryTooSmall)?;
    let value = make(arena)?;
    let object = Object { seal: seal(handle), busy: AtomicBool::new(false), memory: region, value };
    // SAFETY: aligned, inside the caller's memory, before the arena.
    unsafe { H::object(handle).write(object) };
    Ok(handle)
}

/// What a handle holds, during one call.
pub(super) struct InUse<H: Handle>(*mut Object<H::Value>);

impl<H: Handle> InUse<H> {
    /// What the handle at `pointer` holds, unless it is none or in use.
    ///
    /// # Safety
    /// A `pointer` that is neither null nor misaligned is that of memory as large as a handle, which nobody but calls
    /// on this handle uses; its bundle and memory are there as [`chord_init`](super::chord_init) asks.
    pub(super) unsafe fn take(pointer: *mut H) -> Result<Self, ChordStatus> {
        Region::of(pointer, 1)?;
        // SAFETY: this function's contract.
        let object = unsafe { H::object(pointer) };
        // SAFETY: readable by this function's contract; any bits are a number. No reference to the object is made
        // here: a call that this one interrupts has one.
        let found = unsafe { (&raw const (*object).seal).read() };
        if found != seal(pointer) {
            return Err(H::NONE);
        }
        // SAFETY: sealed, so an object; nothing but this function and `drop` refers to the flag.
        let busy = unsafe { &(*object).busy };
        if occupy(busy) { Ok(Self(object)) } else { Err(ChordStatus::Busy) }
    }

    /// The memory that the object lies in.
    pub(super) fn memory(&self) -> Region {
        // SAFETY: `take` saw an object; nobody writes this field.
        unsafe { (&raw const (*self.0).memory).read() }
    }
}

/// Sets the flag; whether it was not set before.
#[cfg(target_has_atomic = "8")]
fn occupy(busy: &AtomicBool) -> bool {
    !busy.swap(true, Ordering::Acquire)
}

/// Sets the flag; whether it was not set before. Cores that cannot swap have no second core either, and an interrupt
/// between load and store has ended, its flag released, before the store.
#[cfg(not(target_has_atomic = "8"))]
fn occupy(busy: &AtomicBool) -> bool {
    let free = !busy.load(Ordering::Acquire);
    busy.store(true, Ordering::Relaxed);
    free
}

impl<H: Handle> Deref for InUse<H> {
    type Target = H::Value;

    fn deref(&self) -> &Self::Target {
        // SAFETY: `take` saw an object and set its flag: until `drop` nobody else gets here.
        unsafe { &(*self.0).value }
    }
}

impl<H: Handle> DerefMut for InUse<H> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        // SAFETY: as above.
        unsafe { &mut (*self.0).value }
    }
}

impl<H: Handle> Drop for InUse<H> {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { &(*self.0).busy }.store(false, Ordering::Release);
    }
}
