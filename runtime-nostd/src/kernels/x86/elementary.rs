//! `exp` and `erf` of eight numbers: the operations of the `libm` crate in its order (`docs/numerics.md`), its branches
//! computed for all lanes and chosen by lane.

#![allow(clippy::excessive_precision, reason = "numbers as libm writes them")]

use core::arch::x86_64::{
    __m256, __m256i, _CMP_GE_OQ, _CMP_GT_OQ, _CMP_LE_OQ, _CMP_LT_OQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_ZERO,
    _mm_loadu_ps, _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps, _mm256_andnot_ps, _mm256_blendv_ps,
    _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cvtps_epi32, _mm256_div_ps,
    _mm256_movemask_ps, _mm256_mul_ps, _mm256_or_ps, _mm256_permutevar_ps, _mm256_round_ps, _mm256_set_m128,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_slli_epi32, _mm256_srai_epi32, _mm256_sub_epi32, _mm256_sub_ps,
    _mm256_xor_ps,
};
use core::f32::consts::FRAC_1_SQRT_2;

use super::super::elementary::{DENOMINATOR, ENDS, NUMERATOR};

#[inline]
#[target_feature(enable = "avx2")]
fn all(x: f32) -> __m256 {
    _mm256_set1_ps(x)
}

#[inline]
#[target_feature(enable = "avx2")]
fn all_bits(x: u32) -> __m256 {
    all(f32::from_bits(x))
}

/// `b` where the mask's sign is set, else `a`.
#[inline]
#[target_feature(enable = "avx2")]
fn select(mask: __m256, b: __m256, a: __m256) -> __m256 {
    _mm256_blendv_ps(a, b, mask)
}

/// `a + x b`, two roundings.
#[inline]
#[target_feature(enable = "avx2")]
fn step(a: __m256, x: __m256, b: __m256) -> __m256 {
    _mm256_add_ps(a, _mm256_mul_ps(x, b))
}

/// `libm::expf`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn exp(x: __m256) -> __m256 {
    let sign = _mm256_and_ps(x, all(-0.0));
    let magnitude = _mm256_andnot_ps(all(-0.0), x);

    // k = x / ln 2 to the nearest integer: 0 up to half of ln 2, 1 up to three halves.
    let nearest = _mm256_add_ps(_mm256_mul_ps(all_bits(0x3fb8_aa3b), x), _mm256_or_ps(all(0.5), sign));
    let nearest = _mm256_round_ps::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(nearest);
    let beyond = _mm256_cmp_ps::<_CMP_GT_OQ>(magnitude, all_bits(0x3f85_1592));
    let k = select(beyond, nearest, _mm256_or_ps(all(1.0), sign));
    let k = _mm256_and_ps(k, _mm256_cmp_ps::<_CMP_GT_OQ>(magnitude, all_bits(0x3eb1_7218)));
    let high = _mm256_sub_ps(x, _mm256_mul_ps(k, all_bits(0x3f31_7200)));
    let low = _mm256_mul_ps(k, all_bits(0x35bf_be8e));
    let rest = _mm256_sub_ps(high, low);

    let square = _mm256_mul_ps(rest, rest);
    let polynomial = step(all(1.6666625440e-1), square, all(-2.7667332906e-3));
    let c = _mm256_sub_ps(rest, _mm256_mul_ps(square, polynomial));
    let quotient = _mm256_div_ps(_mm256_mul_ps(rest, c), _mm256_sub_ps(all(2.0), c));
    let y = _mm256_add_ps(all(1.0), _mm256_add_ps(_mm256_sub_ps(quotient, low), high));

    // 2^k in two factors, of which only the last product can round.
    let k = _mm256_cvtps_epi32(k);
    let half = _mm256_srai_epi32::<1>(k);
    let y = _mm256_mul_ps(_mm256_mul_ps(y, power(half)), power(_mm256_sub_epi32(k, half)));

    let y =
        select(_mm256_cmp_ps::<_CMP_LE_OQ>(magnitude, all_bits(0x3900_0000)), _mm256_add_ps(all(1.0), x), y);
    let y = select(_mm256_cmp_ps::<_CMP_GE_OQ>(x, all_bits(0x42b1_7218)), all(f32::INFINITY), y);
    _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(x, all_bits(0xc2cf_f1b5)), y)
}

/// `2^k`.
#[inline]
#[target_feature(enable = "avx2")]
fn power(k: __m256i) -> __m256 {
    _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(k, _mm256_set1_epi32(127))))
}

/// A polynomial of `x`, in each lane that of the fraction.
#[inline]
#[target_feature(enable = "avx2")]
fn polynomial<const N: usize>(x: __m256, coefficients: &[[f32; 4]; N], fraction: __m256i) -> __m256 {
    let mut y = all(0.0);
    for four in coefficients {
        // SAFETY: four numbers.
        let four = unsafe { _mm_loadu_ps(four.as_ptr()) };
        let four = _mm256_set_m128(four, four);
        y = step(_mm256_permutevar_ps(four, fraction), x, y);
    }
    y
}

/// `libm::erff`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn erf(x: __m256) -> __m256 {
    let sign = _mm256_and_ps(x, all(-0.0));
    let magnitude = _mm256_andnot_ps(all(-0.0), x);
    let [first, second, third] = ENDS.map(|end| _mm256_cmp_ps::<_CMP_GE_OQ>(magnitude, all_bits(end)));
    let fraction = [first, second, third].map(|mask| _mm256_castps_si256(mask));
    let fraction = _mm256_sub_epi32(
        _mm256_set1_epi32(0),
        _mm256_add_epi32(_mm256_add_epi32(fraction[0], fraction[1]), fraction[2]),
    );
    let square = _mm256_mul_ps(x, x);
    let argument = select(first, _mm256_sub_ps(magnitude, all(1.0)), square);
    let argument = select(second, _mm256_div_ps(all(1.0), square), argument);
    let numerator = polynomial(argument, &NUMERATOR, fraction);
    let quotient = _mm256_div_ps(numerator, polynomial(argument, &DENOMINATOR, fraction));

    let inner = step(x, x, quotient);
    let tiny = _mm256_add_ps(_mm256_mul_ps(all(8.0), x), _mm256_mul_ps(all(1.0270333290e+00), x));
    let tiny = _mm256_mul_ps(all(0.125), tiny);
    let inner = select(_mm256_cmp_ps::<_CMP_LT_OQ>(magnitude, all_bits(0x3180_0000)), tiny, inner);

    let mut complement = _mm256_sub_ps(all(1.0 - 8.4506291151e-01), quotient);
    if _mm256_movemask_ps(second) != 0 {
        let cut = _mm256_and_ps(magnitude, all_bits(0xffff_e000));
        let square = _mm256_mul_ps(_mm256_xor_ps(cut, all(-0.0)), cut);
        let main = exp(_mm256_sub_ps(square, all(0.5625)));
        let rest = _mm256_mul_ps(_mm256_sub_ps(cut, magnitude), _mm256_add_ps(cut, magnitude));
        let rest = exp(_mm256_add_ps(rest, quotient));
        complement = select(second, _mm256_div_ps(_mm256_mul_ps(main, rest), magnitude), complement);
    }
    let outer = _mm256_sub_ps(all(1.0), complement);
    let outer = select(_mm256_cmp_ps::<_CMP_GE_OQ>(magnitude, all(6.0)), all(1.0), outer);
    select(first, _mm256_or_ps(outer, sign), inner)
}

/// `numerics::gelu`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn gelu(x: __m256) -> __m256 {
    let erf = erf(_mm256_mul_ps(x, all(FRAC_1_SQRT_2)));
    _mm256_mul_ps(_mm256_mul_ps(all(0.5), x), _mm256_add_ps(all(1.0), erf))
}
