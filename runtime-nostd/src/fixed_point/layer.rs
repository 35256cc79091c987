//! Quantised layers with integer requantisation (`docs/fixed-point.md`, section 4).

use chord_plan::bundle::LayerView;

use super::number::{Scale, aligned, field, high, largest_field, mantissa, shift_right, unit};
use crate::Widths;
use crate::kernels::pairs::{Block, ROWS};

/// Exponent fields of the largest numbers of a layer under the running plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of the steps, of channels with more than 0 bits.
    step: i32,
    /// Of the biases; 255 where a number is not finite.
    bias: i32,
}

/// The field of steps where there are none: below every other.
const NO_STEP: i16 = -0x1000;

impl Bounds {
    /// Those of a layer.
    pub(super) fn of(layer: &LayerView<'_>, widths: Widths<'_>) -> [i16; 2] {
        let (mut largest_step, mut largest_bias) = (NO_STEP, 0);
        for channel in 0..layer.layer().outputs {
            let bits = widths.bits(channel);
            largest_bias = largest_bias.max(largest_field([layer.bias(channel, bits)]));
            if bits > 0 {
                let range = field(layer.range(channel, bits));
                largest_step = largest_step.max(range as i16 - i16::from(bits));
                if range == 255 {
                    largest_bias = range;
                }
            }
        }
        [largest_step, largest_bias as i16]
    }

    pub(super) fn new([step, bias]: [i16; 2]) -> Self {
        Self { step: step.into(), bias: bias.into() }
    }

    pub(super) fn is_finite(self) -> bool {
        self.bias < 255
    }

    /// Unit of a layer's outputs for a token, and that of its products.
    ///
    /// The outputs are at most 2^30 in it: products below 2^30 in their unit, halved, and biases of up to 2^29.
    pub(super) fn units(self, inputs: usize, scale: Scale) -> (i32, i32) {
        let product = 32 - products_shift(inputs) + self.step - 142 + scale.exponent;
        ((product + 1).max(unit(self.bias, 29)), product)
    }

    /// The mantissa of a channel's step, and the bits that its products' unit lies below the largest one.
    #[inline(always)]
    pub(super) fn step(self, range: f32, bits: u8) -> (u32, u32) {
        (mantissa(range), (self.step - (field(range) - i32::from(bits))) as u32)
    }
}

/// Bits by which integer products of so many inputs may be shifted up and stay below 2^30: those of a layer's 32768
/// take all of them, those of a filter over several rows may take more.
pub(super) fn products_shift(inputs: usize) -> i32 {
    const LARGEST: u32 = 127 * 255;
    // 64 bits only where they are needed: some cores have no such product.
    match inputs {
        0..0x2_0000 => (inputs as u32 * LARGEST).leading_zeros() as i32 - 2,
        _ => (inputs as u64 * u64::from(LARGEST)).leading_zeros() as i32 - 34,
    }
}

/// Outputs of a layer for up to four tokens, rows x outputs, each row in units of [`Bounds::units`].
pub(super) fn layer(
    codes: &[i8],
    scales: &[u32],
    layer: &LayerView<'_>,
    widths: Widths<'_>,
    bounds: Bounds,
    words: &mut [i32],
    out: &mut [i32],
) {
    let (inputs, outputs) = (layer.layer().inputs, layer.layer().outputs);
    let block = Block::lay(codes, scales.len(), inputs, words);
    let up = products_shift(inputs).max(0);
    let mut tokens = [Token::default(); ROWS];
    for (token, &scale) in tokens.iter_mut().zip(scales) {
        let scale = Scale::from_word(scale);
        let (unit, product) = bounds.units(inputs, scale);
        *token = Token { scale: scale.mantissa, unit, down: (unit - product) as u32 };
    }
    let mut out = out.chunks_exact_mut(outputs.max(1));
    let mut rows: [&mut [i32]; ROWS] = [(); ROWS].map(|()| out.next().unwrap_or_default());
    for channel in 0..outputs {
        let bits = widths.bits(channel);
        let bias = layer.bias(channel, bits);
        let outputs = rows.iter_mut().zip(&tokens).take(scales.len());
        if bits == 0 {
            for (row, token) in outputs {
                if let Some(y) = row.get_mut(channel) {
                    *y = aligned(bias, token.unit);
                }
            }
            continue;
        }
        let (step, below) = bounds.step(layer.range(channel, bits), bits);
        let products = block.products(layer.codes(channel), bits);
        for ((row, token), product) in outputs.zip(products) {
            // 16 bits: the step's mantissa is at most 2^16, the token's below.
            let multiplier = (step * token.scale) >> 16;
            let product = shift_right(high(product << up, multiplier), below + token.down);
            if let Some(y) = row.get_mut(channel) {
                *y = product + aligned(bias, token.unit);
            }
        }
    }
}

/// What requantisation takes of a token.
#[derive(Clone, Copy, Default)]
struct Token {
    /// Mantissa of its scale.
    scale: u32,
    /// Unit of its outputs.
    unit: i32,
    /// Bits between that and the unit of its products.
    down: u32,
}
