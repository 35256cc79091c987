//! One row through a packed layer: groups of a width one after another in one loop, their codes as they are stored.
//!
//! Codes of 4 and 2 bits stand at the top of their bytes when they are multiplied: sums are of `16 q` and `64 q`.

use core::arch::naked_asm;
use core::mem;

use bytemuck::cast_slice_mut;
use chord_plan::manifest::Layer;

use super::super::Tokens;
use super::super::blocks::{HEADER, STEP, stored};
use super::{NUMBERS, are_channels, dot};
use crate::span::copy;

/// Inputs to whose multiple the row goes on with zeros: those that a round at 2 bits takes.
const WIDEST_ROUND: usize = 64;

/// Bytes that a round takes of a group's weights, in words.
const ROUND_WORDS: usize = 16;

/// What a kernel works on; the assembly knows the order.
#[repr(C)]
struct Frame {
    /// Of the first group; the others follow in `stride` bytes each.
    numbers: *const u32,
    weights: *const u32,
    stride: usize,
    /// Above the offset of the last output, in bytes.
    bound: usize,
    scale: f32,
    row: *const u32,
    /// Rounds to a group.
    rounds: usize,
    /// `sum a`.
    sum: i32,
    groups: usize,
    out: *mut f32,
    /// For [`four_bits_and_half`] and [`two_bits_and_rest`]: where the words start in a group's weights whose blocks share
    /// bytes with themselves, and the codes of the inputs that go with them.
    rest: usize,
    last: [u32; 4],
}

type Kernel = unsafe extern "C" fn(&Frame);

/// As [`Linear::packed_layer`](super::super::Linear::packed_layer). `false`, and nothing done, if there is not just one
/// row or too little scratch memory.
pub(super) fn packed_layer(
    tokens: Tokens<'_>,
    layer: &Layer,
    packed: &[u32],
    scratch: &mut [u32],
    out: &mut [f32],
) -> bool {
    let Layer { inputs, outputs, .. } = *layer;
    let (&[scale], true) = (tokens.scales, tokens.codes.len() == inputs && out.len() == outputs) else {
        return false;
    };
    let Some((row, weights)) = scratch.split_at_mut_checked(inputs.next_multiple_of(WIDEST_ROUND) / 4) else {
        return false;
    };
    let width = inputs.next_multiple_of(STEP);
    let (Some(weights), true) = (weights.get_mut(..width), inputs > 0) else { return false };
    let bytes: &mut [i8] = cast_slice_mut(row);
    copy(tokens.codes, bytes);
    bytes.iter_mut().skip(inputs).for_each(|code| *code = 0);
    let Some((&[eights, fours, twos, zeros], mut rest)) = packed.split_first_chunk::<HEADER>() else {
        return true;
    };
    let zeros = rest.split_off(..(zeros as usize).saturating_mul(2)).unwrap_or_default();
    for &[channel, bias] in zeros.as_chunks().0 {
        out.get_mut(channel as usize).into_iter().for_each(|y| *y = f32::from_bits(bias));
    }
    let sum = dot::sum(tokens.codes);
    for (bits, count) in [(8, eights), (4, fours), (2, twos)] {
        if count == 0 {
            continue;
        }
        let stored = stored(inputs, bits);
        let stride = (NUMBERS + stored).max(1);
        // A round takes sixteen words; the last of a group may read on into the next.
        let rounds = stored.div_ceil(ROUND_WORDS);
        let groups = rest.split_off(..stride.saturating_mul(count as usize)).unwrap_or_default();
        // The last blocks lie in another order where they are too few to share bytes: their inputs are taken out of the row.
        let blocks = inputs.div_ceil(4);
        let few = match bits {
            8 => 0,
            4 => blocks % 2,
            _ => blocks % 4,
        };
        let mut last = [0; 4];
        if few > 0 {
            let ends = row.get_mut(blocks - few..).unwrap_or_default();
            last.iter_mut().zip(ends).take(few).for_each(|(last, end)| *last = mem::take(end));
        }
        let mut run = |kernel: Kernel, numbers: &[u32], weights: &[u32], rounds: usize, groups: usize| {
            let frame = Frame {
                numbers: numbers.as_ptr(),
                weights: weights.as_ptr(),
                stride: 4 * stride,
                bound: (4 * outputs).saturating_sub(3),
                scale,
                row: row.as_ptr(),
                rounds,
                sum,
                groups,
                out: out.as_mut_ptr(),
                rest: 4 * (stored - few * usize::from(bits) / 2),
                last,
            };
            let words = |groups: usize| groups.saturating_sub(1) * stride;
            if groups > 0
                && numbers.len() >= words(groups) + NUMBERS
                && weights.len() >= words(groups) + rounds * ROUND_WORDS
            {
                // SAFETY: all groups' numbers and rounds of words are there, the row has zeros to the end of any width's
                // last round, and only outputs whose offset is below `bound` are written; the family is built for cores with MVE.
                unsafe { kernel(&frame) };
            }
        };
        let kernel = match (bits, few) {
            (8, _) if are_channels(inputs) => eight_bits as Kernel,
            (8, _) => eight_bits_in_blocks,
            (4, 0) => four_bits,
            (4, _) => four_bits_and_half,
            (_, 0) => two_bits,
            _ => two_bits_and_rest,
        };
        let Some(from) = packed.len().checked_sub(rest.len() + groups.len()) else { return true };
        let all = packed.get(from..).unwrap_or_default();
        // Those whose last round does not end behind everything.
        let direct = match all.len().checked_sub(NUMBERS + rounds * ROUND_WORDS) {
            Some(others) => (others / stride + 1).min(groups.len() / stride),
            None => 0,
        };
        run(kernel, all, all.get(NUMBERS..).unwrap_or_default(), rounds, direct);
        for group in groups.chunks_exact(stride).skip(direct) {
            let Some((numbers, codes)) = group.split_at_checked(NUMBERS) else { break };
            copy(codes, weights);
            run(kernel, numbers, weights, rounds, 1);
        }
        if few > 0 {
            let ends = row.get_mut(blocks - few..).unwrap_or_default();
            ends.iter_mut().zip(last).take(few).for_each(|(end, last)| *end = last);
        }
    }
    true
}

/// A sum to an output: by the step, by the row's scale, plus the bias.
macro_rules! output {
    ($sum:literal, $step:literal, $bias:literal) => {
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
            ", s12\n",
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

/// `$round` and `$end` add to r0, r2, r4, r6, a channel's each; `$finish` makes `sum a l` of q0.
macro_rules! kernel {
    ($name:ident, $start:expr, $round:expr, $end:expr, $finish:expr) => {
        // Registers: r1 and r9 weights, r3 and r10 row, r5 the frame, r7 groups left, r8 `sum a`, r11 numbers, r12 rounds.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(_frame: &Frame) {
            naked_asm!(
                ".cpu cortex-m55",
                "push {{r4-r11, lr}}",
                "vpush {{d8-d15}}",
                "mov r5, r0",
                "ldrd r11, r9, [r5]",
                "ldrd r10, r12, [r5, #20]",
                "ldrd r8, r7, [r5, #28]",
                "2:",
                "mov r1, r9",
                "mov r3, r10",
                "movs r0, #0",
                "movs r2, #0",
                "movs r4, #0",
                "movs r6, #0",
                $start,
                "dls lr, r12",
                "3:",
                $round,
                "le lr, 3b",
                $end,
                "vmov q0[2], q0[0], r0, r4",
                "vmov q0[3], q0[1], r2, r6",
                $finish,
                "vldrw.u32 q4, [r11]",
                "vldrw.u32 q1, [r11, #16]",
                "vldrw.u32 q2, [r11, #32]",
                "vldr s12, [r5, #16]",
                output!("s0", "s4", "s8"),
                output!("s1", "s5", "s9"),
                output!("s2", "s6", "s10"),
                output!("s3", "s7", "s11"),
                "ldrd r0, r2, [r5, #8]",
                "ldr r4, [r5, #36]",
                "vdup.32 q6, r2",
                "vpt.u32 hi, q6, q4",
                "vstrwt.32 q0, [r4, q4]",
                "add r11, r0",
                "add r9, r0",
                "subs r7, #1",
                "bne.w 2b",
                "vpop {{d8-d15}}",
                "pop {{r4-r11, pc}}",
            )
        }
    };
}

/// The weights of four channels, four words apart.
macro_rules! weights {
    () => {
        concat!(
            "vld40.32 {{q0, q1, q2, q3}}, [r1]\n",
            "vld41.32 {{q0, q1, q2, q3}}, [r1]\n",
            "vld42.32 {{q0, q1, q2, q3}}, [r1]\n",
            "vld43.32 {{q0, q1, q2, q3}}, [r1]!\n",
        )
    };
}

/// Sixteen inputs, a byte to a weight.
macro_rules! bytes {
    ($weights:expr) => {
        concat!(
            $weights,
            "vldrb.u8 q4, [r3], #16\n",
            "vmladava.s8 r0, q4, q0\n",
            "vmladava.s8 r2, q4, q1\n",
            "vmladava.s8 r4, q4, q2\n",
            "vmladava.s8 r6, q4, q3\n",
        )
    };
}

/// 32 inputs of a channel at 4 bits, whose low and high codes go with every other word of the row.
macro_rules! nibbles {
    ($sum:literal, $weights:literal) => {
        concat!(
            "vand q6, ",
            $weights,
            ", q7\n",
            "vmladava.s8 ",
            $sum,
            ", q5, q6\n",
            "vshl.i8 ",
            $weights,
            ", ",
            $weights,
            ", #4\n",
            "vmladava.s8 ",
            $sum,
            ", q4, ",
            $weights,
            "\n",
        )
    };
}

/// 64 inputs of a channel at 2 bits; its words lie at the addresses in q5.
macro_rules! crumbs {
    ($sum:literal, $place:literal) => {
        concat!(
            "vldrw.u32 q4, [q5, ",
            $place,
            "]\n",
            "vshl.i8 q6, q4, #6\n",
            "vmladava.s8 ",
            $sum,
            ", q0, q6\n",
            "vshl.i8 q6, q4, #4\n",
            "vand q6, q6, q7\n",
            "vmladava.s8 ",
            $sum,
            ", q1, q6\n",
            "vshl.i8 q6, q4, #2\n",
            "vand q6, q6, q7\n",
            "vmladava.s8 ",
            $sum,
            ", q2, q6\n",
            "vand q6, q4, q7\n",
            "vmladava.s8 ",
            $sum,
            ", q3, q6\n",
        )
    };
}

/// 32 inputs of four channels at 4 bits.
macro_rules! four_bits {
    () => {
        concat!(
            weights!(),
            "vld20.32 {{q4, q5}}, [r3]\n",
            "vld21.32 {{q4, q5}}, [r3]!\n",
            nibbles!("r0", "q0"),
            nibbles!("r2", "q1"),
            nibbles!("r4", "q2"),
            nibbles!("r6", "q3"),
        )
    };
}

macro_rules! four_bits_finish {
    () => {
        "vshr.s32 q0, q0, #3\nvadd.i32 q0, q0, r8"
    };
}

macro_rules! eight_bits_finish {
    () => {
        "vmov.i32 q1, #2\nvmlas.s32 q0, q1, r8"
    };
}

kernel!(
    eight_bits,
    "",
    bytes!(
        "vldrb.u8 q0, [r1], #16\nvldrb.u8 q1, [r1], #16\nvldrb.u8 q2, [r1], #16\nvldrb.u8 q3, [r1], #16\n"
    ),
    "",
    eight_bits_finish!()
);
kernel!(eight_bits_in_blocks, "", bytes!(weights!()), "", eight_bits_finish!());
kernel!(four_bits, "vmov.i8 q7, #0xf0", four_bits!(), "", four_bits_finish!());
kernel!(
    four_bits_and_half,
    "vmov.i8 q7, #0xf0",
    four_bits!(),
    // Two words: first and third channel, second and fourth.
    concat!(
        "ldrd r1, lr, [r5, #40]\n",
        "add r1, r9\n",
        "ldrd r1, r3, [r1]\n",
        "vmov.i32 q4, #0\n",
        "vmov.32 q4[0], lr\n",
        "vdup.32 q0, r1\n",
        "vdup.32 q1, r3\n",
        "vand q2, q0, q7\n",
        "vmladava.s8 r4, q4, q2\n",
        "vshl.i8 q0, q0, #4\n",
        "vmladava.s8 r0, q4, q0\n",
        "vand q2, q1, q7\n",
        "vmladava.s8 r6, q4, q2\n",
        "vshl.i8 q1, q1, #4\n",
        "vmladava.s8 r2, q4, q1\n",
    ),
    four_bits_finish!()
);

macro_rules! two_bits_start {
    () => {
        "vmov.i8 q7, #0xc0\nmov lr, #0\nvidup.u32 q5, lr, #8\nvadd.i32 q5, q5, q5\nvadd.i32 q5, q5, r1\nmov r1, #64"
    };
}

/// 64 inputs of four channels at 2 bits.
macro_rules! two_bits {
    () => {
        concat!(
            "vld40.32 {{q0, q1, q2, q3}}, [r3]\n",
            "vld41.32 {{q0, q1, q2, q3}}, [r3]\n",
            "vld42.32 {{q0, q1, q2, q3}}, [r3]\n",
            "vld43.32 {{q0, q1, q2, q3}}, [r3]!\n",
            crumbs!("r0", "#0"),
            crumbs!("r2", "#4"),
            crumbs!("r4", "#8"),
            crumbs!("r6", "#12"),
            "vadd.i32 q5, q5, r1\n",
        )
    };
}

macro_rules! two_bits_finish {
    () => {
        "vshr.s32 q0, q0, #5\nvadd.i32 q0, q0, r8"
    };
}

kernel!(two_bits, two_bits_start!(), two_bits!(), "", two_bits_finish!());
kernel!(
    two_bits_and_rest,
    two_bits_start!(),
    two_bits!(),
    // Up to three words, the parts of whose bytes are the channels.
    concat!(
        "ldr r1, [r5, #40]\n",
        "add r1, r9\n",
        "vldrw.u32 q0, [r1]\n",
        "vldrw.u32 q1, [r5, #44]\n",
        "vshl.i8 q2, q0, #6\n",
        "vmladava.s8 r0, q1, q2\n",
        "vshl.i8 q2, q0, #4\n",
        "vand q2, q2, q7\n",
        "vmladava.s8 r2, q1, q2\n",
        "vshl.i8 q2, q0, #2\n",
        "vand q2, q2, q7\n",
        "vmladava.s8 r4, q1, q2\n",
        "vand q2, q0, q7\n",
        "vmladava.s8 r6, q1, q2\n",
    ),
    two_bits_finish!()
);
