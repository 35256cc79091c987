//! The forward pass (`docs/numerics.md`, section 8).

use chord_plan::Bundle;
use chord_plan::bundle::Norm;
use chord_plan::manifest::{LayerKind, PositionsFrom, SasRecShape};
use chord_plan::numerics::{level, score_scale, step};

use crate::arena::Buffers;
use crate::held::Held;
use crate::items::Items;
use crate::kernels::{Linear, Tokens};
use crate::span::{row_pairs, span, span_mut};

/// A model, its plan and a kernel: what a forward pass reads.
pub(crate) struct Forward<'f, K> {
    pub(crate) bundle: &'f Bundle<'f>,
    /// Its sizes.
    pub(crate) shape: &'f SasRecShape,
    /// The running plan.
    pub(crate) held: &'f Held<'f>,
    pub(crate) kernel: &'f K,
    /// Tokens that go through a layer together.
    pub(crate) rows: usize,
}

/// What earlier items of a history left behind.
pub(crate) struct Kept<'k> {
    /// Keys and values of the blocks after the first, those of the first are in the buffers; T x d f32 each, in floating
    /// point.
    pub(crate) blocks: &'k mut [u32],
    /// How many items there were.
    pub(crate) seen: usize,
}

impl<K: Linear> Forward<'_, K> {
    /// Encodes a history to the quantised vector that items are scored with: its codes are the first `dim` ones of
    /// `buffers.codes`, its scale is returned.
    ///
    /// The history is not empty, fits the buffers and has only items that exist.
    pub(crate) fn encode(&self, history: impl Items, buffers: &mut Buffers<'_>) -> f32 {
        self.embed(history, 0, buffers);
        for block in 0..self.shape.blocks {
            self.block(block, 0, history.len(), buffers);
        }
        self.finish(history.len(), buffers)
    }

    /// As [`encode`](Self::encode), for a history of which some items have gone through the network before.
    pub(crate) fn encode_kept(&self, history: impl Items, kept: Kept<'_>, buffers: &mut Buffers<'_>) -> f32 {
        self.embed(history, kept.seen, buffers);
        let (mut rest, stream) = (bytemuck::cast_slice_mut::<u32, f32>(kept.blocks), buffers.keys.len());
        for block in 0..self.shape.blocks {
            if block == 0 {
                self.block(block, kept.seen, history.len(), buffers);
            } else if let (Some(keys), Some(values)) =
                (rest.split_off_mut(..stream), rest.split_off_mut(..stream))
            {
                self.block(block, kept.seen, history.len(), &mut buffers.with(keys, values));
            }
        }
        self.finish(history.len(), buffers)
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
                self.finish_block(block, start, needed.start, needed.end, buffers);
            }
        }
    }

    /// The last of `len` tokens after the last block, normalised and quantised.
    fn finish(&self, len: usize, buffers: &mut Buffers<'_>) -> f32 {
        let dim = usize::from(self.shape.dim);
        let last = span(buffers.residual, len.saturating_sub(1) * dim, dim);
        let (gamma, beta) = self.bundle.norm(Norm::Final);
        let token = span_mut(buffers.token, 0, dim);
        self.kernel.layer_norm(last, gamma, beta, self.shape.norm_epsilon, token);
        self.kernel.quantise(token, span_mut(buffers.codes, 0, dim))
    }

    /// Item and position embeddings of the items from number `first` on.
    fn embed(&self, history: impl Items, first: usize, buffers: &mut Buffers<'_>) {
        let shape = self.shape;
        let first_position = match self.bundle.manifest().positions_from {
            PositionsFrom::Right => usize::from(shape.positions).saturating_sub(history.len()),
            PositionsFrom::Left => 0,
        };
        for t in first..history.len() {
            let row = span_mut(buffers.residual, t * usize::from(shape.dim), shape.dim.into());
            let (codes, range) = history.row(self.bundle, t);
            let step = step(range, 8);
            let position = self.bundle.position(first_position + t);
            for ((x, &code), position) in row.iter_mut().zip(codes).zip(position) {
                *x = f32::from(level(code, 8)) * step + position;
            }
        }
    }

    /// Normalises tokens `start..end` for the attention of a block, leaves them quantised, and adds their keys and
    /// values to those of the tokens before.
    fn keys_and_values(&self, block: u8, start: usize, end: usize, buffers: &mut Buffers<'_>) {
        let dim = usize::from(self.shape.dim);
        self.normalise(Norm::Attention(block), start, end, buffers);
        self.quantise(buffers.token, dim, end - start, buffers.codes, buffers.scales);
        let tokens = tokens(buffers.codes, buffers.scales, dim, 0, end - start);
        for (kind, out) in [(LayerKind::Key, &mut buffers.keys), (LayerKind::Value, &mut buffers.values)] {
            self.layer(block, kind, tokens, buffers.scratch, span_mut(out, start * dim, (end - start) * dim));
        }
    }

    /// The rest of a block for tokens `first..end`, of which those from `start` on are quantised.
    fn finish_block(&self, block: u8, start: usize, first: usize, end: usize, buffers: &mut Buffers<'_>) {
        let (dim, inner) = (usize::from(self.shape.dim), usize::from(self.shape.inner));
        let count = end - first;

        let input = tokens(buffers.codes, buffers.scales, dim, first - start, count);
        let queries = span_mut(buffers.output, 0, count * dim);
        self.layer(block, LayerKind::Query, input, buffers.scratch, queries);
        for (token, (query, out)) in (first..).zip(row_pairs(queries, buffers.token, dim)) {
            let scores = span_mut(buffers.scores, 0, token + 1);
            self.attention(query, buffers.keys, buffers.values, scores, out);
        }
        self.quantise(buffers.token, dim, count, buffers.codes, buffers.scales);
        let residual = span_mut(buffers.residual, first * dim, count * dim);
        let output = span_mut(buffers.output, 0, count * dim);
        let input = tokens(buffers.codes, buffers.scales, dim, 0, count);
        self.layer(block, LayerKind::Output, input, buffers.scratch, output);
        self.kernel.add(residual, output);

        self.normalise(Norm::FeedForward(block), first, end, buffers);
        self.quantise(buffers.token, dim, count, buffers.codes, buffers.scales);
        let hidden = span_mut(buffers.output, 0, count * inner);
        let input = tokens(buffers.codes, buffers.scales, dim, 0, count);
        self.layer(block, LayerKind::Expand, input, buffers.scratch, hidden);
        self.kernel.activate(self.shape.activation, hidden);
        self.quantise(hidden, inner, count, buffers.codes, buffers.scales);
        let output = span_mut(buffers.output, 0, count * dim);
        let input = tokens(buffers.codes, buffers.scales, inner, 0, count);
        self.layer(block, LayerKind::Contract, input, buffers.scratch, output);
        self.kernel.add(span_mut(buffers.residual, first * dim, count * dim), output);
    }

    /// Attention of one token, head by head, over as many keys as there are scores.
    fn attention(&self, query: &[f32], keys: &[f32], values: &[f32], scores: &mut [f32], out: &mut [f32]) {
        let (dim, head_dim) = (query.len(), self.shape.head_dim());
        let scale = score_scale(head_dim);
        for (head, (query, out)) in row_pairs(query, out, head_dim).enumerate() {
            let offset = head * head_dim;
            let (keys, values) = (keys.get(offset..), values.get(offset..));
            let (keys, values) = (keys.unwrap_or_default(), values.unwrap_or_default());
            self.kernel.attend(query, keys, values, dim, scale, scores, out);
        }
    }

    /// Layer normalisation of tokens `start..end` to `buffers.token`.
    fn normalise(&self, norm: Norm, start: usize, end: usize, buffers: &mut Buffers<'_>) {
        let (dim, epsilon) = (usize::from(self.shape.dim), self.shape.norm_epsilon);
        let (gamma, beta) = self.bundle.norm(norm);
        let residual = span(buffers.residual, start * dim, (end - start) * dim);
        for (x, y) in row_pairs(residual, buffers.token, dim) {
            self.kernel.layer_norm(x, gamma, beta, epsilon, y);
        }
    }

    fn layer(&self, block: u8, kind: LayerKind, tokens: Tokens<'_>, scratch: &mut [u32], out: &mut [f32]) {
        let index = LayerKind::ALL.len() * usize::from(block) + kind as usize;
        self.held.layer(self.bundle, self.kernel, index, tokens, scratch, out);
    }

    /// Quantises `count` rows of `x`, each `width` long.
    fn quantise(&self, x: &[f32], width: usize, count: usize, codes: &mut [i8], scales: &mut [f32]) {
        for ((x, codes), scale) in row_pairs(x, codes, width).zip(scales).take(count) {
            *scale = self.kernel.quantise(x, codes);
        }
    }
}

/// Rows `first..first + count` of quantised tokens.
fn tokens<'t>(codes: &'t [i8], scales: &'t [f32], width: usize, first: usize, count: usize) -> Tokens<'t> {
    Tokens { codes: span(codes, first * width, count * width), scales: span(scales, first, count) }
}
