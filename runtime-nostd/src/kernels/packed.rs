//! A layer's chosen codes in RAM: channels sorted by width, each weight with no more bits than the plan gives it.
//!
//! Words of a layer: numbers of groups at 8, 4 and 2 bits and of channels at 0 bits; a channel and its bias for each of
//! the latter; then the groups, widest first. A group has 4 channels, at 2 bits 8: their outputs' offsets in bytes, the
//! first [marked](mark), steps and biases, one word each, then its weights by pairs of inputs. A pair is inputs `4 i` and `4 i + 2`, or
//! `4 i + 1` and `4 i + 3`: the low and the high half of a word. Codes of 8 bits take two words to a pair, others one:
//!
//! | bits | half, from the lowest bit |
//! |---|---|
//! | 8 | `q0`, then `q1 - 128`; the next word `q2`, `q3 - 128` |
//! | 4 | `q0`, `q1`, `q2`, `q3 - 8` |
//! | 2 | the word is the OR over i = 0..4 of words with halves `q_2i`, 12 zeros, `q_2i+1 - 2`, turned left by 4 i |
//!
//! The signed channel on top makes the half a signed number that `smlad` multiplies as it is.

use chord_plan::bundle::LayerView;
use chord_plan::numerics::channel_output;

use super::{Tokens, groups, pairs, put_numbers, word};
use crate::Widths;
use crate::span::{copy, span};

/// Words before the parts of a layer.
pub(super) const HEADER: usize = 4;

/// What turns stored bytes `m - 128` into codes `m`.
pub(super) const SIGNS: u32 = 0x8080_8080;

/// Most words that a layer takes, whatever the plan.
pub(super) const fn words(inputs: usize, outputs: usize) -> usize {
    let pairs = pairs(inputs);
    // All channels at 8 bits, a started group at 4 and at 2, and three channels at 0.
    HEADER + outputs.div_ceil(4) * (12 + 2 * pairs) + (12 + pairs) + (24 + pairs) + 6
}

/// Words that a layer takes for a plan.
pub(super) fn words_of(inputs: usize, outputs: usize, widths: Widths<'_>) -> usize {
    let [mut eights, mut fours, mut twos, mut zeros] = [0usize; 4];
    for channel in 0..outputs {
        *match widths.bits(channel) {
            8 => &mut eights,
            4 => &mut fours,
            2 => &mut twos,
            _ => &mut zeros,
        } += 1;
    }
    let pairs = pairs(inputs);
    let plain = eights.div_ceil(4) * (12 + 2 * pairs) + fours.div_ceil(4) * (12 + pairs);
    HEADER + plain + twos.div_ceil(8) * (24 + pairs) + 2 * zeros
}

/// Words of channels that do not exist in the last groups of a layer, at most.
pub(super) fn padding(inputs: usize, widths: &[u8]) -> usize {
    let pairs = pairs(inputs);
    let of_width = |&bits: &u8| match bits {
        8 => 3 * 3 + 3 * pairs / 2,
        4 => 3 * 3 + (3 * pairs).div_ceil(4),
        2 => 7 * 3 + (7 * pairs).div_ceil(8),
        _ => 0,
    };
    widths.iter().map(of_width).sum()
}

/// A group of channels of one width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group<'a> {
    pub(super) bits: u8,
    /// Each channel's output in a row, in bytes from its start; then each `g_c`; then each `bias_c`, as bits.
    pub(super) numbers: &'a [u32],
    pub(super) weights: &'a [u32],
}

/// Groups of one width, one after another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub(super) bits: u8,
    /// Words of a group and of its weights.
    pub(super) group: [usize; 2],
    pub(super) words: &'a [u32],
}

/// The groups of a packed layer, width by width, and the channels without weights, each with its bias as bits.
pub(super) fn runs(inputs: usize, packed: &[u32]) -> ([Run<'_>; 3], &[[u32; 2]]) {
    let (&[eights, fours, twos, zeros], mut rest) = packed.split_first_chunk().unwrap_or((&[0; HEADER], &[]));
    let zeros = rest.split_off(..(zeros as usize).saturating_mul(2)).unwrap_or_default();
    let runs = [(8, eights), (4, fours), (2, twos)].map(|(bits, count)| {
        let (channels, weights) = shape(bits, inputs);
        let group = 3 * channels + weights;
        let words = rest.split_off(..group.saturating_mul(count as usize)).unwrap_or_default();
        Run { bits, group: [group, weights], words }
    });
    (runs, zeros.as_chunks().0)
}

impl<'a> Run<'a> {
    /// Its groups one by one.
    pub(super) fn groups(self) -> impl Iterator<Item = Group<'a>> {
        let Run { bits, group: [group, weights], words } = self;
        words
            .chunks_exact(group.max(1))
            .filter_map(move |words| words.split_at_checked(group - weights))
            .map(move |(numbers, weights)| Group { bits, numbers, weights })
    }
}

/// Channels and words of weights of a group.
fn shape(bits: u8, inputs: usize) -> (usize, usize) {
    match bits {
        8 => (4, 2 * pairs(inputs)),
        4 => (4, pairs(inputs)),
        _ => (8, pairs(inputs)),
    }
}

/// Packs a layer; `packed` has [`words`].
pub(super) fn pack(layer: &LayerView<'_>, widths: Widths<'_>, packed: &mut [u32]) {
    let outputs = layer.layer().outputs;
    let Some(([eights, fours, twos, zeros], mut rest)) = packed.split_first_chunk_mut::<HEADER>() else {
        return;
    };
    *zeros = 0;
    for channel in (0..outputs).filter(|&channel| widths.bits(channel) == 0) {
        let Some(place) = rest.split_off_mut(..2) else { return };
        copy(&[channel as u32, layer.bias(channel, 0).to_bits()], place);
        *zeros += 1;
    }
    *eights = pack_groups::<4>(layer, widths, 8, &mut rest);
    *fours = pack_groups::<4>(layer, widths, 4, &mut rest);
    *twos = pack_groups::<8>(layer, widths, 2, &mut rest);
}

/// Packs the groups of a width to the start of `rest`, which they leave; returns how many there are.
#[inline(never)]
fn pack_groups<const N: usize>(
    layer: &LayerView<'_>,
    widths: Widths<'_>,
    bits: u8,
    rest: &mut &mut [u32],
) -> u32 {
    let (inputs, outputs) = (layer.layer().inputs, layer.layer().outputs);
    let mut count = 0;
    groups::<N>(outputs, widths, bits, |channels| {
        let (_, words) = shape(bits, inputs);
        let (Some(numbers), Some(weights)) = (rest.split_off_mut(..3 * N), rest.split_off_mut(..words))
        else {
            return;
        };
        count += 1;
        put_numbers(layer, &channels, bits, numbers);
        mark(numbers.get_mut(..N).unwrap_or_default());
        pack_weights(channels.map(|channel| layer.codes(channel)).as_slice(), bits, weights);
    });
    count
}

/// Adds 1 to the first of a group's offsets if its outputs lie side by side: a kernel may store them at once. Offsets ascend,
/// and the last one may be there again.
#[inline(always)]
pub(super) fn mark(offsets: &mut [u32]) {
    let width = 4 * offsets.len() as u32;
    if let [first, .., before, last] = offsets
        && *last + 4 == *first + width
        && before != last
    {
        *first |= 1;
    }
}

/// Packs the weights of a group.
#[inline(never)]
fn pack_weights(channels: &[&[i8]], bits: u8, weights: &mut [u32]) {
    let per_four = if bits == 8 { 4 } else { 2 };
    for (four, to) in weights.chunks_exact_mut(per_four).enumerate() {
        let words = match (bits, channels) {
            (8, &[a, b, c, d]) => {
                let [a, b, c, d] = [a, b, c, d].map(|codes| word(codes, four));
                let [a, c] = [a, c].map(|codes| codes ^ SIGNS);
                [bytes(a, b), bytes(c, d), bytes(a >> 8, b >> 8), bytes(c >> 8, d >> 8)]
            }
            (4, &[a, b, c, d]) => {
                let [a, b, c, d] = [a, b, c, d].map(|codes| word(codes, four));
                let codes = [a ^ SIGNS, b ^ SIGNS, c ^ SIGNS, d];
                [nibbles(codes), nibbles(codes.map(|codes| codes >> 8)), 0, 0]
            }
            _ => twins(channels, four),
        };
        copy(&words, to);
    }
}

/// Bytes 0 and 2 of two channels.
fn bytes(low: u32, high: u32) -> u32 {
    low & 0x00ff_00ff | high << 8 & 0xff00_ff00
}

/// The top 4 bits of bytes 0 and 2 of four channels.
fn nibbles([a, b, c, d]: [u32; 4]) -> u32 {
    a >> 4 & 0x000f_000f | b & 0x00f0_00f0 | c << 4 & 0x0f00_0f00 | d << 8 & 0xf000_f000
}

/// The two words of eight channels of 2 bits: four words of [`twin`] in one.
fn twins(channels: &[&[i8]], four: usize) -> [u32; 4] {
    let mut words = [0; 4];
    for (&[low, high], turn) in channels.as_chunks().0.iter().zip([0, 4, 8, 12]) {
        let (low, high) = (word(low, four) ^ SIGNS, word(high, four));
        words[0] |= twin(low, high).rotate_left(turn);
        words[1] |= twin(low >> 8, high >> 8).rotate_left(turn);
    }
    words
}

/// The top 2 bits of bytes 0 and 2 of two channels, at either end of a half.
pub(super) fn twin(low: u32, high: u32) -> u32 {
    low >> 6 & 0x0003_0003 | high << 8 & 0xc000_c000
}

/// `2 q` of four channels of 8 bits at a pair.
#[inline(always)]
pub(super) fn eight_bits(words: [u32; 2]) -> [u32; 4] {
    let [a, b] = words.map(|word| word ^ 0x8000_8000);
    [(a, 31), (a, 7), (b, 31), (b, 7)].map(|(word, turn)| word.rotate_right(turn) & 0x01fe_01fe)
}

/// `2 q` of four channels of 4 bits at a pair.
#[inline(always)]
pub(super) fn four_bits(word: u32) -> [u32; 4] {
    let word = word ^ 0x8000_8000;
    [31, 3, 7, 11].map(|turn| word.rotate_right(turn) & 0x001e_001e)
}

/// `2 q` of four of eight channels of 2 bits at a pair: the first or the second `half` of them.
#[inline(always)]
pub(super) fn two_bits(word: u32, half: u32) -> [u32; 4] {
    let word = (word ^ 0x8888_8888).rotate_right(8 * half);
    [31, 13, 3, 17].map(|turn| word.rotate_right(turn) & 0x0006_0006)
}

/// A packed layer in plain Rust.
pub(super) fn layer(tokens: Tokens<'_>, inputs: usize, outputs: usize, packed: &[u32], out: &mut [f32]) {
    let (runs, zeros) = runs(inputs, packed);
    for &[channel, bias] in zeros {
        let column = out.iter_mut().skip(channel as usize).step_by(outputs.max(1));
        column.for_each(|y| *y = f32::from_bits(bias));
    }
    for group in runs.into_iter().flat_map(Run::groups) {
        let lanes = group.numbers.len() / 3;
        let [offsets, steps, biases] = [0, 1, 2].map(|part| span(group.numbers, part * lanes, lanes));
        let rows = tokens.codes.chunks_exact(inputs.max(1)).zip(tokens.scales);
        for ((token, &scale), out) in rows.zip(out.chunks_exact_mut(outputs.max(1))) {
            let lacking = ((1 << group.bits) - 1) * token.iter().map(|&a| i32::from(a)).sum::<i32>();
            let lanes = products(token, group).into_iter().zip(offsets).zip(steps).zip(biases);
            for (((product, &offset), &step), &bias) in lanes {
                if let Some(y) = out.get_mut(offset as usize / 4) {
                    *y = channel_output(product - lacking, f32::from_bits(step), scale, f32::from_bits(bias));
                }
            }
        }
    }
}

/// `sum a 2 q` of a group's channels.
fn products(token: &[i8], group: Group<'_>) -> [i32; 8] {
    let mut products = [0; 8];
    let words = |i: usize| group.weights.get(i).copied().unwrap_or(0);
    let input = |i: usize| token.get(i).map_or(0, |&a| i32::from(a));
    for pair in 0..pairs(token.len()) {
        let first = 4 * (pair / 2) + pair % 2;
        let (a, b) = (input(first), input(first + 2));
        let weights = match group.bits {
            8 => [eight_bits([words(2 * pair), words(2 * pair + 1)]), [0; 4]],
            4 => [four_bits(words(pair)), [0; 4]],
            _ => [two_bits(words(pair), 0), two_bits(words(pair), 1)],
        };
        for (product, word) in products.iter_mut().zip(weights.as_flattened()) {
            *product += a * (word & 0xffff) as i32 + b * (word >> 16) as i32;
        }
    }
    products
}
