//! How much stack a piece of work takes: painted below, read off after.

use core::ptr;

/// What unused stack holds. Not a value that code is likely to leave there.
const PAINT: u32 = 0xC0DE_57AC;

/// Kept unpainted below the caller, for the frames of painting itself.
const CLEARANCE: usize = 256;

/// At most this many bytes are painted and searched.
const WINDOW: usize = 32 * 1024;

unsafe extern "C" {
    /// Lowest address of the stack, from the linker script.
    static _stack_end: u32;
}

/// Runs `work`; returns its result and the bytes of stack that it took, from this function's caller down.
#[inline(never)]
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let mark = 0u32;
    let top = (&raw const mark).addr() & !3;
    let bottom = (&raw const _stack_end).addr().max(top - WINDOW);
    let painted = top - CLEARANCE;
    for address in (bottom..painted).step_by(4) {
        // SAFETY: between the end of the stack and the frames in use: memory that nothing owns.
        unsafe { ptr::write_volatile(ptr::with_exposed_provenance_mut(address), PAINT) };
    }
    let result = call(work);
    let unused = (bottom..painted)
        .step_by(4)
        // SAFETY: as above; it was written before.
        .take_while(
            |&address| unsafe { ptr::read_volatile(ptr::with_exposed_provenance::<u32>(address)) } == PAINT,
        )
        .count();
    (result, top - (bottom + 4 * unused))
}

/// Apart, so that the work's frame lies below the mark.
#[inline(never)]
fn call<T>(work: impl FnOnce() -> T) -> T {
    work()
}
