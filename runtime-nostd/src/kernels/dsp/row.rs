//! One row by all channels: the row is widened once, and each width has a loop of its own over its packed groups.
//!
//! A half of a packed word holds several channels. Multiplied whole, and again without its top channel, and so on, it
//! gives sums whose differences are the channels' own, shifted; `vcvt` takes the shift back, and one place more for a sum of
//! `2 q`. The first channel's, which is not shifted, is doubled. Sums start where they end as sums of levels.

use core::arch::naked_asm;
use core::ptr::null;

use bytemuck::cast_slice_mut;
use chord_plan::bundle::LayerView;
use chord_plan::manifest::Layer;
use chord_plan::numerics::step;

use super::super::packed::{SIGNS, runs};
use super::super::{pairs, word};
use super::instructions::{sxtb16, sxtb16_ror8, usada8};
use super::tile::{convert, lanes, split};
use super::widen::{TWIN_LIMIT, parity, twin_start};
use crate::Widths;
use crate::span::copy;

/// A widened row.
pub(super) struct WideRow<'w> {
    /// Pairs of inputs, behind two that are 0 where fours do not come in twos.
    row: &'w [u32],
    /// Words of the zeros.
    zeros: usize,
    scale: f32,
    sum: i32,
    /// `sum |a|`.
    magnitude: u32,
}

/// Inputs in an unrolled block, two steps of eight.
const BLOCK: usize = 2;

impl<'w> WideRow<'w> {
    /// Largest `sum |a|` of a row whose differences of sums fit: `2^8 * 255 sum |a| < 2^31`.
    const LIMIT: u32 = 32767;

    /// Words that a row of this many inputs takes.
    pub(super) const fn words(inputs: usize) -> usize {
        pairs(inputs).next_multiple_of(4)
    }

    /// Widens a row into `memory`; `None` if that is too small, or the sums too large.
    pub(super) fn new(token: &[i8], scale: f32, memory: &'w mut [u32]) -> Option<Self> {
        let words = Self::words(token.len());
        let zeros = words - pairs(token.len());
        let row = memory.get_mut(..words)?;
        row.iter_mut().take(zeros).for_each(|pair| *pair = 0);
        let (sum, magnitude) = widen(token, row.get_mut(zeros..)?);
        (magnitude <= Self::LIMIT).then_some(Self { row, zeros, scale, sum, magnitude })
    }

    /// The outputs of a packed layer of as many inputs, up to a group that has an offset beyond `out`.
    pub(super) fn multiply(&self, packed: &[u32], out: &mut [f32]) {
        let (runs, constants) = runs(2 * (self.row.len() - self.zeros), packed);
        for &[channel, bias] in constants {
            out.get_mut(channel as usize).into_iter().for_each(|y| *y = f32::from_bits(bias));
        }
        let Some(last) = size_of_val(out).checked_sub(4) else { return };
        if self.row.is_empty() {
            return;
        }
        let steps = self.row.len() / 4;
        let (sum, ends) = (self.sum as u32, self.row.as_ptr_range());
        // A mark is the lowest bit; four or eight floats that are too many are none.
        let side_by_side = |floats: usize| (last + 4).checked_sub(4 * floats).map_or(0, |place| place | 3);
        let groups = runs.map(|run| {
            let ends = run.words.as_ptr_range();
            [ends.start, ends.end]
        });
        let mut job = Job {
            last_four: side_by_side(4),
            out: out.as_mut_ptr().cast(),
            last_eight: side_by_side(8),
            last,
            sum,
            stop: ends.end,
            low: parity(sum),
            carries: null(),
            odd: steps % BLOCK,
            zeros: self.zeros,
            twin_start: twin_start(sum),
            first_stop: ends.end,
            row: ends.start,
            groups,
        };
        if self.magnitude as usize > TWIN_LIMIT {
            // The low sum of a block, 16 inputs, lies within 3 * 16 * 127 of 0.
            job.twin_start = 1 << 13;
            let blocks = steps.div_ceil(BLOCK) as u32;
            job.low = 0u32.wrapping_sub(sum.wrapping_mul(3)).wrapping_sub(blocks << 14);
            job.carries = ends.end;
            job.first_stop = ends.start.wrapping_add(4 * ((steps - 1) % BLOCK + 1));
        }
        // SAFETY: reads the groups, of which the runs have whole ones with as many weights as the row has inputs, and for each
        // group the row from end to end; it writes to offsets in `out` up to its `last` float only.
        unsafe { run(&job, self.scale) }
    }

    /// The outputs of a layer that is read in place, one channel after another. `false`, and nothing done, if a channel has
    /// a range for each width, or the buffers do not fit together. `memory` is as long as the row.
    pub(super) fn in_place(
        &self,
        layer: &LayerView<'_>,
        widths: Widths<'_>,
        memory: &mut [u32],
        out: &mut [f32],
    ) -> bool {
        let (&Layer { inputs, outputs, .. }, codes) = (layer.layer(), layer.all_codes());
        let row = self.row.get(self.zeros..).unwrap_or_default();
        let (fours, Some([ranges, biases])) = (row.len() / 2, layer.per_channel()) else {
            return false;
        };
        let (Some(plan), Some(bytes)) = (widths.bytes(outputs), cast_slice_mut(memory).get_mut(..4 * fours))
        else {
            return false;
        };
        let fit = [codes.len() == inputs * outputs, inputs.div_ceil(4) == fours];
        if outputs == 0 || ![ranges, biases, out].iter().all(|x| x.len() == outputs) || fit.contains(&false) {
            return false;
        }
        // The row goes on with zeros: what a channel's last word has of the next one does not matter. The last channel
        // has none.
        let last = codes.get(inputs * (outputs - 1)..).unwrap_or_default();
        let ends_in_words = 4 * fours == inputs;
        let mut channels = Channels {
            place: plan.first,
            codes: codes.as_ptr(),
            ranges: ranges.as_ptr(),
            biases: biases.as_ptr(),
            out: out.as_mut_ptr(),
            left: if ends_in_words { outputs } else { outputs - 1 },
            // Where all codes have one width any bytes will do, and a layer has more than its plan.
            plan: if plan.bytes.is_empty() { codes.as_ptr().cast() } else { plan.bytes.as_ptr() },
            stride: inputs,
            row: row.as_ptr(),
            end: row.as_ptr_range().end,
            sixteens: fours / 4,
            fours: fours % 4,
            sum: self.sum,
            scale: self.scale,
            widths: plan.widths.map(Cut::to),
        };
        if channels.left > 0 {
            // SAFETY: reads a code of `plan` for each channel and its number in `ranges` and `biases`, all of the row and
            // as many words of codes, of the last channel no more than the layer has; writes `left` floats of `out`.
            unsafe { in_place(&mut channels) };
        }
        if !ends_in_words {
            copy(last, bytes);
            (channels.codes, channels.left) = (bytes.as_ptr(), 1);
            // SAFETY: as above, the channel's codes in memory of their own.
            unsafe { in_place(&mut channels) };
        }
        true
    }
}

/// Widens a token; returns its sum and the sum of its magnitudes.
#[inline(never)]
fn widen(token: &[i8], row: &mut [u32]) -> (i32, u32) {
    let (row, _) = row.as_chunks_mut::<2>();
    let fours = (token.len() / 4).min(row.len());
    let (mut sum, mut magnitude) = (0, 0);
    if fours > 0 {
        // SAFETY: reads that many words of the token, at any alignment, and writes as many twos of the row.
        let both = unsafe { run_widen(token.as_ptr(), row.as_mut_ptr(), fours) };
        (sum, magnitude) = (both as u32, (both >> 32) as u32);
    }
    if let Some(pairs) = row.get_mut(fours) {
        let word = word(token, fours);
        *pairs = [sxtb16(word), sxtb16_ror8(word)];
        sum = usada8(word ^ SIGNS, 0, sum);
        magnitude = usada8(word ^ SIGNS, SIGNS, magnitude);
    }
    (sum as i32 - 4 * 128 * row.len() as i32, magnitude)
}

/// The sum of the codes plus 128 in the low half, that of the magnitudes in the high half of the result.
// Registers: r3 and r4 sums, r5 codes, r6 and r7 pairs, r12 signs, lr zero.
#[unsafe(naked)]
unsafe extern "C" fn run_widen(_token: *const i8, _row: *mut [u32; 2], _fours: usize) -> u64 {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r4-r7, lr}}",
        "movs r3, #0",
        "movs r4, #0",
        "mov r12, #0x80808080",
        "mov lr, #0",
        "2:",
        "ldr r5, [r0], #4",
        "sxtb16 r6, r5",
        "sxtb16 r7, r5, ror #8",
        "eor r5, r12",
        "stm r1!, {{r6, r7}}",
        "usada8 r3, r5, lr, r3",
        "usada8 r4, r5, r12, r4",
        "subs r2, #1",
        "bne 2b",
        "mov r0, r3",
        "mov r1, r4",
        "pop {{r4-r7, pc}}",
    )
}

/// What [`run`] reads, most of which is part of its frame; the assembly knows the order.
#[repr(C)]
struct Job {
    /// Largest offsets in `out` of four floats side by side, with the mark of a group and its unused neighbour.
    last_four: usize,
    out: *mut u8,
    /// As `last_four`, of eight, and of a float.
    last_eight: usize,
    last: usize,
    sum: u32,
    /// Where the loop is left.
    stop: *const u32,
    /// What a low twin sum is corrected with.
    low: u32,
    /// Where the row ends if low twin sums are taken out after each block; else null.
    carries: *const u32,
    /// 1 if the first pass through the block takes one step.
    odd: usize,
    /// Words of zeros that the row starts with: they meet what lies before a group's weights.
    zeros: usize,
    twin_start: u32,
    /// As `stop`, of the first pass of twins.
    first_stop: *const u32,
    row: *const u32,
    /// From end to end, of 8, 4 and 2 bits.
    groups: [[*const u32; 2]; 3],
}

/// Starts a run: r1 its first group, r3 its end, r2 the mask. The loop is `$bytes` a step, what the zeros meet `$back`.
macro_rules! enter {
    ($bytes:literal, $back:literal) => {
        concat!(
            "str r3, [sp, #96]\n",
            "ldrd r5, r6, [sp, #60]\n",
            "mov r7, #",
            $bytes,
            "\n",
            "adr.w r4, 65f + 1\n",
            "mla r4, r5, r7, r4\n",
            "cbz r6, 61f\n",
            "mov r6, #",
            $back,
            "\n",
            "strd r4, r6, [sp, #108]\n",
            "adr.w r4, 64f + 1\n",
            "61:\n",
            "strd r2, r4, [sp, #20]\n",
        )
    };
}

/// A group of four channels: its numbers to s8-s19, then r0 is the row, r1 weights, r4-r7 sums.
macro_rules! group {
    ($numbers:literal) => {
        concat!(
            "62:\n",
            "vldmia r1!, {{",
            $numbers,
            "}}\n",
            "ldm.w sp, {{r0, r4-r7, r12, pc}}\n",
            ".p2align 2\n",
            "65:\n",
        )
    };
}

/// The end of a block.
macro_rules! again {
    () => {
        concat!("ldr r8, [sp, #48]\n", "cmp r0, r8\n", "bne.w 65b\n")
    };
}

/// The first sum as one of levels, then `(f32(t) * g) * s + bias` of four lanes, the sums in r4-r7, shifted, the scale in s4.
macro_rules! four_lanes {
    ($differences:literal, $shifts:literal) => {
        concat!(
            "ldrd r8, r9, [sp, #92]\n",
            $differences,
            "add r4, r8, r4, lsl #1\n",
            "vmov s0, s1, r4, r5\n",
            "vmov s2, s3, r6, r7\n",
            "vmov r4, s8\n",
            "ldrd r3, r2, [sp, #28]\n",
            $shifts,
            "vmul.f32 s0, s0, s12\n",
            "vmul.f32 s1, s1, s13\n",
            "vmul.f32 s2, s2, s14\n",
            "vmul.f32 s3, s3, s15\n",
            "vmul.f32 s0, s0, s4\n",
            "vmul.f32 s1, s1, s4\n",
            "vmul.f32 s2, s2, s4\n",
            "vmul.f32 s3, s3, s4\n",
            "vadd.f32 s0, s0, s16\n",
            "vadd.f32 s1, s1, s17\n",
            "vadd.f32 s2, s2, s18\n",
            "vadd.f32 s3, s3, s19\n",
        )
    };
}

/// Lanes to the offset in r4 if it is marked: r2 is the row of outputs, r3 the largest offset, r9 where the groups end.
macro_rules! store {
    ($lanes:literal, $scattered:literal, $stored:literal) => {
        concat!(
            "tst r4, #1\n",
            "beq.w ",
            $scattered,
            "\n",
            "cmp r4, r3\n",
            "bhi.w 67f\n",
            "bic r4, #3\n",
            "add r2, r4\n",
            "vstm r2, {{",
            $lanes,
            "}}\n",
            $stored,
            ":\n",
            "cmp r1, r9\n",
            "bne.w 62b\n",
        )
    };
}

/// Four lanes to the offsets in r4-r7; r2 is the row, r3 the largest offset. Ends all runs where one is beyond.
macro_rules! scatter {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "cmp r4, r3\n",
            "ittt ls\n",
            "cmpls r5, r3\n",
            "cmpls r6, r3\n",
            "cmpls r7, r3\n",
            "bhi 67b\n",
            "vmov r10, r11, ",
            $a,
            ", ",
            $b,
            "\n",
            "str r10, [r2, r4]\n",
            "str r11, [r2, r5]\n",
            "vmov r10, r11, ",
            $c,
            ", ",
            $d,
            "\n",
            "str r10, [r2, r6]\n",
            "str r11, [r2, r7]\n",
        )
    };
}

/// The products of a word of two channels of 8 bits.
macro_rules! eights {
    ($word:literal, $acts:literal, $low:literal, $both:literal) => {
        concat!(
            "smlad ", $both, ", ", $word, ", ", $acts, ", ", $both, "\n", "uxtb16 ", $word, ", ", $word,
            "\n", "smlad ", $low, ", ", $word, ", ", $acts, ", ", $low, "\n",
        )
    };
}

/// The products of a word of four channels of 4 bits.
macro_rules! fours {
    ($word:literal, $acts:literal) => {
        concat!(
            "smlad r7, ",
            $word,
            ", ",
            $acts,
            ", r7\n",
            "bic.w ",
            $word,
            ", ",
            $word,
            ", #0xf000f000\n",
            "smlad r6, ",
            $word,
            ", ",
            $acts,
            ", r6\n",
            "uxtb16 ",
            $word,
            ", ",
            $word,
            "\n",
            "smlad r5, ",
            $word,
            ", ",
            $acts,
            ", r5\n",
            "and.w ",
            $word,
            ", ",
            $word,
            ", #0x000f000f\n",
            "smlad r4, ",
            $word,
            ", ",
            $acts,
            ", r4\n",
        )
    };
}

/// The products of a word of twins; r12 is the mask.
macro_rules! twins {
    ($word:literal, $acts:literal) => {
        concat!(
            "and.w lr, r12, ",
            $word,
            "\nsmlad r4, lr, ",
            $acts,
            ", r4\n",
            "and.w lr, r12, ",
            $word,
            ", ror #4\nsmlad r5, lr, ",
            $acts,
            ", r5\n",
            "and.w lr, r12, ",
            $word,
            ", ror #8\nsmlad r6, lr, ",
            $acts,
            ", r6\n",
            "and.w lr, r12, ",
            $word,
            ", ror #12\nsmlad r7, lr, ",
            $acts,
            ", r7\n",
        )
    };
}

/// Two lanes out of a twin sum from which low sums were taken out, `$taken`: r2 and r3 hold the row's constants.
macro_rules! split_taken {
    ($sum:literal, $taken:literal, $low:literal, $high:literal) => {
        concat!(
            "ubfx r12, ",
            $sum,
            ", #0, #14\n",
            "add r12, ",
            $taken,
            "\n",
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

/// Takes a low sum out to `$taken`; it starts in the middle of its bits again.
macro_rules! take_out {
    ($sum:literal, $taken:literal) => {
        concat!(
            "ubfx r10, ",
            $sum,
            ", #0, #14\n",
            "add ",
            $taken,
            ", r10\n",
            "bfi ",
            $sum,
            ", r11, #0, #14\n",
        )
    };
}

/// The outputs of all groups, width by width, up to one with an offset beyond the last float.
// Registers of the loops: r0 row, r1 weights, r2, r3, r12 and lr four pairs of the row, r4-r7 sums, r8-r11 words of weights. At
// sp lie: 0 row, 4 starts, 20 mask of twins, 24 entry into the block, from 28 on the job without the row, 76 low sums taken
// out, 92 what the first sum of levels lacks, 96 end of the groups, 100 scale, 104 groups of the job, 108 entry behind the
// zeros, 112 what they meet, in bytes.
#[unsafe(naked)]
unsafe extern "C" fn run(_job: &Job, _scale: f32) {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r4-r11, lr}}",
        "vpush {{s16-s31}}",
        "sub sp, #116",
        "ldm r0!, {{r2-r12, lr}}",
        "add r1, sp, #28",
        "stm r1, {{r2-r12, lr}}",
        "vmov.f32 s4, s0",
        "vstr s0, [sp, #100]",
        "ldr r1, [r0], #4",
        "str r1, [sp]",
        "str r0, [sp, #104]",
        "ldrd r1, r3, [r0]",
        "cmp r1, r3",
        "beq.w 40f",
        // Of 8 bits.
        "lsl r5, r6, #7",
        "movs r4, #0",
        "strd r4, r5, [sp, #4]",
        "strd r4, r5, [sp, #12]",
        "sub r6, r6, r6, lsl #8",
        "str r6, [sp, #92]",
        enter!("108", "16"),
        group!("s8-s19"),
        ".rept 2",
        "ldm.w r0!, {{r2, r3, r12, lr}}",
        "ldm.w r1!, {{r8-r11}}",
        eights!("r8", "r2", "r4", "r5"),
        eights!("r9", "r2", "r6", "r7"),
        eights!("r10", "r3", "r4", "r5"),
        eights!("r11", "r3", "r6", "r7"),
        "ldm.w r1!, {{r8-r11}}",
        eights!("r8", "r12", "r4", "r5"),
        eights!("r9", "r12", "r6", "r7"),
        eights!("r10", "lr", "r4", "r5"),
        eights!("r11", "lr", "r6", "r7"),
        ".endr",
        again!(),
        four_lanes!(
            "sub r5, r4\nsub r7, r6\nadd r6, r8, r6, lsl #1\n",
            "vcvt.f32.s32 s0, s0\nvcvt.f32.s32 s1, s1, #7\nvcvt.f32.s32 s2, s2\nvcvt.f32.s32 s3, s3, #7\n"
        ),
        store!("s0-s3", "81f", "82"),
        // Of 4 bits.
        "40:",
        "ldr r0, [sp, #104]",
        "ldrd r1, r3, [r0, #8]",
        "cmp r1, r3",
        "beq.w 20f",
        "ldr r7, [sp, #44]",
        "movs r4, #0",
        "sub r5, r7, r7, lsl #4",
        "str r5, [sp, #92]",
        "sub r6, r7, r7, lsl #8",
        "lsls r5, r5, #3",
        "lsls r6, r6, #3",
        "lsls r7, r7, #3",
        "add r2, sp, #4",
        "stm r2, {{r4-r7}}",
        enter!("120", "8"),
        group!("s8-s19"),
        ".rept 2",
        "ldm.w r0!, {{r2, r3, r12, lr}}",
        "ldm.w r1!, {{r8-r11}}",
        fours!("r8", "r2"),
        fours!("r9", "r3"),
        fours!("r10", "r12"),
        fours!("r11", "lr"),
        ".endr",
        again!(),
        four_lanes!(
            "sub r7, r6\nsub r6, r5\nsub r5, r4\n",
            "vcvt.f32.s32 s0, s0\nvcvt.f32.s32 s1, s1, #3\nvcvt.f32.s32 s2, s2, #7\nvcvt.f32.s32 s3, s3, #11\n"
        ),
        store!("s0-s3", "41f", "42"),
        // Of 2 bits.
        "20:",
        "ldr r0, [sp, #104]",
        "ldrd r1, r3, [r0, #16]",
        "cmp r1, r3",
        "beq.w 67f",
        "ldrd r4, r5, [sp, #68]",
        "strd r4, r4, [sp, #4]",
        "strd r4, r4, [sp, #12]",
        "str r5, [sp, #48]",
        "movs r4, #0",
        "strd r4, r4, [sp, #76]",
        "strd r4, r4, [sp, #84]",
        "movw r2, #0xc003",
        "movt r2, #0xc003",
        enter!("140", "8"),
        group!("s8-s31"),
        ".rept 2",
        "ldm.w r0!, {{r2, r3, r10, r11}}",
        "ldrd r8, r9, [r1], #8",
        twins!("r8", "r2"),
        twins!("r9", "r3"),
        "ldrd r8, r9, [r1], #8",
        twins!("r8", "r10"),
        twins!("r9", "r11"),
        ".endr",
        again!(),
        "ldrd r2, r3, [sp, #52]",
        "cmp r3, #0",
        "bne.w 72f",
        split!("r4", "r2", "s0", "s1"),
        split!("r5", "r2", "s2", "s3"),
        split!("r6", "r2", "s4", "s5"),
        split!("r7", "r2", "s6", "s7"),
        convert!(", #17", ", #13"),
        "73:",
        // The first offset's place is the scale's.
        "vmov r4, s8",
        "vldr s8, [sp, #100]",
        "ldrd r2, r3, [sp, #32]",
        "ldr r9, [sp, #96]",
        lanes!("vmul.f32", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23"),
        lanes!("vmul.f32", "s8", "s8", "s8", "s8", "s8", "s8", "s8", "s8"),
        lanes!("vadd.f32", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31"),
        store!("s0-s7", "21f", "22"),
        "67:",
        "add sp, #116",
        "vpop {{s16-s31}}",
        "pop {{r4-r11, pc}}",
        // The row starts with zeros.
        ".p2align 2",
        "64:",
        "ldrd r2, r3, [sp, #108]",
        "subs r1, r1, r3",
        "bx r2",
        // Outputs that do not lie side by side.
        "81:",
        "bl 99f",
        "b.w 82b",
        "41:",
        "bl 99f",
        "b.w 42b",
        "21:",
        "bl 99f",
        "vmov r4, r5, s12, s13",
        "vmov r6, r7, s14, s15",
        scatter!("s4", "s5", "s6", "s7"),
        "b.w 22b",
        "99:",
        "vmov r5, s9",
        "vmov r6, r7, s10, s11",
        "ldr r3, [sp, #40]",
        scatter!("s0", "s1", "s2", "s3"),
        "bx lr",
        // Low twin sums leave after each block.
        "72:",
        "cmp r0, r3",
        "beq 74f",
        "add lr, sp, #76",
        "ldm lr, {{r2, r3, r8, r9}}",
        "mov r11, #0x2000",
        take_out!("r4", "r2"),
        take_out!("r5", "r3"),
        take_out!("r6", "r8"),
        take_out!("r7", "r9"),
        "stm lr, {{r2, r3, r8, r9}}",
        "ldr r2, [sp, #48]",
        "adds r2, #32",
        "str r2, [sp, #48]",
        "b.w 65b",
        "74:",
        "ldr lr, [sp, #72]",
        "str lr, [sp, #48]",
        "ldr r3, [sp, #44]",
        "add lr, sp, #76",
        "ldm lr, {{r8-r11}}",
        split_taken!("r4", "r8", "s0", "s1"),
        split_taken!("r5", "r9", "s2", "s3"),
        split_taken!("r6", "r10", "s4", "s5"),
        split_taken!("r7", "r11", "s6", "s7"),
        convert!("", ""),
        "mov r2, #0",
        "strd r2, r2, [sp, #76]",
        "strd r2, r2, [sp, #84]",
        "b.w 73b",
    )
}

/// What [`in_place`] reads; the assembly knows the order. The first six go on from channel to channel.
#[repr(C)]
struct Channels {
    place: usize,
    codes: *const i8,
    ranges: *const f32,
    biases: *const f32,
    out: *mut f32,
    left: usize,
    plan: *const u8,
    stride: usize,
    row: *const u32,
    end: *const u32,
    /// Blocks of sixteen inputs, and words of four that come before them.
    sixteens: usize,
    fours: usize,
    sum: i32,
    scale: f32,
    /// For each code of the plan.
    widths: [Cut; 4],
}

/// How codes are cut to a width.
#[derive(Clone, Copy)]
#[repr(C)]
struct Cut {
    /// From a sum of codes at the tops of halves to one of `2 q`.
    shift: u32,
    /// From a range to a step.
    step: f32,
    /// 0 at 0 bits.
    mask: u32,
    unused: u32,
}

impl Cut {
    fn to(bits: u8) -> Self {
        let bits = bits.min(8);
        let mask = 0xff00_ff00 << (8 - bits) & 0xff00_ff00;
        Self {
            shift: u32::from(15 - bits),
            step: step(1.0, bits),
            mask: if bits == 0 { 0 } else { mask },
            unused: 0,
        }
    }
}

/// Two words of the row, `$a` and `$b`, by one of the codes.
macro_rules! four {
    ($a:literal, $b:literal) => {
        concat!(
            "ldr r2, [r1], #4\n",
            "and.w r3, r12, r2, lsl #8\n",
            "smlad lr, r3, ",
            $a,
            ", lr\n",
            "and.w r2, r12, r2\n",
            "smlad lr, r2, ",
            $b,
            ", lr\n",
        )
    };
}

// A word's bytes 1 and 3 are the tops of its halves, and so are 0 and 2 once it is shifted. Registers of the loops: r0 and
// r4-r11 the row, r1 codes, r12 mask, lr sum; s0 scale, s1 what makes a step. At sp lie the channels, the row's end, the
// shift.
#[unsafe(naked)]
unsafe extern "C" fn in_place(_channels: &mut Channels) {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r4-r11, lr}}",
        "sub sp, #12",
        "ldr r1, [r0, #36]",
        "strd r0, r1, [sp]",
        "vldr s0, [r0, #52]",
        "2:",
        "ldr r2, [sp]",
        "ldrd r4, r1, [r2]",
        "ldrd r6, r7, [r2, #24]",
        "lsrs r5, r4, #2",
        "ldrb r5, [r6, r5]",
        "and r3, r4, #3",
        "lsls r3, #1",
        "lsrs r5, r3",
        "and r5, #3",
        "adds r4, #1",
        "adds r7, r1",
        "strd r4, r7, [r2]",
        "add r3, r2, #56",
        "add r3, r3, r5, lsl #4",
        "ldm r3, {{r6, r7, r12}}",
        "cmp r12, #0",
        "beq 7f",
        "str r6, [sp, #8]",
        "vmov s1, r7",
        "ldr r0, [r2, #32]",
        "ldrd r5, r4, [r2, #40]",
        "mov lr, #0",
        "cbz r4, 4f",
        "3:",
        "ldrd r6, r7, [r0], #8",
        four!("r6", "r7"),
        "subs r4, #1",
        "bne 3b",
        "4:",
        "lsrs r5, #1",
        "bcs 6f",
        "beq 65f",
        "5:",
        "ldm r0!, {{r4-r11}}",
        four!("r4", "r5"),
        four!("r6", "r7"),
        four!("r8", "r9"),
        four!("r10", "r11"),
        "6:",
        "ldm r0!, {{r4-r11}}",
        four!("r4", "r5"),
        four!("r6", "r7"),
        four!("r8", "r9"),
        four!("r10", "r11"),
        "ldr r2, [sp, #4]",
        "cmp r0, r2",
        "bne 5b",
        "65:",
        "ldr r2, [sp]",
        "ldr r6, [sp, #8]",
        "ldr r3, [r2, #48]",
        "asr lr, r6",
        "add lr, r3",
        "vmov s2, lr",
        "vcvt.f32.s32 s2, s2",
        "add r7, r2, #8",
        "ldm r7, {{r3-r6}}",
        "vldmia r3!, {{s3}}",
        "vldmia r4!, {{s4}}",
        "vmul.f32 s3, s3, s1",
        "vmul.f32 s2, s2, s3",
        "vmul.f32 s2, s2, s0",
        "vadd.f32 s2, s2, s4",
        "66:",
        "vstmia r5!, {{s2}}",
        "subs r6, #1",
        "stm r7, {{r3-r6}}",
        "bne 2b",
        "add sp, #12",
        "pop {{r4-r11, pc}}",
        // No bits: the bias alone.
        "7:",
        "add r7, r2, #8",
        "ldm r7, {{r3-r6}}",
        "adds r3, #4",
        "vldmia r4!, {{s2}}",
        "b 66b",
    )
}
