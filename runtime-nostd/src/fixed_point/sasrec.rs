//! SASRec's forward pass in fixed point (`docs/fixed-point.md`, section 8).

use chord_plan::Bundle;
use chord_plan::bundle::Norm;
use chord_plan::manifest::{LayerKind, PositionsFrom, SasRecShape};

use super::activation::activate;
use super::attention::{self, Codes, attend};
use super::layer::Bounds;
use super::memory::{Buffers, Kept};
use super::model::{Model, item};
use super::norm::{Affine, layer_norm};
use super::number::{Scale, aligned, field, largest_field, shift_right, unit};
use super::row::{add, quantise, shorten};
use crate::held::Held;
use crate::items::Items;
use crate::span::{span, span_mut};

/// A model and its plan: what a forward pass reads.
pub(crate) struct Forward<'f> {
    model: Model<'f>,
    shape: &'f SasRecShape,
    /// Tokens that go through a layer together.
    rows: usize,
    /// Of attention scores.
    score_scale: Scale,
}

impl<'f> Forward<'f> {
    pub(crate) fn new(
        bundle: &'f Bundle<'f>,
        shape: &'f SasRecShape,
        held: &'f Held<'f>,
        rows: usize,
    ) -> Self {
        let score_scale = attention::score_scale(shape.head_dim());
        Self { model: Model::new(bundle, held), shape, rows, score_scale }
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
        self.model.scored(scale)
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
        let bundle = self.model.bundle;
        let first_position = match bundle.manifest().positions_from {
            PositionsFrom::Right => usize::from(self.shape.positions).saturating_sub(history.len()),
            PositionsFrom::Left => 0,
        };
        for t in first..history.len() {
            let (codes, range) = history.row(bundle, t);
            let position = bundle.position(first_position + t);
            let largest = largest_field(position).max(field(range));
            self.model.see(largest);
            // The item's value is below its range: both terms are at most 2^29.
            let unit = unit(largest, 29);
            let (item, item_unit) = item(codes, range);
            let (down, up) = ((unit - item_unit).max(0), (item_unit - unit).max(0));
            let sum = span_mut(buffers.output, 0, dim);
            for ((x, item), position) in sum.iter_mut().zip(item).zip(position) {
                *x = shift_right(item << up, down as u32) + aligned(position, unit);
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
            let exponent = Scale::largest_exponent(span(value_scales, 0, (token + 1) * heads));
            let scores = span_mut(buffers.scores, 0, token + 1);
            let output = span_mut(buffers.output, row * dim, dim);
            for (number, x) in output.chunks_exact_mut(head.max(1)).enumerate() {
                let keys = of(keys, key_scales, number * head, number, dim, heads);
                let values = of(values, value_scales, number * head, number, dim, heads);
                attend(x, unit, self.score_scale, keys, values, exponent, scores);
            }
            buffers.quantise(row, dim, exponent - 6, row);
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
            buffers.quantise(row, inner, unit, row);
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
        let affine = Affine::new(self.model.bundle.norm(norm));
        if !affine.is_finite() {
            self.model.see(255);
        }
        let x = span(buffers.residual, token * dim, dim);
        let unit = buffers.units.get(token).copied().unwrap_or(0);
        let normal = span_mut(buffers.output, 0, dim);
        let unit = layer_norm(x, unit.into(), &affine, self.shape.norm_epsilon, normal);
        buffers.quantise(0, dim, unit, row)
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
        self.model.layer(index, first, count, buffers)
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
