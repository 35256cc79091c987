//! Two rows by four streams of weights in all 14 registers; the compiler's own allocation takes two to three times as
//! many instructions.

use core::arch::naked_asm;

use super::super::{BLOCK, parts_after_first, row_pair_words};

/// What becomes of the eight sums of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Finish {
    Plain,
    PlainScattered,
    Twin,
    TwinScattered,
}

/// What [`run`] reads; the assembly knows the order.
#[repr(C)]
struct Frame {
    weights: *const u32,
    out: *mut u8,
    stride: usize,
    acts_end: *const u32,
    first: usize,
    /// Whether there are more parts: 0 none, 1 for plain streams, 2 for twins.
    more: usize,
    weights_end: *const u32,
    finish: Finish,
    numbers: *const u32,
}

/// Outputs of one group of channels for all row pairs of `acts`: four channels, or eight in twin streams.
///
/// `weights` has four streams, pair by pair; a twin stream carries two channels of 2 bits. `numbers` are the channels'
/// offsets, steps and biases, as in a packed group. `out` starts at the first row; `stride` is the distance of rows in
/// elements, 0 if the second row of the only pair is the first again.
pub(super) fn tile(acts: &[u32], weights: &[[u32; 4]], numbers: &[u32], out: &mut [f32], stride: usize) {
    match numbers.len() {
        12 => run_tile::<4>(acts, weights, numbers, out, stride),
        24 => run_tile::<8>(acts, weights, numbers, out, stride),
        _ => {}
    }
}

#[inline(always)]
fn run_tile<const CHANNELS: usize>(
    acts: &[u32],
    weights: &[[u32; 4]],
    numbers: &[u32],
    out: &mut [f32],
    stride: usize,
) {
    let Some(offsets) = numbers.first_chunk::<CHANNELS>() else { return };
    let [start, ..] = offsets[..] else { return };
    let twin = CHANNELS == 8;
    let pairs = weights.len();
    let pair_words = row_pair_words(pairs);
    let row_pairs = acts.len() / pair_words.max(1);
    if pairs < 2 || row_pairs == 0 || acts.len() != row_pairs * pair_words {
        return;
    }
    let (mut largest, mut gaps, mut low_bits) = (0, 0, 0);
    for (lane, &offset) in offsets.iter().enumerate() {
        largest = largest.max(offset);
        gaps |= offset ^ start.wrapping_add(4 * lane as u32);
        low_bits |= offset;
    }
    let consecutive = gaps == 0;
    let last_row = (2 * row_pairs - 1).saturating_mul(stride);
    if last_row.saturating_add(largest as usize / 4) >= out.len() || low_bits & 3 != 0 {
        return;
    }
    let start = if consecutive { start as usize } else { 0 };
    let parts = parts_after_first(pairs);
    let ends = weights.as_ptr_range();
    let frame = Frame {
        weights: ends.start.cast(),
        out: out.as_mut_ptr().cast::<u8>().wrapping_add(start),
        stride: 4 * stride,
        acts_end: acts.as_ptr_range().end,
        first: pairs - 2 - BLOCK * parts,
        more: if parts == 0 { 0 } else { 1 + usize::from(twin) },
        weights_end: ends.end.cast(),
        finish: match (twin, consecutive) {
            (false, true) => Finish::Plain,
            (false, false) => Finish::PlainScattered,
            (true, true) => Finish::Twin,
            (true, false) => Finish::TwinScattered,
        },
        numbers: numbers.as_ptr(),
    };
    // SAFETY: `run` reads `acts` in whole row pairs up to its end, `weights` from end to end once per pair, and as many
    // `numbers` as its finish has lanes; it writes each lane's float at `out + row * stride + offset`, of which the
    // last lies in `out`, as checked above.
    unsafe { run(acts.as_ptr(), &frame) }
}

/// Splits a twin sum of a row into two and puts them into single registers: r2 and r3 hold the row's constants.
macro_rules! split {
    ($sum:literal, $low:literal, $high:literal) => {
        concat!(
            "ubfx r12, ",
            $sum,
            ", #0, #14\n",
            "add r12, r2, r12, lsl #1\n",
            "asr ",
            $sum,
            ", ",
            $sum,
            ", #14\n",
            "add ",
            $sum,
            ", r3, ",
            $sum,
            ", lsl #1\n",
            "vmov ",
            $low,
            ", ",
            $high,
            ", r12, ",
            $sum,
            "\n",
        )
    };
}

/// `(f32(t) * g) * s + bias` of one lane.
macro_rules! lane {
    ($y:literal, $step:literal, $scale:literal, $bias:literal) => {
        concat!(
            "vcvt.f32.s32 ",
            $y,
            ", ",
            $y,
            "\n",
            "vmul.f32 ",
            $y,
            ", ",
            $y,
            ", ",
            $step,
            "\n",
            "vmul.f32 ",
            $y,
            ", ",
            $y,
            ", ",
            $scale,
            "\n",
            "vadd.f32 ",
            $y,
            ", ",
            $y,
            ", ",
            $bias,
            "\n",
        )
    };
}

/// Lanes of both rows of plain streams.
macro_rules! plain_lanes {
    () => {
        concat!(
            "vmov s0, s1, r4, r5\n",
            "vmov s2, s3, r6, r7\n",
            "vmov s4, s5, r8, r9\n",
            "vmov s6, s7, r10, r11\n",
            lane!("s0", "s16", "s8", "s24"),
            lane!("s1", "s17", "s8", "s25"),
            lane!("s2", "s18", "s8", "s26"),
            lane!("s3", "s19", "s8", "s27"),
            lane!("s4", "s16", "s9", "s24"),
            lane!("s5", "s17", "s9", "s25"),
            lane!("s6", "s18", "s9", "s26"),
            lane!("s7", "s19", "s9", "s27"),
        )
    };
}

/// Lanes of one row of twin streams; its low sums that were taken out lie `$taken` bytes behind the others.
macro_rules! twin_lanes {
    ($taken:literal, $constants:literal, $a:literal, $b:literal, $c:literal, $d:literal, $scale:literal) => {
        concat!(
            "vmov r2, r3, ",
            $constants,
            "\n",
            split!($a, "s0", "s1"),
            split!($b, "s2", "s3"),
            split!($c, "s4", "s5"),
            split!($d, "s6", "s7"),
            "ldr r2, [sp, #64]\n",
            "cbz r2, 79f\n",
            "add r2, #",
            $taken,
            "\n",
            "bl 80b\n",
            "79:\n",
            lane!("s0", "s16", $scale, "s24"),
            lane!("s1", "s17", $scale, "s25"),
            lane!("s2", "s18", $scale, "s26"),
            lane!("s3", "s19", $scale, "s27"),
            lane!("s4", "s20", $scale, "s28"),
            lane!("s5", "s21", $scale, "s29"),
            lane!("s6", "s22", $scale, "s30"),
            lane!("s7", "s23", $scale, "s31"),
        )
    };
}

/// Takes the low sums out of two twin streams of a row, whose next part starts with `$start`.
macro_rules! take_out {
    ($a:literal, $b:literal, $start:literal, $taken:literal) => {
        concat!(
            "ubfx r12, ",
            $a,
            ", #0, #14\n",
            "ubfx lr, ",
            $b,
            ", #0, #14\n",
            "orr r12, r12, lr, lsl #16\n",
            "ldr lr, [sp, #",
            $taken,
            "]\n",
            "add r12, lr\n",
            "str r12, [sp, #",
            $taken,
            "]\n",
            "bfc ",
            $a,
            ", #0, #14\n",
            "bfc ",
            $b,
            ", #0, #14\n",
            "add ",
            $a,
            ", ",
            $start,
            "\n",
            "add ",
            $b,
            ", ",
            $start,
            "\n",
        )
    };
}

/// Two lanes to where their offsets say; r2 is the row's start.
macro_rules! scatter {
    ($offsets:literal, $a:literal, $b:literal) => {
        concat!(
            "ldrd r4, r5, [sp, #",
            $offsets,
            "]\n",
            "vmov r6, r7, ",
            $a,
            ", ",
            $b,
            "\n",
            "str r6, [r2, r4]\n",
            "str r7, [r2, r5]\n",
        )
    };
}

// Registers: r0 activations, r1 weights, r4-r7 sums of the first row, r8-r11 of the second, the rest passes through.
// s16-s23 steps, s24-s31 biases, s8-s9 scales, s10-s13 constants of the twin split. The frame lies at sp: 0 weights,
// 4 out, 8 stride, 12 acts_end, 16 entry into the block, 20 after the block, 24 weights_end, 28 finish, 32 offsets, 64
// where the low sums lie that are taken out of twin sums after each part but the last, if there are any, 68 these sums.
#[unsafe(naked)]
unsafe extern "C" fn run(_acts: *const u32, _frame: *const Frame) {
    naked_asm!(
        // The assembler does not take the features of the target over.
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r4-r11, lr}}",
        "vpush {{s16-s31}}",
        "sub sp, #84",
        "ldm r1!, {{r2-r9}}",
        "stm sp, {{r2-r9}}",
        "ldr r1, [r1]",
        "add r2, sp, #32",
        "cmp r9, #2",
        "bhs 58f",
        "ldm r1!, {{r4-r7}}",
        "stm r2, {{r4-r7}}",
        "vldmia r1!, {{s16-s19}}",
        "vldm r1, {{s24-s27}}",
        "b 59f",
        "58:",
        "ldm r1!, {{r4-r11}}",
        "stm r2, {{r4-r11}}",
        "vldm r1, {{s16-s31}}",
        "59:",
        // 44 bytes to a pair of the block.
        "ldr r2, [sp, #16]",
        "mov r12, #44",
        "adr.w r3, 63f",
        "mls r3, r2, r12, r3",
        "orr r3, #1",
        "str r3, [sp, #16]",
        "ldr r2, [sp, #28]",
        "adr.w r3, 70f",
        "cmp r2, #1",
        "blo 60f",
        "adr.w r3, 71f",
        "beq 60f",
        "adr.w r3, 72f",
        "cmp r2, #2",
        "beq 60f",
        "adr.w r3, 73f",
        "60:",
        "orr r3, #1",
        "str r3, [sp, #28]",
        "ldr r2, [sp, #20]",
        "mov r12, #0",
        "str r12, [sp, #64]",
        "cbz r2, 61f",
        "adr.w r3, 64f",
        "cmp r2, #1",
        "beq 60f",
        "adr.w r3, 74f",
        "add r2, sp, #68",
        "str r2, [sp, #64]",
        "str r12, [sp, #68]",
        "str r12, [sp, #72]",
        "str r12, [sp, #76]",
        "str r12, [sp, #80]",
        "60:",
        "orr r3, #1",
        "61:",
        "str r3, [sp, #20]",
        "ldr r1, [sp]",
        // A row pair. Its first products start from the row's constant, which sits in the last sum.
        "62:",
        "ldm r0!, {{r7, r11}}",
        "vldmia r0!, {{s8-s15}}",
        "ldrd r12, lr, [r0], #8",
        "ldrd r2, r3, [r1], #8",
        "smlad r4, r12, r2, r7",
        "smlad r8, lr, r2, r11",
        "smlad r5, r12, r3, r7",
        "smlad r9, lr, r3, r11",
        "ldrd r2, r3, [r1], #8",
        "smlad r6, r12, r2, r7",
        "smlad r10, lr, r2, r11",
        "smlad r7, r12, r3, r7",
        "smlad r11, lr, r3, r11",
        "ldrd r12, lr, [r0], #8",
        "ldrd r2, r3, [r1], #8",
        "smlad r4, r12, r2, r4",
        "smlad r8, lr, r2, r8",
        "smlad r5, r12, r3, r5",
        "smlad r9, lr, r3, r9",
        "ldrd r2, r3, [r1], #8",
        "smlad r6, r12, r2, r6",
        "smlad r10, lr, r2, r10",
        "smlad r7, r12, r3, r7",
        "smlad r11, lr, r3, r11",
        "ldr pc, [sp, #16]",
        ".p2align 2",
        "65:",
        ".rept 32",
        "ldrd r12, lr, [r0], #8",
        "ldrd r2, r3, [r1], #8",
        "smlad r4, r12, r2, r4",
        "smlad r8, lr, r2, r8",
        "smlad r5, r12, r3, r5",
        "smlad r9, lr, r3, r9",
        "ldrd r2, r3, [r1], #8",
        "smlad r6, r12, r2, r6",
        "smlad r10, lr, r2, r10",
        "smlad r7, r12, r3, r7",
        "smlad r11, lr, r3, r11",
        ".endr",
        "63:",
        "ldr.w pc, [sp, #20]",
        ".p2align 2",
        "64:",
        "ldr r12, [sp, #24]",
        "cmp r1, r12",
        "it eq",
        "ldreq pc, [sp, #28]",
        // The next part's starts are for twins.
        "add r0, #8",
        "b.w 65b",
        ".p2align 2",
        "74:",
        "ldr r12, [sp, #24]",
        "cmp r1, r12",
        "it eq",
        "ldreq pc, [sp, #28]",
        "ldrd r2, r3, [r0], #8",
        take_out!("r4", "r5", "r2", "68"),
        take_out!("r6", "r7", "r2", "72"),
        take_out!("r8", "r9", "r3", "76"),
        take_out!("r10", "r11", "r3", "80"),
        "b.w 65b",
        // The low sums of four streams, taken out before, to their lanes; leaves zeros.
        ".p2align 2",
        "80:",
        "push {{r4-r6, lr}}",
        "ldrd r4, r5, [r2]",
        "uxth r6, r4",
        "vmov r12, s0",
        "add r12, r12, r6, lsl #1",
        "vmov s0, r12",
        "lsr r6, r4, #16",
        "vmov r12, s2",
        "add r12, r12, r6, lsl #1",
        "vmov s2, r12",
        "uxth r6, r5",
        "vmov r12, s4",
        "add r12, r12, r6, lsl #1",
        "vmov s4, r12",
        "lsr r6, r5, #16",
        "vmov r12, s6",
        "add r12, r12, r6, lsl #1",
        "vmov s6, r12",
        "movs r4, #0",
        "movs r5, #0",
        "strd r4, r5, [r2]",
        "pop {{r4-r6, pc}}",
        ".p2align 2",
        "70:",
        plain_lanes!(),
        "ldm sp, {{r1, r2, r3, r12}}",
        "vstm r2, {{s0-s3}}",
        "add r2, r3",
        "vstm r2, {{s4-s7}}",
        "add r2, r3",
        "str r2, [sp, #4]",
        "cmp r0, r12",
        "bne.w 62b",
        "b.w 69f",
        ".p2align 2",
        "71:",
        plain_lanes!(),
        "ldm sp, {{r1, r2, r3, r12}}",
        scatter!("32", "s0", "s1"),
        scatter!("40", "s2", "s3"),
        "add r2, r3",
        scatter!("32", "s4", "s5"),
        scatter!("40", "s6", "s7"),
        "add r2, r3",
        "str r2, [sp, #4]",
        "cmp r0, r12",
        "bne.w 62b",
        "b.w 69f",
        ".p2align 2",
        "72:",
        twin_lanes!("0", "s10, s11", "r4", "r5", "r6", "r7", "s8"),
        "ldm sp, {{r1, r4, r5}}",
        "vstm r4, {{s0-s7}}",
        "add r4, r5",
        twin_lanes!("8", "s12, s13", "r8", "r9", "r10", "r11", "s9"),
        "vstm r4, {{s0-s7}}",
        "add r4, r5",
        "ldr r12, [sp, #12]",
        "str r4, [sp, #4]",
        "cmp r0, r12",
        "bne.w 62b",
        "b.w 69f",
        ".p2align 2",
        "73:",
        twin_lanes!("0", "s10, s11", "r4", "r5", "r6", "r7", "s8"),
        "ldrd r2, r3, [sp, #4]",
        scatter!("32", "s0", "s1"),
        scatter!("40", "s2", "s3"),
        scatter!("48", "s4", "s5"),
        scatter!("56", "s6", "s7"),
        "add r2, r3",
        "str r2, [sp, #4]",
        twin_lanes!("8", "s12, s13", "r8", "r9", "r10", "r11", "s9"),
        "ldm sp, {{r1, r2, r3, r12}}",
        scatter!("32", "s0", "s1"),
        scatter!("40", "s2", "s3"),
        scatter!("48", "s4", "s5"),
        scatter!("56", "s6", "s7"),
        "add r2, r3",
        "str r2, [sp, #4]",
        "cmp r0, r12",
        "bne.w 62b",
        "69:",
        "add sp, #84",
        "vpop {{s16-s31}}",
        "pop {{r4-r11, pc}}",
    )
}
