//! From bytes to pairs of halves, the shape that `smlad` multiplies.
//!
//! The four bytes of a word become the pairs (0, 2) and (1, 3): one instruction each.

use core::arch::naked_asm;

use super::super::packed::{SIGNS, twin, two_bits};
use super::super::{
    BLOCK, ROW_PAIR_HEADER, ROWS_END, Tokens, pairs, parts_after_first, row_pair_words, word,
};
use crate::span::{copy, span, span_mut};

/// Largest `sum |a|` of a part of a row whose twin sums keep apart: with codes `q` in 0..=3 the low sum lies within
/// `1.5 sum |a|` of `1.5 sum a`, and this distance and a rounding have 2^13 - 1 to them.
pub(super) const TWIN_LIMIT: usize = 5460;

/// Most parts of a row: the low twin sums of all but the last, of 14 bits, add up in 16.
pub(super) const TWIN_PARTS: usize = 5;

/// Where the twin sums of a row in one part start, from `sum a`: they end as `l + 2^13 t`, `t` that of the levels of the high
/// channel, and `2 l` that of the low one, less 1 if it is odd.
pub(super) fn twin_start(sum: u32) -> u32 {
    (sum.wrapping_mul(TWIN_FACTOR) as i32 >> 1) as u32
}

const TWIN_FACTOR: u32 = (1 << 14) - 3;

/// What turns the low 14 bits of such a sum, times 2^18, into the low channel's sum of levels, times 2^17.
pub(super) fn parity(sum: u32) -> u32 {
    (sum << 31).wrapping_add((sum & 1) << 17)
}

/// What two widened rows say to a tile.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Jumps {
    /// Where its weights lie.
    pub(super) weights: *const u32,
    /// Where its code goes on for two rows, and for a last one that stands for two.
    pub(super) twos: usize,
    pub(super) last: usize,
}

/// Widens the rows of `tokens`, two by two. Before their inputs are sums of codes, the place of the weights, starts of the sums
/// of even and odd channels for either row, twice, as twins, and where to go on; behind them scales and, of rows of one part,
/// [`parity`], of others the sums again. A part but the first stands behind the starts of its twin sums. Room for
/// [`ROWS_END`] follows the rows. Returns whether `sum |a|` keeps within [`TWIN_LIMIT`] in all parts of all rows. There are
/// codes and room for all rows.
pub(super) fn rows(tokens: Tokens<'_>, inputs: usize, jumps: Jumps, acts: &mut [u32]) -> bool {
    let (pairs, count) = (pairs(inputs), tokens.scales.len());
    let pair_words = row_pair_words(pairs);
    if tokens.codes.len() != count * inputs || acts.len() != count.div_ceil(2) * pair_words + ROWS_END {
        return false;
    }
    if inputs < 4 {
        // Each takes the room behind it, which the next one takes over.
        let mut small = true;
        for first in (0..count).step_by(2) {
            let pair = span_mut(acts, first / 2 * pair_words, pair_words + ROWS_END);
            small &= filled_rows(tokens, inputs, first, jumps, pair);
        }
        return small;
    }
    let after_first = parts_after_first(pairs);
    let words = (pairs - BLOCK * after_first) / 2;
    // A last word that is not full is read with the bytes before it.
    let rest = inputs % 4;
    let ends_early = usize::from(rest > 0);
    let within = |words: usize| TWIN_LIMIT.wrapping_sub(512 * words);
    let twos = acts.as_mut_ptr_range();
    let mut rows = Rows {
        second: inputs,
        first: words + 1 - if after_first == 0 { ends_early } else { 0 },
        even: [0, within(words)],
        odd: [0, within(words)],
        codes: tokens.codes.as_ptr(),
        scales: tokens.scales.as_ptr(),
        factor: TWIN_FACTOR,
        bytes: 4 * pair_words,
        acts_end: twos.start.wrapping_add(count / 2 * pair_words),
        weights: jumps.weights,
        jump: jumps.twos,
        acts: twos.start,
        state: if after_first + rest == 0 { 0 } else { 1 + after_first },
        more: after_first,
        shift: (32 - 8 * rest) * ends_early,
        rest,
        first_bytes: 4 * (ROW_PAIR_HEADER + 4 * words),
        memory: [0; 5],
        last: BLOCK / 2 + 1 - ends_early,
        within_next: within(BLOCK / 2),
    };
    let mut beyond = 0;
    if count > 1 {
        // SAFETY: there are codes and scales of that many twos of rows, of four codes or more, and room for them.
        beyond = unsafe { widen(&mut rows) };
    }
    if let (1, Some(&scale)) = (count % 2, tokens.scales.last()) {
        // An odd last row goes in twice.
        let scales = [scale; 2];
        (rows.second, rows.scales, rows.jump) = (0, scales.as_ptr(), jumps.last);
        rows.acts_end = rows.acts.wrapping_add(pair_words);
        // SAFETY: as above; the frame has gone on to the last row.
        beyond |= unsafe { widen(&mut rows) };
    }
    beyond == 0
}

/// As [`rows`], of two rows of fewer than four inputs, from row `first` on: they are filled up.
#[inline(never)]
fn filled_rows(tokens: Tokens<'_>, inputs: usize, first: usize, jumps: Jumps, pair: &mut [u32]) -> bool {
    let (mut codes, mut scales) = ([[0; 4]; 2], [0.0; 2]);
    for (row, (codes, to)) in (first..).zip(codes.iter_mut().zip(&mut scales)) {
        // An odd last row goes in twice.
        let row = row.min(tokens.scales.len() - 1);
        copy(span(tokens.codes, row * inputs, inputs), codes);
        *to = tokens.scales.get(row).copied().unwrap_or_default();
    }
    let twos = if first + 1 < tokens.scales.len() { jumps.twos } else { jumps.last };
    rows(Tokens { codes: codes.as_flattened(), scales: &scales }, 4, Jumps { twos, ..jumps }, pair)
}

/// What [`widen`] works on; the assembly knows the order. Codes, scales and room go on from two rows to the next.
#[repr(C)]
struct Rows {
    /// From a row to the next, in bytes.
    second: usize,
    /// Whole words of the first part, and one.
    first: usize,
    /// Of either row, 0 and the limit less 128 for each code of the first part.
    even: [usize; 2],
    odd: [usize; 2],
    codes: *const i8,
    scales: *const f32,
    /// Of [`twin_start`].
    factor: u32,
    /// From two rows to the next.
    bytes: usize,
    acts_end: *mut u32,
    weights: *const u32,
    jump: usize,
    acts: *mut u32,
    /// 0 if rows are one part of whole words. Else parts to do, -1 once the last word of the last one is done.
    state: usize,
    /// Parts after the first.
    more: usize,
    /// Bits of a last word that is not full, before its own; 0 if it is.
    shift: usize,
    rest: usize,
    /// Of a header and the first part.
    first_bytes: usize,
    /// The sums so far, 3 / 2 of them, where a part's starts go.
    memory: [u32; 5],
    /// As `first`, of the last part of several.
    last: usize,
    within_next: usize,
}

/// The pairs of a word of either row, whose codes are in r10 and r11.
macro_rules! pairs_of_words {
    () => {
        concat!(
            "usada8 r5, r10, r12, r5\n",
            "usada8 r7, r11, r12, r7\n",
            "sxtb16 r8, r10\n",
            "sxtb16 r9, r11\n",
            "sxtb16 r10, r10, ror #8\n",
            "sxtb16 r11, r11, ror #8\n",
            "smlad r4, r8, lr, r4\n",
            "smlad r6, r9, lr, r6\n",
            "smlad r4, r10, lr, r4\n",
            "smlad r6, r11, lr, r6\n",
            "stm r2!, {{r8-r11}}\n",
        )
    };
}

/// Two rows' starts, in r10 and r11, their weights and jump, to the header at r5.
macro_rules! header {
    () => {
        concat!(
            "ldrd r8, r7, [r3, #44]\n",
            "strd r8, r10, [r5, #8]\n",
            "strd r10, r10, [r5, #16]\n",
            "strd r10, r11, [r5, #24]\n",
            "strd r11, r11, [r5, #32]\n",
            "strd r11, r7, [r5, #40]\n",
        )
    };
}

// Registers: r0 and r1 codes, r2 room, r3 words; r4 and r6 sums of codes; r5 and r7 the limit, of which the magnitudes go: a
// byte's difference from 128 is that much less; r10 and r11 words, r8-r11 pairs, r12 signs, lr ones. Between the loops r3 is
// the frame, which lies at sp. The Q flag says that a limit was negative: its saturation to 31 bits sets it.
#[unsafe(naked)]
unsafe extern "C" fn widen(_rows: &mut Rows) -> u32 {
    naked_asm!(
        concat!(".cpu ", env!("CHORD_DSP_CORE")),
        "push {{r0, r4-r11, lr}}",
        "mov r3, r0",
        "mov r12, #0x80808080",
        "mov lr, #0x00010001",
        "movs r1, #0",
        "msr APSR_nzcvq, r1",
        "ldr r2, [r3, #52]",
        "ldr r0, [r3, #24]",
        "2:",
        "ldm r3, {{r1, r3-r7}}",
        "add r1, r0",
        "adds r2, #48",
        // A part, two words at a time.
        "3:",
        "lsrs r3, #1",
        "bcc 5f",
        "4:",
        "ldr r10, [r0], #4",
        "ldr r11, [r1], #4",
        pairs_of_words!(),
        "5:",
        "ldr r10, [r0], #4",
        "ldr r11, [r1], #4",
        "6:",
        pairs_of_words!(),
        "subs r3, #1",
        "bne 4b",
        "ldr r3, [sp]",
        "ldr r8, [r3, #56]",
        "cmp r8, #0",
        "bne 7f",
        // One part.
        "8:",
        "usat r9, #31, r5",
        "usat r9, #31, r7",
        "ldrd r5, r7, [r3, #28]",
        "ldrd r8, r9, [r5], #8",
        "str r5, [r3, #28]",
        "lsl r10, r4, #31",
        "lsl r11, r6, #31",
        "add r10, r10, r10, lsr #14",
        "add r11, r11, r11, lsr #14",
        "stm r2!, {{r8-r11}}",
        "ldrd r5, r9, [r3, #36]",
        "mul r10, r4, r7",
        "mul r11, r6, r7",
        "asr r10, #1",
        "asr r11, #1",
        "subs r5, r2, r5",
        "strd r4, r6, [r5]",
        header!(),
        "mov r0, r1",
        "9:",
        "cmp r2, r9",
        "bne 2b",
        "str r0, [r3, #24]",
        "str r2, [r3, #52]",
        "mrs r0, APSR",
        "and r0, #0x08000000",
        "pop {{r1, r4-r11, pc}}",
        "7:",
        "cmp r8, #1",
        "bne 71f",
        "ldr r9, [r3, #64]",
        "cmp r9, #0",
        "beq 71f",
        // The last word, of which the lower bytes come from before.
        "mov r8, #-1",
        "str r8, [r3, #56]",
        "lsr r8, r9, #3",
        "sub r10, r0, r8",
        "sub r11, r1, r8",
        "ldr r10, [r10]",
        "ldr r11, [r11]",
        "lsr r10, r9",
        "lsr r11, r9",
        "movs r3, #1",
        "b 6b",
        "71:",
        "ldr r9, [r3, #60]",
        "cmp r9, #0",
        "bne 72f",
        "movs r9, #1",
        "str r9, [r3, #56]",
        "ldr r9, [r3, #68]",
        "add r1, r9",
        "b 8b",
        // One of several: starts so that low sums lie about 2^13 and only the sum of all is rounded.
        "72:",
        "usat r10, #31, r5",
        "usat r10, #31, r7",
        "ldrd r10, r11, [r3, #76]",
        "add r4, r10",
        "add r6, r11",
        "strd r4, r6, [r3, #76]",
        "add r10, r4, r4, lsl #1",
        "add r11, r6, r6, lsl #1",
        "asr r10, #1",
        "asr r11, #1",
        "ldrd r5, r7, [r3, #84]",
        "strd r10, r11, [r3, #84]",
        "sub r10, r5, r10",
        "sub r11, r7, r11",
        "add r10, r10, #0x2000",
        "add r11, r11, #0x2000",
        "ldr r5, [r3, #92]",
        "cbnz r5, 73f",
        "ldr r5, [r3, #72]",
        "subs r5, r2, r5",
        "mov r9, r8",
        header!(),
        "mov r8, r9",
        "b 74f",
        "73:",
        "strd r10, r11, [r5]",
        "74:",
        "cmp r8, #1",
        "ble 75f",
        "subs r8, #1",
        "str r8, [r3, #56]",
        "str r2, [r3, #92]",
        "adds r2, #8",
        "cmp r8, #1",
        "ldrd r8, r5, [r3, #96]",
        "it ne",
        "movne r8, #17",
        "mov r3, r8",
        "mov r7, r5",
        "movs r4, #0",
        "movs r6, #0",
        "b 3b",
        "75:",
        "ldr r5, [r3, #28]",
        "ldrd r10, r11, [r5], #8",
        "str r5, [r3, #28]",
        "strd r10, r11, [r2], #8",
        "strd r4, r6, [r2], #8",
        "ldrd r5, r9, [r3, #36]",
        "subs r5, r2, r5",
        "strd r4, r6, [r5]",
        "movs r5, #0",
        "strd r5, r5, [r3, #76]",
        "strd r5, r5, [r3, #84]",
        "str r5, [r3, #92]",
        "ldr r5, [r3, #60]",
        "adds r5, #1",
        "str r5, [r3, #56]",
        "ldr r5, [r3, #68]",
        "adds r0, r1, r5",
        "b 9b",
    )
}

/// Words of a channel, the last one filled up with zeros.
#[inline(always)]
fn words(bytes: &[i8]) -> impl Iterator<Item = u32> {
    let (fours, rest) = bytes.as_chunks::<4>();
    let rest = (!rest.is_empty()).then(|| word(rest, 0));
    fours.iter().map(|&four| u32::from_le_bytes(bytemuck::cast(four))).chain(rest)
}

/// Four channels as streams: `2 q` of the first and the third, 2^7 times as much of the others, at 8 bits without their sign.
#[inline(never)]
pub(super) fn four_channels(channels: [&[i8]; 4], bits: u8, out: &mut [[u32; 4]]) {
    // How far the streams of bytes 0 and 2 are turned; those of 1 and 3 are 8 more.
    let (streams, turns, masks): (unsafe extern "C" fn(_, _, _, _), [u32; 2], _) = match bits {
        8 => (eight_in_place, [31, 24], [0x01fe_01fe, 0xff00_ff00]),
        4 => (four_in_place, [3, 28], [0x001e_001e, 0x0f00_0f00]),
        _ => (two_in_place, [5, 30], [0x0006_0006, 0x0300_0300]),
    };
    let (out, _) = out.as_chunks_mut::<2>();
    let fours = channels.iter().fold(out.len(), |fours, channel| fours.min(channel.len() / 4));
    if fours > 0 {
        // SAFETY: reads that many words of each channel, at any alignment, and writes as many times two fours.
        unsafe { streams(&channels.map(<[i8]>::as_ptr), out.as_mut_ptr(), fours, &masks) }
    }
    if let Some([to_even, to_odd]) = out.get_mut(fours) {
        for (lane, ((channel, even_word), odd_word)) in channels.iter().zip(to_even).zip(to_odd).enumerate() {
            let ([even_turn, odd_turn], [even_mask, odd_mask]) = (turns, masks);
            let (turn, mask) = if lane % 2 == 0 { (even_turn, even_mask) } else { (odd_turn, odd_mask) };
            let signs = if lane % 2 == 1 && bits == 8 { 0 } else { SIGNS };
            let word = word(channel, fours) ^ signs;
            (*even_word, *odd_word) = (word.rotate_right(turn) & mask, word.rotate_right(turn + 8) & mask);
        }
    }
}

/// The loops of [`four_channels`]. Registers: r0-r3 channels, r4-r7 words, r10 steps, r11 and r12 masks, lr streams.
macro_rules! in_place {
    ($name:ident, $signs:literal, $even:literal, $odd:literal, $next_even:literal, $next_odd:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            _channels: &[*const i8; 4],
            _out: *mut [[u32; 4]; 2],
            _fours: usize,
            _masks: &[u32; 2],
        ) {
            naked_asm!(
                "push {{r4-r11, lr}}",
                "mov lr, r1",
                "mov r10, r2",
                "ldrd r12, r11, [r3]",
                "ldm r0, {{r0-r3}}",
                "2:",
                "ldr r4, [r0], #4",
                "ldr r5, [r1], #4",
                "ldr r6, [r2], #4",
                "ldr r7, [r3], #4",
                "eor r4, #0x80808080",
                "eor r6, #0x80808080",
                $signs,
                concat!("and r8, r12, r4, ror #", $even),
                concat!("and r9, r11, r5, ror #", $odd),
                "strd r8, r9, [lr], #8",
                concat!("and r8, r12, r6, ror #", $even),
                concat!("and r9, r11, r7, ror #", $odd),
                "strd r8, r9, [lr], #8",
                concat!("and r4, r12, r4, ror #", $next_even),
                concat!("and r5, r11, r5", $next_odd),
                concat!("and r6, r12, r6, ror #", $next_even),
                concat!("and r7, r11, r7", $next_odd),
                "subs r10, #1",
                "stm lr!, {{r4-r7}}",
                "bne 2b",
                "pop {{r4-r11, pc}}",
            )
        }
    };
}

in_place!(eight_in_place, "", "31", "24", "7", "");
in_place!(four_in_place, "eor r5, #0x80808080\neor r7, #0x80808080", "3", "28", "11", ", ror #4");
in_place!(two_in_place, "eor r5, #0x80808080\neor r7, #0x80808080", "5", "30", "13", ", ror #6");

/// Streams of odd channels as those of even ones.
pub(super) fn levels_of_odd(bits: u8, streams: &mut [[u32; 4]]) {
    let sign = if bits == 8 { 0x0100_0100 } else { 0 };
    for [_, b, _, d] in streams {
        [*b, *d] = [*b, *d].map(|word| word >> 7 & 0x01fe_01fe ^ sign);
    }
}

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

/// One half of a packed group of 2 bits as four plain streams.
#[inline(never)]
pub(super) fn unpack_two_bits(words: &[u32], half: u32, out: &mut [[u32; 4]]) {
    for (&word, out) in words.iter().zip(out) {
        let [a, b, c, d] = two_bits(word, half);
        *out = [a, b << 7, c, d << 7];
    }
}
