//! Cores with `sdot`: four products to a lane and instruction.

use core::arch::aarch64::{int32x4_t, vdupq_n_s32, vld1q_s8, vld1q_s8_x4};
use core::arch::asm;
use core::array::from_fn;

use super::super::blocks::{Operands, STEP};
use super::finish::Finish;

/// `sum += four inputs of each of four channels with inputs $lane of the row`; the intrinsic is not stable yet.
macro_rules! sdot {
    ($sum:expr, $weights:expr, $row:expr, $lane:literal) => {
        asm!(
            concat!("sdot {0:v}.4s, {1:v}.16b, {2:v}.4b[", $lane, "]"),
            inout(vreg) $sum, in(vreg) $weights, in(vreg) $row,
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
#[allow(unused_assignments, reason = "the last step, too, goes on to the next weights")]
#[target_feature(enable = "neon,dotprod")]
unsafe fn rows<const R: usize>(operands: &Operands<'_>, first: usize, finish: &Finish) {
    let width = operands.width;
    let mut sums: [int32x4_t; R] = [vdupq_n_s32(0); R];
    // SAFETY: `width` codes from each row's start and `4 * width` of the weights are there, and `width` is a multiple
    // of the step.
    unsafe {
        let mut weights = operands.weights.as_ptr().cast::<i8>();
        let mut rows: [_; R] = from_fn(|r| operands.rows.as_ptr().cast::<i8>().add((first + r) * width));
        // Not a closure: the compiler has to put it into the loop.
        macro_rules! step {
            () => {
                let w = vld1q_s8_x4(weights);
                weights = weights.add(4 * STEP);
                for (sum, row) in sums.iter_mut().zip(&mut rows) {
                    let a = vld1q_s8(*row);
                    *row = row.add(STEP);
                    sdot!(*sum, w.0, a, 0);
                    sdot!(*sum, w.1, a, 1);
                    sdot!(*sum, w.2, a, 2);
                    sdot!(*sum, w.3, a, 3);
                }
            };
        }
        for _ in 0..width / (2 * STEP) {
            step!();
            step!();
        }
        if width % (2 * STEP) != 0 {
            step!();
        }
        finish.rows(first, sums);
    }
}
