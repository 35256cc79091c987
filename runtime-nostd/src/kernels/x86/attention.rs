//! Attention of one query (`docs/numerics.md`, section 6): eight keys at a time, then up to 32 outputs over all values.

use core::arch::x86_64::{
    __m256, _mm_loadu_ps, _mm256_add_ps, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_loadu2_m128,
    _mm256_maskstore_ps, _mm256_max_ps, _mm256_mul_ps, _mm256_set_m128, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_storeu_ps,
};
use core::array::from_fn;

use chord_plan::numerics::attend;

use super::super::attention_fits;
use super::token::{exponentials, lanes};

/// As [`attend`].
#[target_feature(enable = "avx2")]
pub(super) fn attention(
    query: &[f32],
    keys: &[f32],
    values: &[f32],
    stride: usize,
    scale: f32,
    scores: &mut [f32],
    out: &mut [f32],
) {
    let width = query.len();
    if !width.is_multiple_of(8) || !attention_fits(query, keys, values, stride, scores, out) {
        return attend(query, keys, values, stride, scale, scores, out);
    }
    // SAFETY: there is a key and a value for each score, of `width` numbers, a multiple of eight.
    unsafe {
        let max = write_scores(query, keys, stride, scale, scores);
        let inverse = exponentials(scores, max);
        let mut start = 0;
        while width - start >= 32 {
            weighted::<4>(scores, values.as_ptr().add(start), stride, inverse, out.as_mut_ptr().add(start));
            start += 32;
        }
        while start < width {
            weighted::<1>(scores, values.as_ptr().add(start), stride, inverse, out.as_mut_ptr().add(start));
            start += 8;
        }
    }
}

/// Writes the scaled scores; returns the largest, NaN left out.
///
/// # Safety
/// `keys` has a key of as many numbers as the query, a multiple of four, for each of one score or more.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn write_scores(query: &[f32], keys: &[f32], stride: usize, scale: f32, scores: &mut [f32]) -> f32 {
    let last = scores.len() - 1;
    let scale = _mm256_set1_ps(scale);
    let mut max = _mm256_set1_ps(f32::NEG_INFINITY);
    for (first, scores) in (0..).step_by(8).zip(scores.chunks_mut(8)) {
        // SAFETY: no key is beyond the last; as many lanes are written as there are scores.
        unsafe {
            // A register has the lanes of a sum for a key and for the fourth next.
            let keys: [_; 8] = from_fn(|i| keys.as_ptr().add((first + i).min(last) * stride));
            let mut sums = [_mm256_setzero_ps(); 4];
            for i in (0..query.len()).step_by(4) {
                let four = _mm_loadu_ps(query.as_ptr().add(i));
                let four = _mm256_set_m128(four, four);
                for (j, sum) in sums.iter_mut().enumerate() {
                    let two = _mm256_loadu2_m128(keys[j + 4].add(i), keys[j].add(i));
                    *sum = _mm256_add_ps(*sum, _mm256_mul_ps(four, two));
                }
            }
            let [a, b, c, d] = sums;
            let z = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
            let z = _mm256_mul_ps(z, scale);
            // Beyond the last key is the last again. Of a NaN and a number this takes the second, the number.
            max = _mm256_max_ps(z, max);
            match scores.len() {
                8 => _mm256_storeu_ps(scores.as_mut_ptr(), z),
                count => _mm256_maskstore_ps(scores.as_mut_ptr(), lanes(count), z),
            }
        }
    }
    let mut eight = [0.0; 8];
    // SAFETY: eight numbers.
    unsafe { _mm256_storeu_ps(eight.as_mut_ptr(), max) };
    eight.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// Writes `8 N` outputs.
///
/// # Safety
/// There are so many numbers of a value, `stride` apart, for each weight, and places for the outputs.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn weighted<const N: usize>(
    weights: &[f32],
    values: *const f32,
    stride: usize,
    inverse: f32,
    out: *mut f32,
) {
    let mut sums: [__m256; N] = [_mm256_setzero_ps(); N];
    let mut value = values;
    for &weight in weights {
        let weight = _mm256_set1_ps(weight);
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: by this function's contract.
            *sum = _mm256_add_ps(*sum, _mm256_mul_ps(weight, unsafe { _mm256_loadu_ps(value.add(8 * i)) }));
        }
        value = value.wrapping_add(stride);
    }
    let inverse = _mm256_set1_ps(inverse);
    for (i, sum) in sums.into_iter().enumerate() {
        // SAFETY: by this function's contract.
        unsafe { _mm256_storeu_ps(out.add(8 * i), _mm256_mul_ps(sum, inverse)) };
    }
}
