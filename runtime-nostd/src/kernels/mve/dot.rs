//! One dot product, one sum.

use core::arch::naked_asm;

/// `sum a (2 k + 1)` with the codes cut to 2, 4 or 8 bits.
pub(super) fn dot(token: &[i8], codes: &[i8], bits: u8) -> i32 {
    let length = token.len().min(codes.len());
    let run = match bits {
        2 => run_two_bits,
        4 => run_four_bits,
        _ => run_eight_bits,
    };
    // SAFETY: reads `length` bytes of either slice; the family is built for cores with MVE.
    unsafe { run(token.as_ptr(), codes.as_ptr(), length) }
}

/// `sum a`.
pub(super) fn sum(token: &[i8]) -> i32 {
    // SAFETY: reads the slice; the family is built for cores with MVE.
    unsafe { run_sum(token.as_ptr(), token.len()) }
}

/// A loop whose last round works on what is left. Registers: r4 `sum a`, r12 `sum a k`.
macro_rules! run {
    ($name:ident, $cut:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(_token: *const i8, _codes: *const i8, _length: usize) -> i32 {
            naked_asm!(
                ".cpu cortex-m55",
                "push {{r4, lr}}",
                "movs r4, #0",
                "mov r12, #0",
                "wlstp.8 lr, r2, 3f",
                "2:",
                "vldrb.u8 q0, [r0], #16",
                "vldrb.u8 q1, [r1], #16",
                $cut,
                "vmladava.s8 r12, q0, q1",
                "vaddva.s8 r4, q0",
                "letp lr, 2b",
                "3:",
                "add r0, r4, r12, lsl #1",
                "pop {{r4, pc}}",
            )
        }
    };
}

run!(run_eight_bits, "");
run!(run_four_bits, "vshr.s8 q1, q1, #4");
run!(run_two_bits, "vshr.s8 q1, q1, #6");

#[unsafe(naked)]
unsafe extern "C" fn run_sum(_token: *const i8, _length: usize) -> i32 {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "mov r12, #0",
        "wlstp.8 lr, r1, 3f",
        "2:",
        "vldrb.u8 q0, [r0], #16",
        "vaddva.s8 r12, q0",
        "letp lr, 2b",
        "3:",
        "mov r0, r12",
        "pop {{r7, pc}}",
    )
}
