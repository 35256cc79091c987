//! An engine in memory of the caller's.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

use super::memory::Region;
use super::status::ChordStatus;
use crate::Engine;

/// An engine, which lies in the caller's memory with all that it works in.
pub struct ChordEngine {
    /// [`seal`] of the address: tells an engine from memory that holds anything else, a moved engine included.
    seal: usize,
    /// Whether a call is at work.
    busy: AtomicBool,
    /// The memory that it lies in.
    memory: Region,
    engine: Engine<'static>,
}

#[cfg(feature = "defmt")]
impl defmt::Format for ChordEngine {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "ChordEngine {{ engine: {} }}", self.engine);
    }
}

/// An address that only an engine at this address holds.
fn seal(engine: *const ChordEngine) -> usize {
    engine.addr() ^ 0xC40D_5EA1
}

impl ChordEngine {
    pub(super) fn new(place: *const Self, memory: Region, engine: Engine<'static>) -> Self {
        Self { seal: seal(place), busy: AtomicBool::new(false), memory, engine }
    }
}

/// The engine during one call.
pub(super) struct InUse(*mut ChordEngine);

impl InUse {
    /// The engine at `pointer`, unless it is none or in use.
    ///
    /// # Safety
    /// A `pointer` that is neither null nor misaligned is that of memory as large as an engine, which nobody but calls
    /// on this engine uses; its bundle and memory are there as [`chord_init`](super::chord_init) asks.
    pub(super) unsafe fn take(pointer: *mut ChordEngine) -> Result<Self, ChordStatus> {
        Region::of(pointer, 1)?;
        // SAFETY: readable by this function's contract; any bits are a number. No reference to the engine is made
        // here: a call that this one interrupts has one.
        let found = unsafe { (&raw const (*pointer).seal).read() };
        if found != seal(pointer) {
            return Err(ChordStatus::NotAnEngine);
        }
        // SAFETY: sealed, so an engine; nothing but this function and `drop` refers to the flag.
        let busy = unsafe { &(*pointer).busy };
        if occupy(busy) { Ok(Self(pointer)) } else { Err(ChordStatus::Busy) }
    }

    /// The memory that the engine lies in.
    pub(super) fn memory(&self) -> Region {
        // SAFETY: `take` saw an engine; nobody writes this field.
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

impl Deref for InUse {
    type Target = Engine<'static>;

    fn deref(&self) -> &Self::Target {
        // SAFETY: `take` saw an engine and set its flag: until `drop` nobody else gets here.
        unsafe { &(*self.0).engine }
    }
}

impl DerefMut for InUse {
    fn deref_mut(&mut self) -> &mut Self::Target {
        // SAFETY: as above.
        unsafe { &mut (*self.0).engine }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { &(*self.0).busy }.store(false, Ordering::Release);
    }
}
