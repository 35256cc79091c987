//! Cores with `smmla`: 2 rows x 2 channels x 8 inputs to an instruction.

use core::arch::aarch64::{
    int32x4_t, vdupq_n_s32, vld1q_s32, vreinterpretq_s32_s64, vreinterpretq_s64_s32, vst1q_s32, vzip1q_s32,
    vzip1q_s64, vzip2q_s32, vzip2q_s64,
};
use core::arch::asm;

use super::super::blocks::{Block, Operands};
use super::finish::Finish;
use super::memory;
use crate::span::{copy, span};

/// `sum[i][j] += 8 inputs of row i with those of channel j`; the intrinsic is not stable yet.
macro_rules! smmla {
    ($sum:expr, $rows:expr, $weights:expr) => {
        asm!(
            "smmla {0:v}.4s, {1:v}.16b, {2:v}.16b",
            inout(vreg) $sum, in(vreg) $rows, in(vreg) $weights,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
}

/// Rows in twos, as blocks of 8 inputs of the first and 8 of the second, zeros where there are none.
pub(super) fn lay_rows(tokens: &[i8], inputs: usize, width: usize, rows: &mut [Block]) {
    for (tokens, pair) in tokens.chunks((2 * inputs).max(1)).zip(rows.chunks_exact_mut((width / 8).max(1))) {
        let [first, second] = [0, 1].map(|i| span(tokens, i * inputs, inputs));
        let count = inputs / 8;
        for ((out, a), b) in pair.iter_mut().zip(first.as_chunks().0).zip(second.as_chunks().0) {
            *out = bytemuck::cast::<[[i8; 8]; 2], _>([*a, *b]);
        }
        // The last inputs; the second row too, where there is none.
        if first.len() != second.len() || inputs != 8 * count {
            let from = if first.len() == second.len() { count } else { 0 };
            for (i, out) in pair.iter_mut().enumerate().skip(from) {
                let eight = |row: &[i8]| {
                    let mut eight = [0; 8];
                    copy(row.get(8 * i..).unwrap_or_default(), &mut eight);
                    eight
                };
                *out = bytemuck::cast([eight(first), eight(second)]);
            }
        } else {
            pair.iter_mut().skip(count).for_each(|out| *out = [0; 16]);
        }
    }
}

/// Two blocks of 4 channels x 4 inputs become two of 2 channels x 8 inputs.
pub(super) fn weave(weights: &mut [Block]) {
    for two in weights.as_chunks_mut::<2>().0 {
        let two = two.as_flattened_mut().as_mut_ptr().cast::<i32>();
        // SAFETY: 32 bytes; every AArch64 core has NEON.
        unsafe {
            let (a, b) = (vld1q_s32(two), vld1q_s32(two.add(4)));
            vst1q_s32(two, vzip1q_s32(a, b));
            vst1q_s32(two.add(4), vzip2q_s32(a, b));
        }
    }
}

/// All rows of a group, eight at a time.
///
/// # Safety
/// The operands fit and are woven; the core has `smmla`.
#[target_feature(enable = "neon,i8mm")]
pub(super) unsafe fn multiply(mut operands: Operands<'_>) {
    let count = operands.sums.len();
    let finish = Finish::new(&mut operands);
    let mut row = 0;
    // SAFETY: by this function's contract; the pair of the last row is there even where its second row is not.
    unsafe {
        while row + 8 <= count {
            pairs::<4>(&operands, row, &finish);
            row += 8;
        }
        while row < count {
            pairs::<1>(&operands, row, &finish);
            row += 2;
        }
    }
}

/// # Safety
/// As [`multiply`]; there are `P` pairs of rows from `first` on.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn pairs<const P: usize>(operands: &Operands<'_>, first: usize, finish: &Finish) {
    let width = operands.width;
    let mut sums: [[int32x4_t; 2]; P] = [[vdupq_n_s32(0); 2]; P];
    // SAFETY: `2 * width` codes from each pair's start and `4 * width` of the weights are there.
    unsafe {
        let mut weights = operands.weights.as_ptr().cast::<i8>();
        let mut rows: [_; P] =
            core::array::from_fn(|p| operands.rows.as_ptr().cast::<i8>().add((first + 2 * p) * width));
        for _ in 0..width / 8 {
            let [w, v] = [memory::codes(weights), memory::codes(weights.add(16))];
            weights = weights.add(32);
            for ([low, high], row) in sums.iter_mut().zip(&mut rows) {
                let a = memory::codes(*row);
                *row = row.add(16);
                smmla!(*low, a, w);
                smmla!(*high, a, v);
            }
        }
        // Of an odd number of rows the last one is there with zeros beside it.
        let second = 2 * P + first <= operands.sums.len();
        for (p, [low, high]) in sums.into_iter().enumerate() {
            let row = first + 2 * p;
            let [low, high] = [low, high].map(|x| vreinterpretq_s64_s32(x));
            let [a, b] = [vzip1q_s64(low, high), vzip2q_s64(low, high)].map(|x| vreinterpretq_s32_s64(x));
            match second {
                true => finish.rows(row, [a, b]),
                false => finish.rows(row, [a]),
            }
        }
    }
}
