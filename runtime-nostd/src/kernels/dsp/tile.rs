//! Two rows by four streams of weights in all 14 registers; the compiler's own allocation takes two to three times as
//! many instructions.

use core::arch::naked_asm;

use super::super::{BLOCK, parts_after_first, row_pair_words};

/// What [`run`] reads; the assembly knows the order.
#[repr(C)]
struct Job {
    /// Room for the streams of a group, from end to end.
    weights: *mut u32,
    weights_end: *const u32,
    /// Parts of a row in 2^14, 0 if it is one.
    parts: usize,
    /// Rows of outputs, `stride` bytes apart.
    out: *mut f32,
    stride: usize,
    /// Where whole pairs of rows end; then a last row may come, which is there twice.
    end_of_twos: *const u32,
    acts: *const u32,
    acts_end: *const u32,
    /// Largest offset of an output in a row, in bytes.
    limit: usize,
    /// Pairs of inputs of the first part, less the two that come before the block.
    first: usize,
    layout: Layout,
}

/// How the weights of groups lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Layout {
    /// One group's streams are laid out: those of four channels, or of four twins.
    Plain,
    Twin,
    /// Packed behind the numbers of each group; 2 bits as twins.
    PackedTwo,
    PackedFour = 4,
    PackedEight = 8,
}

impl Layout {
    /// Words of a group.
    #[inline(never)]
    pub(super) fn group(self, pairs: usize) -> usize {
        match self {
            Self::Plain => 12,
            Self::Twin => 24,
            Self::PackedTwo => 24 + pairs,
            Self::PackedFour => 12 + pairs,
            Self::PackedEight => 12 + 2 * pairs,
        }
    }
}

/// Outputs of groups of channels of one width for all rows of `acts`, `count` in pairs, to `out`, rows x `outputs`.
///
/// A group is its channels' offsets, steps and biases, four or eight of each, then its weights if they are packed; `weights`
/// has the streams of a group or takes them, those of the last one in the end. Stops before a group with an offset beyond a
/// row of `out`. Does nothing where the buffers do not fit together.
#[inline(never)]
pub(super) fn multiply(
    layout: Layout,
    groups: &[u32],
    acts: &[u32],
    weights: &mut [[u32; 4]],
    count: usize,
    out: &mut [f32],
    outputs: usize,
) {
    let pairs = weights.len();
    let group = layout.group(pairs);
    let (found, pair_words) = (groups.len() / group.max(1), row_pair_words(pairs));
    let fit = acts.len() == count.div_ceil(2) * pair_words && out.len() == count * outputs;
    if !fit || pairs < 2 || found == 0 || outputs == 0 {
        return;
    }
    let after_first = parts_after_first(pairs);
    let (ends, acts) = (weights.as_mut_ptr_range(), acts.as_ptr_range());
    let job = Job {
        weights: ends.start.cast(),
        weights_end: ends.end.cast(),
        parts: if after_first == 0 { 0 } else { (1 + after_first) << 14 },
        out: out.as_mut_ptr(),
        stride: 4 * outputs,
        end_of_twos: acts.start.wrapping_add(count / 2 * pair_words),
        acts: acts.start,
        acts_end: acts.end,
        limit: 4 * (outputs - 1),
        first: pairs - 2 - BLOCK * after_first,
        layout,
    };
    // SAFETY: `run` reads `found` groups; it reads `acts` in whole row pairs from end to end, and writes and reads `weights`
    // from end to end. Of each pair's rows, whose outputs `out` has, it writes floats at offsets up to the last float of a
    // row, which it checks.
    unsafe { run(groups.as_ptr(), found, &job) }
}

/// Has sums of even and of odd channels start at these multiples of the rows' sums.
pub(super) fn start(acts: &mut [u32], pairs: usize, factors: [u32; 2]) {
    let pair_words = row_pair_words(pairs);
    let ends = acts.as_mut_ptr_range();
    if !acts.is_empty() && acts.len().is_multiple_of(pair_words) {
        // SAFETY: goes from pair to pair of rows up to the end of `acts`, and reads and writes a header each.
        unsafe { run_start(ends.start, ends.end, 4 * pair_words, &factors) };
    }
}

// Registers: r2 from a pair to the next, r3 and r12 factors.
#[unsafe(naked)]
unsafe extern "C" fn run_start(_acts: *mut u32, _end: *mut u32, _bytes: usize, _factors: &[u32; 2]) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "ldrd r3, r12, [r3]",
        "2:",
        "ldrd r4, r6, [r0, #24]",
        "mul r5, r4, r12",
        "mul r7, r6, r12",
        "mul r4, r4, r3",
        "mul r6, r6, r3",
        "stm r0, {{r4-r7}}",
        "add r0, r2",
        "cmp r0, r1",
        "bne 2b",
        "pop {{r4-r7, pc}}",
    )
}

/// Splits a twin sum `l + 2^13 t` of a row, `t` that of the levels of the high channel, into `2^17 u` and `2^13 t`, and puts
/// them into single registers: `$parity` holds 2^17 + 2^31 if the levels' sums are odd.
macro_rules! split {
    ($sum:literal, $parity:literal, $low:literal, $high:literal) => {
        concat!(
            "add r12, ",
            $parity,
            ", ",
            $sum,
            ", lsl #18\n",
            "sub ",
            $sum,
            ", ",
            $sum,
            ", r12, asr #18\n",
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

/// As [`split`] after several parts, to sums of levels: r2 holds `sum a`, lr what the doubled low sums are too large by, the
/// low sums that were taken out lie at `$taken`.
macro_rules! split_parts {
    ($sum:literal, $taken:literal, $low:literal, $high:literal) => {
        concat!(
            "ubfx r12, ",
            $sum,
            ", #0, #14\n",
            "ldrh r1, [sp, #",
            $taken,
            "]\n",
            "add r12, r1\n",
            "rsb r12, lr, r12, lsl #1\n",
            "asr ",
            $sum,
            ", ",
            $sum,
            ", #14\n",
            "add ",
            $sum,
            ", r2, ",
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

/// Eight sums to f32, those of even and of odd lanes divided by these powers of two.
macro_rules! convert {
    ($even:literal, $odd:literal) => {
        concat!(
            "vcvt.f32.s32 s0, s0",
            $even,
            "\n",
            "vcvt.f32.s32 s1, s1",
            $odd,
            "\n",
            "vcvt.f32.s32 s2, s2",
            $even,
            "\n",
            "vcvt.f32.s32 s3, s3",
            $odd,
            "\n",
            "vcvt.f32.s32 s4, s4",
            $even,
            "\n",
            "vcvt.f32.s32 s5, s5",
            $odd,
            "\n",
            "vcvt.f32.s32 s6, s6",
            $even,
            "\n",
            "vcvt.f32.s32 s7, s7",
            $odd,
            "\n",
        )
    };
}

/// An operation of eight lanes with registers of their own. One after another they need not wait for a result.
macro_rules! lanes {
    ($name:literal, $a:literal, $b:literal, $c:literal, $d:literal, $e:literal, $f:literal, $g:literal, $h:literal) => {
        concat!(
            $name,
            " s0, s0, ",
            $a,
            "\n",
            $name,
            " s1, s1, ",
            $b,
            "\n",
            $name,
            " s2, s2, ",
            $c,
            "\n",
            $name,
            " s3, s3, ",
            $d,
            "\n",
            $name,
            " s4, s4, ",
            $e,
            "\n",
            $name,
            " s5, s5, ",
            $f,
            "\n",
            $name,
            " s6, s6, ",
            $g,
            "\n",
            $name,
            " s7, s7, ",
            $h,
            "\n",
        )
    };
}

pub(super) use {convert, lanes, split};

/// `(f32(t) * g) * s + bias` of both rows of plain streams.
macro_rules! plain_lanes {
    () => {
        concat!(
            "vmov s0, s1, r4, r5\n",
            "vmov s2, s3, r6, r7\n",
            "vmov s4, s5, r8, r9\n",
            "vmov s6, s7, r10, r11\n",
            convert!("", ", #7"),
            lanes!("vmul.f32", "s16", "s17", "s18", "s19", "s16", "s17", "s18", "s19"),
            lanes!("vmul.f32", "s8", "s8", "s8", "s8", "s9", "s9", "s9", "s9"),
            lanes!("vadd.f32", "s24", "s25", "s26", "s27", "s24", "s25", "s26", "s27"),
        )
    };
}

/// `(x * g) * s + bias` of one row of twin streams.
macro_rules! twin_lanes {
    ($scale:literal) => {
        concat!(
            lanes!("vmul.f32", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23"),
            lanes!("vmul.f32", $scale, $scale, $scale, $scale, $scale, $scale, $scale, $scale),
            lanes!("vadd.f32", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31"),
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

/// Two lanes to where their offsets say from `$row` on.
macro_rules! scatter {
    ($offsets:literal, $row:literal, $a:literal, $b:literal, $p:literal, $q:literal, $x:literal, $y:literal) => {
        concat!(
            "ldrd ", $p, ", ", $q, ", [sp, #", $offsets, "]\n", "vmov ", $x, ", ", $y, ", ", $a, ", ", $b,
            "\n", "str ", $x, ", [", $row, ", ", $p, "]\n", "str ", $y, ", [", $row, ", ", $q, "]\n",
        )
    };
}

/// Eight lanes of a row of twins, side by side or not; r4 is the row, the carry says which.
macro_rules! scatter_twins {
    () => {
        concat!(
            "lsrs r2, r7, #1\n",
            "bcs 66f\n",
            "vstm r4, {{s0-s7}}\n",
            "b 67f\n",
            "66:\n",
            scatter!("80", "r4", "s0", "s1", "r2", "r12", "r1", "lr"),
            scatter!("88", "r4", "s2", "s3", "r2", "r12", "r1", "lr"),
            scatter!("96", "r4", "s4", "s5", "r2", "r12", "r1", "lr"),
            scatter!("104", "r4", "s6", "s7", "r2", "r12", "r1", "lr"),
            "67:\n",
        )
    };
}

/// Outputs of `count` groups of channels of one width for all pairs of rows: four channels, or eight in twin streams. Stops
/// before a group with an offset beyond the limit.
///
/// A group is its channels' offsets, steps and biases, then its weights if they are packed.
// Registers: r0 activations, r1 weights, r4-r7 sums of the first row, r8-r11 of the second, the rest passes through.
// s16-s23 steps, s24-s31 biases, s8-s9 scales, s10-s11 sums of the rows, s12-s13 their parities. At sp lie: 0 weights, 4 out,
// 8 stride, 12 end of the rows, 16 flags of twins (1 scattered, 2 parts), 20 entry into the block, 24 after the block, 28 end
// of the weights, 32 after the last part, 36 parts in 2^14, 40 out of the first row, 44 stride of twos, 48 end of twos, 52
// activations, 56 their end, 60 limit, 64 unpack, 68 fours of inputs, 72 group, 76 groups left, 80 offsets, 112 low sums taken
// out, 128 where the address of a plain finish goes, 132 layout.
#[unsafe(naked)]
unsafe extern "C" fn run(_groups: *const u32, _count: usize, _job: &Job) {
    naked_asm!(
        // The assembler does not take the features of the target over.
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r4-r11, lr}}",
        "vpush {{s16-s31}}",
        "sub sp, #140",
        "strd r0, r1, [sp, #72]",
        "ldm r2, {{r3-r12, lr}}",
        "str r3, [sp]",
        "str r4, [sp, #28]",
        "add r2, sp, #36",
        "stm r2, {{r5-r11}}",
        "str lr, [sp, #132]",
        "sub r4, r3",
        "lsr r4, #5",
        "str r4, [sp, #68]",
        // 44 bytes to a pair of the block.
        "mov r0, #44",
        "adr.w r1, 63f",
        "mls r1, r12, r0, r1",
        "orr r1, #1",
        "str r1, [sp, #20]",
        "adr.w r0, 94f",
        "cmp lr, #2",
        "blo 60f",
        "adr.w r0, 93f",
        "beq 60f",
        "adr.w r0, 92f",
        "cmp lr, #4",
        "beq 60f",
        "adr.w r0, 91f",
        "60:",
        "orr r0, #1",
        "str r0, [sp, #64]",
        // Twins have one finish for all groups.
        "sub lr, #1",
        "mov r3, #0",
        "mov r2, #24",
        "cmp lr, #2",
        "bhs 57f",
        "adr.w r0, 72f",
        "cbz r5, 58f",
        "mov r3, #2",
        "mov r4, #0",
        "strd r4, r4, [sp, #112]",
        "strd r4, r4, [sp, #120]",
        "adr.w r0, 77f",
        "orr r0, #1",
        "str r0, [sp, #32]",
        "adr.w r0, 74f",
        "b 58f",
        "57:",
        "cbz r5, 58f",
        "mov r2, #32",
        "adr.w r0, 64f",
        "58:",
        "orr r0, #1",
        "str r0, [sp, #24]",
        "str r2, [sp, #128]",
        "str r3, [sp, #16]",
        // A group.
        "50:",
        "ldr r0, [sp, #72]",
        "ldr r1, [sp]",
        "ldrd r2, r12, [sp, #64]",
        "blx r2",
        "ldr r1, [sp, #72]",
        "str r0, [sp, #72]",
        "ldr r3, [sp, #132]",
        "ldr r12, [sp, #60]",
        "ldr r2, [sp, #40]",
        "subs r3, #1",
        "cmp r3, #2",
        "blo 52f",
        "ldm r1!, {{r4-r7}}",
        "vldmia r1!, {{s16-s19}}",
        "vldm r1, {{s24-s27}}",
        "cmp r4, r12",
        "ittt ls",
        "cmpls r5, r12",
        "cmpls r6, r12",
        "cmpls r7, r12",
        "bhi.w 69f",
        "add r3, sp, #80",
        "stm r3, {{r4-r7}}",
        // Side by side, as far as the order of a group's channels says it; the last channel may be there again.
        "sub r5, r7, r4",
        "sub r6, r7, r6",
        "adr.w r3, 71f",
        "cmp r5, #12",
        "itt eq",
        "cmpeq r6, #4",
        "tsteq r4, #3",
        "bne 53f",
        "adr.w r3, 70f",
        "add r2, r4",
        "53:",
        "orr r3, #1",
        "ldr r12, [sp, #128]",
        "str r3, [sp, r12]",
        "b 54f",
        "52:",
        "ldm r1!, {{r4-r11}}",
        "vldm r1, {{s16-s31}}",
        "cmp r4, r12",
        "itttt ls",
        "cmpls r5, r12",
        "cmpls r6, r12",
        "cmpls r7, r12",
        "cmpls r8, r12",
        "ittt ls",
        "cmpls r9, r12",
        "cmpls r10, r12",
        "cmpls r11, r12",
        "bhi.w 69f",
        "add r3, sp, #80",
        "stm r3, {{r4-r11}}",
        "ldr r3, [sp, #16]",
        "orr r3, #1",
        "sub r5, r11, r4",
        "sub r6, r11, r10",
        "cmp r5, #28",
        "itttt eq",
        "cmpeq r6, #4",
        "tsteq r4, #3",
        "biceq r3, #1",
        "addeq r2, r4",
        "str r3, [sp, #16]",
        "54:",
        "str r2, [sp, #4]",
        "ldrd r2, r3, [sp, #44]",
        "strd r2, r3, [sp, #8]",
        "ldr r0, [sp, #52]",
        "ldr r1, [sp]",
        "cmp r0, r3",
        "bne 62f",
        // A last row that stands for two: both go to one place.
        "68:",
        "ldr r3, [sp, #56]",
        "cmp r0, r3",
        "beq 55f",
        "mov r2, #0",
        "strd r2, r3, [sp, #8]",
        // A row pair. Its first products start from the rows' constants, which sit in the last sums.
        "62:",
        "ldm r0!, {{r6, r7, r10, r11}}",
        "vldmia r0!, {{s8-s13}}",
        "ldrd r12, lr, [r0], #8",
        "ldrd r2, r3, [r1], #8",
        "smlad r4, r12, r2, r6",
        "smlad r8, lr, r2, r10",
        "smlad r5, r12, r3, r7",
        "smlad r9, lr, r3, r11",
        "ldrd r2, r3, [r1], #8",
        "smlad r6, r12, r2, r6",
        "smlad r10, lr, r2, r10",
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
        "ldr pc, [sp, #20]",
        // The next group.
        "55:",
        "ldr r3, [sp, #76]",
        "subs r3, #1",
        "str r3, [sp, #76]",
        "bne.w 50b",
        "69:",
        "add sp, #140",
        "vpop {{s16-s31}}",
        "pop {{r4-r11, pc}}",
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
        "ldr.w pc, [sp, #24]",
        ".p2align 2",
        "64:",
        "ldr r12, [sp, #28]",
        "cmp r1, r12",
        "it eq",
        "ldreq pc, [sp, #32]",
        // The next part's starts are for twins.
        "add r0, #8",
        "b.w 65b",
        ".p2align 2",
        "74:",
        "ldr r12, [sp, #28]",
        "cmp r1, r12",
        "it eq",
        "ldreq pc, [sp, #32]",
        "ldrd r2, r3, [r0], #8",
        take_out!("r4", "r5", "r2", "112"),
        take_out!("r6", "r7", "r2", "116"),
        take_out!("r8", "r9", "r3", "120"),
        take_out!("r10", "r11", "r3", "124"),
        "b.w 65b",
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
        "b.w 68b",
        ".p2align 2",
        "71:",
        plain_lanes!(),
        "ldm sp, {{r1, r2, r3, r12}}",
        scatter!("80", "r2", "s0", "s1", "r4", "r5", "r6", "r7"),
        scatter!("88", "r2", "s2", "s3", "r4", "r5", "r6", "r7"),
        "add r2, r3",
        scatter!("80", "r2", "s4", "s5", "r4", "r5", "r6", "r7"),
        scatter!("88", "r2", "s6", "s7", "r4", "r5", "r6", "r7"),
        "add r2, r3",
        "str r2, [sp, #4]",
        "cmp r0, r12",
        "bne.w 62b",
        "b.w 68b",
        // Twins: the first row, then the second, whose constant waits in r3.
        ".p2align 2",
        "72:",
        "vmov r2, r3, s12, s13",
        split!("r4", "r2", "s0", "s1"),
        split!("r5", "r2", "s2", "s3"),
        split!("r6", "r2", "s4", "s5"),
        split!("r7", "r2", "s6", "s7"),
        convert!(", #17", ", #13"),
        "75:",
        twin_lanes!("s8"),
        "ldm sp, {{r1, r4, r5, r6, r7}}",
        "cbz r7, 78f",
        "b.w 81f",
        "78:",
        "vstm r4, {{s0-s7}}",
        "79:",
        "add r4, r5",
        split!("r8", "r3", "s0", "s1"),
        split!("r9", "r3", "s2", "s3"),
        split!("r10", "r3", "s4", "s5"),
        split!("r11", "r3", "s6", "s7"),
        convert!(", #17", ", #13"),
        "76:",
        twin_lanes!("s9"),
        "cbz r7, 88f",
        "b.w 82f",
        "88:",
        "vstm r4, {{s0-s7}}",
        "89:",
        "add r4, r5",
        "str r4, [sp, #4]",
        "cmp r0, r6",
        "bne.w 62b",
        "b.w 68b",
        // Rows of several parts.
        ".p2align 2",
        "77:",
        "vmov r2, r3, s10, s11",
        "ldr lr, [sp, #36]",
        "and r12, r2, #1",
        "add lr, r12",
        split_parts!("r4", "112", "s0", "s1"),
        split_parts!("r5", "114", "s2", "s3"),
        split_parts!("r6", "116", "s4", "s5"),
        split_parts!("r7", "118", "s6", "s7"),
        convert!("", ""),
        "b.w 75b",
        // A first row whose outputs do not lie side by side, or that has parts.
        "81:",
        scatter_twins!(),
        "cmp r7, #2",
        "blo.w 79b",
        "add r4, r5",
        "mov r2, r3",
        "ldr lr, [sp, #36]",
        "and r12, r2, #1",
        "add lr, r12",
        split_parts!("r8", "120", "s0", "s1"),
        split_parts!("r9", "122", "s2", "s3"),
        split_parts!("r10", "124", "s4", "s5"),
        split_parts!("r11", "126", "s6", "s7"),
        "mov r2, #0",
        "strd r2, r2, [sp, #112]",
        "strd r2, r2, [sp, #120]",
        convert!("", ""),
        "b.w 76b",
        "82:",
        scatter_twins!(),
        "ldr r1, [sp]",
        "b.w 89b",
        // Streams of a packed group of 8 bits: r0 group, r1 streams, r12 fours of inputs.
        ".p2align 2",
        "91:",
        "add r0, #48",
        "movw r10, #0x01fe",
        "movt r10, #0x01fe",
        "2:",
        "ldm r0!, {{r6-r9}}",
        "and r2, r10, r6, lsl #1",
        "and r3, r6, #0xff00ff00",
        "and r4, r10, r7, lsl #1",
        "and r5, r7, #0xff00ff00",
        "and r6, r10, r8, lsl #1",
        "and r7, r8, #0xff00ff00",
        "and r8, r10, r9, lsl #1",
        "and r9, r9, #0xff00ff00",
        "subs r12, #1",
        "stm r1!, {{r2-r9}}",
        "bne 2b",
        "bx lr",
        // Of 4 bits.
        ".p2align 2",
        "92:",
        "add r0, #48",
        "mov r10, #0x001e001e",
        "mov r11, #0x0f000f00",
        "2:",
        "ldrd r8, r9, [r0], #8",
        "eor r8, #0x80008000",
        "eor r9, #0x80008000",
        "and r2, r10, r8, lsl #1",
        "and r3, r11, r8, lsl #4",
        "and r4, r10, r8, lsr #7",
        "and r5, r11, r8, lsr #4",
        "and r6, r10, r9, lsl #1",
        "and r7, r11, r9, lsl #4",
        "and r8, r10, r9, lsr #7",
        "and r9, r11, r9, lsr #4",
        "subs r12, #1",
        "stm r1!, {{r2-r9}}",
        "bne 2b",
        "bx lr",
        // Of 2 bits, as twins.
        ".p2align 2",
        "93:",
        "add r0, #96",
        "movw r10, #0xc003",
        "movt r10, #0xc003",
        "2:",
        "ldrd r8, r9, [r0], #8",
        "and r2, r10, r8",
        "and r3, r10, r8, ror #4",
        "and r4, r10, r8, ror #8",
        "and r5, r10, r8, ror #12",
        "and r6, r10, r9",
        "and r7, r10, r9, ror #4",
        "and r8, r10, r9, ror #8",
        "and r9, r10, r9, ror #12",
        "subs r12, #1",
        "stm r1!, {{r2-r9}}",
        "bne 2b",
        ".p2align 2",
        "94:",
        "bx lr",
    )
}
