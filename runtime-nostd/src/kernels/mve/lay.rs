//! Rows and weights in the order that a tile reads.

use core::arch::naked_asm;

use super::super::blocks::{Block, STEP};
use super::super::word;
use crate::span::copy;

/// As [`Tiles::lay_rows`](super::super::blocks::Tiles::lay_rows).
pub(super) fn rows(tokens: &[i8], inputs: usize, width: usize, rows: &mut [Block]) {
    let count = (rows.len() * STEP).checked_div(width).unwrap_or(0).min(tokens.len() / inputs.max(1));
    if count > 0 && inputs > 0 && width == inputs.next_multiple_of(STEP) {
        // SAFETY: there are `count` rows of `inputs` codes, and room for as many of `width`; the family is built for
        // cores with MVE.
        unsafe { run_rows(tokens.as_ptr(), rows.as_mut_ptr(), inputs, count) };
    }
}

/// As [`Tiles::lay`](super::super::blocks::Tiles::lay).
pub(super) fn channels(channels: [&[i8]; 4], bits: u8, weights: &mut [Block]) {
    let [a, b, c, d] = channels;
    let inputs = a.len();
    let run = match bits {
        8 => run_eight_bits,
        4 => run_four_bits,
        _ => run_two_bits,
    };
    let place: *mut u32 = weights.as_mut_ptr().cast();
    if inputs > 0
        && [b, c, d].iter().all(|channel| channel.len() == inputs)
        && weights.len() >= inputs.div_ceil(STEP) * 4
        && place.is_aligned()
    {
        // SAFETY: each channel has `inputs` codes, and there are four blocks of words for each sixteen; as above.
        unsafe { run(a.as_ptr(), b.as_ptr(), c.as_ptr(), d.as_ptr(), place, inputs) };
    }
}

/// As [`Tiles::unpack`](super::super::blocks::Tiles::unpack), sixteen codes of each channel in turn.
pub(super) fn unpack(packed: &[i8], bits: u8, weights: &mut [Block]) {
    let (run, at_end): (unsafe extern "C" fn(_, _, _), unsafe extern "C" fn(_, _, _)) = match bits {
        8 => (unpack_eight_bits, unpack_eight_bits),
        4 => (unpack_four_bits, unpack_four_bits),
        _ => (unpack_two_bits, unpack_two_bits_at_end),
    };
    let step = 8 * usize::from(bits);
    let (steps, end) = packed.split_at_checked(packed.len() / step.max(1) * step).unwrap_or_default();
    let count = steps.len() / step.max(1);
    if weights.len() < 4 * packed.len().div_ceil(step.max(1)) || !weights.as_ptr().cast::<u32>().is_aligned()
    {
        return;
    }
    let (whole, last) = weights.split_at_mut_checked(4 * count).unwrap_or_default();
    // SAFETY: reads `count` times the bytes of a step and writes as many times four blocks of words; the family is built
    // for cores with MVE.
    unsafe { run(steps.as_ptr(), whole.as_mut_ptr(), count) };
    if !end.is_empty() {
        let mut bytes = [0; 4 * STEP];
        copy(end, &mut bytes);
        if bits == 4 && end.len() % STEP != 0 {
            // A block that shares bytes with itself, as one that shares them with the next.
            let start = end.len() / STEP * STEP;
            let [a, b] = [0, 1].map(|i| word(end.get(start..).unwrap_or_default(), i));
            let block: [i8; STEP] = bytemuck::cast([a, b, a >> 4, b >> 4]);
            copy(&block, bytes.get_mut(start..).unwrap_or_default());
        }
        // SAFETY: as above, one step.
        unsafe { at_end(bytes.as_ptr(), last.as_mut_ptr(), 1) };
    }
}

/// Turns packed groups of 8 bits from blocks, four words of a step to a channel, to sixteen codes of each channel in turn.
pub(super) fn channels_of_blocks(weights: &mut [u32]) {
    for step in weights.as_chunks_mut::<STEP>().0 {
        let blocks = *step;
        for (i, word) in step.iter_mut().enumerate() {
            *word = blocks.get(i % 4 * 4 + i / 4).copied().unwrap_or(0);
        }
    }
}

// Registers: r2 inputs, r3 rows left, r12 inputs left.
#[unsafe(naked)]
unsafe extern "C" fn run_rows(_tokens: *const i8, _rows: *mut Block, _inputs: usize, _count: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "2:",
        "mov r12, r2",
        "mov lr, r0",
        "3:",
        "vctp.8 r12",
        "vpst",
        "vldrbt.u8 q0, [lr], #16",
        "vstrb.8 q0, [r1], #16",
        "subs r12, #16",
        "bhi 3b",
        "add r0, r2",
        "subs r3, #1",
        "bne 2b",
        "pop {{r7, pc}}",
    )
}

/// Four channels, sixteen codes of each in turn, zeros behind their ends. `$level` makes levels of q0 to q3, with ones in q4's bytes.
macro_rules! run {
    ($name:ident, $level:expr) => {
        // Registers: r0 to r3 channels, r4 blocks, r5 inputs left.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            _a: *const i8,
            _b: *const i8,
            _c: *const i8,
            _d: *const i8,
            _weights: *mut u32,
            _inputs: usize,
        ) {
            naked_asm!(
                ".cpu cortex-m55",
                "push {{r4, r5}}",
                "vpush {{d8-d9}}",
                "vmov.i8 q4, #1",
                "ldrd r4, r5, [sp, #24]",
                "2:",
                "vctp.8 r5",
                "vpstttt",
                "vldrbt.u8 q0, [r0], #16",
                "vldrbt.u8 q1, [r1], #16",
                "vldrbt.u8 q2, [r2], #16",
                "vldrbt.u8 q3, [r3], #16",
                $level,
                "vstrb.8 q0, [r4], #16",
                "vstrb.8 q1, [r4], #16",
                "vstrb.8 q2, [r4], #16",
                "vstrb.8 q3, [r4], #16",
                "subs r5, #16",
                "bhi 2b",
                "vpop {{d8-d9}}",
                "pop {{r4, r5}}",
                "bx lr",
            )
        }
    };
}

/// The code and the bit below it, which becomes 1.
macro_rules! level {
    ($shift:literal) => {
        concat!(
            "vshr.s8 q0, q0, ",
            $shift,
            "\n",
            "vshr.s8 q1, q1, ",
            $shift,
            "\n",
            "vshr.s8 q2, q2, ",
            $shift,
            "\n",
            "vshr.s8 q3, q3, ",
            $shift,
            "\n",
            "vorr q0, q0, q4\n",
            "vorr q1, q1, q4\n",
            "vorr q2, q2, q4\n",
            "vorr q3, q3, q4\n",
        )
    };
}

run!(run_eight_bits, "");
run!(run_four_bits, level!("#3"));
run!(run_two_bits, level!("#5"));

/// Packed steps to levels, or codes of 8 bits. `$code` brings them to q0 to q3; q4 holds ones.
macro_rules! unpack {
    ($name:ident, $code:expr, $store:expr) => {
        // Registers: r0 bytes, r1 weights, lr steps left.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(_packed: *const i8, _weights: *mut Block, _count: usize) {
            naked_asm!(
                ".cpu cortex-m55",
                "push {{r7, lr}}",
                "vpush {{d8-d9}}",
                "vmov.i8 q4, #1",
                "wls lr, r2, 3f",
                "2:",
                $code,
                $store,
                "le lr, 2b",
                "3:",
                "vpop {{d8-d9}}",
                "pop {{r7, pc}}",
            )
        }
    };
}

/// Four blocks, each a register, as sixteen codes of each channel in turn.
macro_rules! store_blocks {
    () => {
        concat!(
            "vst40.32 {{q0, q1, q2, q3}}, [r1]\n",
            "vst41.32 {{q0, q1, q2, q3}}, [r1]\n",
            "vst42.32 {{q0, q1, q2, q3}}, [r1]\n",
            "vst43.32 {{q0, q1, q2, q3}}, [r1]!\n",
        )
    };
}

/// Sixteen bytes of codes at 2 bits, four to a byte, at the tops of the bytes of q0 to q3.
macro_rules! two_bits {
    () => {
        concat!(
            "vldrb.u8 q3, [r0], #16\n",
            "vshl.i8 q0, q3, #6\n",
            "vshl.i8 q1, q3, #4\n",
            "vshl.i8 q2, q3, #2\n",
            level!("#5"),
        )
    };
}

unpack!(
    unpack_eight_bits,
    "vldrb.u8 q0, [r0], #16\nvldrb.u8 q1, [r0], #16\nvldrb.u8 q2, [r0], #16\nvldrb.u8 q3, [r0], #16\n",
    store_blocks!()
);
unpack!(
    unpack_four_bits,
    concat!(
        "vldrb.u8 q1, [r0], #16\n",
        "vldrb.u8 q3, [r0], #16\n",
        "vshl.i8 q0, q1, #4\n",
        "vshl.i8 q2, q3, #4\n",
        level!("#3"),
    ),
    store_blocks!()
);
unpack!(unpack_two_bits, two_bits!(), store_blocks!());
// Each part of a byte is a channel.
unpack!(
    unpack_two_bits_at_end,
    two_bits!(),
    "vstrb.8 q0, [r1], #16\nvstrb.8 q1, [r1], #16\nvstrb.8 q2, [r1], #16\nvstrb.8 q3, [r1], #16\n"
);
