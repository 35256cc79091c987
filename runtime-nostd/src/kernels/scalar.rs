//! Plain Rust, for every target.

use chord_plan::bundle::LayerView;
use chord_plan::numerics::{channel_output, step};

use super::{Linear, Tokens, Tokenwise};
use crate::Widths;

/// The portable kernel.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scalar;

impl Tokenwise for Scalar {}

impl Linear for Scalar {
    fn layer(
        &self,
        tokens: Tokens<'_>,
        layer: &LayerView<'_>,
        widths: Widths<'_>,
        _scratch: &mut [u32],
        out: &mut [f32],
    ) {
        let (inputs, outputs) = (layer.layer().inputs, layer.layer().outputs);
        for channel in 0..outputs {
            let column = out.iter_mut().skip(channel).step_by(outputs.max(1));
            let bits = widths.bits(channel);
            let bias = layer.bias(channel, bits);
            let dot = match bits {
                2 => dot::<2>,
                4 => dot::<4>,
                8 => dot::<8>,
                _ => {
                    column.for_each(|y| *y = bias);
                    continue;
                }
            };
            let (codes, step) = (layer.codes(channel), step(layer.range(channel, bits), bits));
            let rows = tokens.codes.chunks_exact(inputs.max(1)).zip(tokens.scales);
            for (y, (token, &scale)) in column.zip(rows) {
                *y = channel_output(dot(token, codes), step, scale, bias);
            }
        }
    }

    fn dot(&self, token: &[i8], codes: &[i8]) -> i32 {
        dot::<8>(token, codes)
    }
}

/// `sum a l` with the width known to the compiler, so that the shift is one too.
fn dot<const BITS: u8>(token: &[i8], codes: &[i8]) -> i32 {
    let level = |code: i8| 2 * i32::from(code >> (8 - BITS)) + 1;
    token.iter().zip(codes).map(|(&a, &code)| i32::from(a) * level(code)).sum()
}

/// As [`Linear::filter_row`].
pub(super) fn filter_row(token: &[i8], codes: &[i8], bits: u8) -> i32 {
    match bits {
        2 => dot::<2>(token, codes),
        4 => dot::<4>(token, codes),
        8 => dot::<8>(token, codes),
        _ => 0,
    }
}
