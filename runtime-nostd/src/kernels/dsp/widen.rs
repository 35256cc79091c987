//! From bytes to pairs of halves, the shape that `smlad` multiplies.
//!
//! The four bytes of a word become the pairs (0, 2) and (1, 3): one instruction each.

use core::arch::naked_asm;

use super::super::packed::{SIGNS, twin, two_bits};
use super::super::{BLOCK, ROW_PAIR_HEADER, Tokens, pairs, parts_after_first, row_pair_words, word};
use super::instructions::{sxtb16, sxtb16_ror8, usada8};
use crate::span::{copy, span};

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

/// Words of a channel or a row, the last one filled up with zeros.
#[inline(always)]
fn words(bytes: &[i8]) -> impl Iterator<Item = u32> {
    let (fours, rest) = bytes.as_chunks::<4>();
    let rest = (!rest.is_empty()).then(|| word(rest, 0));
    fours.iter().map(|&four| u32::from_le_bytes(bytemuck::cast(four))).chain(rest)
}

/// Widens the rows of `tokens`, two by two, each two behind their constants: starts of the sums (set later), scales,
/// and for either row the constants of the twin split. A part but the first stands behind the starts of its twin sums.
/// Returns the largest `sum |a|` of a part of a row.
pub(super) fn rows(tokens: Tokens<'_>, inputs: usize, acts: &mut [u32]) -> u32 {
    let mut largest = 0;
    let pairs = pairs(inputs);
    let after_first = parts_after_first(pairs);
    let first_fours = (pairs - BLOCK * after_first) / 2;
    let twos = tokens.codes.chunks((2 * inputs).max(1)).zip(tokens.scales.chunks(2));
    for ((codes, scales), pair) in twos.zip(acts.chunks_exact_mut(row_pair_words(pairs).max(1))) {
        // An odd last row goes in twice.
        let mut a = span(codes, 0, inputs);
        let (mut b, [first_scale, second_scale]) = match *scales {
            [a, b] => (span(codes, inputs, inputs), [a, b]),
            [scale] => (a, [scale, scale]),
            _ => continue,
        };
        let Some(([_, _, constants @ .., x, y], mut body)) = pair.split_first_chunk_mut::<ROW_PAIR_HEADER>()
        else {
            continue;
        };
        let Some(out) = body.split_off_mut(..4 * first_fours) else { continue };
        let two = part(&mut a, &mut b, out, &mut largest);
        let [mut a_sum, mut b_sum] = two.map(|row| row.sum);
        let [mut a_low, mut b_low] = two.map(Row::twin_low);
        [*x, *y] = two.map(Row::twin_start);
        for _ in 0..after_first {
            let (Some(starts), Some(out)) = (body.split_off_mut(..2), body.split_off_mut(..2 * BLOCK)) else {
                break;
            };
            let two = part(&mut a, &mut b, out, &mut largest);
            copy(&two.map(Row::twin_start), starts);
            let [a_row, b_row] = two;
            a_sum += a_row.sum;
            b_sum += b_row.sum;
            a_low += a_row.twin_low();
            b_low += b_row.twin_low();
        }
        let [first_scale, second_scale] = [first_scale, second_scale].map(f32::to_bits);
        *constants = [first_scale, second_scale, a_low as u32, a_sum as u32, b_low as u32, b_sum as u32];
    }
    largest
}

/// Widens a part of two rows, as long as `out`, and takes it off them. `largest` is the largest sum of magnitudes so far.
#[inline(never)]
fn part(a: &mut &[i8], b: &mut &[i8], out: &mut [u32], largest: &mut u32) -> [Row; 2] {
    let inputs = out.len();
    let sums = two_rows(a.get(..inputs).unwrap_or(a), b.get(..inputs).unwrap_or(b), out);
    *a = a.get(inputs..).unwrap_or_default();
    *b = b.get(inputs..).unwrap_or_default();
    sums.map(|[sum, magnitude]| {
        *largest = (*largest).max(magnitude);
        Row { sum: sum as i32 - 128 * inputs as i32 }
    })
}

/// Widens two rows; returns the sum of each one's codes plus 128, and the sum of its magnitudes.
fn two_rows(first: &[i8], second: &[i8], out: &mut [u32]) -> [[u32; 2]; 2] {
    let fours = (first.len().min(second.len()) / 4).min(out.len() / 4);
    let mut sums = [[0; 2]; 2];
    if fours > 0 {
        // SAFETY: reads that many fours of codes of either row, at any alignment, and writes as many fours of words.
        unsafe { widen(first.as_ptr(), second.as_ptr(), out.as_mut_ptr(), fours, &mut sums) };
    }
    if let Some(out) = out.as_chunks_mut::<4>().0.get_mut(fours) {
        let (a, b) = (word(first, fours), word(second, fours));
        *out = [sxtb16(a), sxtb16(b), sxtb16_ror8(a), sxtb16_ror8(b)];
        for ([sum, magnitude], word) in sums.iter_mut().zip([a, b]) {
            *sum = usada8(word ^ SIGNS, 0, *sum);
            *magnitude = usada8(word ^ SIGNS, SIGNS, *magnitude);
        }
    }
    sums
}

// Registers: r4-r7 sums, r8 and r9 pairs, r10 and r11 codes, r12 signs, lr zero.
#[unsafe(naked)]
unsafe extern "C" fn widen(
    _first: *const i8,
    _second: *const i8,
    _out: *mut u32,
    _fours: usize,
    _sums: *mut [[u32; 2]; 2],
) {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r4-r11, lr}}",
        "mov r4, #0",
        "mov r5, #0",
        "mov r6, #0",
        "mov r7, #0",
        "mov r12, #0x80808080",
        "mov lr, #0",
        "2:",
        "ldr r10, [r0], #4",
        "ldr r11, [r1], #4",
        "sxtb16 r8, r10",
        "sxtb16 r9, r11",
        "strd r8, r9, [r2], #8",
        "sxtb16 r8, r10, ror #8",
        "sxtb16 r9, r11, ror #8",
        "strd r8, r9, [r2], #8",
        "eor r10, r12",
        "eor r11, r12",
        "usada8 r4, r10, lr, r4",
        "usada8 r5, r10, r12, r5",
        "usada8 r6, r11, lr, r6",
        "usada8 r7, r11, r12, r7",
        "subs r3, #1",
        "bne 2b",
        "ldr r0, [sp, #36]",
        "stm r0, {{r4-r7}}",
        "pop {{r4-r11, pc}}",
    )
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
