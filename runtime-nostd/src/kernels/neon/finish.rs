//! From sums to outputs.

use core::arch::aarch64::{
    float32x4_t, int32x4_t, vaddq_f32, vcvtq_f32_s32, vdupq_n_s32, vld1q_dup_s32, vld1q_f32, vmlaq_s32,
    vmulq_f32, vmulq_n_f32, vst1q_f32, vst1q_lane_f32,
};

use super::super::blocks::Operands;

/// Where the outputs of a group go, and by what its sums are multiplied.
pub(super) struct Finish {
    steps: float32x4_t,
    biases: float32x4_t,
    offsets: [usize; 4],
    adjacent: bool,
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
        let [steps, biases] = [steps, biases].map(|x| unsafe { vld1q_f32(x.as_ptr().cast()) });
        Self {
            steps,
            biases,
            offsets: offsets.map(|offset| offset as usize / 4),
            adjacent,
            sums: operands.sums.as_ptr(),
            scales: operands.scales.as_ptr(),
            out: operands.out.as_mut_ptr(),
            outputs: operands.outputs,
        }
    }

    /// Writes the outputs of a row from `sum a q` of its channels.
    ///
    /// # Safety
    /// The operands fit and have that row.
    #[inline(always)]
    pub(super) unsafe fn row(&self, row: usize, products: int32x4_t) {
        // SAFETY: there is a sum and a scale for the row, and `outputs` floats of its own; every offset is below that.
        unsafe {
            let t = vmlaq_s32(vld1q_dup_s32(self.sums.add(row)), products, vdupq_n_s32(2));
            let y = vmulq_n_f32(vmulq_f32(vcvtq_f32_s32(t), self.steps), *self.scales.add(row));
            let y = vaddq_f32(y, self.biases);
            let out = self.out.add(row * self.outputs);
            let [a, b, c, d] = self.offsets;
            if self.adjacent {
                vst1q_f32(out.add(a), y);
            } else {
                vst1q_lane_f32::<0>(out.add(a), y);
                vst1q_lane_f32::<1>(out.add(b), y);
                vst1q_lane_f32::<2>(out.add(c), y);
                vst1q_lane_f32::<3>(out.add(d), y);
            }
        }
    }
}
