//! Armv8.1-M with integer MVE: Cortex-M55, M85.
//!
//! `vmladava` adds sixteen products of bytes to a general-purpose register; a tile has eight sums, of two rows by four
//! channels. Sums become outputs in the scalar FPU, and what happens between the layers is [`Dsp`]'s: the vector unit
//! takes subnormal floats for 0, which `docs/numerics.md` forbids.

mod dot;
mod lay;
mod row;
mod tile;

use chord_plan::bundle::LayerView;
use chord_plan::manifest::Layer;

use super::blocks::{Block, HEADER, Operands, STEP, Tiles, stored};
use super::dsp::Armv7EM;
use super::{Linear, Tokens, scalar};
use crate::Widths;

/// The kernel for cores with integer MVE.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mve;

impl Linear for Mve {
    fn layer(
        &self,
        tokens: Tokens<'_>,
        layer: &LayerView<'_>,
        widths: Widths<'_>,
        scratch: &mut [u32],
        out: &mut [f32],
    ) {
        Blocks.layer(tokens, layer, widths, scratch, out);
    }

    fn pack(&self, layer: &LayerView<'_>, widths: Widths<'_>, packed: &mut [u32]) {
        Blocks.pack(layer, widths, packed);
        let inputs = layer.layer().inputs;
        let Some((&mut [eights, .., zeros], rest)) = packed.split_first_chunk_mut::<HEADER>() else { return };
        if are_channels(inputs) {
            let groups = rest.get_mut((zeros as usize).saturating_mul(2)..).unwrap_or_default();
            let groups = groups.chunks_exact_mut(NUMBERS + stored(inputs, 8)).take(eights as usize);
            groups.for_each(|group| lay::channels_of_blocks(group.get_mut(NUMBERS..).unwrap_or_default()));
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
        if !row::packed_layer(tokens, layer, packed, scratch, out) {
            Blocks.packed_layer(tokens, layer, packed, scratch, out);
        }
    }

    fn dot(&self, token: &[i8], codes: &[i8]) -> i32 {
        dot::dot(token, codes, 8)
    }

    fn filter_row(&self, token: &[i8], codes: &[i8], bits: u8) -> i32 {
        match bits {
            2 | 4 | 8 => dot::dot(token, codes, bits),
            _ => scalar::filter_row(token, codes, bits),
        }
    }
}

impl Armv7EM for Mve {}

/// Words of a packed group before its weights.
const NUMBERS: usize = 12;

/// Whether packed groups of 8 bits have sixteen codes of each channel in turn, as the tile reads them, not blocks.
const fn are_channels(inputs: usize) -> bool {
    inputs.is_multiple_of(STEP)
}

/// Layers as all vector kernels do them.
struct Blocks;

impl Armv7EM for Blocks {}

impl Tiles for Blocks {
    fn lay_rows(&self, tokens: &[i8], inputs: usize, width: usize, rows: &mut [Block]) {
        lay::rows(tokens, inputs, width, rows);
    }

    fn lay(&self, channels: [&[i8]; 4], bits: u8, weights: &mut [Block]) {
        lay::channels(channels, bits, weights);
    }

    fn unpack(&self, packed: &[i8], bits: u8, weights: &mut [Block]) {
        lay::unpack(packed, bits, weights);
    }

    fn sum(&self, token: &[i8]) -> i32 {
        dot::sum(token)
    }

    fn multiply(&self, operands: Operands<'_>) {
        tile::multiply(operands);
    }

    fn dot(&self, token: &[i8], codes: &[i8]) -> i32 {
        Linear::dot(&Mve, token, codes)
    }

    fn filter_row(&self, token: &[i8], codes: &[i8], bits: u8) -> i32 {
        Linear::filter_row(&Mve, token, codes, bits)
    }
}
