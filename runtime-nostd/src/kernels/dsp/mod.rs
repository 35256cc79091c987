//! Armv7E-M and Armv8-M with the DSP extension and a single-precision FPU: Cortex-M4F, M7, M33.
//!
//! The codes of up to all rows are widened to pairs of halves once per layer, the weights of four or eight channels
//! once per group of channels, and [`tile::tile`] multiplies them. Weights enter as unsigned `2 q`, which one mask
//! takes out of a word of codes; `(2^b - 1) sum a` is subtracted at the start of a sum, once per row.

mod attention;
mod dot;
mod exponential;
mod gelu;
mod instructions;
mod row;
mod tile;
mod token;
mod widen;

use chord_plan::bundle::{Floats, LayerView};
use chord_plan::manifest::{Activation, Layer};
use chord_plan::numerics::relu;

use self::row::WideRow;
use self::tile::tile;
use self::widen::{
    Row, four_channels, rows, twin_channels, unpack_eight_bits, unpack_four_bits, unpack_twin,
    unpack_two_bits,
};
use super::packed;
use super::{
    Linear, ROW_PAIR_HEADER, Tokens, Tokenwise, groups, numbers, pairs, parts_after_first, row_pair_words,
    scratch_words,
};
use crate::Widths;
use crate::span::{copy, span_mut};

/// The kernel for cores with Arm's DSP instructions.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dsp;

impl Linear for Dsp {
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
            && let Some((row, memory)) = scratch.split_at_mut_checked(2 * pairs(inputs))
            && let Some(row) = WideRow::new(tokens.codes, scale, row)
            && row.in_place(layer, widths, memory, out)
        {
            return;
        }
        let Some(mut pass) = Pass::new(tokens, inputs, outputs, scratch, out) else {
            return out.fill(f32::NAN);
        };
        for channel in (0..outputs).filter(|&channel| widths.bits(channel) == 0) {
            pass.constant(channel, layer.bias(channel, 0));
        }
        let plain: &[u8] = if pass.twin { &[8, 4] } else { &[8, 4, 2] };
        for &bits in plain {
            groups::<4>(outputs, widths, bits, |channels| {
                four_channels(channels.map(|channel| layer.codes(channel)), bits, pass.weights);
                pass.multiply(Start::Plain(bits), numbers(layer, channels, bits).as_flattened());
            });
        }
        if pass.twin {
            groups::<8>(outputs, widths, 2, |channels| {
                twin_channels(channels.map(|channel| layer.codes(channel)), pass.weights);
                pass.multiply(Start::Twin, numbers(layer, channels, 2).as_flattened());
            });
        }
    }

    fn packed_layer(
        &self,
        tokens: Tokens<'_>,
        layer: &Layer,
        packed: &[u32],
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        if let &[scale] = tokens.scales
            && tokens.codes.len() == layer.inputs
            && out.len() == layer.outputs
            && let Some(row) = WideRow::new(tokens.codes, scale, scratch)
        {
            let (runs, constants) = packed::runs(layer.inputs, packed);
            for &[channel, bias] in constants {
                out.get_mut(channel as usize).into_iter().for_each(|y| *y = f32::from_bits(bias));
            }
            runs.into_iter().for_each(|run| row.multiply(run, out));
            return;
        }
        let Some(mut pass) = Pass::new(tokens, layer.inputs, layer.outputs, scratch, out) else {
            return out.fill(f32::NAN);
        };
        let (groups, constants) = packed::parts(layer.inputs, packed);
        for &[channel, bias] in constants {
            pass.constant(channel as usize, f32::from_bits(bias));
        }
        for group in groups {
            match group.bits {
                2 if pass.twin => {
                    unpack_twin(group.weights, pass.weights);
                    pass.multiply(Start::Twin, group.numbers);
                }
                2 => {
                    let (fours, _) = group.numbers.as_chunks::<4>();
                    for half in 0..2 {
                        unpack_two_bits(group.weights, half, pass.weights);
                        let mut numbers = [[0; 4]; 3];
                        let of_half = fours.iter().skip(half as usize).step_by(2);
                        numbers.iter_mut().zip(of_half).for_each(|(to, from)| *to = *from);
                        pass.multiply(Start::Plain(2), numbers.as_flattened());
                    }
                }
                4 => {
                    unpack_four_bits(group.weights, pass.weights);
                    pass.multiply(Start::Plain(4), group.numbers);
                }
                _ => {
                    unpack_eight_bits(group.weights, pass.weights);
                    pass.multiply(Start::Plain(8), group.numbers);
                }
            }
        }
    }

    fn dot(&self, token: &[i8], codes: &[i8]) -> i32 {
        dot::dot(token, codes)
    }
}

/// Kernels of cores with these instructions: the FPU's loops are the same.
pub(super) trait Armv7EM {}

impl Armv7EM for Dsp {}

impl<K: Armv7EM> Tokenwise for K {
    fn quantise(&self, x: &[f32], out: &mut [i8]) -> f32 {
        token::quantise(x, out)
    }

    fn activate(&self, activation: Activation, x: &mut [f32]) {
        match activation {
            Activation::Gelu => gelu::gelu(x),
            Activation::Relu => x.iter_mut().for_each(|x| *x = relu(*x)),
        }
    }

    fn add(&self, x: &mut [f32], y: &[f32]) {
        token::add(x, y);
    }

    fn layer_norm(&self, x: &[f32], gamma: Floats<'_>, beta: Floats<'_>, epsilon: f32, out: &mut [f32]) {
        token::normalise(x, gamma, beta, epsilon, out);
    }

    fn attend(
        &self,
        query: &[f32],
        keys: &[f32],
        values: &[f32],
        stride: usize,
        scale: f32,
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        attention::attention(query, keys, values, stride, scale, scores, out);
    }
}

/// A layer for two rows or more, or one that stands for two.
struct Pass<'p> {
    /// Widened rows, two by two.
    acts: &'p mut [u32],
    /// Room for the weights of a group.
    weights: &'p mut [[u32; 4]],
    count: usize,
    outputs: usize,
    /// Whether channels of 2 bits may share sums.
    twin: bool,
    /// What the sums of all rows now start for.
    started: Option<Start>,
    out: &'p mut [f32],
}

/// What sums start for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// Plain streams of a width.
    Plain(u8),
    Twin,
}

impl<'p> Pass<'p> {
    /// Widens the rows. `None` if the buffers do not fit together or the scratch memory is too small.
    fn new(
        tokens: Tokens<'_>,
        inputs: usize,
        outputs: usize,
        scratch: &'p mut [u32],
        out: &'p mut [f32],
    ) -> Option<Self> {
        let count = tokens.scales.len();
        let scratch = scratch.get_mut(..scratch_words(count, inputs))?;
        if count == 0 || tokens.codes.len() != count * inputs || out.len() != count * outputs {
            return None;
        }
        let row_pairs = count.div_ceil(2) * row_pair_words(pairs(inputs));
        let (acts, weights) = scratch.split_at_mut_checked(row_pairs)?;
        let largest = rows(tokens, inputs, acts);
        let twin = largest <= Row::TWIN_LIMIT && parts_after_first(pairs(inputs)) <= Row::TWIN_PARTS;
        let (weights, _) = weights.get_mut(..4 * pairs(inputs))?.as_chunks_mut();
        Some(Self { acts, weights, count, outputs, twin, started: None, out })
    }

    /// All rows' outputs of a channel without weights.
    fn constant(&mut self, channel: usize, bias: f32) {
        let mut place = channel;
        while let Some(y) = self.out.get_mut(place) {
            *y = bias;
            place += self.outputs.max(1);
        }
    }

    /// All rows' outputs of the group whose weights are laid out.
    fn multiply(&mut self, start: Start, numbers: &[u32]) {
        let pair_words = row_pair_words(self.weights.len());
        if self.started != Some(start) {
            self.start(start, pair_words);
        }
        let in_twos = self.count / 2;
        let Some((acts, last)) = self.acts.split_at_checked(in_twos * pair_words) else { return };
        if !acts.is_empty() {
            tile(acts, self.weights, numbers, self.out, self.outputs);
        }
        if !last.is_empty() {
            // The last of an odd number of rows is there twice and goes to one place.
            let out = span_mut(self.out, (self.count - 1) * self.outputs, self.outputs);
            tile(last, self.weights, numbers, out, 0);
        }
    }

    #[inline(never)]
    fn start(&mut self, start: Start, pair_words: usize) {
        self.started = Some(start);
        for pair in self.acts.chunks_exact_mut(pair_words.max(1)) {
            let Some(header) = pair.first_chunk_mut::<ROW_PAIR_HEADER>() else { continue };
            let starts = match start {
                Start::Plain(bits) => Row::two(header).map(|row| row.plain_start(bits)),
                Start::Twin => [header[8], header[9]],
            };
            copy(&starts, header);
        }
    }
}
