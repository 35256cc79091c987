//! The loops over one token between the layers, four numbers at a time (`docs/numerics.md`, sections 2, 4, 5, 6 and 7).

use core::arch::aarch64::{
    float32x4_t, vabsq_f32, vaddq_f32, vcombine_u16, vdivq_f32, vdupq_n_f32, vdupq_n_u32, vgetq_lane_f32,
    vmaxq_u32, vmaxvq_u32, vmovn_u16, vmovn_u32, vmulq_f32, vreinterpretq_u32_f32, vsqrtq_f32, vsubq_f32,
};

use chord_plan::bundle::Floats;
use chord_plan::numerics::{self, TokenScale, quantised};

use super::elementary::{exp, gelu};
use super::memory::{floats, put_eight, put_floats};

/// The last numbers of a token with zeros behind them.
#[inline]
fn padded(rest: &[f32]) -> [f32; 4] {
    let mut four = [0.0; 4];
    crate::span::copy(rest, &mut four);
    four
}

/// Four numbers.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load(four: &[f32; 4]) -> float32x4_t {
    // SAFETY: four numbers.
    unsafe { floats(four.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store(x: float32x4_t, four: &mut [f32; 4]) {
    // SAFETY: four places.
    unsafe { put_floats(four.as_mut_ptr(), x) };
}

/// Four lanes of a sum in the order of `docs/numerics.md`.
#[inline]
#[target_feature(enable = "neon")]
fn fold(lanes: float32x4_t) -> f32 {
    let (a, b) = (vgetq_lane_f32::<0>(lanes), vgetq_lane_f32::<1>(lanes));
    let (c, d) = (vgetq_lane_f32::<2>(lanes), vgetq_lane_f32::<3>(lanes));
    (a + b) + (c + d)
}

/// Puts `f` of each number in its place; calls it with four, zeros behind the last.
#[inline]
#[target_feature(enable = "neon")]
fn map(x: &mut [f32], mut f: impl FnMut(float32x4_t) -> float32x4_t) {
    let (fours, rest) = x.as_chunks_mut::<4>();
    for four in fours {
        store(f(load(four)), four);
    }
    if !rest.is_empty() {
        let mut four = padded(rest);
        store(f(load(&four)), &mut four);
        crate::span::copy(&four, rest);
    }
}

/// GELU in place.
#[target_feature(enable = "neon")]
pub(super) fn activate(x: &mut [f32]) {
    map(x, |x| gelu(x));
}

/// As [`exponentials`](chord_plan::numerics::exponentials).
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn exponentials(scores: &mut [f32], max: f32) -> f32 {
    let highest = vdupq_n_f32(max);
    let mut sums = vdupq_n_f32(0.0);
    let (fours, rest) = scores.as_chunks_mut::<4>();
    for four in fours {
        let e = exp(vsubq_f32(load(four), highest));
        store(e, four);
        sums = vaddq_f32(sums, e);
    }
    if !rest.is_empty() {
        let mut four = padded(rest);
        store(exp(vsubq_f32(load(&four), highest)), &mut four);
        crate::span::copy(&four, rest);
        // No sum is -0, which another 0 would change.
        sums = vaddq_f32(sums, load(&padded(rest)));
    }
    1.0 / fold(sums)
}

/// As [`quantise_token`](chord_plan::numerics::quantise_token).
#[target_feature(enable = "neon")]
pub(super) fn quantise(x: &[f32], out: &mut [i8]) -> f32 {
    let (fours, rest) = x.as_chunks::<4>();
    let bits = |four: &[f32; 4]| vreinterpretq_u32_f32(vabsq_f32(load(four)));
    let max = fours.iter().fold(vdupq_n_u32(0), |max, four| vmaxq_u32(max, bits(four)));
    let max = vmaxvq_u32(vmaxq_u32(max, bits(&padded(rest))));
    let TokenScale { scale, inverse } = TokenScale::of(f32::from_bits(max));
    let Some(inverse) = inverse else {
        out.iter_mut().zip(x).for_each(|(a, _)| *a = 0);
        return scale;
    };
    // As `quantised`: the sum's low bits are the code.
    let (factor, rounder) = (vdupq_n_f32(inverse), vdupq_n_f32(1.5 * (1 << 23) as f32));
    let codes =
        |four: &[f32; 4]| vmovn_u32(vreinterpretq_u32_f32(vaddq_f32(vmulq_f32(load(four), factor), rounder)));
    let (eights, _) = x.as_chunks::<8>();
    for (eight, place) in eights.iter().zip(out.as_chunks_mut::<8>().0) {
        let ([low, high], _) = eight.as_chunks::<4>() else { break };
        let bytes = vmovn_u16(vcombine_u16(codes(low), codes(high)));
        // SAFETY: eight places.
        unsafe { put_eight(place.as_mut_ptr().cast(), bytes) };
    }
    let done = 8 * eights.len().min(out.len() / 8);
    x.iter().zip(out).skip(done).for_each(|(&x, a)| *a = quantised(x, inverse));
    scale
}

/// As [`layer_norm`](chord_plan::numerics::layer_norm).
#[target_feature(enable = "neon")]
pub(super) fn normalise(x: &[f32], gamma: Floats<'_>, beta: Floats<'_>, epsilon: f32, out: &mut [f32]) {
    let (Some(gammas), Some(betas)) = (gamma.as_slice(), beta.as_slice()) else {
        return numerics::layer_norm(x, gamma, beta, epsilon, out);
    };
    let same = [gammas.len(), betas.len(), out.len()] == [x.len(); 3];
    let ((x, []), (gammas, _), (betas, _), true) =
        (x.as_chunks::<4>(), gammas.as_chunks::<4>(), betas.as_chunks::<4>(), same)
    else {
        return numerics::layer_norm(x, gamma, beta, epsilon, out);
    };
    let (out, _) = out.as_chunks_mut::<4>();
    let n = (4 * x.len()) as f32;
    let mean = fold(x.iter().fold(vdupq_n_f32(0.0), |sum, x| vaddq_f32(sum, load(x)))) / n;
    let mean = vdupq_n_f32(mean);
    let mut squares = vdupq_n_f32(0.0);
    for (y, x) in out.iter_mut().zip(x) {
        let difference = vsubq_f32(load(x), mean);
        store(difference, y);
        squares = vaddq_f32(squares, vmulq_f32(difference, difference));
    }
    let variance = fold(squares) / n;
    let inverse = vdivq_f32(vdupq_n_f32(1.0), vsqrtq_f32(vdupq_n_f32(variance + epsilon)));
    for ((y, gamma), beta) in out.iter_mut().zip(gammas).zip(betas) {
        store(vaddq_f32(vmulq_f32(vmulq_f32(load(y), inverse), load(gamma)), load(beta)), y);
    }
}
