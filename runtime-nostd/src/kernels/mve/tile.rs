//! Two rows by four channels: eight sums in the eight general-purpose registers that `vmladava` adds to.
//!
//! A step's weights are sixteen codes of the first channel, then of the second, and so on. Loads stand between the products:
//! a core with a pipe for either has both at work.

use core::arch::naked_asm;

use super::super::blocks::{Operands, STEP};

/// What [`run`] works on; the assembly knows the order. It leaves the places of the next pair of rows.
#[repr(C)]
struct Frame<'f> {
    weights: *const u32,
    /// The two rows of a pair.
    rows: [*const i8; 2],
    /// Steps of [`STEP`] inputs after the first.
    more_steps: usize,
    /// Of the pair.
    sums: *const i32,
    scales: *const f32,
    /// Where the two rows' outputs start.
    out: [*mut f32; 2],
    /// Whether sums are of codes of 8 bits, not of levels.
    codes: usize,
    width: usize,
    pairs: usize,
    /// Bytes from a pair's outputs to the next pair's.
    two_outs: usize,
    numbers: &'f [[u32; 4]; 3],
}

/// As [`Tiles::multiply`](super::super::blocks::Tiles::multiply).
pub(super) fn multiply(operands: Operands<'_>) {
    let weights: *const u32 = operands.weights.as_ptr().cast();
    if !operands.fit(1) || operands.width == 0 || !weights.is_aligned() {
        return;
    }
    let Operands { rows, width, sums, scales, codes, numbers, outputs, out, .. } = operands;
    let (row, first) = (rows.as_ptr().cast::<i8>(), out.as_mut_ptr());
    let mut frame = Frame {
        weights,
        rows: [row, row.wrapping_add(width)],
        more_steps: width / STEP - 1,
        sums: sums.as_ptr(),
        scales: scales.as_ptr(),
        out: [first, first.wrapping_add(outputs)],
        codes: codes.into(),
        width,
        pairs: sums.len() / 2,
        two_outs: 8 * outputs,
        numbers,
    };
    if frame.pairs > 0 {
        // SAFETY: the operands fit: each row has `width` codes, a sum, a scale and `outputs` floats, the weights are
        // `4 * width` bytes, every offset lies below `4 * outputs`; the family is built for cores with MVE.
        unsafe { run(&mut frame) };
    }
    if let (true, &[.., sum], &[.., scale]) = (sums.len() % 2 == 1, sums, scales) {
        // The last row stands for two, which go to one place.
        let (sums, scales) = ([sum; 2], [scale; 2]);
        let ([row, _], [out, _]) = (frame.rows, frame.out);
        let mut last = Frame {
            rows: [row; 2],
            sums: sums.as_ptr(),
            scales: scales.as_ptr(),
            out: [out; 2],
            pairs: 1,
            ..frame
        };
        // SAFETY: as above; the frame is at the last row.
        unsafe { run(&mut last) };
    }
}

/// Sixteen inputs of two rows and four channels, of which q0 and q1 hold the rows and q2 the first channel: `$mla` is
/// `vmladav` for the first step, `vmladava` for the others. The next step's come in on the way.
macro_rules! step {
    ($mla:literal) => {
        concat!(
            step!($mla, first),
            "vldrb.u8 q2, [r1], #16\n",
            step!($mla, second),
            "vldrb.u8 q0, [r3], #16\n",
            step!($mla, third),
            "vldrb.u8 q1, [r5], #16\n",
        )
    };
    ($mla:literal, last) => {
        concat!(step!($mla, first), step!($mla, second), step!($mla, third))
    };
    ($mla:literal, first) => {
        concat!(
            $mla,
            ".s8 r0, q0, q2\n",
            "vldrb.u8 q3, [r1], #16\n",
            $mla,
            ".s8 r8, q1, q2\n",
            "vldrb.u8 q4, [r1], #16\n",
            $mla,
            ".s8 r2, q0, q3\n",
            $mla,
            ".s8 r10, q1, q3\n",
            "vldrb.u8 q3, [r1], #16\n",
            $mla,
            ".s8 r4, q0, q4\n",
        )
    };
    ($mla:literal, second) => {
        concat!($mla, ".s8 r12, q1, q4\n", $mla, ".s8 r6, q0, q3\n",)
    };
    ($mla:literal, third) => {
        concat!($mla, ".s8 lr, q1, q3\n",)
    };
}

/// A sum to an output: by the step, by the row's scale, plus the bias.
macro_rules! output {
    ($sum:literal, $step:literal, $scale:literal, $bias:literal) => {
        concat!(
            "vcvt.f32.s32 ",
            $sum,
            ", ",
            $sum,
            "\n",
            "vmul.f32 ",
            $sum,
            ", ",
            $sum,
            ", ",
            $step,
            "\n",
            "vmul.f32 ",
            $sum,
            ", ",
            $sum,
            ", ",
            $scale,
            "\n",
            "vadd.f32 ",
            $sum,
            ", ",
            $sum,
            ", ",
            $bias,
            "\n",
        )
    };
}

// Registers: r0, r2, r4, r6 sums of the first row, r8, r10, r12, lr of the second; r1 weights, r3 and r5 rows, r7 steps,
// r9 the frame. q5 offsets, q6 (s24 to s27) steps, q7 (s28 to s31) biases.
#[unsafe(naked)]
unsafe extern "C" fn run(_frame: &mut Frame<'_>) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "mov r9, r0",
        "ldr r1, [r9, #48]",
        "vldrw.u32 q5, [r1]",
        "vldrw.u32 q6, [r1, #16]",
        "vldrw.u32 q7, [r1, #32]",
        "2:",
        "ldm r9, {{r1, r3, r5, r7}}",
        "vldrb.u8 q2, [r1], #16",
        "vldrb.u8 q0, [r3], #16",
        "vldrb.u8 q1, [r5], #16",
        "cbnz r7, 7f",
        step!("vmladav", last),
        "b.w 5f",
        "7:",
        step!("vmladav"),
        // All but the last, two to a round; where these are odd they start in the middle.
        "lsrs r7, r7, #1",
        "bcc.w 4f",
        "beq.w 45f",
        "3:",
        step!("vmladava"),
        "4:",
        step!("vmladava"),
        "subs r7, #1",
        "bne.w 3b",
        "45:",
        step!("vmladava", last),
        "5:",
        "vmov q0[2], q0[0], r0, r4",
        "vmov q0[3], q0[1], r2, r6",
        "vmov q1[2], q1[0], r8, r12",
        "vmov q1[3], q1[1], r10, lr",
        "ldrd r0, r1, [r9, #16]",
        "ldrd r2, r4, [r9, #24]",
        "ldrd r6, r7, [r9, #32]",
        "ldrd r8, r10, [r9, #40]",
        "cbz r6, 6f",
        // 2 sum + sum a.
        "ldrd r6, r12, [r0], #8",
        "vmov.i32 q2, #2",
        "vmlas.s32 q0, q2, r6",
        "vmlas.s32 q1, q2, r12",
        "6:",
        "vldmia r1!, {{s12, s13}}",
        output!("s0", "s24", "s12", "s28"),
        output!("s1", "s25", "s12", "s29"),
        output!("s2", "s26", "s12", "s30"),
        output!("s3", "s27", "s12", "s31"),
        output!("s4", "s24", "s13", "s28"),
        output!("s5", "s25", "s13", "s29"),
        output!("s6", "s26", "s13", "s30"),
        output!("s7", "s27", "s13", "s31"),
        "vstrw.32 q0, [r2, q5]",
        "vstrw.32 q1, [r4, q5]",
        // On to the next pair.
        "add r7, r5",
        "strd r5, r7, [r9, #4]",
        "strd r0, r1, [r9, #16]",
        "add r2, r10",
        "add r4, r10",
        "strd r2, r4, [r9, #24]",
        "subs r8, #1",
        "str r8, [r9, #40]",
        "bne.w 2b",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}
