//! Two rows by four streams of weights in all 14 registers; the compiler's own allocation takes two to three times as
//! many instructions.

use core::arch::naked_asm;

use super::super::{BLOCK, ROWS_END, Tokens, pairs, parts_after_first, row_pair_words};
use super::widen::{Jumps, rows};

/// What [`run`] reads, which is part of its frame; the assembly knows the order.
#[repr(C)]
struct Job {
    /// Where the first part of a row enters the block.
    entry: usize,
    weights_end: *const u32,
    /// Parts of a row in 2^14, 0 if it is one.
    parts: usize,
    /// Room for the streams of a group, from end to end.
    weights: *mut u32,
    /// Rows of outputs, `stride` bytes apart.
    out: *mut f32,
    stride: usize,
    /// Filled in by [`run`], and zero.
    unused: [usize; 2],
    fours: usize,
    /// Largest offset of an output in a row, in bytes.
    limit: usize,
    /// Where the first pair of rows, or the end, says how its sums start.
    acts: *const u32,
    groups: *const u32,
    groups_end: *const u32,
    /// As `limit`, of a group's outputs side by side, with the bits of a mark; nothing marked is within 0.
    side_by_side: usize,
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
    /// Channels of a group.
    const fn channels(self) -> usize {
        if matches!(self, Self::Twin | Self::PackedTwo) { 8 } else { 4 }
    }

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

/// Widened rows and room for the streams of a group: the rows say where the streams lie and where in [`run`] they go on.
pub(super) struct WideRows<'p> {
    acts: &'p mut [u32],
    weights: &'p mut [[u32; 4]],
    count: usize,
    /// Whether the sums of all rows may be twin sums, as [`rows`] says.
    pub(super) small: bool,
}

impl<'p> WideRows<'p> {
    /// Widens rows into memory of as much as the kernel's part of `scratch_words`. `None` if the buffers do not fit together.
    pub(super) fn new(tokens: Tokens<'_>, inputs: usize, memory: &'p mut [u32]) -> Option<Self> {
        let (count, pairs) = (tokens.scales.len(), pairs(inputs));
        let words = count.div_ceil(2) * row_pair_words(pairs) + ROWS_END;
        let (acts, weights) = memory.split_at_mut_checked(words)?;
        let (weights, _) = weights.get_mut(..4 * pairs)?.as_chunks_mut();
        if count == 0 || tokens.codes.len() != count * inputs {
            return None;
        }
        let run = run as *const () as usize;
        let jumps = Jumps { weights: weights.as_ptr().cast(), twos: run + entry(pairs), last: run + ODD };
        let small = rows(tokens, inputs, jumps, acts);
        *acts.last_mut()? = (run + NEXT) as u32;
        Some(Self { acts, weights, count, small })
    }

    /// The streams of a group.
    pub(super) fn weights(&mut self) -> &mut [[u32; 4]] {
        self.weights
    }

    /// Has sums of even and of odd channels start at these multiples of the rows' sums.
    pub(super) fn start(&mut self, factors: [u32; 2]) {
        let pair_words = row_pair_words(self.weights.len());
        let ends = self.acts.as_mut_ptr_range();
        // SAFETY: goes from pair to pair of rows, of which there is one, up to the end, and reads and writes a header each.
        unsafe { run_start(ends.start, ends.end.wrapping_sub(ROWS_END), 4 * pair_words, &factors) };
    }

    /// Outputs of groups of channels of one width for all rows to `out`, rows x `outputs`.
    ///
    /// A group is its channels' offsets, steps and biases, four or eight of each, then its weights if they are packed; else
    /// [`weights`](Self::weights) has its streams, and in the end it has those of the last group. Stops before a group with an
    /// offset beyond a row of `out`. Does nothing where the buffers do not fit together.
    pub(super) fn multiply(&mut self, layout: Layout, groups: &[u32], out: &mut [f32], outputs: usize) {
        if outputs > 0 && out.len() == self.count * outputs {
            self.run(layout, groups, self.acts.as_ptr(), out, outputs);
        }
    }

    /// Lays out the streams of a packed group.
    pub(super) fn unpack(&mut self, layout: Layout, group: &[u32]) {
        let end = self.acts.as_ptr_range().end.wrapping_sub(ROWS_END);
        // Offsets do not matter: no rows come.
        self.run(layout, group, end, &mut [], 1 << 29);
    }

    /// `acts` is where the first pair of rows, or their end, lies; `out` has the outputs of all rows from there on.
    #[inline(never)]
    fn run(&mut self, layout: Layout, groups: &[u32], acts: *const u32, out: &mut [f32], outputs: usize) {
        let pairs = self.weights.len();
        let group = layout.group(pairs);
        let found = groups.len() / group.max(1);
        if pairs == 0 || found == 0 {
            return;
        }
        let after_first = parts_after_first(pairs);
        let (ends, groups) = (self.weights.as_mut_ptr_range(), groups.as_ptr());
        let job = Job {
            entry: run as *const () as usize + entry(pairs),
            weights_end: ends.end.cast(),
            parts: if after_first == 0 { 0 } else { (1 + after_first) << 14 },
            weights: ends.start.cast(),
            out: out.as_mut_ptr(),
            stride: 4 * outputs,
            unused: [0; 2],
            fours: pairs / 2,
            limit: 4 * (outputs - 1),
            acts: acts.wrapping_add(2),
            groups,
            groups_end: groups.wrapping_add(found * group),
            side_by_side: (4 * outputs).checked_sub(4 * layout.channels()).map_or(0, |place| place | 3),
            layout,
        };
        // SAFETY: `run` reads `found` groups; it reads the rows in whole pairs up to their end, as `new` left them, as nothing
        // else writes to them but `start` to their sums: they name `weights`, which it writes and reads from end to end, and
        // places in itself. Of each pair's rows, whose outputs `out` has, it writes floats at offsets up to the last float of a
        // row, which it checks.
        unsafe { run(&job) }
    }
}

/// Where in [`run`] things lie, from its start in bytes: what a last row that stands for two goes through, the block, what
/// comes after the last row.
const ODD: usize = 4;
const PRODUCTS: usize = 16;
const NEXT: usize = PRODUCTS + PAIR_BYTES * BLOCK + 4;

/// Bytes of a pair of inputs in the block.
const PAIR_BYTES: usize = 44;

/// Where in [`run`] the first part of a row enters the block.
const fn entry(pairs: usize) -> usize {
    PRODUCTS + PAIR_BYTES * (BLOCK * (1 + parts_after_first(pairs)) - pairs)
}

// Registers: r2 from a pair to the next, r3 and r12 factors.
#[unsafe(naked)]
unsafe extern "C" fn run_start(_acts: *mut u32, _end: *mut u32, _bytes: usize, _factors: &[u32; 2]) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "ldrd r3, r12, [r3]",
        "2:",
        "ldrd r4, r6, [r0]",
        "mul r5, r4, r12",
        "mul r7, r6, r12",
        "mul r4, r4, r3",
        "mul r6, r6, r3",
        "strd r4, r5, [r0, #12]",
        "strd r4, r5, [r0, #20]",
        "strd r6, r7, [r0, #28]",
        "strd r6, r7, [r0, #36]",
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

/// As [`split`] after several parts, to sums of levels: `$all` holds `sum a`, `$excess` what the doubled low sums are too large
/// by, the low sums that were taken out lie at `$taken`.
macro_rules! split_parts {
    ($sum:literal, $all:literal, $excess:literal, $free:literal, $taken:literal, $low:literal, $high:literal) => {
        concat!(
            "ubfx r12, ",
            $sum,
            ", #0, #14\n",
            "ldrh ",
            $free,
            ", [sp, #",
            $taken,
            "]\n",
            "add r12, ",
            $free,
            "\n",
            "rsb r12, ",
            $excess,
            ", r12, lsl #1\n",
            "asr ",
            $sum,
            ", ",
            $sum,
            ", #14\n",
            "add ",
            $sum,
            ", ",
            $all,
            ", ",
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
            "vldmia r0!, {{s8-s13}}\n",
            convert!("", ", #7"),
            lanes!("vmul.f32", "s16", "s17", "s18", "s19", "s16", "s17", "s18", "s19"),
            lanes!("vmul.f32", "s8", "s8", "s8", "s8", "s9", "s9", "s9", "s9"),
            lanes!("vadd.f32", "s20", "s21", "s22", "s23", "s20", "s21", "s22", "s23"),
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

/// Two lanes to where their offsets say from r2 on.
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

/// Eight lanes of a row of twins whose outputs do not lie side by side, or that has parts.
macro_rules! scatter_twins {
    () => {
        concat!(
            "bcs 66f\n",
            "bmi 66f\n",
            "vstm r2, {{s0-s7}}\n",
            "b 67f\n",
            "66:\n",
            scatter!("80", "s0", "s1"),
            scatter!("88", "s2", "s3"),
            scatter!("96", "s4", "s5"),
            scatter!("104", "s6", "s7"),
            "67:\n",
        )
    };
}

/// Outputs of groups of channels of one width for all pairs of rows: four channels, or eight in twin streams. Stops before a
/// group with an offset beyond the limit.
///
/// A group is its channels' offsets, steps and biases, then its weights if they are packed. A pair of rows is its sums, then
/// what one load puts into registers: the streams, where its eight sums start, where to go on; then its inputs, scales and
/// parities. The end of the rows has no more than the first of these.
// Registers: r0 activations, r1 weights, r4-r7 sums of the first row, r8-r11 of the second, the rest passes through; behind the
// block r2 row of outputs, r3 stride. s16-s23 steps, s24-s31 biases, of four channels s16-s19 and s20-s23; s8-s9 scales. The
// condition flags pass through the block: ne where twins do not lie side by side (then cs) or have parts (cc; mi if not side by
// side). At sp lie: 0 out, 4 stride, 8 behind the block, 12 behind the last of several parts, of twins 0 side by side, else odd,
// 16 entry into the block, 20 end of the weights, 24 parts in 2^14, 28 weights, 32 out of the first row, 36 stride of twos, 40
// and 44 what goes to 8 and 12 side by side, 48 fours of inputs, 52 limit, 56 activations, 60 group, 64 end of the groups, 68
// limit side by side, 72 start of a group, 76 unpack, 80 offsets, 112 low sums taken out.
#[unsafe(naked)]
unsafe extern "C" fn run(_job: &Job) {
    naked_asm!(
        // The assembler does not take the features of the target over.
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "1:",
        "b.w 60f",
        // A last row that stands for two: both go to one place.
        ".org 1b + {odd}",
        "mov.w r2, #0",
        "str.w r2, [sp, #4]",
        "ldr.w pc, [sp, #16]",
        ".org 1b + {products}",
        "65:",
        ".rept {block}",
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
        "ldm.w sp, {{r2, r3, pc}}",
        ".org 1b + {next}",
        // The next group.
        "50:",
        "ldrd r0, r12, [sp, #60]",
        "cmp r0, r12",
        "beq 69f",
        "ldr pc, [sp, #72]",
        // Of four channels, side by side if the first offset is marked.
        ".p2align 2",
        "52:",
        "ldm r0!, {{r4-r7}}",
        "vldmia r0!, {{s16-s23}}",
        "add r2, sp, #28",
        "ldm r2, {{r1-r3, r8, r9, r12}}",
        "tst r4, #1",
        "beq 53f",
        "ldr r10, [sp, #68]",
        "cmp r4, r10",
        "bhi 69f",
        "bic r4, #3",
        "add r2, r4",
        "stm sp, {{r2, r3, r8, r9}}",
        "ldr pc, [sp, #76]",
        "53:",
        "stm sp, {{r2, r3, r8, r9}}",
        "ldr r10, [sp, #52]",
        "cmp r4, r10",
        "ittt ls",
        "cmpls r5, r10",
        "cmpls r6, r10",
        "cmpls r7, r10",
        "bhi 69f",
        "add r2, sp, #80",
        "stm r2, {{r4-r7}}",
        "adr.w r3, 71f + 1",
        "b 55f",
        // Of eight.
        ".p2align 2",
        "54:",
        "ldm r0!, {{r4-r11}}",
        "vldmia r0!, {{s16-s31}}",
        "tst r4, #1",
        "beq 57f",
        "ldr r12, [sp, #68]",
        "cmp r4, r12",
        "bhi 69f",
        "bic r4, #3",
        "add r2, sp, #28",
        "ldm r2, {{r1-r3, r8, r9, r12}}",
        "add r2, r4",
        "stm sp, {{r2, r3, r8, r9}}",
        "ldr pc, [sp, #76]",
        "57:",
        "ldr r12, [sp, #52]",
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
        "bhi 69f",
        "add r2, sp, #80",
        "stm r2, {{r4-r11}}",
        "add r2, sp, #28",
        "ldm r2, {{r1-r3, r8, r9, r12}}",
        "stm sp, {{r2, r3, r8, r9}}",
        "adr.w r3, 83f + 1",
        // With parts it goes to what comes behind the last one.
        "55:",
        "ldr r2, [sp, #24]",
        "cbnz r2, 58f",
        "str r3, [sp, #8]",
        "ldr pc, [sp, #76]",
        "58:",
        "str r3, [sp, #12]",
        "ldr pc, [sp, #76]",
        // Its streams are there: to the rows.
        ".p2align 2",
        "94:",
        "cmp r0, r0",
        "56:",
        "str r0, [sp, #60]",
        "ldr r0, [sp, #56]",
        "ldm r0!, {{r1, r4-r11, pc}}",
        "69:",
        "add sp, #128",
        "vpop {{s16-s31}}",
        "pop {{r4-r11, pc}}",
        "60:",
        "push {{r4-r11, lr}}",
        "vpush {{s16-s31}}",
        "sub sp, #128",
        "ldm r0!, {{r2-r12, lr}}",
        "add r1, sp, #16",
        "stm r1!, {{r2-r12, lr}}",
        "ldm r0, {{r2, r3, lr}}",
        "strd r2, r3, [r1]",
        "adr.w r3, 94b + 1",
        "cmp lr, #2",
        "blo 61f",
        "adr.w r3, 93f + 1",
        "beq 61f",
        "adr.w r3, 92f + 1",
        "cmp lr, #4",
        "beq 61f",
        "adr.w r3, 91f + 1",
        "61:",
        "sub lr, #1",
        "cmp lr, #2",
        "bhs 62f",
        "adr.w r2, 54b + 1",
        "adr.w r0, 72f + 1",
        "cbz r4, 63f",
        "adr.w r0, 74f + 1",
        "mov r4, #0",
        "strd r4, r4, [sp, #112]",
        "strd r4, r4, [sp, #120]",
        "b 63f",
        "62:",
        "adr.w r2, 52b + 1",
        "adr.w r0, 70f + 1",
        "cbz r4, 63f",
        "str r0, [sp, #44]",
        "adr.w r0, 64f + 1",
        "63:",
        "str r0, [sp, #40]",
        "strd r2, r3, [sp, #72]",
        "b.w 50b",
        // The end of a part. What lies before the next one is for twins.
        ".p2align 2",
        "64:",
        "ldr r12, [sp, #20]",
        "cmp r1, r12",
        "beq 66f",
        "add r0, #8",
        "b.w 65b",
        "66:",
        "ldr pc, [sp, #12]",
        ".p2align 2",
        "70:",
        plain_lanes!(),
        "vstm r2, {{s0-s3}}",
        "add r2, r3",
        "vstm r2, {{s4-s7}}",
        "add r2, r3",
        "str r2, [sp]",
        "ldm r0!, {{r1, r4-r11, pc}}",
        ".p2align 2",
        "71:",
        plain_lanes!(),
        scatter!("80", "s0", "s1"),
        scatter!("88", "s2", "s3"),
        "add r2, r3",
        scatter!("80", "s4", "s5"),
        scatter!("88", "s6", "s7"),
        "add r2, r3",
        "str r2, [sp]",
        "ldm r0!, {{r1, r4-r11, pc}}",
        ".p2align 2",
        "74:",
        "ldr r12, [sp, #20]",
        "cmp r1, r12",
        "beq 77f",
        "ldrd r2, r3, [r0], #8",
        take_out!("r4", "r5", "r2", "112"),
        take_out!("r6", "r7", "r2", "116"),
        take_out!("r8", "r9", "r3", "120"),
        take_out!("r10", "r11", "r3", "124"),
        "b.w 65b",
        // Twins: the first row, then the second.
        ".p2align 2",
        "83:",
        "cmp r0, #0",
        ".p2align 2",
        "72:",
        "vldmia r0!, {{s8-s9}}",
        "ldrd r1, lr, [r0], #16",
        split!("r4", "r1", "s0", "s1"),
        split!("r5", "r1", "s2", "s3"),
        split!("r6", "r1", "s4", "s5"),
        split!("r7", "r1", "s6", "s7"),
        convert!(", #17", ", #13"),
        "75:",
        twin_lanes!("s8"),
        "bne 81f",
        "vstm r2, {{s0-s7}}",
        "79:",
        "add r2, r3",
        split!("r8", "lr", "s0", "s1"),
        split!("r9", "lr", "s2", "s3"),
        split!("r10", "lr", "s4", "s5"),
        split!("r11", "lr", "s6", "s7"),
        convert!(", #17", ", #13"),
        "76:",
        twin_lanes!("s9"),
        "bne 82f",
        "vstm r2, {{s0-s7}}",
        "89:",
        "add r2, r3",
        "str r2, [sp]",
        "ldm r0!, {{r1, r4-r11, pc}}",
        // Rows of several parts, which have sums in place of parities.
        "77:",
        "vldmia r0!, {{s8-s9}}",
        "ldrd r1, lr, [r0], #16",
        "ldr r3, [sp, #24]",
        "and r12, r1, #1",
        "add r3, r12",
        split_parts!("r4", "r1", "r3", "r2", "112", "s0", "s1"),
        split_parts!("r5", "r1", "r3", "r2", "114", "s2", "s3"),
        split_parts!("r6", "r1", "r3", "r2", "116", "s4", "s5"),
        split_parts!("r7", "r1", "r3", "r2", "118", "s6", "s7"),
        convert!("", ""),
        "ldr r2, [sp, #12]",
        "lsls r2, r2, #31",
        "msr APSR_nzcvq, r2",
        "ldrd r2, r3, [sp]",
        "b 75b",
        "81:",
        scatter_twins!(),
        "bcs 79b",
        "add r2, r3",
        "ldr r4, [sp, #24]",
        "and r12, lr, #1",
        "add r4, r12",
        split_parts!("r8", "lr", "r4", "r5", "120", "s0", "s1"),
        split_parts!("r9", "lr", "r4", "r5", "122", "s2", "s3"),
        split_parts!("r10", "lr", "r4", "r5", "124", "s4", "s5"),
        split_parts!("r11", "lr", "r4", "r5", "126", "s6", "s7"),
        "mov r4, #0",
        "strd r4, r4, [sp, #112]",
        "strd r4, r4, [sp, #120]",
        convert!("", ""),
        "b 76b",
        "82:",
        scatter_twins!(),
        "b 89b",
        // Streams of a packed group of 8 bits: r0 codes, r1 streams, r12 fours of inputs. The loops end with eq, cs.
        ".p2align 2",
        "91:",
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
        "b 56b",
        // Of 4 bits.
        ".p2align 2",
        "92:",
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
        "b.w 56b",
        // Of 2 bits, as twins.
        ".p2align 2",
        "93:",
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
        "b.w 56b",
        block = const BLOCK,
        odd = const ODD,
        products = const PRODUCTS,
        next = const NEXT,
    )
}
