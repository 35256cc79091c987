//! One row by all channels: the row is widened once, and each width has a loop of its own over its packed groups.
//!
//! A half of a packed word holds several channels. Multiplied whole, and again without its top channel, and so on, it
//! gives sums whose differences are the channels' own, shifted; `vcvt` takes the shift back. The row is doubled for
//! these, so that they are sums of `a * 2 q` and start where they end as sums of levels.

use core::arch::naked_asm;
use core::ptr::null;

use bytemuck::cast_slice_mut;
use chord_plan::bundle::LayerView;
use chord_plan::manifest::Layer;
use chord_plan::numerics::step;

use super::super::packed::{Run, SIGNS};
use super::super::{pairs, word};
use super::instructions::{sxtb16, sxtb16_ror8, usada8};
use super::tile::{convert, lanes, split};
use super::widen::{TWIN_LIMIT, parity, twin_start};
use crate::Widths;
use crate::span::copy;

/// A widened row.
pub(super) struct WideRow<'w> {
    /// Pairs of inputs, behind four that are 0 where fours do not come in twos.
    plain: &'w [u32],
    /// Twice that.
    doubled: &'w [u32],
    /// Words of the zeros.
    zeros: usize,
    scale: f32,
    sum: i32,
    /// `sum |a|`.
    magnitude: u32,
}

/// Twos of fours of inputs in an unrolled block.
const BLOCK: usize = 2;

impl<'w> WideRow<'w> {
    /// Largest `sum |a|` of a row whose differences of sums fit: `2^8 * 255 sum |a| < 2^31`.
    const LIMIT: u32 = 32767;

    /// Words that a row of this many inputs takes.
    pub(super) const fn words(inputs: usize) -> usize {
        2 * pairs(inputs).next_multiple_of(4)
    }

    /// Widens a row into `memory`; `None` if that is too small, or the sums too large.
    pub(super) fn new(token: &[i8], scale: f32, memory: &'w mut [u32]) -> Option<Self> {
        let words = Self::words(token.len());
        let zeros = words / 2 - pairs(token.len());
        let (plain, doubled) = memory.get_mut(..words)?.split_at_mut_checked(words / 2)?;
        plain.iter_mut().zip(&mut *doubled).take(zeros).for_each(|(a, b)| (*a, *b) = (0, 0));
        let (sum, magnitude) = widen(token, plain.get_mut(zeros..)?, doubled.get_mut(zeros..)?);
        (magnitude <= Self::LIMIT).then_some(Self { plain, doubled, zeros, scale, sum, magnitude })
    }

    /// The outputs of a run of packed groups, up to one that has an offset beyond `out`.
    pub(super) fn multiply(&self, run: Run<'_>, out: &mut [f32]) {
        let pairs = self.plain.len() - self.zeros;
        let Some(last) = size_of_val(out).checked_sub(4) else { return };
        let [group, weights] = run.group;
        let count = run.words.len() / group.max(1);
        // Packed for this many inputs.
        let fits = weights == pairs * if run.bits == 8 { 2 } else { 1 };
        if count == 0 || pairs == 0 || !fits {
            return;
        }
        let twos = self.plain.len() / 4;
        let first = (twos - 1) % BLOCK + 1;
        let sum = self.sum as u32;
        // Differences of neighbours are 1, 2^4, 2^8 and 2^12 times the channels' starts.
        let starts = match run.bits {
            8 => {
                let even = sum.wrapping_mul(0u32.wrapping_sub(255));
                let odd = even.wrapping_add(sum << 8);
                [even, odd, even, odd]
            }
            4 => {
                let start = sum.wrapping_mul(0u32.wrapping_sub(15));
                let second = start.wrapping_add(start << 4);
                let third = second.wrapping_add(start << 8);
                [start, second, third, third.wrapping_add(sum << 12)]
            }
            _ => [twin_start(sum); 4],
        };
        let groups = run.words.as_ptr_range();
        // The zeros meet what lies before the weights.
        let numbers = 4 * (group - weights);
        let acts = if run.bits == 2 { self.plain } else { self.doubled }.as_ptr_range();
        let mut frame = Frame {
            out: out.as_mut_ptr().cast(),
            last,
            acts: acts.start,
            starts,
            mask: 0xc003_c003,
            first,
            stop: acts.end,
            groups_end: groups.start.wrapping_add(count * group),
            numbers: numbers - self.zeros * if run.bits == 8 { 8 } else { 4 },
            low: parity(sum),
            carries: null(),
            high: sum,
            first_stop: acts.start.wrapping_add(4 * first),
        };
        if run.bits == 2 && self.magnitude as usize > TWIN_LIMIT {
            // The low sum of a block, 16 inputs, lies within 3 * 16 * 127 of 0.
            frame.starts = [1 << 13; 4];
            let blocks = twos.div_ceil(BLOCK) as u32;
            frame.low = 0u32.wrapping_sub(sum.wrapping_mul(3)).wrapping_sub(blocks << 14);
            (frame.carries, frame.stop) = (acts.end, frame.first_stop);
        }
        // Each reads the groups, which the run has, and for each group `acts` from end to end; it writes to offsets in `out`
        // up to its `last` float only.
        match run.bits {
            // SAFETY: see above.
            8 => unsafe { eight_bits(groups.start, &frame, self.scale) },
            // SAFETY: see above.
            4 => unsafe { four_bits(groups.start, &frame, self.scale) },
            // SAFETY: see above.
            _ => unsafe { two_bits(groups.start, &frame, self.scale) },
        }
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
        let row = self.doubled.get(self.zeros..).unwrap_or_default();
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
fn widen(token: &[i8], plain: &mut [u32], doubled: &mut [u32]) -> (i32, u32) {
    let (plain, _) = plain.as_chunks_mut::<2>();
    let (doubled, _) = doubled.as_chunks_mut::<2>();
    let fours = (token.len() / 4).min(plain.len()).min(doubled.len());
    let (mut sum, mut magnitude) = (0, 0);
    if fours > 0 {
        // SAFETY: reads that many words of the token, at any alignment, and writes as many twos to either slice.
        let both = unsafe { run_widen(token.as_ptr(), plain.as_mut_ptr(), doubled.as_mut_ptr(), fours) };
        (sum, magnitude) = (both as u32, (both >> 32) as u32);
    }
    if let (Some(plain), Some(doubled)) = (plain.get_mut(fours), doubled.get_mut(fours)) {
        let word = word(token, fours);
        *plain = [sxtb16(word), sxtb16_ror8(word)];
        // The bit that the low half hands to the high one is left out.
        *doubled = plain.map(|pair| (pair << 1) & 0xfffe_ffff);
        sum = usada8(word ^ SIGNS, 0, sum);
        magnitude = usada8(word ^ SIGNS, SIGNS, magnitude);
    }
    (sum as i32 - 4 * 128 * plain.len() as i32, magnitude)
}

/// The sum of the codes plus 128 in the low half, that of the magnitudes in the high half of the result.
// Registers: r4 and r5 sums, r6 codes, r7 and r8 pairs, r12 signs, lr zero.
#[unsafe(naked)]
unsafe extern "C" fn run_widen(
    _token: *const i8,
    _plain: *mut [u32; 2],
    _doubled: *mut [u32; 2],
    _fours: usize,
) -> u64 {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r4-r8, lr}}",
        "mov r4, #0",
        "mov r5, #0",
        "mov r12, #0x80808080",
        "mov lr, #0",
        "2:",
        "ldr r6, [r0], #4",
        "sxtb16 r7, r6",
        "sxtb16 r8, r6, ror #8",
        "eor r6, r12",
        "strd r7, r8, [r1], #8",
        "sadd16 r7, r7, r7",
        "sadd16 r8, r8, r8",
        "usada8 r4, r6, lr, r4",
        "usada8 r5, r6, r12, r5",
        "subs r3, #1",
        "strd r7, r8, [r2], #8",
        "bne 2b",
        "mov r0, r4",
        "mov r1, r5",
        "pop {{r4-r8, pc}}",
    )
}

/// What the loops read; the assembly knows the order.
#[repr(C)]
struct Frame {
    out: *mut u8,
    /// Offset of the last float of `out`.
    last: usize,
    acts: *const u32,
    starts: [u32; 4],
    /// Of a word of twins.
    mask: u32,
    /// Twos of fours of inputs that the first pass through the block takes.
    first: usize,
    /// Where the loop is left.
    stop: *const u32,
    groups_end: *const u32,
    /// From a group to what the first inputs meet, in bytes.
    numbers: usize,
    /// What a low twin sum is corrected with.
    low: u32,
    /// Where the row ends if low twin sums are taken out after each block; else null.
    carries: *const u32,
    /// What a doubled high twin sum lacks of the sum of levels.
    high: u32,
    /// Where the first block ends.
    first_stop: *const u32,
}

/// Copies the frame to the stack: 0 out, 4 last, 8 acts, 12 starts, 28 mask, 32 entry into the block, 36 stop, 40 end of the
/// groups, 44 numbers, 48 low, 52 carries, 56 high, 60 first stop, 64 group, 68 low sums taken out.
macro_rules! enter {
    ($save:literal, $bytes:literal) => {
        concat!(
            ".cpu ",
            env!("CHORD_DSP_CORE"),
            "\n",
            "push {{r4-r11, lr}}\n",
            $save,
            "sub sp, #84\n",
            "ldm r1!, {{r2-r9}}\n",
            "stm sp, {{r2-r9}}\n",
            "ldm r1, {{r2-r9}}\n",
            "mov r12, #",
            $bytes,
            "\n",
            "adr.w r1, 63f\n",
            "mls r2, r2, r12, r1\n",
            "orr r2, #1\n",
            "add r10, sp, #32\n",
            "stm r10, {{r2-r9}}\n",
            "mov r1, r0\n",
        )
    };
}

/// Starts a group: r0 is the row, r1 weights, r4-r7 sums, r12 the mask.
macro_rules! group {
    () => {
        concat!(
            "62:\n",
            "str r1, [sp, #64]\n",
            "ldr r2, [sp, #44]\n",
            "add r1, r2\n",
            "add r2, sp, #8\n",
            "ldm r2, {{r0, r4-r7, r12, pc}}\n",
            ".p2align 2\n",
            "65:\n",
        )
    };
}

/// The end of a block.
macro_rules! again {
    () => {
        concat!("63:\n", "ldr r8, [sp, #36]\n", "cmp r0, r8\n", "bne.w 65b\n")
    };
}

/// Ends a run.
macro_rules! leave {
    ($restore:literal) => {
        concat!(
            "ldr r3, [sp, #40]\n",
            "cmp r1, r3\n",
            "bne.w 62b\n",
            "67:\n",
            "add sp, #84\n",
            $restore,
            "pop {{r4-r11, pc}}\n",
        )
    };
}

/// `(f32(t) * g) * s + bias` of four lanes, the sums in r4-r7, shifted, the scale in s4; stores them.
macro_rules! four_lanes {
    ($shifts:expr) => {
        concat!(
            "vmov s0, s1, r4, r5\n",
            "vmov s2, s3, r6, r7\n",
            "ldr r8, [sp, #64]\n",
            "ldm r8!, {{r4-r7}}\n",
            "vldm r8, {{s8-s15}}\n",
            $shifts,
            "vmul.f32 s0, s0, s8\n",
            "vmul.f32 s1, s1, s9\n",
            "vmul.f32 s2, s2, s10\n",
            "vmul.f32 s3, s3, s11\n",
            "vmul.f32 s0, s0, s4\n",
            "vmul.f32 s1, s1, s4\n",
            "vmul.f32 s2, s2, s4\n",
            "vmul.f32 s3, s3, s4\n",
            "vadd.f32 s0, s0, s12\n",
            "vadd.f32 s1, s1, s13\n",
            "vadd.f32 s2, s2, s14\n",
            "vadd.f32 s3, s3, s15\n",
            "ldrd r2, r12, [sp]\n",
            scatter!("s0", "s1", "s2", "s3"),
        )
    };
}

/// Four lanes to the offsets in r4-r7; r2 is the row, r12 the largest offset. Ends the run where one is beyond.
macro_rules! scatter {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "cmp r4, r12\n",
            "ittt ls\n",
            "cmpls r5, r12\n",
            "cmpls r6, r12\n",
            "cmpls r7, r12\n",
            "bhi 67f\n",
            "vmov r8, r9, ",
            $a,
            ", ",
            $b,
            "\n",
            "vmov r10, r11, ",
            $c,
            ", ",
            $d,
            "\n",
            "str r8, [r2, r4]\n",
            "str r9, [r2, r5]\n",
            "str r10, [r2, r6]\n",
            "str r11, [r2, r7]\n",
        )
    };
}

// Registers of the loops: r0 row, r1 weights, r2, r3, r12 and lr four pairs of the row, r4-r7 sums, r8-r11 words of weights.

/// The products of a word of two channels of 8 bits.
macro_rules! eights {
    ($word:literal, $acts:literal, $low:literal, $both:literal) => {
        concat!(
            "smlad ", $both, ", ", $word, ", ", $acts, ", ", $both, "\n", "uxtb16 ", $word, ", ", $word,
            "\n", "smlad ", $low, ", ", $word, ", ", $acts, ", ", $low, "\n",
        )
    };
}

#[unsafe(naked)]
unsafe extern "C" fn eight_bits(_groups: *const u32, _frame: &Frame, _scale: f32) {
    naked_asm!(
        enter!("", "108"),
        "vmov.f32 s4, s0",
        group!(),
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
        "sub r5, r4",
        "sub r7, r6",
        four_lanes!(concat!(
            "vcvt.f32.s32 s0, s0\n",
            "vcvt.f32.s32 s1, s1, #8\n",
            "vcvt.f32.s32 s2, s2\n",
            "vcvt.f32.s32 s3, s3, #8\n",
        )),
        leave!(""),
    )
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

#[unsafe(naked)]
unsafe extern "C" fn four_bits(_groups: *const u32, _frame: &Frame, _scale: f32) {
    naked_asm!(
        enter!("", "120"),
        "vmov.f32 s4, s0",
        group!(),
        ".rept 2",
        "ldm.w r0!, {{r2, r3, r12, lr}}",
        "ldm.w r1!, {{r8-r11}}",
        fours!("r8", "r2"),
        fours!("r9", "r3"),
        fours!("r10", "r12"),
        fours!("r11", "lr"),
        ".endr",
        again!(),
        "sub r7, r6",
        "sub r6, r5",
        "sub r5, r4",
        four_lanes!(concat!(
            "vcvt.f32.s32 s0, s0\n",
            "vcvt.f32.s32 s1, s1, #4\n",
            "vcvt.f32.s32 s2, s2, #8\n",
            "vcvt.f32.s32 s3, s3, #12\n",
        )),
        leave!(""),
    )
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

#[unsafe(naked)]
unsafe extern "C" fn two_bits(_groups: *const u32, _frame: &Frame, _scale: f32) {
    naked_asm!(
        enter!("vpush {{s16-s31}}\n", "140"),
        "mov r2, #0",
        "strd r2, r2, [sp, #68]",
        "strd r2, r2, [sp, #76]",
        "vmov.f32 s8, s0",
        group!(),
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
        "ldrd r2, r3, [sp, #48]",
        "cbz r3, 71f",
        "b.w 72f",
        "71:",
        split!("r4", "r2", "s0", "s1"),
        split!("r5", "r2", "s2", "s3"),
        split!("r6", "r2", "s4", "s5"),
        split!("r7", "r2", "s6", "s7"),
        convert!(", #17", ", #13"),
        "73:",
        "ldr lr, [sp, #64]",
        "ldm lr!, {{r4-r7}}",
        "add r3, lr, #16",
        "vldm r3, {{s16-s31}}",
        lanes!("vmul.f32", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23"),
        lanes!("vmul.f32", "s8", "s8", "s8", "s8", "s8", "s8", "s8", "s8"),
        lanes!("vadd.f32", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31"),
        "ldrd r2, r12, [sp]",
        scatter!("s0", "s1", "s2", "s3"),
        "ldm lr, {{r4-r7}}",
        scatter!("s4", "s5", "s6", "s7"),
        leave!("vpop {{s16-s31}}\n"),
        // Low sums leave after each block.
        "72:",
        "cmp r0, r3",
        "beq 74f",
        "add lr, sp, #68",
        "ldm lr, {{r2, r3, r8, r9}}",
        "mov r11, #0x2000",
        take_out!("r4", "r2"),
        take_out!("r5", "r3"),
        take_out!("r6", "r8"),
        take_out!("r7", "r9"),
        "stm lr, {{r2, r3, r8, r9}}",
        "ldr r2, [sp, #36]",
        "adds r2, #32",
        "str r2, [sp, #36]",
        "b.w 65b",
        "74:",
        "ldrd r3, lr, [sp, #56]",
        "str lr, [sp, #36]",
        "add lr, sp, #68",
        "ldm lr, {{r8-r11}}",
        split_taken!("r4", "r8", "s0", "s1"),
        split_taken!("r5", "r9", "s2", "s3"),
        split_taken!("r6", "r10", "s4", "s5"),
        split_taken!("r7", "r11", "s6", "s7"),
        convert!("", ""),
        "mov r2, #0",
        "strd r2, r2, [sp, #68]",
        "strd r2, r2, [sp, #76]",
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
            shift: u32::from(16 - bits),
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
