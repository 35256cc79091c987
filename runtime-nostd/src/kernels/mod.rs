//! The integer inner loops, behind one seam: every kernel gives the same numbers, only faster (`docs/kernels.md`).

#[cfg_attr(not(any(target_arch = "aarch64", target_arch = "x86_64")), allow(dead_code))]
mod blocks;
#[cfg(chord_dsp)]
#[allow(unsafe_code)]
mod dsp;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
#[allow(unsafe_code)]
mod neon;
mod packed;
mod scalar;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

use core::array::from_fn;

use chord_plan::bundle::LayerView;
use chord_plan::manifest::{Layer, LayerName};
use chord_plan::numerics::step;

#[cfg(chord_dsp)]
pub use dsp::Dsp;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub use neon::Neon;
pub use scalar::Scalar;
#[cfg(target_arch = "x86_64")]
pub use x86::X86;

use crate::Widths;
use crate::span::copy;

/// The fastest kernel that this target is known to run.
#[cfg(chord_dsp)]
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
pub struct Tokens<'a> {
    /// Codes, rows x inputs (`docs/numerics.md`, section 2).
    pub codes: &'a [i8],
    /// Scale of each row.
    pub scales: &'a [f32],
}

/// Quantised linear algebra (`docs/numerics.md`, section 3).
pub trait Linear {
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

/// Scratch memory that `rows` tokens of `inputs` codes take in the neediest kernel, in words.
///
/// The same on every target, so that a build script can size the arena of a device.
pub const fn scratch_words(rows: usize, inputs: usize) -> usize {
    let pairs = pairs(inputs);
    let dsp = rows.div_ceil(2) * (ROW_PAIR_HEADER + 2 * pairs) + 4 * pairs;
    let blocks = blocks::scratch(rows, inputs);
    if dsp > blocks { dsp } else { blocks }
}

/// Words that a layer takes packed, whatever the plan, on every target; 0 for a convolution, which is read in place.
pub fn packed_words(layer: &Layer) -> usize {
    match layer.name {
        LayerName::Horizontal(_) | LayerName::Vertical => 0,
        _ => packed::words(layer.inputs, layer.outputs),
    }
}

/// Words before the codes of two rows in scratch memory.
const ROW_PAIR_HEADER: usize = 8;

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
    let mut channels = (0..outputs).filter(|&channel| widths.bits(channel) == bits);
    while let Some(first) = channels.next() {
        let mut last = first;
        group(from_fn(|lane| {
            if lane > 0 {
                last = channels.next().unwrap_or(last);
            }
            last
        }));
    }
}

/// Of channels of one width their outputs' offsets in a row, in bytes, then their steps, then their biases, as bits.
fn numbers<const N: usize>(layer: &LayerView<'_>, channels: [usize; N], bits: u8) -> [[u32; N]; 3] {
    let each = channels.map(|channel| {
        let [step, bias] = step_and_bias(layer, channel, bits).map(f32::to_bits);
        [4 * channel as u32, step, bias]
    });
    [each.map(|[offset, ..]| offset), each.map(|[_, step, _]| step), each.map(|[.., bias]| bias)]
}

/// `g_c` and `bias_c` of a channel.
#[inline(never)]
fn step_and_bias(layer: &LayerView<'_>, channel: usize, bits: u8) -> [f32; 2] {
    [step(layer.range(channel, bits), bits), layer.bias(channel, bits)]
}
