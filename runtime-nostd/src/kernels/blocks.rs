//! What AArch64's kernels share: weights in blocks of 4 channels x 4 inputs, and a layer's way through them.
//!
//! A group is 4 channels of one width. Its codes lie in blocks of 16 bytes: inputs `4 i .. 4 i + 4` of the first channel,
//! of the second, and so on, which is what `sdot` takes; a load that takes four words apart gives each
//! channel's codes by themselves. Packed, a layer is numbers of groups at 8, 4 and 2 bits and of channels at 0 bits; a
//! channel and its bias for each of the latter; then the groups, widest first: their outputs' offsets in bytes, steps
//! and biases, one word each, then their blocks. At 4 bits two blocks share one's bytes, the first in the low bits; at
//! 2 bits four do. Blocks at the end that are too few for that share bytes with themselves: at 4 bits channels 0 and 2, 1
//! and 3, at 2 bits all four, the first in the low bits.

use chord_plan::bundle::LayerView;
use chord_plan::manifest::Layer;
use chord_plan::numerics::channel_output;

use super::{Linear, Tokens, Tokenwise, groups, numbers, step_and_bias, word};
use crate::Widths;
use crate::span::copy;

/// 4 channels x 4 inputs.
pub(super) type Block = [i8; 16];

/// Inputs that a kernel takes at once: rows and weights go on to a multiple of them, rows with zeros.
pub(super) const STEP: usize = 16;

/// Words before the parts of a packed layer.
pub(super) const HEADER: usize = 4;

/// A family of vector processors.
pub(super) trait Tiles: Tokenwise {
    /// Whether [`weave`](Self::weave) changes anything, and rows lie in twos.
    fn woven(&self) -> bool {
        false
    }

    /// The tokens as rows of `width` codes.
    fn lay_rows(&self, tokens: &[i8], inputs: usize, width: usize, rows: &mut [Block]) {
        lay_rows(tokens, inputs, width, rows);
    }

    /// Turns blocks into the order that the tile reads.
    fn weave(&self, _weights: &mut [Block]) {}

    /// The weights of four channels as blocks: signed codes at 8 bits, levels at fewer.
    fn lay(&self, channels: [&[i8]; 4], bits: u8, weights: &mut [Block]) {
        lay(channels, bits, weights);
    }

    /// The weights of a packed group, as [`lay`](Self::lay); there is room for whole steps.
    fn unpack(&self, packed: &[i8], bits: u8, weights: &mut [Block]) {
        unpack(packed, bits, weights);
    }

    /// `sum a`.
    fn sum(&self, token: &[i8]) -> i32 {
        token.iter().map(|&a| i32::from(a)).sum()
    }

    /// All rows' outputs of a group. Operands that do not [`fit`](Operands::fit) give none.
    fn multiply(&self, operands: Operands<'_>);

    /// As [`Linear::dot`].
    fn dot(&self, token: &[i8], codes: &[i8]) -> i32;

    /// As [`Linear::filter_row`].
    fn filter_row(&self, token: &[i8], codes: &[i8], bits: u8) -> i32;
}

/// What a tile multiplies.
pub(super) struct Operands<'t> {
    /// Codes, rows x width, as [`Tiles::lay_rows`] leaves them.
    pub(super) rows: &'t [Block],
    /// Inputs of a row with its zeros: a multiple of [`STEP`].
    pub(super) width: usize,
    /// `sum a` of each row.
    pub(super) sums: &'t [i32],
    /// Scale of each row.
    pub(super) scales: &'t [f32],
    /// Width / 4 blocks, as [`Tiles::weave`] leaves them.
    pub(super) weights: &'t [Block],
    /// Whether the weights are codes `q` of 8 bits, whose levels are `2 q + 1`, or levels of fewer.
    pub(super) codes: bool,
    /// Of each channel its output's offset in a row, in bytes, its step and its bias.
    pub(super) numbers: &'t [[u32; 4]; 3],
    /// Channels of the layer.
    pub(super) outputs: usize,
    /// Rows x outputs.
    pub(super) out: &'t mut [f32],
}

impl Operands<'_> {
    /// Whether the lengths are those of each other, with rows for a multiple of `rows_at_once`.
    pub(super) fn fit(&self, rows_at_once: usize) -> bool {
        let Self { rows, width, sums, scales, weights, numbers: [offsets, ..], outputs, out, .. } = self;
        let count = sums.len();
        width % STEP == 0
            && scales.len() == count
            && rows.len() >= count.next_multiple_of(rows_at_once) * (width / 16)
            && weights.len() >= width / 4
            && out.len() == count * outputs
            && offsets.iter().all(|&offset| (offset as usize / 4) < *outputs)
    }

    /// Whether the channels' outputs lie side by side.
    #[cfg(not(chord_mve))]
    pub(super) fn adjacent(&self) -> bool {
        let [[a, b, c, d], ..] = *self.numbers;
        [b, c, d] == [a + 4, a + 8, a + 12]
    }
}

impl<T: Tiles> Linear for T {
    fn layer(
        &self,
        tokens: Tokens<'_>,
        layer: &LayerView<'_>,
        widths: Widths<'_>,
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        let (inputs, outputs) = (layer.layer().inputs, layer.layer().outputs);
        if let &[scale] = tokens.scales
            && tokens.codes.len() == inputs
            && out.len() == outputs
        {
            return one_row(self, tokens.codes, scale, layer, widths, out);
        }
        let Some(mut pass) = Pass::new(self, tokens, inputs, outputs, scratch, out) else {
            return out.fill(f32::NAN);
        };
        for channel in (0..outputs).filter(|&channel| widths.bits(channel) == 0) {
            pass.constant(channel, layer.bias(channel, 0));
        }
        for bits in [8, 4, 2] {
            groups::<4>(outputs, widths, bits, |channels| {
                self.lay(channels.map(|channel| layer.codes(channel)), bits, pass.weights);
                self.weave(pass.weights);
                pass.multiply(None, bits, &numbers(layer, channels, bits));
            });
        }
    }

    fn pack(&self, layer: &LayerView<'_>, widths: Widths<'_>, packed: &mut [u32]) {
        pack(layer, widths, packed);
    }

    fn packed_layer(
        &self,
        tokens: Tokens<'_>,
        layer: &Layer,
        packed: &[u32],
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        let (inputs, outputs) = (layer.inputs, layer.outputs);
        let Some(mut pass) = Pass::new(self, tokens, inputs, outputs, scratch, out) else {
            return out.fill(f32::NAN);
        };
        let Some((&counts, mut rest)) = packed.split_first_chunk::<HEADER>() else { return };
        let [.., zeros] = counts;
        let zeros = rest.split_off(..(zeros as usize).saturating_mul(2)).unwrap_or_default();
        for &[channel, bias] in zeros.as_chunks().0 {
            pass.constant(channel as usize, f32::from_bits(bias));
        }
        for (bits, count) in [8, 4, 2].into_iter().zip(counts) {
            for _ in 0..count {
                let (Some(numbers), Some(words)) =
                    (rest.split_off(..12), rest.split_off(..stored(inputs, bits)))
                else {
                    return;
                };
                let Some(numbers) = numbers.as_chunks().0.first_chunk() else { return };
                let bytes: &[i8] = bytemuck::cast_slice(words);
                if bits == 8 && !self.woven() && inputs % STEP == 0 {
                    pass.multiply(Some(bytes.as_chunks().0), bits, numbers);
                    continue;
                }
                self.unpack(bytes, bits, pass.weights);
                self.weave(pass.weights);
                pass.multiply(None, bits, numbers);
            }
        }
    }

    fn dot(&self, token: &[i8], codes: &[i8]) -> i32 {
        Tiles::dot(self, token, codes)
    }

    fn filter_row(&self, token: &[i8], codes: &[i8], bits: u8) -> i32 {
        Tiles::filter_row(self, token, codes, bits)
    }
}

/// One row in place: nothing is laid out for it alone.
fn one_row(
    tiles: &impl Tiles,
    token: &[i8],
    scale: f32,
    layer: &LayerView<'_>,
    widths: Widths<'_>,
    out: &mut [f32],
) {
    for (channel, y) in out.iter_mut().enumerate() {
        *y = match widths.bits(channel) {
            0 => layer.bias(channel, 0),
            bits => {
                let t = tiles.filter_row(token, layer.codes(channel), bits);
                let [step, bias] = step_and_bias(layer, channel, bits);
                channel_output(t, step, scale, bias)
            }
        };
    }
}

/// Words that the codes of a packed group take.
pub(super) const fn stored(inputs: usize, bits: u8) -> usize {
    inputs.div_ceil(4) * bits as usize / 2
}

/// Words of scratch memory that a layer takes.
pub(super) const fn scratch(rows: usize, inputs: usize) -> usize {
    let width = inputs.next_multiple_of(STEP);
    rows + rows.next_multiple_of(2) * width / 4 + width
}

/// Packs a layer; `packed` has [`words`].
fn pack(layer: &LayerView<'_>, widths: Widths<'_>, packed: &mut [u32]) {
    let (inputs, outputs) = (layer.layer().inputs, layer.layer().outputs);
    let Some((counts, mut rest)) = packed.split_first_chunk_mut::<HEADER>() else { return };
    *counts = [0; HEADER];
    let [eights, fours, twos, zeros] = counts;
    for channel in (0..outputs).filter(|&channel| widths.bits(channel) == 0) {
        let Some(place) = rest.split_off_mut(..2) else { return };
        copy(&[channel as u32, layer.bias(channel, 0).to_bits()], place);
        *zeros += 1;
    }
    for (bits, count) in [(8, eights), (4, fours), (2, twos)] {
        groups::<4>(outputs, widths, bits, |channels| {
            let (Some(place), Some(words)) =
                (rest.split_off_mut(..12), rest.split_off_mut(..stored(inputs, bits)))
            else {
                return;
            };
            *count += 1;
            copy(numbers(layer, channels, bits).as_flattened(), place);
            let codes = channels.map(|channel| layer.codes(channel));
            let bytes = bytemuck::cast_slice_mut(words);
            match bits {
                8 => pack_bits::<8, 1>(codes, bytes),
                4 => pack_bits::<4, 2>(codes, bytes),
                _ => pack_bits::<2, 4>(codes, bytes),
            }
        });
    }
}

fn pack_bits<const BITS: u8, const PER_BYTE: usize>(channels: [&[i8]; 4], bytes: &mut [u8]) {
    for (first, part) in bytes.chunks_mut(16).enumerate() {
        let mut codes = [[0; 16]; PER_BYTE];
        for (i, block) in codes.iter_mut().enumerate() {
            *block = bytemuck::cast(channels.map(|channel| word(channel, PER_BYTE * first + i).to_le()));
        }
        let whole = part.len() == 16;
        part.fill(0);
        for (i, block) in codes.iter().enumerate() {
            let shared = |code: u8| code >> (8 - BITS) << (usize::from(BITS) * i);
            if whole {
                part.iter_mut().zip(block).for_each(|(byte, &code)| *byte |= shared(code));
                continue;
            }
            for (place, byte) in part.iter_mut().enumerate() {
                let code = codes.as_flattened().get(at_end::<PER_BYTE>(place, i));
                *byte |= shared(code.copied().unwrap_or(0));
            }
        }
    }
}

/// Where in the last blocks the code is that stands in part `i` of a byte of them.
const fn at_end<const PER_BYTE: usize>(byte: usize, i: usize) -> usize {
    let shared = 16 / PER_BYTE;
    16 * (byte / shared) + shared * i + byte % shared
}

/// As [`Tiles::lay_rows`], one row after the other.
pub(super) fn lay_rows(tokens: &[i8], inputs: usize, width: usize, rows: &mut [Block]) {
    let rows = rows.as_flattened_mut().chunks_exact_mut(width.max(1));
    for (row, token) in rows.zip(tokens.chunks_exact(inputs.max(1))) {
        copy(token, row);
        row.iter_mut().skip(inputs).for_each(|code| *code = 0);
    }
}

/// As [`Tiles::lay`], for whatever the caller is compiled for.
#[inline(always)]
pub(super) fn lay(channels: [&[i8]; 4], bits: u8, weights: &mut [Block]) {
    match bits {
        8 => lay_bits::<8>(channels, weights),
        4 => lay_bits::<4>(channels, weights),
        _ => lay_bits::<2>(channels, weights),
    }
}

#[inline(always)]
fn lay_bits<const BITS: u8>(channels: [&[i8]; 4], weights: &mut [Block]) {
    let weight = |code: i8| if BITS == 8 { code } else { code >> (7 - BITS) | 1 };
    let block = |words: [u32; 4]| bytemuck::cast::<_, Block>(words).map(weight);
    let [a, b, c, d] = channels.map(|channel| channel.as_chunks::<4>().0);
    for ((((a, b), c), d), out) in a.iter().zip(b).zip(c).zip(d).zip(&mut *weights) {
        *out = block([a, b, c, d].map(|&four| bytemuck::cast(four)));
    }
    if let [first, ..] = channels
        && first.len() % 4 != 0
        && let Some(out) = weights.get_mut(a.len())
    {
        *out = block(channels.map(|channel| word(channel, a.len()).to_le()));
    }
}

/// As [`Tiles::unpack`], for whatever the caller is compiled for.
#[inline(always)]
pub(super) fn unpack(packed: &[i8], bits: u8, weights: &mut [Block]) {
    match bits {
        8 => copy(packed, weights.as_flattened_mut()),
        4 => unpack_bits::<4, 2>(packed, weights),
        _ => unpack_bits::<2, 4>(packed, weights),
    }
}

#[inline(always)]
fn unpack_bits<const BITS: usize, const PER_BYTE: usize>(packed: &[i8], weights: &mut [Block]) {
    // The bit below the code's, whatever it is, becomes the 1 of `2 q + 1`.
    let level = |byte: i8, i: usize| byte << (8 - BITS - BITS * i) >> (7 - BITS) | 1;
    let (blocks, end) = packed.as_chunks::<16>();
    let Some((whole, rest)) = weights.split_at_mut_checked(PER_BYTE * blocks.len()) else { return };
    for (block, out) in blocks.iter().zip(whole.chunks_exact_mut(PER_BYTE)) {
        for (i, out) in out.iter_mut().enumerate() {
            *out = block.map(|byte| level(byte, i));
        }
    }
    let rest = rest.as_flattened_mut();
    for (place, &byte) in end.iter().enumerate() {
        for i in 0..PER_BYTE {
            if let Some(code) = rest.get_mut(at_end::<PER_BYTE>(place, i)) {
                *code = level(byte, i);
            }
        }
    }
}

/// A layer on its way.
struct Pass<'p, T> {
    tiles: &'p T,
    rows: &'p [Block],
    width: usize,
    sums: &'p [i32],
    scales: &'p [f32],
    /// Room for the blocks of a group.
    weights: &'p mut [Block],
    outputs: usize,
    out: &'p mut [f32],
}

impl<'p, T: Tiles> Pass<'p, T> {
    /// Lays the rows out. `None` if the buffers do not fit together or the scratch memory is too small.
    fn new(
        tiles: &'p T,
        tokens: Tokens<'p>,
        inputs: usize,
        outputs: usize,
        memory: &'p mut [u32],
        out: &'p mut [f32],
    ) -> Option<Self> {
        let count = tokens.scales.len();
        if count == 0 || tokens.codes.len() != count * inputs || out.len() != count * outputs {
            return None;
        }
        let width = inputs.next_multiple_of(STEP);
        let mut memory = memory.get_mut(..scratch(count, inputs))?;
        let sums: &mut [i32] = bytemuck::try_cast_slice_mut(memory.split_off_mut(..count)?).ok()?;
        let rows = memory.split_off_mut(..count.next_multiple_of(2) * width / 4)?;
        let rows: &mut [Block] = bytemuck::try_cast_slice_mut(rows).ok()?;
        let weights = bytemuck::try_cast_slice_mut(memory).ok()?;
        for (token, sum) in tokens.codes.chunks_exact(inputs.max(1)).zip(&mut *sums) {
            *sum = tiles.sum(token);
        }
        // Rows that need no zeros are read where they are.
        let rows = match width == inputs && !tiles.woven() {
            true => tokens.codes.as_chunks().0,
            false => {
                tiles.lay_rows(tokens.codes, inputs, width, rows);
                rows
            }
        };
        Some(Self { tiles, rows, width, sums, scales: tokens.scales, weights, outputs, out })
    }

    /// All rows' outputs of a channel without weights.
    fn constant(&mut self, channel: usize, bias: f32) {
        let column = self.out.iter_mut().skip(channel).step_by(self.outputs.max(1));
        column.for_each(|y| *y = bias);
    }

    /// All rows' outputs of a group whose blocks are `weights`, or those laid out.
    fn multiply(&mut self, weights: Option<&[Block]>, bits: u8, numbers: &[[u32; 4]; 3]) {
        let Self { rows, width, sums, scales, outputs, .. } = *self;
        let weights = weights.unwrap_or(self.weights);
        self.tiles.multiply(Operands {
            rows,
            width,
            sums,
            scales,
            weights,
            codes: bits == 8,
            numbers,
            outputs,
            out: self.out,
        });
    }
}
