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

/// Where `libm::erff` goes over from one fraction to the next.
const ENDS: [u32; 3] = [0x3f58_0000, 0x3fa0_0000, 0x4036_db6d];

/// Of the four fractions each coefficient of the numerator, that of the highest power first.
#[rustfmt::skip]
const NUMERATOR: [[f32; 4]; 8] = [
    [0.0, 0.0, -9.8143291473e+00, 0.0],
    [0.0, -2.1663755178e-03, -8.1287437439e+01, -4.8351919556e+02],
    [0.0, 3.5478305072e-02, -1.8460508728e+02, -1.0250950928e+03],
    [-2.3763017452e-05, -1.1089469492e-01, -1.6239666748e+02, -6.3756646729e+02],
    [-5.7702702470e-03, 3.1834661961e-01, -6.2375331879e+01, -1.6063638306e+02],
    [-2.8481749818e-02, -3.7220788002e-01, -1.0558626175e+01, -1.7757955551e+01],
    [-3.2504209876e-01, 4.1485610604e-01, -6.9385856390e-01, -7.9928326607e-01],
    [1.2837916613e-01, -2.3621185683e-03, -9.8649440333e-03, -9.8649431020e-03],
];

/// As [`NUMERATOR`], of the denominator.
#[rustfmt::skip]
const DENOMINATOR: [[f32; 4]; 9] = [
    [0.0, 0.0, -6.0424413532e-02, 0.0],
    [0.0, 0.0, 6.5702495575e+00, -2.2440952301e+01],
    [0.0, 1.1984500103e-02, 1.0863500214e+02, 4.7452853394e+02],
    [-3.9602282413e-06, 1.3637083583e-02, 4.2900814819e+02, 2.5530502930e+03],
    [1.3249473704e-04, 1.2617121637e-01, 6.4538726807e+02, 3.1998581543e+03],
    [5.0813062117e-03, 7.1828655899e-02, 4.3456588745e+02, 1.5367296143e+03],
    [6.5022252500e-02, 5.4039794207e-01, 1.3765776062e+02, 3.2579251099e+02],
    [3.9791721106e-01, 1.0642088205e-01, 1.9651271820e+01, 3.0338060379e+01],
    [1.0; 4],
];

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
