//! `exp` and `erf` of four numbers: the operations of the `libm` crate in its order (`docs/numerics.md`), its branches
//! computed for all lanes and chosen by lane.

#![allow(clippy::excessive_precision, reason = "numbers as libm writes them")]

use core::arch::aarch64::{
    float32x4_t, int32x4_t, uint8x16_t, uint32x4_t, vabsq_f32, vaddq_f32, vaddq_s32, vaddq_u8, vaddq_u32,
    vandq_u32, vbicq_u32, vbslq_f32, vcgeq_f32, vcgtq_f32, vcleq_f32, vcltq_f32, vcvtq_s32_f32, vdivq_f32,
    vdupq_n_f32, vdupq_n_s32, vdupq_n_u32, vmaxvq_u32, vmulq_f32, vmulq_u32, vnegq_f32, vqtbl1q_u8,
    vreinterpretq_f32_s32, vreinterpretq_f32_u8, vreinterpretq_f32_u32, vreinterpretq_u8_f32,
    vreinterpretq_u8_u32, vreinterpretq_u32_f32, vrndq_f32, vshlq_n_s32, vshrq_n_s32, vshrq_n_u32, vsubq_f32,
    vsubq_s32,
};
use core::f32::consts::FRAC_1_SQRT_2;

use super::super::elementary::{DENOMINATOR, ENDS, NUMERATOR};
use super::memory::floats;

#[inline]
#[target_feature(enable = "neon")]
fn all(x: f32) -> float32x4_t {
    vdupq_n_f32(x)
}

#[inline]
#[target_feature(enable = "neon")]
fn all_bits(x: u32) -> float32x4_t {
    all(f32::from_bits(x))
}

/// `x` with the sign of `of`; `x` is not negative.
#[inline]
#[target_feature(enable = "neon")]
fn signed(x: float32x4_t, of: float32x4_t) -> float32x4_t {
    vbslq_f32(vdupq_n_u32(1 << 31), of, x)
}

/// `x` where the mask is set, else 0.
#[inline]
#[target_feature(enable = "neon")]
fn keep(mask: uint32x4_t, x: float32x4_t) -> float32x4_t {
    vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), mask))
}

/// `a + x b`, two roundings.
#[inline]
#[target_feature(enable = "neon")]
fn step(a: float32x4_t, x: float32x4_t, b: float32x4_t) -> float32x4_t {
    vaddq_f32(a, vmulq_f32(x, b))
}

/// `libm::expf`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn exp(x: float32x4_t) -> float32x4_t {
    let magnitude = vabsq_f32(x);

    // k = x / ln 2 to the nearest integer: 0 up to half of ln 2, 1 up to three halves.
    let nearest = vrndq_f32(vaddq_f32(vmulq_f32(all_bits(0x3fb8_aa3b), x), signed(all(0.5), x)));
    let beyond = vcgtq_f32(magnitude, all_bits(0x3f85_1592));
    let k = vbslq_f32(beyond, nearest, signed(all(1.0), x));
    let k = keep(vcgtq_f32(magnitude, all_bits(0x3eb1_7218)), k);
    let high = vsubq_f32(x, vmulq_f32(k, all_bits(0x3f31_7200)));
    let low = vmulq_f32(k, all_bits(0x35bf_be8e));
    let rest = vsubq_f32(high, low);

    let square = vmulq_f32(rest, rest);
    let polynomial = step(all(1.6666625440e-1), square, all(-2.7667332906e-3));
    let c = vsubq_f32(rest, vmulq_f32(square, polynomial));
    let quotient = vdivq_f32(vmulq_f32(rest, c), vsubq_f32(all(2.0), c));
    let y = vaddq_f32(all(1.0), vaddq_f32(vsubq_f32(quotient, low), high));

    // 2^k in two factors, of which only the last product can round.
    let k = vcvtq_s32_f32(k);
    let half = vshrq_n_s32::<1>(k);
    let y = vmulq_f32(vmulq_f32(y, power(half)), power(vsubq_s32(k, half)));

    let y = vbslq_f32(vcleq_f32(magnitude, all_bits(0x3900_0000)), vaddq_f32(all(1.0), x), y);
    let y = vbslq_f32(vcgeq_f32(x, all_bits(0x42b1_7218)), all(f32::INFINITY), y);
    let vanishes = vcleq_f32(x, all_bits(0xc2cf_f1b5));
    vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(y), vanishes))
}

/// `2^k`.
#[inline]
#[target_feature(enable = "neon")]
fn power(k: int32x4_t) -> float32x4_t {
    vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(k, vdupq_n_s32(127))))
}

/// A polynomial of `x`, in each lane that of the fraction whose bytes `place` finds.
#[inline]
#[target_feature(enable = "neon")]
fn polynomial<const N: usize>(
    x: float32x4_t,
    coefficients: &[[f32; 4]; N],
    place: uint8x16_t,
) -> float32x4_t {
    let mut y = all(0.0);
    for four in coefficients {
        // SAFETY: four numbers.
        let four = vreinterpretq_u8_f32(unsafe { floats(four.as_ptr()) });
        y = step(vreinterpretq_f32_u8(vqtbl1q_u8(four, place)), x, y);
    }
    y
}

/// `libm::erff`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn erf(x: float32x4_t) -> float32x4_t {
    let magnitude = vabsq_f32(x);
    let [first, second, third] = [ENDS[0], ENDS[1], ENDS[2]].map(|end| vcgeq_f32(magnitude, all_bits(end)));
    // Which fraction, then the places of its coefficient's bytes among the four coefficients.
    let [a, b, c] = [vshrq_n_u32::<31>(first), vshrq_n_u32::<31>(second), vshrq_n_u32::<31>(third)];
    let fraction = vaddq_u32(vaddq_u32(a, b), c);
    let place = vmulq_u32(fraction, vdupq_n_u32(0x0404_0404));
    let place = vaddq_u8(vreinterpretq_u8_u32(place), vreinterpretq_u8_u32(vdupq_n_u32(0x0302_0100)));
    let square = vmulq_f32(x, x);
    let argument = vbslq_f32(first, vsubq_f32(magnitude, all(1.0)), square);
    let argument = vbslq_f32(second, vdivq_f32(all(1.0), square), argument);
    let numerator = polynomial(argument, &NUMERATOR, place);
    let quotient = vdivq_f32(numerator, polynomial(argument, &DENOMINATOR, place));

    let inner = step(x, x, quotient);
    let tiny = vaddq_f32(vmulq_f32(all(8.0), x), vmulq_f32(all(1.0270333290e+00), x));
    let tiny = vmulq_f32(all(0.125), tiny);
    let inner = vbslq_f32(vcltq_f32(magnitude, all_bits(0x3180_0000)), tiny, inner);

    let mut complement = vsubq_f32(all(1.0 - 8.4506291151e-01), quotient);
    if vmaxvq_u32(second) != 0 {
        let cut = keep(vdupq_n_u32(0xffff_e000), magnitude);
        let square = vmulq_f32(vnegq_f32(cut), cut);
        let main = exp(vsubq_f32(square, all(0.5625)));
        let rest = vmulq_f32(vsubq_f32(cut, magnitude), vaddq_f32(cut, magnitude));
        let rest = exp(vaddq_f32(rest, quotient));
        complement = vbslq_f32(second, vdivq_f32(vmulq_f32(main, rest), magnitude), complement);
    }
    let outer = vsubq_f32(all(1.0), complement);
    let outer = vbslq_f32(vcgeq_f32(magnitude, all(6.0)), all(1.0), outer);
    vbslq_f32(first, signed(outer, x), inner)
}

/// `numerics::gelu`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn gelu(x: float32x4_t) -> float32x4_t {
    let erf = erf(vmulq_f32(x, all(FRAC_1_SQRT_2)));
    vmulq_f32(vmulq_f32(all(0.5), x), vaddq_f32(all(1.0), erf))
}
