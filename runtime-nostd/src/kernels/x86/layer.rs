//! A layer's way through panels: 16 channels side by side, of whatever widths.
//!
//! A code cut to `b` bits enters as the stored byte without its low bits, `2^(8 - b)` times too large: one product for
//! all widths, and a shift of each channel's sum. The weights of a panel's next inputs lie on the stack, for all rows.

use core::array::from_fn;

use chord_plan::bundle::LayerView;

use super::super::{Tokens, step_and_bias};
use super::{X86, packed};
use crate::Widths;
use crate::span::{copy, span};

/// Channels of a panel.
pub(super) const PANEL: usize = 16;

/// Inputs of a part of the weights, a multiple of 16.
pub(super) const PART: usize = 128;

/// Weights of a panel: four inputs of the first channel, of the second, and so on, then the next four inputs.
#[repr(align(64))]
pub(super) struct Weights(pub(super) [[i8; 4 * PANEL]; PART / 4]);

/// What turns the sums of a panel into outputs, by channel. What is not there is a channel of 0 bits.
pub(super) struct Numbers {
    /// The bits of a stored code that count.
    pub(super) masks: [i8; PANEL],
    /// 8 less the width.
    pub(super) shifts: [i32; PANEL],
    pub(super) steps: [f32; PANEL],
    pub(super) biases: [f32; PANEL],
}

impl Numbers {
    /// Of widths, steps and biases.
    pub(super) fn new(channels: [(u8, [f32; 2]); PANEL]) -> Self {
        let shifts = channels.map(|(bits, _)| 8 - i32::from(bits));
        Self {
            masks: shifts.map(|shift| (-1 << shift) as i8),
            shifts,
            steps: channels.map(|(_, [step, _])| step),
            biases: channels.map(|(_, [_, bias])| bias),
        }
    }
}

/// What a tile multiplies: all rows with a part of a panel.
pub(super) struct Operands<'t> {
    /// Codes of the rows from the part's first input on, `stride` to a row.
    pub(super) rows: &'t [i8],
    pub(super) stride: usize,
    /// Fours of inputs in the part.
    pub(super) weights: &'t [[i8; 4 * PANEL]],
    /// `sum a` of each row.
    pub(super) sums: &'t [i32],
    /// Scale of each row.
    pub(super) scales: &'t [f32],
    pub(super) numbers: &'t Numbers,
    /// Whether the sums start here; else the outputs' places hold them.
    pub(super) starts: bool,
    /// Whether they end here.
    pub(super) ends: bool,
    /// Channels of the panel that are there.
    pub(super) channels: usize,
    /// The outputs from the panel's first on, `outputs` to a row.
    pub(super) out: &'t mut [f32],
    pub(super) outputs: usize,
}

impl Operands<'_> {
    /// Whether the lengths are those of each other.
    pub(super) fn fit(&self) -> bool {
        let Self { rows, stride, weights, sums, scales, channels, out, outputs, .. } = self;
        let reach = |stride: usize, width: usize| (sums.len() - 1) * stride + width;
        !sums.is_empty()
            && scales.len() == sums.len()
            && rows.len() >= reach(*stride, 4 * weights.len())
            && *channels <= PANEL
            && out.len() >= reach(*outputs, *channels)
    }
}

/// A layer read in place.
pub(super) fn in_place(
    kernel: &X86,
    tokens: Tokens<'_>,
    layer: &LayerView<'_>,
    widths: Widths<'_>,
    scratch: &mut [u32],
    out: &mut [f32],
) {
    let (inputs, outputs) = (layer.layer().inputs, layer.layer().outputs);
    let Some(mut pass) = Pass::new(kernel, tokens, inputs, outputs, scratch, out) else {
        return out.fill(f32::NAN);
    };
    for first in (0..outputs).step_by(PANEL) {
        let last = outputs - 1;
        let numbers = Numbers::new(from_fn(|lane| match first + lane {
            channel if channel > last => (0, [0.0; 2]),
            channel => match widths.bits(channel) {
                0 => (0, [0.0, layer.bias(channel, 0)]),
                bits => (bits, step_and_bias(layer, channel, bits)),
            },
        }));
        let codes: [_; PANEL] = from_fn(|lane| layer.codes((first + lane).min(last)));
        for start in (0..inputs).step_by(PART) {
            let part = codes.map(|codes| span(codes, start, PART.min(inputs - start)));
            pass.multiply(first, start, &part, &numbers);
        }
    }
}

/// As [`Linear::packed_layer`](super::super::Linear::packed_layer).
pub(super) fn from_packed(
    kernel: &X86,
    tokens: Tokens<'_>,
    [inputs, outputs]: [usize; 2],
    packed: &[u32],
    scratch: &mut [u32],
    out: &mut [f32],
) {
    let Some(mut pass) = Pass::new(kernel, tokens, inputs, outputs, scratch, out) else {
        return out.fill(f32::NAN);
    };
    let mut panels = packed::Panels::new(outputs, packed);
    let mut room = [[0; PART]; PANEL];
    for first in (0..outputs).step_by(PANEL) {
        let (widths, numbers) = panels.numbers();
        for start in (0..inputs).step_by(PART) {
            let part = panels.codes(kernel, widths, PART.min(inputs - start), &mut room);
            pass.multiply(first, start, &part, &numbers);
        }
    }
}

/// A layer on its way.
struct Pass<'p> {
    kernel: &'p X86,
    /// Codes of the rows, `stride` to a row: the inputs and zeros up to a multiple of four.
    rows: &'p [i8],
    stride: usize,
    sums: &'p [i32],
    scales: &'p [f32],
    weights: Weights,
    outputs: usize,
    out: &'p mut [f32],
}

impl<'p> Pass<'p> {
    /// `None` if the buffers do not fit together or the scratch memory is too small.
    fn new(
        kernel: &'p X86,
        tokens: Tokens<'p>,
        inputs: usize,
        outputs: usize,
        scratch: &'p mut [u32],
        out: &'p mut [f32],
    ) -> Option<Self> {
        let count = tokens.scales.len();
        if count == 0 || tokens.codes.len() != count * inputs || out.len() != count * outputs {
            return None;
        }
        let stride = inputs.next_multiple_of(4);
        let (sums, scratch) = scratch.split_at_mut_checked(count)?;
        let sums: &mut [i32] = bytemuck::try_cast_slice_mut(sums).ok()?;
        for (token, sum) in tokens.codes.chunks_exact(inputs.max(1)).zip(&mut *sums) {
            *sum = kernel.sum(token);
        }
        let rows = match stride == inputs {
            true => tokens.codes,
            false => {
                let rows: &mut [i8] = bytemuck::cast_slice_mut(scratch.get_mut(..count * stride / 4)?);
                for (row, token) in rows.chunks_exact_mut(stride).zip(tokens.codes.chunks_exact(inputs)) {
                    copy(token, row);
                    row.iter_mut().skip(inputs).for_each(|code| *code = 0);
                }
                rows
            }
        };
        let weights = Weights([[0; 4 * PANEL]; PART / 4]);
        Some(Self { kernel, rows, stride, sums, scales: tokens.scales, weights, outputs, out })
    }

    /// Adds the products of all rows with a part of a panel, `codes`, which starts at input `start`.
    fn multiply(&mut self, first: usize, start: usize, codes: &[&[i8]; PANEL], numbers: &Numbers) {
        let Self { kernel, rows, stride, sums, scales, outputs, .. } = *self;
        let width = codes[0].len();
        kernel.lay(codes, &numbers.masks, &mut self.weights);
        kernel.multiply(Operands {
            rows: rows.get(start..).unwrap_or_default(),
            stride,
            weights: span(&self.weights.0, 0, width.div_ceil(4)),
            sums,
            scales,
            numbers,
            starts: start == 0,
            ends: start + PART >= stride,
            channels: (outputs - first).min(PANEL),
            out: self.out.get_mut(first..).unwrap_or_default(),
            outputs,
        });
    }
}
