//! Loads and stores of registers at the alignment of their elements.
//!
//! Without an operating system memory may be Device memory, where `ldr` and `str` of a register that is not aligned
//! fault: the compiler then takes what it cannot see aligned apart into bytes. `ld1` and `st1` ask for aligned elements
//! alone.

use core::arch::aarch64::{float32x4_t, int8x16_t, uint8x8_t};
#[cfg(target_os = "none")]
use core::arch::asm;

/// Sixteen codes.
///
/// # Safety
/// They are there.
#[inline(always)]
pub(super) unsafe fn codes(from: *const i8) -> int8x16_t {
    #[cfg(not(target_os = "none"))]
    // SAFETY: by this function's contract; every AArch64 core has NEON.
    unsafe {
        core::arch::aarch64::vld1q_s8(from)
    }
    #[cfg(target_os = "none")]
    {
        let codes;
        // SAFETY: as above; it writes nothing.
        unsafe {
            asm!("ld1 {{{x:v}.16b}}, [{from}]", x = lateout(vreg) codes, from = in(reg) from, options(pure, readonly, nostack, preserves_flags))
        };
        codes
    }
}

/// Puts sixteen codes.
///
/// # Safety
/// There are places for them.
#[inline(always)]
pub(super) unsafe fn put_codes(to: *mut i8, codes: int8x16_t) {
    #[cfg(not(target_os = "none"))]
    // SAFETY: by this function's contract; every AArch64 core has NEON.
    unsafe {
        core::arch::aarch64::vst1q_s8(to, codes);
    }
    #[cfg(target_os = "none")]
    // SAFETY: as above.
    unsafe {
        asm!("st1 {{{x:v}.16b}}, [{to}]", x = in(vreg) codes, to = in(reg) to, options(nostack, preserves_flags));
    }
}

/// Four numbers.
///
/// # Safety
/// They are there.
#[inline(always)]
pub(super) unsafe fn floats(from: *const f32) -> float32x4_t {
    #[cfg(not(target_os = "none"))]
    // SAFETY: by this function's contract; every AArch64 core has NEON.
    unsafe {
        core::arch::aarch64::vld1q_f32(from)
    }
    #[cfg(target_os = "none")]
    {
        let floats;
        // SAFETY: as above; it writes nothing.
        unsafe {
            asm!("ld1 {{{x:v}.4s}}, [{from}]", x = lateout(vreg) floats, from = in(reg) from, options(pure, readonly, nostack, preserves_flags))
        };
        floats
    }
}

/// Puts four numbers.
///
/// # Safety
/// There are places for them.
#[inline(always)]
pub(super) unsafe fn put_floats(to: *mut f32, floats: float32x4_t) {
    #[cfg(not(target_os = "none"))]
    // SAFETY: by this function's contract; every AArch64 core has NEON.
    unsafe {
        core::arch::aarch64::vst1q_f32(to, floats);
    }
    #[cfg(target_os = "none")]
    // SAFETY: as above.
    unsafe {
        asm!("st1 {{{x:v}.4s}}, [{to}]", x = in(vreg) floats, to = in(reg) to, options(nostack, preserves_flags));
    }
}

/// Puts eight bytes.
///
/// # Safety
/// There are places for them.
#[inline(always)]
pub(super) unsafe fn put_eight(to: *mut u8, bytes: uint8x8_t) {
    #[cfg(not(target_os = "none"))]
    // SAFETY: by this function's contract; every AArch64 core has NEON.
    unsafe {
        core::arch::aarch64::vst1_u8(to, bytes);
    }
    #[cfg(target_os = "none")]
    // SAFETY: as above.
    unsafe {
        asm!("st1 {{{x:v}.8b}}, [{to}]", x = in(vreg) bytes, to = in(reg) to, options(nostack, preserves_flags));
    }
}
