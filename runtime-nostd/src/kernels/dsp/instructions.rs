//! The DSP instructions that stable Rust has no intrinsics for.

use core::arch::asm;

/// Bytes 0 and 2, signed, as two halves.
#[inline(always)]
pub(super) fn sxtb16(x: u32) -> u32 {
    let halves;
    // SAFETY: computes a register from registers; the family is built for cores that have the instruction.
    unsafe {
        asm!("sxtb16 {}, {}", lateout(reg) halves, in(reg) x, options(pure, nomem, nostack, preserves_flags))
    };
    halves
}

/// Bytes 1 and 3, signed, as two halves.
#[inline(always)]
pub(super) fn sxtb16_ror8(x: u32) -> u32 {
    let halves;
    // SAFETY: as above.
    unsafe {
        asm!("sxtb16 {}, {}, ror #8", lateout(reg) halves, in(reg) x, options(pure, nomem, nostack, preserves_flags));
    };
    halves
}

/// `sum + x0 * y0 + x1 * y1` of signed halves, modulo 2^32.
#[inline(always)]
pub(super) fn smlad(x: u32, y: u32, sum: i32) -> i32 {
    let result;
    // SAFETY: as above; sets the Q flag, which nothing here reads.
    unsafe {
        asm!("smlad {}, {}, {}, {}", lateout(reg) result, in(reg) x, in(reg) y, in(reg) sum,
            options(pure, nomem, nostack, preserves_flags));
    };
    result
}

/// `sum + sum of |x_i - y_i|` of four unsigned bytes.
#[inline(always)]
pub(super) fn usada8(x: u32, y: u32, sum: u32) -> u32 {
    let result;
    // SAFETY: as above.
    unsafe {
        asm!("usada8 {}, {}, {}, {}", lateout(reg) result, in(reg) x, in(reg) y, in(reg) sum,
            options(pure, nomem, nostack, preserves_flags));
    };
    result
}
