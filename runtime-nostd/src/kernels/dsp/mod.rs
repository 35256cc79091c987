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
use self::tile::{Layout, WideRows};
use self::widen::{four_channels, levels_of_odd, twin_channels, unpack_two_bits};
use super::packed;
use super::{Linear, Tokens, Tokenwise, groups, numbers, pairs, parts_after_first, scratch_words};
use crate::Widths;

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
            && let Some((row, memory)) = scratch.split_at_mut_checked(WideRow::words(inputs))
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
        // Twins first: the rows start for them.
        if pass.twin {
            groups::<8>(outputs, widths, 2, |channels| {
                twin_channels(channels.map(|channel| layer.codes(channel)), pass.rows.weights());
                pass.multiply(Layout::Twin, 2, marked(layer, channels, 2).as_flattened());
            });
        }
        let plain: &[u8] = if pass.twin { &[8, 4] } else { &[8, 4, 2] };
        for &bits in plain {
            groups::<4>(outputs, widths, bits, |channels| {
                four_channels(channels.map(|channel| layer.codes(channel)), bits, pass.rows.weights());
                pass.multiply(Layout::Plain, bits, marked(layer, channels, bits).as_flattened());
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
            return row.multiply(packed, out);
        }
        let (runs, constants) = packed::runs(layer.inputs, packed);
        let Some(mut pass) = Pass::new(tokens, layer.inputs, layer.outputs, scratch, out) else {
            return out.fill(f32::NAN);
        };
        for &[channel, bias] in constants {
            pass.constant(channel as usize, f32::from_bits(bias));
        }
        // Twins first: the rows start for them.
        for run in runs.into_iter().rev() {
            match run.bits {
                8 => pass.multiply(Layout::PackedEight, 8, run.words),
                4 => pass.multiply(Layout::PackedFour, 4, run.words),
                _ if pass.twin => pass.multiply(Layout::PackedTwo, 2, run.words),
                _ => run.groups().for_each(|group| pass.two_fours(group)),
            }
        }
    }

    fn dot(&self, token: &[i8], codes: &[i8]) -> i32 {
        dot::dot(token, codes)
    }
}

/// As [`numbers`], with the [`mark`](packed::mark) of outputs side by side.
fn marked<const N: usize>(layer: &LayerView<'_>, channels: [usize; N], bits: u8) -> [[u32; N]; 3] {
    let mut numbers = numbers(layer, channels, bits);
    packed::mark(&mut numbers[0]);
    numbers
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
    rows: WideRows<'p>,
    outputs: usize,
    /// Whether channels of 2 bits may share sums.
    twin: bool,
    /// A bound of `sum |a|`.
    magnitude: usize,
    /// Bits of the plain streams that the sums of all rows now start for; 0 for twins.
    started: u8,
    out: &'p mut [f32],
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
        if out.len() != count * outputs {
            return None;
        }
        let rows = WideRows::new(tokens, inputs, scratch)?;
        let parts = 1 + parts_after_first(pairs(inputs));
        let magnitude = if rows.small { parts * widen::TWIN_LIMIT } else { 128 * inputs };
        let twin = rows.small && parts <= widen::TWIN_PARTS;
        Some(Self { rows, outputs, twin, magnitude, started: 0, out })
    }

    /// All rows' outputs of a channel without weights.
    fn constant(&mut self, channel: usize, bias: f32) {
        let mut place = channel;
        while let Some(y) = self.out.get_mut(place) {
            *y = bias;
            place += self.outputs.max(1);
        }
    }

    /// All rows' outputs of groups of a width. A group lies as `layout` says.
    fn multiply(&mut self, layout: Layout, bits: u8, groups: &[u32]) {
        // Sums of odd channels are 2^7 times as large, which 32 bits hold up to 512 inputs at least.
        let fits = self.magnitude << bits <= 1 << 24;
        let twin = matches!(layout, Layout::Twin | Layout::PackedTwo);
        if !twin && self.started != bits {
            self.started = bits;
            self.start(bits, fits);
        }
        if twin || fits {
            return self.rows.multiply(layout, groups, self.out, self.outputs);
        }
        for group in groups.chunks_exact(layout.group(self.rows.weights().len()).max(1)) {
            if layout != Layout::Plain {
                self.rows.unpack(layout, group);
            }
            levels_of_odd(bits, self.rows.weights());
            // Their sums are divided by 2^7 on the way to f32 nevertheless.
            let Some(mut numbers) = group.first_chunk::<12>().copied() else { continue };
            let [_, _, _, _, _, b, _, d, ..] = &mut numbers;
            [*b, *d] = [*b, *d].map(|step| (f32::from_bits(step) * 128.0).to_bits());
            self.rows.multiply(Layout::Plain, &numbers, self.out, self.outputs);
        }
    }

    /// As [`multiply`](Self::multiply) of a packed group of 2 bits whose channels do not share sums.
    fn two_fours(&mut self, group: packed::Group<'_>) {
        let (fours, _) = group.numbers.as_chunks::<4>();
        for half in 0..2 {
            unpack_two_bits(group.weights, half, self.rows.weights());
            let mut numbers = [[0; 4]; 3];
            let of_half = fours.iter().skip(half as usize).step_by(2);
            numbers.iter_mut().zip(of_half).for_each(|(to, from)| *to = *from);
            self.multiply(Layout::Plain, 2, numbers.as_flattened());
        }
    }

    /// Has sums start so that they end as sums of levels: codes enter as `2 q`, those of odd channels `2^7` times as large if
    /// that `fits`, at 8 bits without their sign.
    fn start(&mut self, bits: u8, fits: bool) {
        let even = 1u32.wrapping_sub(1 << bits);
        let odd = match (fits, bits) {
            (false, _) => even,
            (_, 8) => 128,
            _ => even.wrapping_mul(128),
        };
        self.rows.start([even, odd]);
    }
}
