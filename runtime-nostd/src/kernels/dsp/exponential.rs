//! `libm::expf` of differences below 0, the numbers of a softmax, one after another in the FPU's registers.
//!
//! From -87.3 to -2^-13 one way through `expf` serves all: `trunc(x / ln 2 - 0.5)` is the `k` of each of its branches, and
//! `k` = 0 takes nothing off. All else stops the loop and is libm's.

#![allow(clippy::excessive_precision, reason = "numbers as libm writes them")]

use core::arch::naked_asm;
use core::slice;

use chord_plan::numerics::{self, sum};

/// What the loops take of `expf`, in s1-s8: 1 / ln 2, 0.5, ln 2 in two parts, P1, P2, 1, 2.
#[rustfmt::skip]
pub(super) const CONSTANTS: [f32; 8] = [
    1.4426950216e+00, 0.5, 6.9314575195e-01, 1.4286067653e-06, 1.6666625440e-1, -2.7667332906e-3, 1.0, 2.0,
];

/// As [`exponentials`](chord_plan::numerics::exponentials).
pub(super) fn exponentials(scores: &mut [f32], max: f32) -> f32 {
    let mut rest = &mut *scores;
    while !rest.is_empty() {
        // SAFETY: reads and writes `rest` from its start on.
        let left = unsafe { run(rest.as_mut_ptr(), rest.len(), max, &CONSTANTS) };
        let _ = rest.split_off_mut(..rest.len().saturating_sub(left));
        if let Some(first) = rest.split_off_first_mut() {
            numerics::exponentials(slice::from_mut(first), max);
        }
    }
    1.0 / sum(scores)
}

/// `x c / (2 - c)` of a number within ln 2 / 2 of 0 to s12.
macro_rules! reduced {
    ($x:literal) => {
        concat!(
            "vmul.f32 s12, ",
            $x,
            ", ",
            $x,
            "\n",
            "vmul.f32 s14, s12, s6\n",
            "vadd.f32 s14, s14, s5\n",
            "vmul.f32 s14, s14, s12\n",
            "vsub.f32 s14, ",
            $x,
            ", s14\n",
            "vmul.f32 s12, ",
            $x,
            ", s14\n",
            "vsub.f32 s14, s8, s14\n",
            "vdiv.f32 s12, s12, s14\n",
        )
    };
}

/// `expf(x)` of `$x`, between -87.3 and -2^-13, to `$y`. r4 becomes an exponent, r2 holds 1.0's bits, s1-s8 the constants,
/// s9-s15 are free, `$x` and `$y` may be two of them.
macro_rules! exponential {
    ($x:literal, $y:literal) => {
        concat!(
            "vmul.f32 s10, ",
            $x,
            ", s1\n",
            "vsub.f32 s10, s10, s2\n",
            "vcvt.s32.f32 s10, s10\n",
            "vmov r4, s10\n",
            "vcvt.f32.s32 s10, s10\n",
            "vmul.f32 s14, s10, s3\n",
            "vmul.f32 s11, s10, s4\n",
            "vsub.f32 s9, ",
            $x,
            ", s14\n",
            "add r4, r2, r4, lsl #23\n",
            "vsub.f32 s13, s9, s11\n",
            reduced!("s13"),
            "vsub.f32 s12, s12, s11\n",
            "vadd.f32 s12, s12, s9\n",
            "vadd.f32 s12, s12, s7\n",
            "vmov s14, r4\n",
            "vmul.f32 ",
            $y,
            ", s12, s14\n",
        )
    };
}

pub(super) use {exponential, reduced};

/// Puts `expf(x - max)` in place of numbers until one whose difference is out of range; returns how many are left.
// Registers: r3 and r12 the range, in bits.
#[unsafe(naked)]
unsafe extern "C" fn run(_x: *mut f32, _count: usize, _max: f32, _constants: &[f32; 8]) -> usize {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r4, lr}}",
        "vldm r2, {{s1-s8}}",
        "mov r2, #0x3f800000",
        "movw r3, #1",
        "movt r3, #0xb900",
        "movw r12, #0xac4f",
        "movt r12, #0x09ae",
        "2:",
        "vldr s9, [r0]",
        "vsub.f32 s9, s9, s0",
        "vmov r4, s9",
        "sub r4, r3",
        "cmp r4, r12",
        "bhs 3f",
        exponential!("s9", "s12"),
        "subs r1, #1",
        "vstmia r0!, {{s12}}",
        "bne 2b",
        "3:",
        "mov r0, r1",
        "pop {{r4, pc}}",
    )
}
