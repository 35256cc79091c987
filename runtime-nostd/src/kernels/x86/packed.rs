//! A layer's chosen codes in RAM, channel after channel; no more words than [`super::super::packed`] takes.
//!
//! Words: a width and a bias of each channel, a step of each that has more than 0 bits, then the codes in bytes: of each
//! panel, of each part of the inputs, of each channel as many as hold the part's codes, filled up to a multiple of four.
//! The low bits of a part's bytes are its first codes, the bits above them the next ones, and so on.

use core::array::from_fn;

use chord_plan::bundle::LayerView;

use super::super::step_and_bias;
use super::X86;
use super::layer::{Numbers, PANEL, PART};
use crate::Widths;
use crate::span::span;

/// Bytes of a channel's codes of a part.
fn bytes_of(inputs: usize, bits: u8) -> usize {
    inputs.div_ceil(4) * usize::from(bits) / 2
}

/// Packs a layer.
pub(super) fn pack(layer: &LayerView<'_>, widths: Widths<'_>, mut packed: &mut [u32]) {
    let (inputs, outputs) = (layer.layer().inputs, layer.layer().outputs);
    let weighted = (0..outputs).filter(|&channel| widths.bits(channel) > 0).count();
    let parts = [outputs, outputs, weighted].map(|len| packed.split_off_mut(..len).unwrap_or_default());
    let [to_widths, biases, steps] = parts;
    let mut steps = steps.iter_mut();
    for ((channel, width), bias) in (0..outputs).zip(to_widths).zip(biases) {
        let bits = widths.bits(channel);
        *width = bits.into();
        *bias = layer.bias(channel, bits).to_bits();
        if bits > 0
            && let Some(step) = steps.next()
        {
            let [of_channel, _] = step_and_bias(layer, channel, bits);
            *step = of_channel.to_bits();
        }
    }
    let mut bytes: &mut [u8] = bytemuck::cast_slice_mut(packed);
    for first in (0..outputs).step_by(PANEL) {
        for start in (0..inputs).step_by(PART) {
            for channel in first..outputs.min(first + PANEL) {
                let (bits, codes) =
                    (widths.bits(channel), span(layer.codes(channel), start, PART.min(inputs - start)));
                let place = bytes.split_off_mut(..bytes_of(codes.len(), bits)).unwrap_or_default();
                place.fill(0);
                for (field, codes) in codes.chunks(place.len().max(1)).enumerate() {
                    for (byte, &code) in place.iter_mut().zip(codes) {
                        *byte |= code.cast_unsigned() >> (8 - bits) << (usize::from(bits) * field);
                    }
                }
            }
        }
    }
}

/// A packed layer, panel after panel.
pub(super) struct Panels<'a> {
    widths: &'a [u32],
    biases: &'a [u32],
    steps: &'a [u32],
    bytes: &'a [u8],
}

impl<'a> Panels<'a> {
    pub(super) fn new(outputs: usize, mut packed: &'a [u32]) -> Self {
        let mut words = |len| packed.split_off(..len).unwrap_or_default();
        let (widths, biases) = (words(outputs), words(outputs));
        let steps = words(widths.iter().filter(|&&bits| bits > 0).count());
        Self { widths, biases, steps, bytes: bytemuck::cast_slice(packed) }
    }

    /// The next panel's widths and numbers.
    pub(super) fn numbers(&mut self) -> ([u8; PANEL], Numbers) {
        let mut channels = [(0, [0.0; 2]); PANEL];
        for (bits, numbers) in &mut channels {
            let (Some(&width), Some(&bias)) = (self.widths.split_off_first(), self.biases.split_off_first())
            else {
                break;
            };
            let step = if width > 0 { self.steps.split_off_first().copied().unwrap_or(0) } else { 0 };
            (*bits, *numbers) = (width.min(8) as u8, [step, bias].map(f32::from_bits));
        }
        (channels.map(|(bits, _)| bits), Numbers::new(channels))
    }

    /// The cut codes of the panel's next `inputs` inputs, channel by channel; those of 0 bits may be any.
    pub(super) fn codes<'r>(
        &mut self,
        kernel: &X86,
        widths: [u8; PANEL],
        inputs: usize,
        room: &'r mut [[i8; PART]; PANEL],
    ) -> [&'r [i8]; PANEL]
    where
        'a: 'r,
    {
        let mut room = room.iter_mut();
        from_fn(|lane| {
            let bits = widths.get(lane).copied().unwrap_or(0);
            let bytes = self.bytes.split_off(..bytes_of(inputs, bits)).unwrap_or_default();
            let codes: &[i8] = match (bits, room.next()) {
                (8, _) => bytemuck::cast_slice(bytes),
                (_, Some(room)) => {
                    kernel.expand(bytes, bits, room);
                    room
                }
                _ => &[],
            };
            span(codes, 0, inputs)
        })
    }
}

/// Bytes to cut codes, for whatever the caller is compiled for.
#[inline(always)]
pub(super) fn expand(bytes: &[u8], bits: u8, codes: &mut [i8; PART]) {
    match bits {
        4 => fields::<4>(bytes, codes),
        2 => fields::<2>(bytes, codes),
        _ => {}
    }
}

#[inline(always)]
fn fields<const BITS: usize>(bytes: &[u8], codes: &mut [i8; PART]) {
    for (field, codes) in codes.chunks_exact_mut(bytes.len().max(1)).take(8 / BITS).enumerate() {
        let code = |byte: u8| (byte << (8 - BITS - BITS * field) & 0xff << (8 - BITS)).cast_signed();
        let (sixteens, rest) = bytes.as_chunks::<16>();
        let (places, rest_places) = codes.as_chunks_mut::<16>();
        places.iter_mut().zip(sixteens).for_each(|(place, bytes)| *place = bytes.map(code));
        rest_places.iter_mut().zip(rest).for_each(|(place, &byte)| *place = code(byte));
    }
}
