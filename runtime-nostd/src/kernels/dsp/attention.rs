//! Attention of one query in the FPU's 32 registers (`docs/numerics.md`, section 6): a multiple of 16 numbers to a
//! head, any number of keys.
//!
//! `vmul` and `vadd`, not `vmla`: the same roundings, and two cycles on a Cortex-M4 instead of three.

use core::arch::naked_asm;

use chord_plan::numerics::attend;

use super::super::attention_fits;
use super::exponential::exponentials;

/// As [`attend`].
pub(super) fn attention(
    query: &[f32],
    keys: &[f32],
    values: &[f32],
    stride: usize,
    scale: f32,
    scores: &mut [f32],
    out: &mut [f32],
) {
    let (width, count) = (query.len(), scores.len());
    if !width.is_multiple_of(16) || count < 2 || !attention_fits(query, keys, values, stride, scores, out) {
        return attend(query, keys, values, stride, scale, scores, out);
    }
    let mut job = Scores { scale, stride, blocks: width / 8, count, zeros: [0.0; 8] };
    // SAFETY: `scores` reads `width` numbers of the query and of each of `count` keys, `stride` apart, which lie in
    // `keys`, and writes a score for each of two keys or more.
    let max = unsafe { run_scores(query.as_ptr(), keys.as_ptr(), scores.as_mut_ptr(), &job) };
    job.scale = exponentials(scores, max);
    for (start, out) in (0..).step_by(16).zip(out.as_chunks_mut::<16>().0) {
        // SAFETY: reads 16 numbers of each of `count` values, from `start` below `width` on, and as many scores.
        unsafe { run_values(scores.as_ptr(), values.as_ptr().wrapping_add(start), out, &job) };
    }
}

/// What the assembly reads; it knows the order.
#[repr(C)]
struct Scores {
    /// Of the scores, then of the outputs.
    scale: f32,
    /// Numbers from a key to the next.
    stride: usize,
    /// Eights of numbers in a key.
    blocks: usize,
    count: usize,
    zeros: [f32; 8],
}

/// Writes the scaled scores; returns the largest, NaN left out.
// Registers: s0-s7 query, s8-s15 and s16-s23 two keys, s24-s27 and s28-s31 their lanes; then s0 scale, s1 maximum.
// An odd number starts with keys 0 and 1, and goes on with 1 and 2.
#[unsafe(naked)]
unsafe extern "C" fn run_scores(
    _query: *const f32,
    _keys: *const f32,
    _scores: *mut f32,
    _job: *const Scores,
) -> f32 {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r4-r11, lr}}",
        "vpush {{s16-s31}}",
        "sub sp, #8",
        "vldr s0, [r3]",
        "add r10, r3, #4",
        "ldm r10!, {{r4-r6}}",
        "lsl r4, #2",
        // r1 and r7 two keys, r8 from the end of one to the second next.
        "add r7, r1, r4",
        "lsl r8, r4, #1",
        "sub r8, r8, r5, lsl #5",
        // Where a first pair ends that shares a key with the next.
        "sub r9, r8, r4",
        "adds r6, #1",
        "lsrs r6, #1",
        "ite cs",
        "movcs r9, r8",
        "movcc r4, #4",
        "it cs",
        "movcs r4, #8",
        "vstr s0, [sp]",
        "movw r11, #0",
        "movt r11, #0xff80",
        "str r11, [sp, #4]",
        "2:",
        "vldm r10, {{s24-s31}}",
        "mov r11, r0",
        "lsr r12, r5, #1",
        "3:",
        ".rept 2",
        "vldmia r11!, {{s0-s7}}",
        "vldmia r1!, {{s8-s15}}",
        "vldmia r7!, {{s16-s23}}",
        "vmul.f32 s8, s8, s0",
        "vmul.f32 s9, s9, s1",
        "vmul.f32 s10, s10, s2",
        "vmul.f32 s11, s11, s3",
        "vmul.f32 s16, s16, s0",
        "vmul.f32 s17, s17, s1",
        "vmul.f32 s18, s18, s2",
        "vmul.f32 s19, s19, s3",
        "vadd.f32 s24, s24, s8",
        "vadd.f32 s25, s25, s9",
        "vadd.f32 s26, s26, s10",
        "vadd.f32 s27, s27, s11",
        "vadd.f32 s28, s28, s16",
        "vadd.f32 s29, s29, s17",
        "vadd.f32 s30, s30, s18",
        "vadd.f32 s31, s31, s19",
        "vmul.f32 s12, s12, s4",
        "vmul.f32 s13, s13, s5",
        "vmul.f32 s14, s14, s6",
        "vmul.f32 s15, s15, s7",
        "vmul.f32 s20, s20, s4",
        "vmul.f32 s21, s21, s5",
        "vmul.f32 s22, s22, s6",
        "vmul.f32 s23, s23, s7",
        "vadd.f32 s24, s24, s12",
        "vadd.f32 s25, s25, s13",
        "vadd.f32 s26, s26, s14",
        "vadd.f32 s27, s27, s15",
        "vadd.f32 s28, s28, s20",
        "vadd.f32 s29, s29, s21",
        "vadd.f32 s30, s30, s22",
        "vadd.f32 s31, s31, s23",
        ".endr",
        "subs r12, #1",
        "bne 3b",
        "vldm sp, {{s0, s1}}",
        "vadd.f32 s24, s24, s25",
        "vadd.f32 s28, s28, s29",
        "vadd.f32 s26, s26, s27",
        "vadd.f32 s30, s30, s31",
        "vadd.f32 s24, s24, s26",
        "vadd.f32 s28, s28, s30",
        "vmul.f32 s2, s24, s0",
        "vmul.f32 s3, s28, s0",
        "vstm r2, {{s2, s3}}",
        "vcmp.f32 s2, s1",
        "vmrs APSR_nzcv, FPSCR",
        "it gt",
        "vmovgt.f32 s1, s2",
        "vcmp.f32 s3, s1",
        "vmrs APSR_nzcv, FPSCR",
        "it gt",
        "vmovgt.f32 s1, s3",
        "vstr s1, [sp, #4]",
        "add r1, r9",
        "add r7, r9",
        "add r2, r4",
        "mov r4, #8",
        "mov r9, r8",
        "subs r6, #1",
        "bne 2b",
        "vmov.f32 s0, s1",
        "add sp, #8",
        "vpop {{s16-s31}}",
        "pop {{r4-r11, pc}}",
    )
}

/// Writes 16 outputs: the sum of the values times their weights, times the scale.
// Registers: s0-s15 sums, s16-s23 values, s24 and s25 weights.
#[unsafe(naked)]
unsafe extern "C" fn run_values(
    _weights: *const f32,
    _values: *const f32,
    _out: *mut [f32; 16],
    _job: *const Scores,
) {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r4, lr}}",
        "vpush {{s16-s25}}",
        "ldr r4, [r3, #4]",
        "ldr r12, [r3, #12]",
        "lsl r4, #2",
        "sub r4, #32",
        "add lr, r3, #16",
        "vldm lr, {{s0-s7}}",
        "vldm lr, {{s8-s15}}",
        "2:",
        "vldmia r1!, {{s16-s23}}",
        "vldmia r0!, {{s24}}",
        "vmul.f32 s16, s16, s24",
        "vmul.f32 s17, s17, s24",
        "vmul.f32 s18, s18, s24",
        "vmul.f32 s19, s19, s24",
        "vmul.f32 s20, s20, s24",
        "vmul.f32 s21, s21, s24",
        "vmul.f32 s22, s22, s24",
        "vmul.f32 s23, s23, s24",
        "vadd.f32 s0, s0, s16",
        "vadd.f32 s1, s1, s17",
        "vadd.f32 s2, s2, s18",
        "vadd.f32 s3, s3, s19",
        "vadd.f32 s4, s4, s20",
        "vadd.f32 s5, s5, s21",
        "vadd.f32 s6, s6, s22",
        "vadd.f32 s7, s7, s23",
        "vldm r1, {{s16-s23}}",
        "add r1, r4",
        "subs r12, #1",
        "vmul.f32 s16, s16, s24",
        "vmul.f32 s17, s17, s24",
        "vmul.f32 s18, s18, s24",
        "vmul.f32 s19, s19, s24",
        "vmul.f32 s20, s20, s24",
        "vmul.f32 s21, s21, s24",
        "vmul.f32 s22, s22, s24",
        "vmul.f32 s23, s23, s24",
        "vadd.f32 s8, s8, s16",
        "vadd.f32 s9, s9, s17",
        "vadd.f32 s10, s10, s18",
        "vadd.f32 s11, s11, s19",
        "vadd.f32 s12, s12, s20",
        "vadd.f32 s13, s13, s21",
        "vadd.f32 s14, s14, s22",
        "vadd.f32 s15, s15, s23",
        "bne 2b",
        "vldr s24, [r3]",
        "vmul.f32 s0, s0, s24",
        "vmul.f32 s1, s1, s24",
        "vmul.f32 s2, s2, s24",
        "vmul.f32 s3, s3, s24",
        "vmul.f32 s4, s4, s24",
        "vmul.f32 s5, s5, s24",
        "vmul.f32 s6, s6, s24",
        "vmul.f32 s7, s7, s24",
        "vmul.f32 s8, s8, s24",
        "vmul.f32 s9, s9, s24",
        "vmul.f32 s10, s10, s24",
        "vmul.f32 s11, s11, s24",
        "vmul.f32 s12, s12, s24",
        "vmul.f32 s13, s13, s24",
        "vmul.f32 s14, s14, s24",
        "vmul.f32 s15, s15, s24",
        "vstm r2, {{s0-s15}}",
        "vpop {{s16-s25}}",
        "pop {{r4, pc}}",
    )
}
