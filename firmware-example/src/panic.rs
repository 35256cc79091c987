//! What happens in a panic. Nothing in the runtime panics.

use core::panic::PanicInfo;

/// Logs where, and stops.
#[cfg(not(feature = "bare"))]
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or(("", 0), |location| (location.file(), location.line()));
    crate::log!(error, "panic at {}:{}", file, line);
    crate::startup::exit(false)
}

/// Links only if no panic is left in the program.
#[cfg(feature = "bare")]
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn chord_a_panic_is_reachable() -> !;
    }
    chord_a_panic_is_reachable()
}
