//! `libchord.a`: the functions of `include/chord.h`, which `chord_runtime::c_api` defines.
//!
//! Nothing in them panics, so that the library brings no panic handler into a program: the one that Rust asks for calls
//! a function that does not exist, and a program that could get there would not link. That holds for release builds.
#![no_std]

use chord_runtime as _;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn chord_a_panic_is_reachable() -> !;
    }
    chord_a_panic_is_reachable()
}
