//! SASRec's forward pass in fixed point (`docs/fixed-point.md`, section 8).

use core::cell::Cell;

use chord_plan::Bundle;
use chord_plan::bundle::Norm;
use chord_plan::manifest::{LayerKind, PositionsFrom, SasRecShape};
use chord_plan::numerics::level;

use super::activation::activate;
use super::attention::{self, Codes, attend, largest_exponent};
use super::layer::{Bounds, layer};
use super::memory::{Buffers, Kept};
use super::norm::{Affine, layer_norm};
use super::number::{Scale, aligned, field, largest_field, mantissa, shift_right, unit};
use super::row::{add, quantise, shorten};
use crate::held::Held;
use crate::items::Items;
use crate::kernels::pairs::ROWS;
use crate::span::{span, span_mut};

/// A model and its plan: what a forward pass reads.
pub(crate) struct Forward<'f> {
    bundle: &'f Bundle<'f>,
    shape: &'f SasRecShape,
    held: &'f Held<'f>,
    /// Tokens that go through a layer together.
    rows: usize,
    /// Of attention scores.
    score_scale: Scale,
    /// Whether all numbers so far were finite.
    finite: Cell<bool>,
}

impl<'f> Forward<'f> {
    pub(crate) fn new(
        bundle: &'f Bundle<'f>,
        shape: &'f SasRecShape,
        held: &'f Held<'f>,
        rows: usize,
    ) -> Self {
        let score_scale = attention::score_scale(shape.head_dim());
        Self { bundle, shape, held, rows, score_scale, finite: Cell::new(true) }
    }

    /// Encodes a history of which the network has seen `seen` items before to the quantised vector that items are scored
    /// with: its codes are the first `dim` ones of `buffers.codes`, its scale is returned; NaN if not all numbers of the
    /// model are finite.
    ///
    /// The history is not empty, fits the buffers and has only items that exist. `kept` has the keys and values of the
    /// blocks after the first, whose are in the buffers; if it is empty, all blocks use these, and nothing was seen.
    pub(crate) fn encode(
        &self,
        history: impl Items,
        seen: usize,
        kept: &mut [u32],
        buffers: &mut Buffers<'_>,
    ) -> f32 {
        self.embed(history, seen, buffers);
        let (mut rest, keep) = (kept, buffers.kept.keys.len());
        let scales = buffers.kept.key_scales.len();
        for block in 0..self.shape.blocks {
            if block == 0 || rest.is_empty() {
                self.block(block, seen, history.len(), buffers);
            } else {
                let kept = Kept::take(&mut rest, keep, scales);
                self.block(block, seen, history.len(), &mut buffers.with(kept));
            }
        }
        let scale = self.normalise(Norm::Final, history.len().saturating_sub(1), 0, buffers);
        if self.finite.get() { scale.to_f32() } else { f32::NAN }
    }

    /// A block for tokens `first..len`; the keys and values of those before are there.
    fn block(&self, block: u8, first: usize, len: usize, buffers: &mut Buffers<'_>) {
        for start in (first..len).step_by(self.rows.max(1)) {
            let end = len.min(start + self.rows);
            // Nobody reads what the last block makes of the tokens before the last.
            let needed = match block + 1 == self.shape.blocks {
                true => len - 1..end,
                false => start..end,
            };
            self.keys_and_values(block, start, end, buffers);
            if !needed.is_empty() {
                self.attend(block, start, needed.start, needed.end, buffers);
                self.feed_forward(block, needed.start, needed.end, buffers);
            }
        }
    }

    /// Item and position embeddings of the items from number `first` on.
    fn embed(&self, history: impl Items, first: usize, buffers: &mut Buffers<'_>) {
        let dim = usize::from(self.shape.dim);
        let first_position = match self.bundle.manifest().positions_from {
            PositionsFrom::Right => usize::from(self.shape.positions).saturating_sub(history.len()),
            PositionsFrom::Left => 0,
        };
        for t in first..history.len() {
            let (codes, range) = history.row(self.bundle, t);
            let position = self.bundle.position(first_position + t);
            let largest = largest_field(position).max(field(range));
            self.see(largest);
            // The item's value is below its range: both terms are at most 2^29.
            let unit = unit(largest, 29);
            let (step, step_unit) = (mantissa(range) as i32, field(range) - 142 - 8);
            let (down, up) = ((unit - step_unit).max(0), (step_unit - unit).max(0));
            let sum = span_mut(buffers.output, 0, dim);
            for ((x, &code), position) in sum.iter_mut().zip(codes).zip(position) {
                let item = shift_right((i32::from(level(code, 8)) * step) << up, down as u32);
                *x = item + aligned(position, unit);
            }
            self.keep(sum, unit, t, buffers.residual, buffers.units);
        }
    }

    /// Leaves a row in the residual stream.
    fn keep(&self, x: &[i32], unit: i32, token: usize, residual: &mut [i16], units: &mut [i16]) {
        let dim = usize::from(self.shape.dim);
        let unit = shorten(x, unit, span_mut(residual, token * dim, dim));
        units.get_mut(token).into_iter().for_each(|kept| *kept = unit as i16);
    }

    /// Takes note of numbers with exponent fields of up to `field`.
    fn see(&self, field: i32) {
        if field == 255 {
            self.finite.set(false);
        }
    }

    /// Normalises tokens `start..end` for the attention of a block, leaves them quantised, and adds their keys and
    /// values to those of the tokens before.
    fn keys_and_values(&self, block: u8, start: usize, end: usize, buffers: &mut Buffers<'_>) {
        let (dim, heads, head) =
            (usize::from(self.shape.dim), usize::from(self.shape.heads), self.shape.head_dim());
        for token in start..end {
            self.normalise(Norm::Attention(block), token, token - start, buffers);
        }
        for kind in [LayerKind::Key, LayerKind::Value] {
            let bounds = self.layer(block, kind, 0, end - start, buffers);
            let kept = &mut buffers.kept;
            let (codes, scales) = match kind {
                LayerKind::Key => (&mut *kept.keys, &mut *kept.key_scales),
                _ => (&mut *kept.values, &mut *kept.value_scales),
            };
            for row in 0..end - start {
                let (unit, _) = bounds.units(dim, token_scale(buffers.scales, row));
                let of_heads = span(buffers.output, row * dim, dim).chunks_exact(head.max(1));
                let codes = span_mut(codes, (start + row) * dim, dim).chunks_exact_mut(head.max(1));
                let scales = span_mut(scales, (start + row) * heads, heads);
                for ((x, codes), scale) in of_heads.zip(codes).zip(scales) {
                    *scale = quantise(x, unit, codes).to_word();
                }
            }
        }
    }

    /// The attention of a block for tokens `first..end`, of which those from `start` on are quantised.
    fn attend(&self, block: u8, start: usize, first: usize, end: usize, buffers: &mut Buffers<'_>) {
        let (dim, heads, head) =
            (usize::from(self.shape.dim), usize::from(self.shape.heads), self.shape.head_dim());
        let bounds = self.layer(block, LayerKind::Query, first - start, end - first, buffers);
        for (row, token) in (first..end).enumerate() {
            let (unit, _) = bounds.units(dim, token_scale(buffers.scales, first - start + row));
            let Kept { keys, values, key_scales, value_scales } = &buffers.kept;
            let exponent = largest_exponent(span(value_scales, 0, (token + 1) * heads));
            let scores = span_mut(buffers.scores, 0, token + 1);
            let output = span_mut(buffers.output, row * dim, dim);
            for (number, x) in output.chunks_exact_mut(head.max(1)).enumerate() {
                let keys = of(keys, key_scales, number * head, number, dim, heads);
                let values = of(values, value_scales, number * head, number, dim, heads);
                attend(x, unit, self.score_scale, keys, values, exponent, scores);
            }
            let scale = quantise(output, exponent - 6, span_mut(buffers.codes, row * dim, dim));
            buffers.scales.get_mut(row).into_iter().for_each(|kept| *kept = scale.to_word());
        }
        let bounds = self.layer(block, LayerKind::Output, 0, end - first, buffers);
        self.add(bounds, dim, first, end, buffers);
    }

    /// The feed-forward layers of a block for tokens `first..end`.
    fn feed_forward(&self, block: u8, first: usize, end: usize, buffers: &mut Buffers<'_>) {
        let (dim, inner) = (usize::from(self.shape.dim), usize::from(self.shape.inner));
        for token in first..end {
            self.normalise(Norm::FeedForward(block), token, token - first, buffers);
        }
        let bounds = self.layer(block, LayerKind::Expand, 0, end - first, buffers);
        for row in 0..end - first {
            let (unit, _) = bounds.units(dim, token_scale(buffers.scales, row));
            let hidden = span_mut(buffers.output, row * inner, inner);
            activate(self.shape.activation, hidden, unit);
            let scale = quantise(hidden, unit, span_mut(buffers.codes, row * inner, inner));
            buffers.scales.get_mut(row).into_iter().for_each(|kept| *kept = scale.to_word());
        }
        let bounds = self.layer(block, LayerKind::Contract, 0, end - first, buffers);
        self.add(bounds, inner, first, end, buffers);
    }

    /// Adds the output of a layer with that many inputs to the residual stream of tokens `first..end`.
    fn add(&self, bounds: Bounds, inputs: usize, first: usize, end: usize, buffers: &mut Buffers<'_>) {
        let dim = usize::from(self.shape.dim);
        for (row, token) in (first..end).enumerate() {
            let (unit, _) = bounds.units(inputs, token_scale(buffers.scales, row));
            let sum = span_mut(buffers.output, row * dim, dim);
            let kept = buffers.units.get(token).copied().unwrap_or(0);
            let unit = add(span(buffers.residual, token * dim, dim), kept.into(), sum, unit);
            self.keep(sum, unit, token, buffers.residual, buffers.units);
        }
    }

    /// Normalises a token of the residual stream and leaves it quantised as number `row`; returns its scale.
    fn normalise(&self, norm: Norm, token: usize, row: usize, buffers: &mut Buffers<'_>) -> Scale {
        let dim = usize::from(self.shape.dim);
        let affine = Affine::new(self.bundle.norm(norm));
        if !affine.is_finite() {
            self.see(255);
        }
        let x = span(buffers.residual, token * dim, dim);
        let unit = buffers.units.get(token).copied().unwrap_or(0);
        let normal = span_mut(buffers.output, 0, dim);
        let unit = layer_norm(x, unit.into(), &affine, self.shape.norm_epsilon, normal);
        let scale = quantise(normal, unit, span_mut(buffers.codes, row * dim, dim));
        buffers.scales.get_mut(row).into_iter().for_each(|kept| *kept = scale.to_word());
        scale
    }

    /// A layer for `count` quantised tokens from row `first` on, to `buffers.output`.
    fn layer(
        &self,
        block: u8,
        kind: LayerKind,
        first: usize,
        count: usize,
        buffers: &mut Buffers<'_>,
    ) -> Bounds {
        let index = LayerKind::ALL.len() * usize::from(block) + kind as usize;
        let view = self.bundle.layer(index);
        let (inputs, outputs) = (view.layer().inputs, view.layer().outputs);
        let widths = self.held.widths(self.bundle, view.layer().first_channel);
        let bounds = Bounds::new(*span(buffers.bounds, 2 * index, 2).first_chunk().unwrap_or(&[0, 255]));
        if !bounds.is_finite() {
            self.see(255);
        }
        let tokens = span(buffers.codes, first * inputs, count * inputs).chunks((ROWS * inputs).max(1));
        let scales = span(buffers.scales, first, count).chunks(ROWS);
        let out = buffers.output.chunks_mut((ROWS * outputs).max(1));
        for ((codes, scales), out) in tokens.zip(scales).zip(out) {
            layer(codes, scales, &view, widths, bounds, buffers.words, out);
        }
        bounds
    }
}

/// The scale of quantised token number `row`.
fn token_scale(scales: &[u32], row: usize) -> Scale {
    scales.get(row).map_or(Scale::ZERO, |&word| Scale::from_word(word))
}

/// A head's keys or values.
fn of<'k>(
    codes: &'k [i8],
    scales: &'k [u32],
    offset: usize,
    head: usize,
    stride: usize,
    scale_stride: usize,
) -> Codes<'k> {
    Codes {
        codes: codes.get(offset..).unwrap_or_default(),
        stride,
        scales: scales.get(head..).unwrap_or_default(),
        scale_stride,
    }
}
