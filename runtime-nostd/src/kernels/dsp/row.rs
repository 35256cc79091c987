//! One row by all channels: the row is widened once, and each width has a loop of its own over its packed groups.
//!
//! A half of a packed word holds several channels. Multiplied whole, and again without its top channel, and so on, it
//! gives sums whose differences are the channels' own, shifted; `vcvt` takes the shift back. The row is doubled for
//! these, so that they are sums of `a * 2 q` and start where they end as sums of levels.

use core::arch::naked_asm;

use bytemuck::cast_slice_mut;
use chord_plan::bundle::LayerView;
use chord_plan::manifest::Layer;
use chord_plan::numerics::step;

use super::super::packed::{Run, SIGNS};
use super::super::word;
use super::instructions::{sxtb16, sxtb16_ror8, usada8};
use super::widen::TWIN_LIMIT;
use crate::Widths;
use crate::span::copy;

/// A widened row.
pub(super) struct WideRow<'w> {
    /// Pairs of inputs.
    plain: &'w [u32],
    /// Twice that.
    doubled: &'w [u32],
    scale: f32,
    sum: i32,
    /// `sum |a|`.
    magnitude: u32,
}

/// Fours of inputs in an unrolled block.
const BLOCK: usize = 4;

impl<'w> WideRow<'w> {
    /// Largest `sum |a|` of a row whose differences of sums fit: `2^8 * 255 sum |a| < 2^31`.
    const LIMIT: u32 = 32767;

    /// Widens a row into `memory`; `None` if that is too small, or the sums too large.
    pub(super) fn new(token: &[i8], scale: f32, memory: &'w mut [u32]) -> Option<Self> {
        let pairs = super::super::pairs(token.len());
        let (plain, doubled) = memory.get_mut(..2 * pairs)?.split_at_mut_checked(pairs)?;
        let (sum, magnitude) = widen(token, plain, doubled);
        (magnitude <= Self::LIMIT).then_some(Self { plain, doubled, scale, sum, magnitude })
    }

    /// The outputs of a run of packed groups.
    pub(super) fn multiply(&self, run: Run<'_>, out: &mut [f32]) {
        let fours = self.plain.len() / 2;
        let Some(last) = size_of_val(out).checked_sub(4) else { return };
        let [group, weights] = run.group;
        let count = run.words.len() / group.max(1);
        // Packed for this many inputs.
        let fits = weights == self.plain.len() * if run.bits == 8 { 2 } else { 1 };
        if count == 0 || fours == 0 || !fits {
            return;
        }
        let first = (fours - 1) % BLOCK + 1;
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
            _ => [0; 4],
        };
        let mut frame = Frame {
            out: out.as_mut_ptr().cast(),
            acts: self.doubled.as_ptr(),
            acts_end: self.doubled.as_ptr_range().end,
            first,
            count,
            starts,
            scale: self.scale,
            low: 0,
            high: sum,
            carries: 0,
            last,
        };
        let groups = run.words.as_ptr();
        // Each reads `count` groups, which the run has, and for each group `acts` from end to end; it writes to offsets in
        // `out` up to its `last` float only.
        match run.bits {
            // SAFETY: see above.
            8 => unsafe { eight_bits(groups, &frame) },
            // SAFETY: see above.
            4 => unsafe { four_bits(groups, &frame) },
            _ => {
                frame.acts = self.plain.as_ptr();
                frame.acts_end = self.plain.as_ptr_range().end;
                if self.magnitude as usize <= TWIN_LIMIT {
                    // The low sum ends about 2^13, in the middle of its 14 bits.
                    frame.starts = [((1 << 13) - ((3 * self.sum) >> 1)) as u32; 4];
                    frame.low = (-(1 << 14) - (self.sum & 1)) as u32;
                } else {
                    // The low sum of a block, 16 inputs, lies within 3 * 16 * 127 of 0.
                    frame.carries = 1;
                    frame.starts = [1 << 13; 4];
                    let blocks = fours.div_ceil(BLOCK) as u32;
                    frame.low = 0u32.wrapping_sub(sum.wrapping_mul(3)).wrapping_sub(blocks << 14);
                }
                // SAFETY: see above; `plain` is as long as the row that it replaces.
                unsafe { two_bits(groups, &frame) }
            }
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
        let (fours, Some([ranges, biases])) = (self.doubled.len() / 2, layer.per_channel()) else {
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
            row: self.doubled.as_ptr(),
            end: self.doubled.as_ptr_range().end,
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
    acts: *const u32,
    acts_end: *const u32,
    /// Fours of inputs that the first pass through the block takes.
    first: usize,
    count: usize,
    starts: [u32; 4],
    scale: f32,
    /// What a low twin sum, doubled, lacks of the sum of levels, and a high one.
    low: u32,
    high: u32,
    /// Whether low twin sums are taken out after each block.
    carries: u32,
    /// Offset of the last float of `out`.
    last: usize,
}

/// Copies the frame to the stack: 0 out, 4 acts, 8 acts_end, 12 entry into the block, 16 count, 20 starts, 36 scale,
/// 40 low, 44 high, 48 carries, 52 last, 56 group, 60 low sums taken out.
macro_rules! enter {
    ($bytes:literal) => {
        concat!(
            ".cpu ",
            env!("CHORD_DSP_CORE"),
            "\n",
            "push {{r4-r11, lr}}\n",
            "vpush {{s16-s31}}\n",
            "sub sp, #76\n",
            "ldm r1!, {{r2-r9}}\n",
            "stm sp, {{r2-r9}}\n",
            "ldm r1, {{r2-r7}}\n",
            "add r8, sp, #32\n",
            "stm r8, {{r2-r7}}\n",
            "ldr r2, [sp, #12]\n",
            "mov r12, #",
            $bytes,
            "\n",
            "adr.w r3, 63f\n",
            "mls r3, r2, r12, r3\n",
            "orr r3, #1\n",
            "str r3, [sp, #12]\n",
            "mov r1, r0\n",
        )
    };
}

/// Starts a group; its weights are `$numbers` bytes behind.
macro_rules! group {
    ($numbers:literal) => {
        concat!(
            "62:\n",
            "str r1, [sp, #56]\n",
            "add r1, #",
            $numbers,
            "\n",
            "add r2, sp, #20\n",
            "ldm r2, {{r4-r7}}\n",
            "ldr r0, [sp, #4]\n",
        )
    };
}

/// Ends a run.
macro_rules! leave {
    () => {
        concat!(
            "67:\n",
            "ldr r3, [sp, #16]\n",
            "subs r3, #1\n",
            "str r3, [sp, #16]\n",
            "bne.w 62b\n",
            "add sp, #76\n",
            "vpop {{s16-s31}}\n",
            "pop {{r4-r11, pc}}\n",
        )
    };
}

/// `(f32(t) * g) * s + bias` of four lanes, the sums in r4-r7, shifted; stores them.
macro_rules! four_lanes {
    ($shifts:expr) => {
        concat!(
            "vmov s0, s1, r4, r5\n",
            "vmov s2, s3, r6, r7\n",
            "vldr s4, [sp, #36]\n",
            "ldr r8, [sp, #56]\n",
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
            "ldr r2, [sp]\n",
            "ldr r12, [sp, #52]\n",
            scatter!("s0", "s1", "s2", "s3"),
        )
    };
}

/// Four lanes to the offsets in r4-r7; r2 is the row, r12 the largest offset. Offsets beyond are not written.
macro_rules! scatter {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
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
            "cmp r4, r12\n",
            "it ls\n",
            "strls r8, [r2, r4]\n",
            "cmp r5, r12\n",
            "it ls\n",
            "strls r9, [r2, r5]\n",
            "cmp r6, r12\n",
            "it ls\n",
            "strls r10, [r2, r6]\n",
            "cmp r7, r12\n",
            "it ls\n",
            "strls r11, [r2, r7]\n",
        )
    };
}

// Registers of the loops: r0 row, r1 weights, r2 and r3 two pairs of the row, r4-r7 sums, r8-r11 words of weights.

#[unsafe(naked)]
unsafe extern "C" fn eight_bits(_groups: *const u32, _frame: *const Frame) {
    naked_asm!(
        enter!("56"),
        group!("48"),
        "ldr pc, [sp, #12]",
        ".p2align 2",
        "65:",
        ".rept 4",
        "ldm.w r1!, {{r8-r11}}",
        "ldrd r2, r3, [r0], #8",
        "uxtb16 r12, r8",
        "smlad r5, r8, r2, r5",
        "smlad r4, r12, r2, r4",
        "uxtb16 r12, r9",
        "smlad r7, r9, r2, r7",
        "smlad r6, r12, r2, r6",
        "uxtb16 r12, r10",
        "smlad r5, r10, r3, r5",
        "smlad r4, r12, r3, r4",
        "uxtb16 r12, r11",
        "smlad r7, r11, r3, r7",
        "smlad r6, r12, r3, r6",
        ".endr",
        "63:",
        "ldr r12, [sp, #8]",
        "cmp r0, r12",
        "bne 65b",
        "sub r5, r4",
        "sub r7, r6",
        four_lanes!(concat!(
            "vcvt.f32.s32 s0, s0\n",
            "vcvt.f32.s32 s1, s1, #8\n",
            "vcvt.f32.s32 s2, s2\n",
            "vcvt.f32.s32 s3, s3, #8\n",
        )),
        leave!(),
    )
}

#[unsafe(naked)]
unsafe extern "C" fn four_bits(_groups: *const u32, _frame: *const Frame) {
    naked_asm!(
        enter!("64"),
        group!("48"),
        "ldr pc, [sp, #12]",
        ".p2align 2",
        "65:",
        ".rept 4",
        "ldrd r8, r9, [r1], #8",
        "ldrd r2, r3, [r0], #8",
        "smlad r7, r8, r2, r7",
        "bic.w r8, r8, #0xf000f000",
        "smlad r6, r8, r2, r6",
        "uxtb16 r8, r8",
        "smlad r5, r8, r2, r5",
        "and.w r8, r8, #0x000f000f",
        "smlad r4, r8, r2, r4",
        "smlad r7, r9, r3, r7",
        "bic.w r9, r9, #0xf000f000",
        "smlad r6, r9, r3, r6",
        "uxtb16 r9, r9",
        "smlad r5, r9, r3, r5",
        "and.w r9, r9, #0x000f000f",
        "smlad r4, r9, r3, r4",
        ".endr",
        "63:",
        "ldr r12, [sp, #8]",
        "cmp r0, r12",
        "bne 65b",
        "sub r7, r6",
        "sub r6, r5",
        "sub r5, r4",
        four_lanes!(concat!(
            "vcvt.f32.s32 s0, s0\n",
            "vcvt.f32.s32 s1, s1, #4\n",
            "vcvt.f32.s32 s2, s2, #8\n",
            "vcvt.f32.s32 s3, s3, #12\n",
        )),
        leave!(),
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

/// Two lanes out of a twin sum: r2 and r3 hold the row's constants, `$taken` the low sums taken out before.
macro_rules! split {
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

/// One lane of eight.
macro_rules! lane {
    ($y:literal, $step:literal, $bias:literal) => {
        concat!(
            "vcvt.f32.s32 ",
            $y,
            ", ",
            $y,
            "\nvmul.f32 ",
            $y,
            ", ",
            $y,
            ", ",
            $step,
            "\nvmul.f32 ",
            $y,
            ", ",
            $y,
            ", s8\nvadd.f32 ",
            $y,
            ", ",
            $y,
            ", ",
            $bias,
            "\n",
        )
    };
}

#[unsafe(naked)]
unsafe extern "C" fn two_bits(_groups: *const u32, _frame: *const Frame) {
    naked_asm!(
        enter!("72"),
        group!("96"),
        "movw r12, #0xc003",
        "movt r12, #0xc003",
        "movs r2, #0",
        "movs r3, #0",
        "strd r2, r3, [sp, #60]",
        "strd r2, r3, [sp, #68]",
        "ldr pc, [sp, #12]",
        ".p2align 2",
        "65:",
        ".rept 4",
        "ldrd r8, r9, [r1], #8",
        "ldrd r2, r3, [r0], #8",
        twins!("r8", "r2"),
        twins!("r9", "r3"),
        ".endr",
        "63:",
        "ldrd r2, r3, [sp, #48]",
        "ldr lr, [sp, #8]",
        "cmp r0, lr",
        "beq 70f",
        "cmp r2, #0",
        "beq 65b",
        // The low sums leave, and start in the middle again.
        "add lr, sp, #60",
        "ldm lr, {{r2, r3, r8, r9}}",
        "mov r11, #0x2000",
        "ubfx r10, r4, #0, #14",
        "add r2, r10",
        "bfi r4, r11, #0, #14",
        "ubfx r10, r5, #0, #14",
        "add r3, r10",
        "bfi r5, r11, #0, #14",
        "ubfx r10, r6, #0, #14",
        "add r8, r10",
        "bfi r6, r11, #0, #14",
        "ubfx r10, r7, #0, #14",
        "add r9, r10",
        "bfi r7, r11, #0, #14",
        "stm lr, {{r2, r3, r8, r9}}",
        "b 65b",
        "70:",
        "add lr, sp, #60",
        "ldm lr, {{r8-r11}}",
        "ldrd r2, r3, [sp, #40]",
        split!("r4", "r8", "s0", "s1"),
        split!("r5", "r9", "s2", "s3"),
        split!("r6", "r10", "s4", "s5"),
        split!("r7", "r11", "s6", "s7"),
        "vldr s8, [sp, #36]",
        "ldr lr, [sp, #56]",
        "ldm lr!, {{r4-r7}}",
        "add r3, lr, #16",
        "vldm r3, {{s16-s31}}",
        lane!("s0", "s16", "s24"),
        lane!("s1", "s17", "s25"),
        lane!("s2", "s18", "s26"),
        lane!("s3", "s19", "s27"),
        lane!("s4", "s20", "s28"),
        lane!("s5", "s21", "s29"),
        lane!("s6", "s22", "s30"),
        lane!("s7", "s23", "s31"),
        "ldr r2, [sp]",
        "ldr r12, [sp, #52]",
        scatter!("s0", "s1", "s2", "s3"),
        "ldm lr, {{r4-r7}}",
        scatter!("s4", "s5", "s6", "s7"),
        leave!(),
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
