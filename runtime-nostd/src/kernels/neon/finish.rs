//! From sums to outputs.

use core::arch::aarch64::{
    float32x4_t, int32x4_t, vaddq_f32, vaddq_s32, vcvtq_f32_s32, vdupq_n_s32, vmulq_f32, vmulq_n_f32,
    vst1q_lane_f32,
};

use super::super::blocks::Operands;
use super::memory::{floats, put_floats};

/// Where the outputs of a group go, and by what its sums are multiplied.
pub(super) struct Finish {
    steps: float32x4_t,
    biases: float32x4_t,
    offsets: [usize; 4],
    adjacent: bool,
    codes: bool,
    sums: *const i32,
    scales: *const f32,
    out: *mut f32,
    outputs: usize,
}

impl Finish {
    #[inline(always)]
    pub(super) fn new(operands: &mut Operands<'_>) -> Self {
        let adjacent = operands.adjacent();
        let [offsets, steps, biases] = operands.numbers;
        // SAFETY: four numbers each; every AArch64 core has NEON.
        let [steps, biases] = [steps, biases].map(|x| unsafe { floats(x.as_ptr().cast()) });
        Self {
            steps,
            biases,
            offsets: offsets.map(|offset| offset as usize / 4),
            adjacent,
            codes: operands.codes,
            sums: operands.sums.as_ptr(),
            scales: operands.scales.as_ptr(),
            out: operands.out.as_mut_ptr(),
            outputs: operands.outputs,
        }
    }

    /// Writes the outputs of the rows from `first` on, from their channels' sums of products.
    ///
    /// # Safety
    /// The operands fit and have these rows.
    #[inline(always)]
    pub(super) unsafe fn rows<const R: usize>(&self, first: usize, mut products: [int32x4_t; R]) {
        // SAFETY: there is a sum and a scale for each row, and `outputs` floats; every offset is below that.
        unsafe {
            if self.codes {
                let sums = self.sums.add(first);
                for (r, products) in products.iter_mut().enumerate() {
                    *products = vaddq_s32(vaddq_s32(*products, *products), vdupq_n_s32(*sums.add(r)));
                }
            }
            let scales = self.scales.add(first);
            let mut out = self.out.add(first * self.outputs);
            let mut output = [self.steps; R];
            for (r, (y, products)) in output.iter_mut().zip(products).enumerate() {
                let x = vmulq_n_f32(vmulq_f32(vcvtq_f32_s32(products), self.steps), *scales.add(r));
                *y = vaddq_f32(x, self.biases);
            }
            let [a, b, c, d] = self.offsets;
            if self.adjacent {
                out = out.add(a);
                for y in output {
                    put_floats(out, y);
                    out = out.wrapping_add(self.outputs);
                }
            } else {
                for y in output {
                    vst1q_lane_f32::<0>(out.add(a), y);
                    vst1q_lane_f32::<1>(out.add(b), y);
                    vst1q_lane_f32::<2>(out.add(c), y);
                    vst1q_lane_f32::<3>(out.add(d), y);
                    out = out.wrapping_add(self.outputs);
                }
            }
        }
    }
}
