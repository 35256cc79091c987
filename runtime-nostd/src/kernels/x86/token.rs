//! The loops over one token between the layers, eight numbers at a time (`docs/numerics.md`, sections 2, 6 and 7).

use core::arch::x86_64::{
    __m128, __m256, __m256i, _mm_add_ps, _mm_setzero_ps, _mm_storel_epi64, _mm_storeu_ps, _mm256_add_ps,
    _mm256_and_ps, _mm256_and_si256, _mm256_castps_si256, _mm256_castps256_ps128, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cmpgt_epi32, _mm256_extractf128_ps, _mm256_loadu_ps, _mm256_maskload_ps,
    _mm256_maskstore_ps, _mm256_max_epi32, _mm256_mul_ps, _mm256_packs_epi16, _mm256_packs_epi32,
    _mm256_permutevar8x32_epi32, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi32, _mm256_setzero_si256,
    _mm256_storeu_ps, _mm256_storeu_si256, _mm256_sub_epi32, _mm256_sub_ps,
};

use chord_plan::numerics::{TokenScale, quantised};

use super::elementary::{exp, gelu};

/// Lanes of the last eight that hold numbers, where `count` are left.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn lanes(count: usize) -> __m256i {
    let count = _mm256_set1_epi32(count.min(8) as i32);
    _mm256_cmpgt_epi32(count, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
}

/// GELU in place.
#[target_feature(enable = "avx2")]
pub(super) fn activate(x: &mut [f32]) {
    let (eights, rest) = x.as_chunks_mut::<8>();
    // SAFETY: eight numbers each; of the last eight the lanes that are there.
    unsafe {
        for eight in eights {
            _mm256_storeu_ps(eight.as_mut_ptr(), gelu(_mm256_loadu_ps(eight.as_ptr())));
        }
        if !rest.is_empty() {
            let lanes = lanes(rest.len());
            _mm256_maskstore_ps(rest.as_mut_ptr(), lanes, gelu(_mm256_maskload_ps(rest.as_ptr(), lanes)));
        }
    }
}

/// As [`exponentials`](chord_plan::numerics::exponentials).
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn exponentials(scores: &mut [f32], max: f32) -> f32 {
    let max = _mm256_set1_ps(max);
    let mut sums = _mm_setzero_ps();
    let mut add = |e: __m256| {
        sums = _mm_add_ps(sums, _mm256_castps256_ps128(e));
        sums = _mm_add_ps(sums, _mm256_extractf128_ps::<1>(e));
    };
    let (eights, rest) = scores.as_chunks_mut::<8>();
    // SAFETY: as above.
    unsafe {
        for eight in eights {
            let e = exp(_mm256_sub_ps(_mm256_loadu_ps(eight.as_ptr()), max));
            _mm256_storeu_ps(eight.as_mut_ptr(), e);
            add(e);
        }
        if !rest.is_empty() {
            let lanes = lanes(rest.len());
            let e = exp(_mm256_sub_ps(_mm256_maskload_ps(rest.as_ptr(), lanes), max));
            _mm256_maskstore_ps(rest.as_mut_ptr(), lanes, e);
            // No sum is -0, which another 0 would change.
            add(_mm256_and_ps(e, _mm256_castsi256_ps(lanes)));
        }
    }
    1.0 / fold(sums)
}

/// Four lanes of a sum in the order of `docs/numerics.md`.
#[inline]
#[target_feature(enable = "avx2")]
fn fold(lanes: __m128) -> f32 {
    let mut four = [0.0; 4];
    // SAFETY: four numbers.
    unsafe { _mm_storeu_ps(four.as_mut_ptr(), lanes) };
    let [a, b, c, d]: [f32; 4] = four;
    (a + b) + (c + d)
}

/// As [`quantise_token`](chord_plan::numerics::quantise_token).
#[target_feature(enable = "avx2")]
pub(super) fn quantise(x: &[f32], out: &mut [i8]) -> f32 {
    let magnitude = _mm256_set1_epi32(i32::MAX);
    let bits = |x: __m256| _mm256_and_si256(_mm256_castps_si256(x), magnitude);
    let (eights, rest) = x.as_chunks::<8>();
    // SAFETY: as above.
    let max = unsafe {
        let max = eights.iter().fold(_mm256_setzero_si256(), |max, eight| {
            _mm256_max_epi32(max, bits(_mm256_loadu_ps(eight.as_ptr())))
        });
        let max = _mm256_max_epi32(max, bits(_mm256_maskload_ps(rest.as_ptr(), lanes(rest.len()))));
        let mut eight = [0; 8];
        _mm256_storeu_si256(eight.as_mut_ptr().cast(), max);
        eight.into_iter().fold(0, i32::max)
    };
    let TokenScale { scale, inverse } = TokenScale::of(f32::from_bits(max as u32));
    let Some(inverse) = inverse else {
        out.iter_mut().zip(x).for_each(|(a, _)| *a = 0);
        return scale;
    };
    // As `quantised`: the sum's low bits are the code.
    let rounder = _mm256_set1_ps(1.5 * (1 << 23) as f32);
    let factor = _mm256_set1_ps(inverse);
    let code = |x: __m256| {
        let sum = _mm256_castps_si256(_mm256_add_ps(_mm256_mul_ps(x, factor), rounder));
        _mm256_sub_epi32(sum, _mm256_castps_si256(rounder))
    };
    for (eight, place) in eights.iter().zip(out.as_chunks_mut::<8>().0) {
        // SAFETY: eight numbers and places.
        unsafe {
            let halves = _mm256_packs_epi32(code(_mm256_loadu_ps(eight.as_ptr())), _mm256_setzero_si256());
            let bytes = _mm256_packs_epi16(halves, halves);
            let bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 0, 0, 0, 0, 0, 0));
            _mm_storel_epi64(place.as_mut_ptr().cast(), _mm256_castsi256_si128(bytes));
        }
    }
    let done = 8 * eights.len().min(out.len() / 8);
    let rest = x.iter().zip(out).skip(done);
    rest.for_each(|(&x, a)| *a = quantised(x, inverse));
    scale
}
