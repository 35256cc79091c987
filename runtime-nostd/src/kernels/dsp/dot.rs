//! One dot product.

use core::arch::naked_asm;

use super::super::word;
use super::instructions::{smlad, sxtb16, sxtb16_ror8};

/// `sum a (2 k + 1)`.
#[inline(never)]
pub(super) fn dot(token: &[i8], codes: &[i8]) -> i32 {
    let length = token.len().min(codes.len());
    let fours = length / 4;
    let (mut products, mut sum) = (0, 0);
    if fours > 0 {
        // SAFETY: reads `fours` words of either slice, at any alignment.
        let both = unsafe { run(token.as_ptr(), codes.as_ptr(), fours) };
        (products, sum) = (both as i32, (both >> 32) as i32);
    }
    if !length.is_multiple_of(4) {
        let [a, codes] = [token, codes].map(|x| word(x.get(..length).unwrap_or_default(), fours));
        for (a, codes) in [(sxtb16(a), sxtb16(codes)), (sxtb16_ror8(a), sxtb16_ror8(codes))] {
            products = smlad(a, codes, products);
            sum = smlad(a, 0x0001_0001, sum);
        }
    }
    2 * products + sum
}

/// `sum a k` in the low half, `sum a` in the high half of the result.
// Registers: r4 and r5 sums, r6 and r7 words, r8 ones.
#[unsafe(naked)]
unsafe extern "C" fn run(_token: *const i8, _codes: *const i8, _fours: usize) -> u64 {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r4-r8, lr}}",
        "mov r8, #0x00010001",
        "movs r4, #0",
        "movs r5, #0",
        // 40 bytes to four inputs of the block.
        "subs r3, r2, #1",
        "and r3, #3",
        "adds r3, #1",
        "mov r12, #40",
        "adr.w r6, 63f",
        "mls r6, r3, r12, r6",
        "orr r6, #1",
        "bx r6",
        ".p2align 2",
        "65:",
        ".rept 4",
        "ldr.w r6, [r0], #4",
        "ldr.w r7, [r1], #4",
        "sxtb16 r12, r6",
        "sxtb16 lr, r7",
        "smlad r4, r12, lr, r4",
        "smlad r5, r12, r8, r5",
        "sxtb16 r12, r6, ror #8",
        "sxtb16 lr, r7, ror #8",
        "smlad r4, r12, lr, r4",
        "smlad r5, r12, r8, r5",
        ".endr",
        "63:",
        "subs r2, r3",
        "mov r3, #4",
        "bne 65b",
        "mov r0, r4",
        "mov r1, r5",
        "pop {{r4-r8, pc}}",
    )
}
