//! From bytes to pairs of halves, the shape that `smlad` multiplies.
//!
//! The four bytes of a word become the pairs (0, 2) and (1, 3): one instruction each.

use core::arch::naked_asm;

use super::super::packed::{SIGNS, twin, two_bits};
use super::super::{BLOCK, ROW_PAIR_HEADER, Tokens, pairs, parts_after_first, row_pair_words, word};
use super::instructions::{sxtb16, sxtb16_ror8, usada8};
use crate::span::span;

/// What the sums of a row are corrected with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) sum: i32,
}

impl Row {
    /// Largest `sum |a|` of a row whose twin sums keep apart: with codes `n` in 0..=3 the low sum lies within
    /// `1.5 sum |a|` of `1.5 sum a`, and this distance and a rounding have 2^13 - 1 to them.
    pub(super) const TWIN_LIMIT: u32 = 5460;

    /// Most parts after the first whose low twin sums, of 14 bits, add up in 16.
    pub(super) const TWIN_PARTS: usize = 4;

    /// The rows of a pair, from its header.
    pub(super) fn two(&[_, _, _, _, _, first, _, second, ..]: &[u32; ROW_PAIR_HEADER]) -> [Self; 2] {
        [first, second].map(|sum| Self { sum: sum as i32 })
    }

    /// Where sums of `a * 2 q` start so that they end as sums of levels.
    pub(super) fn plain_start(self, bits: u8) -> u32 {
        self.sum.wrapping_mul(1 - (1 << bits)) as u32
    }

    /// Where twin sums start so that the low one ends in the middle of its 14 bits.
    pub(super) fn twin_start(self) -> u32 {
        ((1 << 13) - ((3 * self.sum) >> 1)) as u32
    }

    /// What a low twin sum, doubled, lacks of the sum of levels.
    pub(super) fn twin_low(self) -> i32 {
        -(1 << 14) - (self.sum & 1)
    }
}

/// Widens the rows of `tokens`, two by two, each two behind their constants: starts of the sums (set later), scales,
/// and for either row the constants of the twin split. A part but the first stands behind the starts of its twin sums.
/// Returns the largest `sum |a|` of a part of a row. There are codes and room for all rows.
pub(super) fn rows(tokens: Tokens<'_>, inputs: usize, acts: &mut [u32]) -> u32 {
    let (pairs, count) = (pairs(inputs), tokens.scales.len());
    let after_first = parts_after_first(pairs);
    if tokens.codes.len() != count * inputs || acts.len() < count.div_ceil(2) * row_pair_words(pairs) {
        return u32::MAX;
    }
    if inputs < 4 {
        return short_rows(tokens, inputs, acts);
    }
    // A last word that is not full is read with the bytes before it.
    let ends_early = usize::from(!inputs.is_multiple_of(4));
    let mut rows = Rows {
        codes: tokens.codes.as_ptr(),
        two: 2 * inputs,
        second: inputs,
        scales: tokens.scales.as_ptr(),
        second_scale: 4,
        acts: acts.as_mut_ptr(),
        left: count / 2,
        first: (pairs - BLOCK * after_first) / 2 - if after_first == 0 { ends_early } else { 0 },
        more: after_first,
        shift: (32 - 8 * (inputs % 4)) * ends_early,
        largest: 0,
        memory: [0; 6],
    };
    if rows.left > 0 {
        // SAFETY: there are codes and scales of that many twos of rows, of four codes or more, and room for them.
        unsafe { widen(&mut rows) };
    }
    if count % 2 == 1 {
        // An odd last row goes in twice.
        (rows.second, rows.second_scale, rows.left) = (0, 0, 1);
        // SAFETY: as above; the frame has gone on to the last row.
        unsafe { widen(&mut rows) };
    }
    rows.largest
}

/// As [`rows`], of fewer than four inputs.
fn short_rows(tokens: Tokens<'_>, inputs: usize, acts: &mut [u32]) -> u32 {
    let mut largest = 0;
    let twos = tokens.codes.chunks((2 * inputs).max(1)).zip(tokens.scales.chunks(2));
    for ((codes, scales), pair) in twos.zip(acts.as_chunks_mut::<{ row_pair_words(2) }>().0) {
        let second = codes.len() - inputs.min(codes.len());
        let words = [0, second].map(|start| word(span(codes, start, inputs), 0));
        let [a, b] = words.map(|word| Row { sum: usada8(word ^ SIGNS, 0, 0) as i32 - 4 * 128 });
        words.iter().for_each(|word| largest = largest.max(usada8(word ^ SIGNS, SIGNS, 0)));
        let [first_scale, last_scale] = [scales.first(), scales.last()].map(|x| x.map_or(0, |x| x.to_bits()));
        *pair = [
            0,
            0,
            first_scale,
            last_scale,
            a.twin_low() as u32,
            a.sum as u32,
            b.twin_low() as u32,
            b.sum as u32,
            a.twin_start(),
            b.twin_start(),
            sxtb16(words[0]),
            sxtb16(words[1]),
            sxtb16_ror8(words[0]),
            sxtb16_ror8(words[1]),
        ];
    }
    largest
}

/// What [`widen`] works on; the assembly knows the order. Codes, scales, room and the largest sum go on from two to two.
#[repr(C)]
struct Rows {
    codes: *const i8,
    /// From two rows to the next two, and from the first to the second, in bytes.
    two: usize,
    second: usize,
    scales: *const f32,
    second_scale: usize,
    acts: *mut u32,
    left: usize,
    /// Whole words of the first part, and parts after it.
    first: usize,
    more: usize,
    /// Bits of a last word that is not full, before its own; 0 if it is.
    shift: usize,
    largest: u32,
    /// Parts to come, -1 once the last word is done, the sums so far, where a part's starts go.
    memory: [u32; 6],
}

// Registers: r0 and r1 codes, r2 room, r3 words; r4-r7 sums of codes plus 128 and of magnitudes, r10 and r11 words, r8-r11
// pairs, r12 signs, lr zero. Between the loops r8 is the frame, which lies at sp.
#[unsafe(naked)]
unsafe extern "C" fn widen(_rows: &mut Rows) {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r0, r4-r11, lr}}",
        "mov r8, r0",
        "mov r12, #0x80808080",
        "mov lr, #0",
        "2:",
        "ldrd r0, r9, [r8]",
        "add r9, r0",
        "str r9, [r8]",
        "ldr r1, [r8, #8]",
        "add r1, r0",
        "ldrd r10, r11, [r8, #12]",
        "ldr r3, [r10]",
        "ldr r11, [r10, r11]",
        "add r10, #8",
        "str r10, [r8, #12]",
        "ldr r2, [r8, #20]",
        "strd r3, r11, [r2, #8]",
        "add r2, #32",
        "ldrd r3, r9, [r8, #28]",
        "str r9, [r8, #44]",
        "strd lr, lr, [r8, #48]",
        "strd lr, lr, [r8, #56]",
        // A part.
        "3:",
        "str r2, [r8, #64]",
        "add r2, #8",
        "movs r4, #0",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "4:",
        "ldr r10, [r0], #4",
        "ldr r11, [r1], #4",
        "5:",
        "eor r8, r10, r12",
        "eor r9, r11, r12",
        "usada8 r4, r8, lr, r4",
        "usada8 r5, r8, r12, r5",
        "usada8 r6, r9, lr, r6",
        "usada8 r7, r9, r12, r7",
        "sxtb16 r8, r10",
        "sxtb16 r9, r11",
        "sxtb16 r10, r10, ror #8",
        "sxtb16 r11, r11, ror #8",
        "subs r3, #1",
        "stm r2!, {{r8-r11}}",
        "bne 4b",
        "ldr r8, [sp]",
        "ldr r9, [r8, #44]",
        "cmp r9, #0",
        "bne 6f",
        "ldr r3, [r8, #36]",
        "cbz r3, 6f",
        // The last word, of which the lower bytes come from before.
        "sub r9, r9, #1",
        "str r9, [r8, #44]",
        "lsr r9, r3, #3",
        "sub r10, r0, r9",
        "sub r11, r1, r9",
        "ldr r10, [r10]",
        "ldr r11, [r11]",
        "lsr r10, r3",
        "lsr r11, r3",
        "movs r3, #1",
        "b 5b",
        "6:",
        "ldr r9, [r8, #64]",
        "sub r10, r2, r9",
        "sub r10, #8",
        "sub r4, r4, r10, lsl #5",
        "sub r6, r6, r10, lsl #5",
        "ldr r10, [r8, #40]",
        "cmp r5, r10",
        "it hi",
        "movhi r10, r5",
        "cmp r7, r10",
        "it hi",
        "movhi r10, r7",
        "str r10, [r8, #40]",
        // Starts: 2^13 - (3 sum >> 1).
        "add r10, r4, r4, lsl #1",
        "add r11, r6, r6, lsl #1",
        "asr r10, #1",
        "asr r11, #1",
        "rsb r10, r10, #0x2000",
        "rsb r11, r11, #0x2000",
        "strd r10, r11, [r9]",
        // What low twin sums lack: -2^14 - (sum & 1).
        "add r3, r8, #48",
        "ldm r3, {{r5, r7, r10, r11}}",
        "and r9, r4, #1",
        "sub r5, r5, r9",
        "sub r5, r5, #0x4000",
        "add r7, r4",
        "and r9, r6, #1",
        "sub r10, r10, r9",
        "sub r10, r10, #0x4000",
        "add r11, r6",
        "ldr r9, [r8, #44]",
        "cmp r9, #0",
        "ble 7f",
        "stm r3, {{r5, r7, r10, r11}}",
        "mov r3, #16",
        "subs r9, #1",
        "str r9, [r8, #44]",
        "bne 3b",
        "ldr r9, [r8, #36]",
        "cmp r9, #0",
        "it ne",
        "movne r3, #15",
        "b 3b",
        "7:",
        "ldr r9, [r8, #20]",
        "add r9, #16",
        "stm r9, {{r5, r7, r10, r11}}",
        "str r2, [r8, #20]",
        "ldr r9, [r8, #24]",
        "subs r9, #1",
        "str r9, [r8, #24]",
        "bne 2b",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// Words of a channel, the last one filled up with zeros.
#[inline(always)]
fn words(bytes: &[i8]) -> impl Iterator<Item = u32> {
    let (fours, rest) = bytes.as_chunks::<4>();
    let rest = (!rest.is_empty()).then(|| word(rest, 0));
    fours.iter().map(|&four| u32::from_le_bytes(bytemuck::cast(four))).chain(rest)
}

/// Four channels as streams of `2 q`, unsigned.
#[inline(never)]
pub(super) fn four_channels(channels: [&[i8]; 4], bits: u8, out: &mut [[u32; 4]]) {
    let (streams, [even, odd], mask): (unsafe extern "C" fn(_, _, _, _), _, _) = match bits {
        8 => (eight_in_place, [31, 7], 0x01fe_01fe),
        4 => (four_in_place, [3, 11], 0x001e_001e),
        _ => (two_in_place, [5, 13], 0x0006_0006),
    };
    let (out, _) = out.as_chunks_mut::<2>();
    let fours = channels.iter().fold(out.len(), |fours, channel| fours.min(channel.len() / 4));
    if fours > 0 {
        // SAFETY: reads that many words of each channel, at any alignment, and writes as many times two fours.
        unsafe { streams(&channels.map(<[i8]>::as_ptr), out.as_mut_ptr(), fours, mask) }
    }
    if let Some([to_even, to_odd]) = out.get_mut(fours) {
        for ((channel, even_word), odd_word) in channels.iter().zip(to_even).zip(to_odd) {
            let word = word(channel, fours) ^ SIGNS;
            (*even_word, *odd_word) = (word.rotate_right(even) & mask, word.rotate_right(odd) & mask);
        }
    }
}

/// The loops of [`four_channels`]. Registers: r0-r3 channels, r4-r7 words, r10 steps, r12 mask, lr streams.
macro_rules! in_place {
    ($name:ident, $even:literal, $odd:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            _channels: &[*const i8; 4],
            _out: *mut [[u32; 4]; 2],
            _fours: usize,
            _mask: u32,
        ) {
            naked_asm!(
                "push {{r4-r10, lr}}",
                "mov lr, r1",
                "mov r10, r2",
                "mov r12, r3",
                "ldm r0, {{r0-r3}}",
                "2:",
                "ldr r4, [r0], #4",
                "ldr r5, [r1], #4",
                "ldr r6, [r2], #4",
                "ldr r7, [r3], #4",
                "eor r4, #0x80808080",
                "eor r5, #0x80808080",
                "eor r6, #0x80808080",
                "eor r7, #0x80808080",
                concat!("and r8, r12, r4, ror #", $even),
                concat!("and r9, r12, r5, ror #", $even),
                "strd r8, r9, [lr], #8",
                concat!("and r8, r12, r6, ror #", $even),
                concat!("and r9, r12, r7, ror #", $even),
                "strd r8, r9, [lr], #8",
                concat!("and r4, r12, r4, ror #", $odd),
                concat!("and r5, r12, r5, ror #", $odd),
                concat!("and r6, r12, r6, ror #", $odd),
                concat!("and r7, r12, r7, ror #", $odd),
                "subs r10, #1",
                "stm lr!, {{r4-r7}}",
                "bne 2b",
                "pop {{r4-r10, pc}}",
            )
        }
    };
}

in_place!(eight_in_place, "31", "7");
in_place!(four_in_place, "3", "11");
in_place!(two_in_place, "5", "13");

/// Eight channels of 2 bits as four streams, two to a half: `q_low + (q_high - 2) * 2^14`.
#[inline(never)]
pub(super) fn twin_channels(channels: [&[i8]; 8], out: &mut [[u32; 4]]) {
    for (stream, [low, high]) in channels.as_chunks::<2>().0.iter().enumerate() {
        for (out, (low, high)) in out.as_chunks_mut::<2>().0.iter_mut().zip(words(low).zip(words(high))) {
            let low = low ^ SIGNS;
            out[0][stream] = twin(low, high);
            out[1][stream] = twin(low >> 8, high >> 8);
        }
    }
}

/// Words of a packed group to streams, two pairs of inputs at a time, through r2-r9: r0 are the
/// words, r1 the streams, r12 the steps, lr the mask. The compiler unrolls these loops into spills.
macro_rules! unpack {
    ($(#[$doc:meta])* $name:ident, $asm:ident, $words:literal, $mask:literal, $code:expr) => {
        $(#[$doc])*
        pub(super) fn $name(words: &[u32], out: &mut [[u32; 4]]) {
            let steps = out.len() / 2;
            if steps == 0 || words.len() < $words * steps {
                return;
            }
            // SAFETY: each step reads as many words and writes two streams' fours, which the slices have.
            unsafe { $asm(words.as_ptr(), out.as_mut_ptr(), $mask, steps) }
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $asm(_words: *const u32, _out: *mut [u32; 4], _mask: u32, _steps: usize) {
            naked_asm!(
                "push {{r4-r9, lr}}",
                "mov lr, r2",
                "mov r12, r3",
                "2:",
                $code,
                "subs r12, #1",
                "stm r1!, {{r2-r9}}",
                "bne 2b",
                "pop {{r4-r9, pc}}",
            )
        }
    };
}

unpack!(
    /// A packed group of 8 bits as streams of `2 q`.
    unpack_eight_bits, eight, 4, 0x01fe_01fe,
    concat!(
        "ldm r0!, {{r6-r9}}\n",
        "eor r6, #0x80008000\n", "eor r7, #0x80008000\n", "eor r8, #0x80008000\n", "eor r9, #0x80008000\n",
        "and r2, lr, r6, lsl #1\n", "and r3, lr, r6, lsr #7\n", "and r4, lr, r7, lsl #1\n", "and r5, lr, r7, lsr #7\n",
        "and r6, lr, r8, lsl #1\n", "and r7, lr, r8, lsr #7\n", "and r8, lr, r9, lsl #1\n", "and r9, lr, r9, lsr #7\n",
    )
);
unpack!(
    /// A packed group of 4 bits as streams of `2 q`.
    unpack_four_bits, four, 2, 0x001e_001e,
    concat!(
        "ldrd r8, r9, [r0], #8\n",
        "eor r8, #0x80008000\n", "eor r9, #0x80008000\n",
        "and r2, lr, r8, lsl #1\n", "and r3, lr, r8, lsr #3\n", "and r4, lr, r8, lsr #7\n", "and r5, lr, r8, lsr #11\n",
        "and r6, lr, r9, lsl #1\n", "and r7, lr, r9, lsr #3\n", "and r8, lr, r9, lsr #7\n", "and r9, lr, r9, lsr #11\n",
    )
);
unpack!(
    /// A packed group of 2 bits as twin streams.
    unpack_twin, two, 2, 0xc003_c003,
    concat!(
        "ldrd r8, r9, [r0], #8\n",
        "and r2, lr, r8\n", "and r3, lr, r8, ror #4\n", "and r4, lr, r8, ror #8\n", "and r5, lr, r8, ror #12\n",
        "and r6, lr, r9\n", "and r7, lr, r9, ror #4\n", "and r8, lr, r9, ror #8\n", "and r9, lr, r9, ror #12\n",
    )
);

/// One half of a packed group of 2 bits as streams of `2 q`.
#[inline(never)]
pub(super) fn unpack_two_bits(words: &[u32], half: u32, out: &mut [[u32; 4]]) {
    for (&word, out) in words.iter().zip(out) {
        *out = two_bits(word, half);
    }
}
