//! The integer inner loops, behind one seam: every kernel gives the same numbers, only faster (`docs/kernels.md`).

#[cfg_attr(not(any(chord_mve, target_arch = "aarch64")), allow(dead_code))]
mod blocks;
#[cfg(chord_dsp)]
#[allow(unsafe_code)]
mod dsp;
#[cfg(any(chord_dsp, target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
mod elementary;
#[cfg(chord_mve)]
#[allow(unsafe_code)]
mod mve;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
#[allow(unsafe_code)]
mod neon;
mod packed;
#[cfg(feature = "fixed-point")]
pub(crate) mod pairs;
mod scalar;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

use chord_plan::Manifest;
use chord_plan::bundle::{Floats, LayerView};
use chord_plan::manifest::{Activation, Layer, LayerName};
use chord_plan::numerics::{self, step};

#[cfg(chord_dsp)]
pub use dsp::Dsp;
#[cfg(chord_mve)]
pub use mve::Mve;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub use neon::Neon;
pub use scalar::Scalar;
#[cfg(target_arch = "x86_64")]
pub use x86::X86;

use crate::Widths;
use crate::span::copy;

/// The fastest kernel that this target is known to run.
#[cfg(chord_mve)]
pub type Native = Mve;
/// The fastest kernel that this target is known to run.
#[cfg(all(chord_dsp, not(chord_mve)))]
pub type Native = Dsp;
/// The fastest kernel that this target is known to run.
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub type Native = Neon;
/// The fastest kernel that this target is known to run.
#[cfg(target_arch = "x86_64")]
pub type Native = X86;
/// The fastest kernel that this target is known to run.
#[cfg(not(any(chord_dsp, target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
pub type Native = Scalar;

/// Quantised tokens that enter a layer.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tokens<'a> {
    /// Codes, rows x inputs (`docs/numerics.md`, section 2).
    pub codes: &'a [i8],
    /// Scale of each row.
    pub scales: &'a [f32],
}

/// Quantised linear algebra (`docs/numerics.md`, section 3).
pub trait Linear: Tokenwise {
    /// Outputs of a layer for all rows of `tokens` to `out`, rows x outputs.
    ///
    /// A layer's weights are read from the bundle in place, at the width that `widths` gives each channel. There may
    /// be any number of rows; a kernel reads a channel's codes once and uses them for as many rows as it can.
    ///
    /// `scratch` is [`scratch_words`] long, with any content. A kernel that needs it and gets less writes NaN.
    fn layer(
        &self,
        tokens: Tokens<'_>,
        layer: &LayerView<'_>,
        widths: Widths<'_>,
        scratch: &mut [u32],
        out: &mut [f32],
    );

    /// Packs the chosen codes of a layer into the kernel's layout in RAM; `packed` is [`packed_words`]
    /// long.
    fn pack(&self, layer: &LayerView<'_>, widths: Widths<'_>, packed: &mut [u32]) {
        packed::pack(layer, widths, packed);
    }

    /// As [`layer`](Self::layer), with the weights that [`pack`](Self::pack) left.
    fn packed_layer(
        &self,
        tokens: Tokens<'_>,
        layer: &Layer,
        packed: &[u32],
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        let _ = scratch;
        packed::layer(tokens, layer.inputs, layer.outputs, packed, out);
    }

    /// Integer dot product of a token with 8-bit levels, for the item embeddings.
    fn dot(&self, token: &[i8], codes: &[i8]) -> i32;

    /// Integer dot product of a token with the levels of one row of a filter at 2, 4 or 8 bits; 0 at any other width.
    fn filter_row(&self, token: &[i8], codes: &[i8], bits: u8) -> i32 {
        scalar::filter_row(token, codes, bits)
    }
}

/// The floating-point loops over one token between the layers.
pub trait Tokenwise {
    /// As [`numerics::quantise_token`].
    fn quantise(&self, x: &[f32], out: &mut [i8]) -> f32 {
        numerics::quantise_token(x, out)
    }

    /// As [`Activation::apply`], of every number.
    fn activate(&self, activation: Activation, x: &mut [f32]) {
        x.iter_mut().for_each(|x| *x = activation.apply(*x));
    }

    /// Adds `y` to `x`, as much as both hold.
    fn add(&self, x: &mut [f32], y: &[f32]) {
        x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
    }

    /// As [`numerics::layer_norm`].
    fn layer_norm(&self, x: &[f32], gamma: Floats<'_>, beta: Floats<'_>, epsilon: f32, out: &mut [f32]) {
        numerics::layer_norm(x, gamma, beta, epsilon, out);
    }

    /// As [`numerics::attend`].
    #[expect(clippy::too_many_arguments, reason = "those of the function that it stands for")]
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
        numerics::attend(query, keys, values, stride, scale, scores, out);
    }
}

/// Scratch memory that `rows` tokens of `inputs` codes take in the neediest kernel, in words.
///
/// The same on every target, so that a build script can size the arena of a device.
pub const fn scratch_words(rows: usize, inputs: usize) -> usize {
    let pairs = pairs(inputs);
    let dsp = rows.div_ceil(2) * row_pair_words(pairs) + ROWS_END + 4 * pairs;
    let blocks = blocks::scratch(rows, inputs);
    if dsp > blocks { dsp } else { blocks }
}

/// Words that a layer takes packed for a plan, on every target; 0 for a convolution, which is read in place.
pub fn packed_words(layer: &Layer, widths: Widths<'_>) -> usize {
    match is_packed(layer) {
        true => packed::words_of(layer.inputs, layer.outputs, widths),
        false => 0,
    }
}

/// Words that all layers of a model take packed, at most: for plans that keep `budget` bits per weight in 1/1000 or
/// less on average, in whatever layers and widths; for any plan if `None`.
pub fn max_packed_words(manifest: &Manifest, budget: Option<u16>) -> usize {
    let widths = manifest.palette.widths_above_zero();
    // A bundle has fewer than 2^32 weights: their bits in words stay far below.
    let weights = manifest.quantised_weights() as usize;
    let kept = |budget: usize| weights / 32_000 * budget + (weights % 32_000 * budget).div_ceil(32_000);
    let kept = kept(budget.map_or(8000, |budget| usize::from(budget.min(8000))));
    // Inputs filled up to fours take more, channels of 0 bits have no step.
    let (mut any, mut filled, mut fewest_inputs, mut channels, mut padding) = (0, 0, usize::MAX, 0, 0);
    for layer in manifest.layers().filter(is_packed) {
        let inputs = layer.inputs.max(1);
        any += packed::words(layer.inputs, layer.outputs);
        let lacking = 2 * pairs(inputs) - inputs;
        filled = filled.max((kept * lacking).div_ceil(inputs));
        fewest_inputs = fewest_inputs.min(inputs);
        channels += layer.outputs;
        padding += packed::HEADER + packed::padding(inputs, widths);
    }
    if budget.is_none() {
        return any;
    }
    let narrowest = usize::from(widths.first().copied().unwrap_or(8).max(1));
    let with_weights =
        (kept.saturating_mul(32) / fewest_inputs.saturating_mul(narrowest).max(1)).min(channels);
    any.min(kept + filled + 2 * channels + with_weights + padding)
}

fn is_packed(layer: &Layer) -> bool {
    !matches!(layer.name, LayerName::Horizontal(_) | LayerName::Vertical)
}

/// Words before the codes of two rows in scratch memory, and behind them.
const ROW_PAIR_HEADER: usize = 12;
const ROW_PAIR_TAIL: usize = 4;

/// Words behind all rows: as much as a header, which says that they end.
const ROWS_END: usize = ROW_PAIR_HEADER;

/// Pairs of inputs in a part of a row, as long as the unrolled loop of a tile; the first part has 2 to 32.
const BLOCK: usize = 32;

/// Words of two widened rows: the first part and what lies about it, and each other part behind two words.
const fn row_pair_words(pairs: usize) -> usize {
    ROW_PAIR_HEADER + 2 * pairs + 2 * parts_after_first(pairs) + ROW_PAIR_TAIL
}

/// Parts of a row after its first.
const fn parts_after_first(pairs: usize) -> usize {
    pairs.saturating_sub(1) / BLOCK
}

/// Whether the slices of an attention hold what loops read and write without a look: a key and a value for each score,
/// `stride` apart, each as long as the query, which is not empty; `out` is as long.
#[cfg(any(chord_dsp, target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
#[inline(always)]
fn attention_fits(
    query: &[f32],
    keys: &[f32],
    values: &[f32],
    stride: usize,
    scores: &[f32],
    out: &[f32],
) -> bool {
    let (width, count) = (query.len(), scores.len());
    let reach = count.saturating_sub(1).saturating_mul(stride).saturating_add(width);
    let holds = keys.len() >= reach && values.len() >= reach && out.len() == width;
    width > 0 && count > 0 && width <= stride && holds
}

/// Pairs of inputs, which a 32-bit word of two halves holds; inputs are padded to fours.
const fn pairs(inputs: usize) -> usize {
    2 * inputs.div_ceil(4)
}

/// Word `i` of `bytes`, zeros after the end.
#[inline(never)]
fn word(bytes: &[i8], i: usize) -> u32 {
    let bytes = bytes.get(4 * i..).unwrap_or_default();
    let four = bytes.first_chunk().copied().unwrap_or_else(|| {
        let mut four = [0; 4];
        copy(bytes, &mut four);
        four
    });
    u32::from_le_bytes(bytemuck::cast(four))
}

/// Calls `group` with the channels of `bits` bits, `N` at a time; the last group repeats its last channel.
fn groups<const N: usize>(outputs: usize, widths: Widths<'_>, bits: u8, mut group: impl FnMut([usize; N])) {
    let (mut channels, mut count) = ([0; N], 0);
    for channel in 0..=outputs {
        if channel < outputs {
            if widths.bits(channel) != bits {
                continue;
            }
            // What follows is the last channel again.
            channels.iter_mut().skip(count).for_each(|place| *place = channel);
            count += 1;
        }
        if count == N || channel == outputs && count > 0 {
            group(channels);
            count = 0;
        }
    }
}

/// Of channels of one width their outputs' offsets in a row, in bytes, then their steps, then their biases, as bits.
fn numbers<const N: usize>(layer: &LayerView<'_>, channels: [usize; N], bits: u8) -> [[u32; N]; 3] {
    let mut numbers = [[0; N]; 3];
    put_numbers(layer, &channels, bits, numbers.as_flattened_mut());
    numbers
}

/// As [`numbers`], to `out`.
#[inline(never)]
fn put_numbers(layer: &LayerView<'_>, channels: &[usize], bits: u8, out: &mut [u32]) {
    let Some((offsets, rest)) = out.split_at_mut_checked(channels.len()) else { return };
    let Some((steps, biases)) = rest.split_at_mut_checked(channels.len()) else { return };
    for (((&channel, offset), to_step), to_bias) in channels.iter().zip(offsets).zip(steps).zip(biases) {
        let [step, bias] = step_and_bias(layer, channel, bits);
        (*offset, *to_step, *to_bias) = (4 * channel as u32, step.to_bits(), bias.to_bits());
    }
}

/// `g_c` and `bias_c` of a channel.
fn step_and_bias(layer: &LayerView<'_>, channel: usize, bits: u8) -> [f32; 2] {
    [step(layer.range(channel, bits), bits), layer.bias(channel, bits)]
}
