//! Cores with `sdot`: four products to a lane and instruction.

use core::arch::aarch64::{int32x4_t, vdupq_n_s32, vld1q_s8_x4};
use core::arch::asm;
use core::array::from_fn;

use super::super::blocks::{Operands, STEP};
use super::finish::Finish;
use super::memory;

/// `sum += sixteen inputs of each of four channels with those of the row`; the intrinsic is not stable yet. One statement,
/// so that loops over rows are short enough for the compiler to unroll.
macro_rules! sdot {
    ($sum:expr, $weights:expr, $row:expr) => {
        asm!(
            "sdot {0:v}.4s, {1:v}.16b, {5:v}.4b[0]",
            "sdot {0:v}.4s, {2:v}.16b, {5:v}.4b[1]",
            "sdot {0:v}.4s, {3:v}.16b, {5:v}.4b[2]",
            "sdot {0:v}.4s, {4:v}.16b, {5:v}.4b[3]",
            inout(vreg) $sum, in(vreg) $weights.0, in(vreg) $weights.1, in(vreg) $weights.2,
            in(vreg) $weights.3, in(vreg) $row,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
}

/// All rows of a group, ten at a time: so many fit into the registers.
///
/// # Safety
/// The operands fit; the core has `sdot`.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn multiply(mut operands: Operands<'_>) {
    let count = operands.sums.len();
    let finish = Finish::new(&mut operands);
    let mut row = 0;
    // SAFETY: by this function's contract; rows stay below `count`.
    unsafe {
        while row + 10 <= count {
            rows::<10>(&operands, row, &finish);
            row += 10;
        }
        while row + 4 <= count {
            rows::<4>(&operands, row, &finish);
            row += 4;
        }
        if row + 2 <= count {
            rows::<2>(&operands, row, &finish);
            row += 2;
        }
        if row < count {
            rows::<1>(&operands, row, &finish);
        }
    }
}

/// # Safety
/// As [`multiply`]; there are rows `first..first + R`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn rows<const R: usize>(operands: &Operands<'_>, first: usize, finish: &Finish) {
    let width = operands.width;
    let mut sums: [int32x4_t; R] = [vdupq_n_s32(0); R];
    // SAFETY: `width` codes from each row's start and `4 * width` of the weights are there, and `width` is a multiple
    // of the step.
    unsafe {
        let mut weights = operands.weights.as_ptr().cast::<i8>();
        let mut rows: [_; R] = from_fn(|r| operands.rows.as_ptr().cast::<i8>().add((first + r) * width));
        for _ in 0..width / (2 * STEP) {
            let (w, v) = (vld1q_s8_x4(weights), vld1q_s8_x4(weights.add(4 * STEP)));
            weights = weights.add(8 * STEP);
            // Two loads side by side are one instruction.
            for (sum, row) in sums.iter_mut().zip(&mut rows) {
                let (a, b) = (memory::codes(*row), memory::codes(row.add(STEP)));
                *row = row.add(2 * STEP);
                sdot!(*sum, w, a);
                sdot!(*sum, v, b);
            }
        }
        if !width.is_multiple_of(2 * STEP) {
            let w = vld1q_s8_x4(operands.weights.as_ptr().cast::<i8>().add(4 * (width - STEP)));
            // Their places anew, so that they cost nothing where the last inputs are none.
            let last = operands.rows.as_ptr().cast::<i8>().add(first * width + width - STEP);
            for (r, sum) in sums.iter_mut().enumerate() {
                sdot!(*sum, w, memory::codes(last.add(r * width)));
            }
        }
        finish.rows(first, sums);
    }
}
