//! Cores with nothing but NEON: products of bytes as halves, added in pairs to words.

use core::arch::aarch64::{
    int8x16_t, int16x8_t, int32x4_t, vaddq_s32, vaddvq_s32, vdupq_n_s16, vdupq_n_s32, vget_low_s8,
    vld1q_s8_x4, vld4q_s32, vmlal_high_s8, vmlal_s8, vmull_s8, vpadalq_s8, vpadalq_s16, vpaddlq_s8,
    vpaddq_s32, vreinterpretq_s8_s32, vshrq_n_s8,
};
use core::array::from_fn;

use super::super::blocks::{Operands, STEP};
use super::super::scalar;
use super::finish::Finish;
use super::memory;

/// All rows of a group, two at a time.
///
/// # Safety
/// The operands fit.
pub(super) unsafe fn multiply(mut operands: Operands<'_>) {
    // At 8 bits a half holds two products of at most 127 * 128. At fewer it holds 16 of at most 127 * 15.
    match operands.codes {
        // SAFETY: by this function's contract.
        true => unsafe { rows_by_two::<1>(&mut operands) },
        // SAFETY: as above.
        false => unsafe { rows_by_two::<8>(&mut operands) },
    }
}

/// # Safety
/// As [`multiply`].
unsafe fn rows_by_two<const STEPS: usize>(operands: &mut Operands<'_>) {
    let count = operands.sums.len();
    let finish = Finish::new(operands);
    let mut row = 0;
    // SAFETY: by this function's contract; rows stay below `count`.
    unsafe {
        while row + 2 <= count {
            rows::<2, STEPS>(operands, row, &finish);
            row += 2;
        }
        if row < count {
            rows::<1, STEPS>(operands, row, &finish);
        }
    }
}

/// `STEPS` steps of products go into halves before these go to words.
///
/// # Safety
/// As [`multiply`]; there are rows `first..first + R`.
#[inline(always)]
unsafe fn rows<const R: usize, const STEPS: usize>(operands: &Operands<'_>, first: usize, finish: &Finish) {
    let width = operands.width;
    // SAFETY: `width` codes from each row's start and `4 * width` of the weights are there, and `width` is a multiple
    // of the step.
    unsafe {
        let mut sums: [[int32x4_t; 4]; R] = [[vdupq_n_s32(0); 4]; R];
        let mut weights = operands.weights.as_ptr().cast::<i32>();
        let mut rows: [_; R] = from_fn(|r| operands.rows.as_ptr().cast::<i8>().add((first + r) * width));
        let mut steps = width / STEP;
        while steps > 0 {
            let now = steps.min(STEPS);
            steps -= now;
            let mut halves: [[int16x8_t; 4]; R] = [[vdupq_n_s16(0); 4]; R];
            for i in 0..now {
                let w = vld4q_s32(weights);
                weights = weights.add(STEP);
                let w = [w.0, w.1, w.2, w.3].map(|w| vreinterpretq_s8_s32(w));
                for (halves, row) in halves.iter_mut().zip(&mut rows) {
                    let a = memory::codes(*row);
                    *row = row.add(STEP);
                    for (half, w) in halves.iter_mut().zip(w) {
                        let low = match STEPS == 1 && i == 0 {
                            true => vmull_s8(vget_low_s8(a), vget_low_s8(w)),
                            false => vmlal_s8(*half, vget_low_s8(a), vget_low_s8(w)),
                        };
                        *half = vmlal_high_s8(low, a, w);
                    }
                }
            }
            for (sums, halves) in sums.iter_mut().zip(halves) {
                for (sum, half) in sums.iter_mut().zip(halves) {
                    *sum = vpadalq_s16(*sum, half);
                }
            }
        }
        finish.rows(first, sums.map(|[a, b, c, d]| vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d))));
    }
}

/// `sum a`.
pub(super) fn sum(token: &[i8]) -> i32 {
    let (steps, rest) = token.as_chunks::<{ 4 * STEP }>();
    // SAFETY: as many bytes; every AArch64 core has NEON.
    let sum = unsafe {
        let add = |sum, a: &[i8; 4 * STEP]| {
            let a = vld1q_s8_x4(a.as_ptr());
            vpadalq_s16(sum, vpadalq_s8(vpadalq_s8(vpadalq_s8(vpaddlq_s8(a.0), a.1), a.2), a.3))
        };
        vaddvq_s32(steps.iter().fold(vdupq_n_s32(0), add))
    };
    match rest.is_empty() {
        true => sum,
        false => sum + rest.iter().map(|&a| i32::from(a)).sum::<i32>(),
    }
}

/// `sum a l` at a width.
pub(super) fn dot<const BITS: u8>(token: &[i8], codes: &[i8]) -> i32 {
    let (steps, rest) = token.as_chunks::<STEP>();
    let (weights, rest_weights) = codes.as_chunks::<STEP>();
    // SAFETY: sixteen bytes each; every AArch64 core has NEON.
    let sum = unsafe {
        let mut sums = [vdupq_n_s32(0); 2];
        for (a, w) in steps.iter().zip(weights) {
            let (a, w) = (memory::codes(a.as_ptr()), cut::<BITS>(memory::codes(w.as_ptr())));
            // `2 q + 1` is too wide for a byte: the sums of `a q` and of `a` apart.
            sums[0] = vpadalq_s16(sums[0], vmlal_high_s8(vmull_s8(vget_low_s8(a), vget_low_s8(w)), a, w));
            sums[1] = vpadalq_s16(sums[1], vpaddlq_s8(a));
        }
        vaddvq_s32(vaddq_s32(vaddq_s32(sums[0], sums[0]), sums[1]))
    };
    sum + scalar::filter_row(rest, rest_weights, BITS)
}

/// Codes cut to a width.
#[inline(always)]
fn cut<const BITS: u8>(codes: int8x16_t) -> int8x16_t {
    // SAFETY: every AArch64 core has NEON.
    unsafe {
        match BITS {
            4 => vshrq_n_s8::<4>(codes),
            2 => vshrq_n_s8::<6>(codes),
            _ => codes,
        }
    }
}
