//! Normalising and quantising a token eight numbers at a time (`docs/numerics.md`, sections 2 and 5).

use core::arch::naked_asm;

use chord_plan::bundle::Floats;
use chord_plan::numerics::{TokenScale, layer_norm, quantise_token, quantised};

/// As [`quantise_token`].
pub(super) fn quantise(x: &[f32], out: &mut [i8]) -> f32 {
    let (eights, rest) = x.as_chunks::<8>();
    let Some((codes, codes_rest)) = out.split_at_mut_checked(x.len() - rest.len()) else {
        return quantise_token(x, out);
    };
    if eights.is_empty() {
        return quantise_token(x, out);
    }
    // SAFETY: reads that many eights.
    let magnitude = unsafe { run_magnitude(eights.as_ptr(), eights.len()) };
    let magnitude = rest.iter().fold(magnitude, |max, x| max.max(x.abs().to_bits()));
    let TokenScale { scale, inverse: Some(inverse) } = TokenScale::of(f32::from_bits(magnitude)) else {
        return quantise_token(x, out);
    };
    // SAFETY: reads that many eights and writes eight codes for each, for which `codes` is long enough.
    unsafe { run_codes(eights.as_ptr(), eights.len(), codes.as_mut_ptr(), inverse) };
    rest.iter().zip(codes_rest).for_each(|(&x, code)| *code = quantised(x, inverse));
    scale
}

/// Bits of the largest magnitude.
// Registers: r2 twice the bits, whose top bit, the sign, is gone; r3-r10 numbers.
#[unsafe(naked)]
unsafe extern "C" fn run_magnitude(_x: *const [f32; 8], _eights: usize) -> u32 {
    naked_asm!(
        "push {{r4-r10, lr}}",
        "movs r2, #0",
        "2:",
        "ldm r0!, {{r3-r10}}",
        "cmp r2, r3, lsl #1",
        "it lo",
        "lsllo r2, r3, #1",
        "cmp r2, r4, lsl #1",
        "it lo",
        "lsllo r2, r4, #1",
        "cmp r2, r5, lsl #1",
        "it lo",
        "lsllo r2, r5, #1",
        "cmp r2, r6, lsl #1",
        "it lo",
        "lsllo r2, r6, #1",
        "cmp r2, r7, lsl #1",
        "it lo",
        "lsllo r2, r7, #1",
        "cmp r2, r8, lsl #1",
        "it lo",
        "lsllo r2, r8, #1",
        "cmp r2, r9, lsl #1",
        "it lo",
        "lsllo r2, r9, #1",
        "cmp r2, r10, lsl #1",
        "it lo",
        "lsllo r2, r10, #1",
        "subs r1, #1",
        "bne 2b",
        "lsrs r0, r2, #1",
        "pop {{r4-r10, pc}}",
    )
}

/// Codes of finite numbers.
// Registers: s0 inverse, s1 what rounds (1.5 * 2^23), s8-s15 numbers.
#[unsafe(naked)]
unsafe extern "C" fn run_codes(_x: *const [f32; 8], _eights: usize, _codes: *mut i8, _inverse: f32) {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r4-r7, lr}}",
        "movw r3, #0",
        "movt r3, #0x4b40",
        "vmov s1, r3",
        "2:",
        "vldmia r0!, {{s8-s15}}",
        "vmul.f32 s8, s8, s0",
        "vmul.f32 s9, s9, s0",
        "vmul.f32 s10, s10, s0",
        "vmul.f32 s11, s11, s0",
        "vmul.f32 s12, s12, s0",
        "vmul.f32 s13, s13, s0",
        "vmul.f32 s14, s14, s0",
        "vmul.f32 s15, s15, s0",
        "vadd.f32 s8, s8, s1",
        "vadd.f32 s9, s9, s1",
        "vadd.f32 s10, s10, s1",
        "vadd.f32 s11, s11, s1",
        "vadd.f32 s12, s12, s1",
        "vadd.f32 s13, s13, s1",
        "vadd.f32 s14, s14, s1",
        "vadd.f32 s15, s15, s1",
        "vmov r3, r4, s8, s9",
        "vmov r5, r6, s10, s11",
        "bfi r3, r4, #8, #8",
        "bfi r3, r5, #16, #8",
        "bfi r3, r6, #24, #8",
        "vmov r4, r5, s12, s13",
        "vmov r6, r7, s14, s15",
        "bfi r4, r5, #8, #8",
        "bfi r4, r6, #16, #8",
        "bfi r4, r7, #24, #8",
        // Codes may lie at any address: stm would fault.
        "str r3, [r2], #4",
        "str r4, [r2], #4",
        "subs r1, #1",
        "bne 2b",
        "pop {{r4-r7, pc}}",
    )
}

/// Adds `y` to `x`, as much as both hold.
pub(super) fn add(x: &mut [f32], y: &[f32]) {
    let (x_eights, y_eights) = (x.as_chunks_mut::<8>().0, y.as_chunks::<8>().0);
    let eights = x_eights.len().min(y_eights.len());
    if eights > 0 {
        // SAFETY: reads that many eights of both and writes those of `x`.
        unsafe { run_add(x_eights.as_mut_ptr(), y_eights.as_ptr(), eights) };
    }
    x.iter_mut().zip(y).skip(8 * eights).for_each(|(x, y)| *x += y);
}

// Registers: s0-s7 and s8-s15 numbers.
#[unsafe(naked)]
unsafe extern "C" fn run_add(_x: *mut [f32; 8], _y: *const [f32; 8], _eights: usize) {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "2:",
        "vldm r0, {{s0-s7}}",
        "vldmia r1!, {{s8-s15}}",
        "vadd.f32 s0, s0, s8",
        "vadd.f32 s1, s1, s9",
        "vadd.f32 s2, s2, s10",
        "vadd.f32 s3, s3, s11",
        "vadd.f32 s4, s4, s12",
        "vadd.f32 s5, s5, s13",
        "vadd.f32 s6, s6, s14",
        "vadd.f32 s7, s7, s15",
        "vstmia r0!, {{s0-s7}}",
        "subs r2, #1",
        "bne 2b",
        "bx lr",
    )
}

/// As [`layer_norm`].
pub(super) fn normalise(x: &[f32], gamma: Floats<'_>, beta: Floats<'_>, epsilon: f32, out: &mut [f32]) {
    let (eights, rest) = x.as_chunks::<8>();
    let (Some(gamma), Some(beta)) = (gamma.as_slice(), beta.as_slice()) else {
        return layer_norm(x, gamma, beta, epsilon, out);
    };
    let length = x.len();
    // Not as arrays: that calls memcmp.
    let fits = gamma.len() == length && beta.len() == length && out.len() == length;
    if eights.is_empty() || !rest.is_empty() || !fits {
        return layer_norm(x, gamma.iter().copied(), beta.iter().copied(), epsilon, out);
    }
    let n = length as f32;
    // SAFETY: reads that many eights.
    let mean = unsafe { run_sum(eights.as_ptr(), eights.len()) } / n;
    // SAFETY: reads that many eights and writes as many, for which `out` is long enough.
    let inverse = unsafe { run_centre(eights.as_ptr(), eights.len(), out.as_mut_ptr(), mean, n, epsilon) };
    // SAFETY: reads as many eights of `gamma` and `beta`, and reads and writes `out`, all of them long enough.
    unsafe { run_scale(out.as_mut_ptr(), eights.len(), gamma.as_ptr(), beta.as_ptr(), inverse) };
}

/// Sum in four lanes.
// Registers: s0-s3 lanes, s8-s15 numbers.
#[unsafe(naked)]
unsafe extern "C" fn run_sum(_x: *const [f32; 8], _eights: usize) -> f32 {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "movs r2, #0",
        "vmov s0, r2",
        "vmov s1, r2",
        "vmov s2, r2",
        "vmov s3, r2",
        "2:",
        "vldmia r0!, {{s8-s15}}",
        "vadd.f32 s0, s0, s8",
        "vadd.f32 s1, s1, s9",
        "vadd.f32 s2, s2, s10",
        "vadd.f32 s3, s3, s11",
        "vadd.f32 s0, s0, s12",
        "vadd.f32 s1, s1, s13",
        "vadd.f32 s2, s2, s14",
        "vadd.f32 s3, s3, s15",
        "subs r1, #1",
        "bne 2b",
        "vadd.f32 s0, s0, s1",
        "vadd.f32 s2, s2, s3",
        "vadd.f32 s0, s0, s2",
        "bx lr",
    )
}

/// Writes `x - mean`; returns `1 / sqrt(sum of the squares / n + epsilon)`, the sum in four lanes.
// Registers: s0 mean, s1 n, s2 epsilon, s4-s7 lanes, s8-s15 numbers.
#[unsafe(naked)]
unsafe extern "C" fn run_centre(
    _x: *const [f32; 8],
    _eights: usize,
    _out: *mut f32,
    _mean: f32,
    _n: f32,
    _epsilon: f32,
) -> f32 {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "movs r3, #0",
        "vmov s4, r3",
        "vmov s5, r3",
        "vmov s6, r3",
        "vmov s7, r3",
        "2:",
        "vldmia r0!, {{s8-s15}}",
        "vsub.f32 s8, s8, s0",
        "vsub.f32 s9, s9, s0",
        "vsub.f32 s10, s10, s0",
        "vsub.f32 s11, s11, s0",
        "vsub.f32 s12, s12, s0",
        "vsub.f32 s13, s13, s0",
        "vsub.f32 s14, s14, s0",
        "vsub.f32 s15, s15, s0",
        "vstmia r2!, {{s8-s15}}",
        "vmul.f32 s8, s8, s8",
        "vmul.f32 s9, s9, s9",
        "vmul.f32 s10, s10, s10",
        "vmul.f32 s11, s11, s11",
        "vmul.f32 s12, s12, s12",
        "vmul.f32 s13, s13, s13",
        "vmul.f32 s14, s14, s14",
        "vmul.f32 s15, s15, s15",
        "vadd.f32 s4, s4, s8",
        "vadd.f32 s5, s5, s9",
        "vadd.f32 s6, s6, s10",
        "vadd.f32 s7, s7, s11",
        "vadd.f32 s4, s4, s12",
        "vadd.f32 s5, s5, s13",
        "vadd.f32 s6, s6, s14",
        "vadd.f32 s7, s7, s15",
        "subs r1, #1",
        "bne 2b",
        "vadd.f32 s4, s4, s5",
        "vadd.f32 s6, s6, s7",
        "vadd.f32 s4, s4, s6",
        "vdiv.f32 s4, s4, s1",
        "vadd.f32 s4, s4, s2",
        "vsqrt.f32 s4, s4",
        "vmov.f32 s5, #1.0",
        "vdiv.f32 s0, s5, s4",
        "bx lr",
    )
}

/// Puts `(y * inverse) * gamma + beta` in place of each `y`.
// Registers: s0 inverse, s8-s15 numbers, s16-s23 gamma, s24-s31 beta.
#[unsafe(naked)]
unsafe extern "C" fn run_scale(
    _y: *mut f32,
    _eights: usize,
    _gamma: *const f32,
    _beta: *const f32,
    _inverse: f32,
) {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "vpush {{s16-s31}}",
        "2:",
        "vldm r0, {{s8-s15}}",
        "vldmia r2!, {{s16-s23}}",
        "vldmia r3!, {{s24-s31}}",
        "vmul.f32 s8, s8, s0",
        "vmul.f32 s9, s9, s0",
        "vmul.f32 s10, s10, s0",
        "vmul.f32 s11, s11, s0",
        "vmul.f32 s12, s12, s0",
        "vmul.f32 s13, s13, s0",
        "vmul.f32 s14, s14, s0",
        "vmul.f32 s15, s15, s0",
        "vmul.f32 s8, s8, s16",
        "vmul.f32 s9, s9, s17",
        "vmul.f32 s10, s10, s18",
        "vmul.f32 s11, s11, s19",
        "vmul.f32 s12, s12, s20",
        "vmul.f32 s13, s13, s21",
        "vmul.f32 s14, s14, s22",
        "vmul.f32 s15, s15, s23",
        "vadd.f32 s8, s8, s24",
        "vadd.f32 s9, s9, s25",
        "vadd.f32 s10, s10, s26",
        "vadd.f32 s11, s11, s27",
        "vadd.f32 s12, s12, s28",
        "vadd.f32 s13, s13, s29",
        "vadd.f32 s14, s14, s30",
        "vadd.f32 s15, s15, s31",
        "vstmia r0!, {{s8-s15}}",
        "subs r1, #1",
        "bne 2b",
        "vpop {{s16-s31}}",
        "bx lr",
    )
}
