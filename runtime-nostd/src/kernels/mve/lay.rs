//! Rows and weights in the order that a tile reads.

use core::arch::naked_asm;

use super::super::blocks::{self, Block, STEP};

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

/// As [`Tiles::unpack`](super::super::blocks::Tiles::unpack).
pub(super) fn unpack(packed: &[i8], bits: u8, weights: &mut [Block]) {
    let (per_byte, run, levels) = match bits {
        4 => (
            2,
            unpack_four_bits as unsafe extern "C" fn(_, _, _),
            levels_four_bits as unsafe extern "C" fn(_, _),
        ),
        2 => (4, unpack_two_bits as _, levels_two_bits as _),
        _ => return blocks::unpack(packed, bits, weights),
    };
    let count = (weights.len() / per_byte).min(packed.len() / STEP);
    let (whole, end) = packed.split_at_checked(count * STEP).unwrap_or_default();
    let (blocks, last) = weights.split_at_mut_checked(count * per_byte).unwrap_or_default();
    // SAFETY: `count` times sixteen bytes, of which each becomes `per_byte` codes; as above.
    unsafe { run(whole.as_ptr(), blocks.as_mut_ptr(), count) };
    // What is left shares its bytes part by part: each part moves to the top of its bytes, and becomes levels there.
    let words: &mut [u32] = bytemuck::try_cast_slice_mut(last).unwrap_or_default();
    let parts = words.chunks_exact_mut((end.len() / 4).max(1)).take(per_byte);
    for (part, shift) in parts.zip((0..8).step_by(8 / per_byte).rev()) {
        for (to, from) in part.iter_mut().zip(end.as_chunks::<4>().0) {
            *to = u32::from_le_bytes(bytemuck::cast(*from)) << shift;
        }
    }
    // SAFETY: so many blocks; as above.
    unsafe { levels(last.as_mut_ptr(), last.len()) };
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

/// Four channels to blocks, zeros behind their ends. `$level` makes levels of q0 to q3, with ones in q4's bytes.
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
                "vst40.32 {{q0, q1, q2, q3}}, [r4]",
                "vst41.32 {{q0, q1, q2, q3}}, [r4]",
                "vst42.32 {{q0, q1, q2, q3}}, [r4]",
                "vst43.32 {{q0, q1, q2, q3}}, [r4]!",
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

// Registers: r0 bytes, r1 blocks, lr rounds left; q3 ones.
#[unsafe(naked)]
unsafe extern "C" fn unpack_four_bits(_packed: *const i8, _weights: *mut Block, _count: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "vmov.i8 q3, #1",
        "wls lr, r2, 3f",
        "2:",
        "vldrb.u8 q0, [r0], #16",
        "vshl.i8 q1, q0, #4",
        "vshr.s8 q0, q0, #3",
        "vshr.s8 q1, q1, #3",
        "vorr q0, q0, q3",
        "vorr q1, q1, q3",
        "vstrb.8 q1, [r1], #16",
        "vstrb.8 q0, [r1], #16",
        "le lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}

#[unsafe(naked)]
unsafe extern "C" fn unpack_two_bits(_packed: *const i8, _weights: *mut Block, _count: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "vmov.i8 q3, #1",
        "wls lr, r2, 3f",
        "2:",
        "vldrb.u8 q0, [r0], #16",
        ".irp shift, 6, 4, 2",
        "vshl.i8 q1, q0, #\\shift",
        "vshr.s8 q1, q1, #5",
        "vorr q1, q1, q3",
        "vstrb.8 q1, [r1], #16",
        ".endr",
        "vshr.s8 q0, q0, #5",
        "vorr q0, q0, q3",
        "vstrb.8 q0, [r1], #16",
        "le lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}

/// Codes at the top of their bytes to levels, in place.
macro_rules! levels {
    ($name:ident, $shift:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(_weights: *mut Block, _count: usize) {
            naked_asm!(
                ".cpu cortex-m55",
                "push {{r7, lr}}",
                "vmov.i8 q1, #1",
                "wls lr, r1, 3f",
                "2:",
                "vldrb.u8 q0, [r0]",
                concat!("vshr.s8 q0, q0, ", $shift),
                "vorr q0, q0, q1",
                "vstrb.8 q0, [r0], #16",
                "le lr, 2b",
                "3:",
                "pop {{r7, pc}}",
            )
        }
    };
}

levels!(levels_four_bits, "#3");
levels!(levels_two_bits, "#5");
