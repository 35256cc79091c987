//! GELU with the operations of `libm::erff` in their order, one number after another; the coefficients of the fraction
//! that a number needs come into registers at once.

#![allow(clippy::excessive_precision, reason = "numbers as libm writes them")]

use core::arch::naked_asm;
use core::f32::consts::FRAC_1_SQRT_2;

use super::super::elementary::{DENOMINATOR, ENDS, NUMERATOR};
use super::exponential::{self, exponential, reduced};

/// As [`numerics::gelu`](chord_plan::numerics::gelu) of every number.
pub(super) fn gelu(mut x: &mut [f32]) {
    while !x.is_empty() {
        // SAFETY: reads and writes `x` from its start on, and reads the table.
        let left = unsafe { run(x.as_mut_ptr(), x.len(), &TABLE) };
        let _ = x.split_off_mut(..x.len().saturating_sub(left));
        if let Some(first) = x.split_off_first_mut() {
            *first = of_outer(*first);
        }
    }
}

/// 2^-28 and 6, as bits: the fractions lie between.
const START: u32 = 0x3180_0000;
const END: u32 = 0x40c0_0000;

/// GELU of a number whose `x / sqrt 2` lies outside.
#[inline(never)]
fn of_outer(x: f32) -> f32 {
    let z = x * FRAC_1_SQRT_2;
    let erf = match z.abs().to_bits() {
        0..START => 0.125 * (8.0 * z + 1.0270333290e+00 * z),
        // What erff takes off 1 here is 2^-120.
        END..0x7f80_0000 => 1f32.copysign(z),
        _ => 1.0 - 2.0 * (z.to_bits() >> 31) as f32 + 1.0 / z,
    };
    (0.5 * x) * (1.0 + erf)
}

/// What [`run`] reads; the assembly knows the order.
#[repr(C)]
struct Table {
    /// 0.5, 1 / sqrt 2, what `erff` takes `p / q` off below 1.25.
    first: [f32; 3],
    /// Where one fraction ends and the next begins, as bits.
    ends: [u32; 4],
    /// Numerator and denominator, the highest power first, without the constant 1: below 0.84375, below 1.25.
    inner: [f32; 10],
    middle: [f32; 13],
    /// Below 1 / 0.35 and from there on, the latter with zeros in front.
    outer: [[f32; 16]; 2],
    /// -0.5625, then what exponentials take.
    below: f32,
    exponential: [f32; 8],
}

static TABLE: Table = Table {
    first: [0.5, FRAC_1_SQRT_2, 1.0 - 8.4506291151e-01],
    ends: [ENDS[0], ENDS[1], ENDS[2], END],
    inner: fraction(0, 5, 5),
    middle: fraction(1, 7, 6),
    outer: [fraction(2, 8, 8), fraction(3, 8, 8)],
    below: -0.5625,
    exponential: exponential::CONSTANTS,
};

/// The last `above` coefficients of a numerator, and as many as `below` of its denominator before the constant 1.
const fn fraction<const N: usize>(which: usize, above: usize, below: usize) -> [f32; N] {
    let (mut row, mut i) = ([0.0; N], 0);
    while i < above + below {
        row[i] = if i < above {
            NUMERATOR[NUMERATOR.len() - above + i][which]
        } else {
            DENOMINATOR[DENOMINATOR.len() - 1 - below + i - above][which]
        };
        i += 1;
    }
    row
}

/// `$sum x + $next`, and so on.
macro_rules! horner {
    ($x:literal: $sum:literal $(, $next:literal)*) => {
        concat!($(
            "vmul.f32 ", $sum, ", ", $sum, ", ", $x, "\n",
            "vadd.f32 ", $sum, ", ", $sum, ", ", $next, "\n",
        )*)
    };
}

/// Puts GELU in place of numbers until one that no fraction is for; returns how many are left.
// Registers: r3 the table behind the ends, r5 magnitude and r6 number, as bits, r7-r10 ends; s16-s18 the table's first,
// s19 half the number, s20 the magnitude of s21, the number over sqrt 2, s22 what it is at its place, s23 1.0.
#[unsafe(naked)]
unsafe extern "C" fn run(_x: *mut f32, _count: usize, _table: &Table) -> usize {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r4-r10, lr}}",
        "vpush {{s16-s23}}",
        "mov r3, r2",
        "vldmia r3!, {{s16-s18}}",
        "ldm r3!, {{r7-r10}}",
        "vmov.f32 s23, #1.0",
        "mov r2, #0x3f800000",
        "2:",
        "vldr s0, [r0]",
        "vmul.f32 s19, s0, s16",
        "vmul.f32 s21, s0, s17",
        "vmov r6, s21",
        "bic r5, r6, #0x80000000",
        "cmp r5, r7",
        "bhs 4f",
        "cmp r5, #0x31800000",
        "blo 7f",
        "vldm r3, {{s0-s9}}",
        "vmul.f32 s10, s21, s21",
        horner!("s10": "s0", "s1", "s2", "s3", "s4"),
        horner!("s10": "s5", "s6", "s7", "s8", "s9", "s23"),
        "vdiv.f32 s0, s0, s5",
        "vmul.f32 s0, s0, s21",
        "vadd.f32 s0, s0, s21",
        "3:",
        "vadd.f32 s0, s0, s23",
        "vmul.f32 s0, s0, s19",
        "subs r1, #1",
        "vstmia r0!, {{s0}}",
        "bne 2b",
        "b 7f",
        "4:",
        "vabs.f32 s20, s21",
        "cmp r5, r8",
        "bhs 5f",
        "add r12, r3, #40",
        "vldm r12, {{s0-s12}}",
        "vsub.f32 s13, s20, s23",
        horner!("s13": "s0", "s1", "s2", "s3", "s4", "s5", "s6"),
        horner!("s13": "s7", "s8", "s9", "s10", "s11", "s12", "s23"),
        "vdiv.f32 s0, s0, s7",
        "vsub.f32 s0, s18, s0",
        "b 6f",
        "5:",
        "cmp r5, r10",
        "bhs 7f",
        "add r12, r3, #92",
        "cmp r5, r9",
        "it hs",
        "addhs r12, #64",
        "vldm r12, {{s0-s15}}",
        "vmul.f32 s22, s20, s20",
        "vdiv.f32 s22, s23, s22",
        horner!("s22": "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"),
        horner!("s22": "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s23"),
        "vdiv.f32 s22, s0, s8",
        "add r12, r3, #220",
        "vldm r12, {{s0-s8}}",
        // erfc is exp(-z z - 0.5625) exp((z - x) (z + x) + r / s) / x, where z is x without its low bits; the second
        // exponential is one of a number from -0.22 to -0.02.
        "bfc r5, #0, #13",
        "vmov s15, r5",
        "vadd.f32 s9, s15, s20",
        "vsub.f32 s10, s15, s20",
        "vmul.f32 s10, s10, s9",
        "vadd.f32 s22, s22, s10",
        reduced!("s22"),
        "vadd.f32 s12, s12, s22",
        "vadd.f32 s22, s12, s7",
        "vmul.f32 s15, s15, s15",
        "vsub.f32 s15, s0, s15",
        exponential!("s15", "s12"),
        "vmul.f32 s12, s12, s22",
        "vdiv.f32 s0, s12, s20",
        "6:",
        "vsub.f32 s0, s23, s0",
        "cmp r6, #0",
        "it mi",
        "vnegmi.f32 s0, s0",
        "b 3b",
        "7:",
        "mov r0, r1",
        "vpop {{s16-s23}}",
        "pop {{r4-r10, pc}}",
    )
}
