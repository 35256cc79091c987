//! Attention of one query (`docs/numerics.md`, section 6): four keys at a time, then up to 32 outputs over all values.

use core::arch::aarch64::{
    float32x4_t, vaddq_f32, vdupq_n_f32, vmaxnmq_f32, vmaxnmvq_f32, vmulq_f32, vmulq_n_f32, vpaddq_f32,
};
use core::array::from_fn;

use chord_plan::numerics::attend;

use super::super::attention_fits;
use super::memory::{floats, put_floats};
use super::token::{exponentials, store};

/// As [`attend`].
#[target_feature(enable = "neon")]
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
    if !width.is_multiple_of(4) || !attention_fits(query, keys, values, stride, scores, out) {
        return attend(query, keys, values, stride, scale, scores, out);
    }
    // SAFETY: there is a key and a value for each score, of `width` numbers, a multiple of four.
    unsafe {
        let max = write_scores(query, keys, stride, scale, scores);
        let inverse = exponentials(scores, max);
        let mut start = 0;
        while width - start >= 32 {
            weighted::<8>(scores, values.as_ptr().add(start), stride, inverse, out.as_mut_ptr().add(start));
            start += 32;
        }
        while width - start >= 16 {
            weighted::<4>(scores, values.as_ptr().add(start), stride, inverse, out.as_mut_ptr().add(start));
            start += 16;
        }
        while start < width {
            weighted::<1>(scores, values.as_ptr().add(start), stride, inverse, out.as_mut_ptr().add(start));
            start += 4;
        }
    }
}

/// Writes the scaled scores; returns the largest, NaN left out.
///
/// # Safety
/// `keys` has a key of as many numbers as the query, a multiple of four, for each of one score or more.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn write_scores(query: &[f32], keys: &[f32], stride: usize, scale: f32, scores: &mut [f32]) -> f32 {
    let last = scores.len() - 1;
    let mut max = vdupq_n_f32(f32::NEG_INFINITY);
    for (first, scores) in (0..).step_by(4).zip(scores.chunks_mut(4)) {
        // SAFETY: no key is beyond the last.
        let z = unsafe {
            let keys: [_; 4] = from_fn(|i| keys.as_ptr().add((first + i).min(last) * stride));
            // A register has the lanes of a key's sum.
            let mut sums = [vdupq_n_f32(0.0); 4];
            for i in (0..query.len()).step_by(4) {
                let four = floats(query.as_ptr().add(i));
                for (key, sum) in keys.iter().zip(&mut sums) {
                    *sum = vaddq_f32(*sum, vmulq_f32(four, floats(key.add(i))));
                }
            }
            let [a, b, c, d] = sums;
            vmulq_n_f32(vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)), scale)
        };
        // Beyond the last key is the last again. No arithmetic leaves a signalling NaN.
        max = vmaxnmq_f32(max, z);
        match scores.as_chunks_mut() {
            ([four], _) => store(z, four),
            (_, rest) => {
                let mut four = [0.0; 4];
                store(z, &mut four);
                crate::span::copy(&four, rest);
            }
        }
    }
    vmaxnmvq_f32(max)
}

/// Writes `4 N` outputs.
///
/// # Safety
/// There are so many numbers of a value, `stride` apart, for each weight, and places for the outputs.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn weighted<const N: usize>(
    weights: &[f32],
    values: *const f32,
    stride: usize,
    inverse: f32,
    out: *mut f32,
) {
    let mut sums: [float32x4_t; N] = [vdupq_n_f32(0.0); N];
    let mut value = values;
    for &weight in weights {
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: by this function's contract.
            let four = unsafe { floats(value.add(4 * i)) };
            *sum = vaddq_f32(*sum, vmulq_n_f32(four, weight));
        }
        value = value.wrapping_add(stride);
    }
    for (i, sum) in sums.into_iter().enumerate() {
        // SAFETY: by this function's contract.
        unsafe { put_floats(out.add(4 * i), vmulq_n_f32(sum, inverse)) };
    }
}
