//! The caller's memory, cut into the buffers of the fixed-point arithmetic.

use chord_plan::Bundle;
use chord_plan::manifest::{Architecture, Manifest};

use super::layer::Bounds;
use crate::error::Error;
use crate::held::Held;
use crate::kernels::pairs;
use crate::requirements::Sizes;
use crate::span::span_mut;

/// Lengths of the buffers, in elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    /// Tokens and heads.
    tokens: usize,
    heads: usize,
    /// Residual stream, keys and values, each.
    stream: usize,
    /// The buffers of these names.
    output: usize,
    scales: usize,
    words: usize,
    codes: usize,
    bounds: usize,
    plan: usize,
}

impl Lengths {
    pub(crate) fn of(manifest: &Manifest, sizes: &Sizes) -> Self {
        let &Sizes { tokens, rows, dim, plan, .. } = sizes;
        let (heads, inner, finished) = match manifest.architecture {
            // Only the newest token goes on after the last block's attention.
            Architecture::SasRec(shape) => {
                (shape.heads.into(), shape.inner.into(), if shape.blocks > 1 { rows } else { 1 })
            }
            Architecture::Caser(_) => (0, 0, 0),
        };
        let widest = (rows * dim).max(finished * dim.max(inner));
        Self {
            tokens,
            heads,
            stream: tokens * dim,
            output: widest,
            scales: rows,
            words: pairs::words(rows, dim).max(pairs::words(finished, inner)),
            codes: widest,
            bounds: 2 * manifest.layer_count(),
            plan,
        }
    }

    /// Bytes of the arena, at an alignment of 4.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<u32>()
            * (self.output + self.tokens + self.scales + self.words + 2 * self.tokens * self.heads)
            + size_of::<i16>() * (self.stream + self.tokens + self.bounds)
            + 2 * self.stream
            + self.codes
            + self.plan
    }

    /// Words that the keys and values of a block take.
    pub(crate) fn kept_words(&self) -> usize {
        2 * self.tokens * self.heads + (2 * self.stream).div_ceil(size_of::<u32>())
    }
}

/// Keys and values of a block, with the scales of their heads.
pub(crate) struct Kept<'a> {
    /// T x d.
    pub(super) keys: &'a mut [i8],
    /// T x d.
    pub(super) values: &'a mut [i8],
    /// T x heads.
    pub(super) key_scales: &'a mut [u32],
    /// T x heads.
    pub(super) value_scales: &'a mut [u32],
}

impl<'a> Kept<'a> {
    /// Takes one block's from the head of `words`, [`Lengths::kept_words`] for each block; empty if there are too few.
    pub(super) fn take(words: &mut &'a mut [u32], stream: usize, scales: usize) -> Self {
        let mut take = |len| words.split_off_mut(..len).unwrap_or_default();
        let (key_scales, value_scales) = (take(scales), take(scales));
        let codes: &mut [i8] = bytemuck::cast_slice_mut(take((2 * stream).div_ceil(size_of::<u32>())));
        let (keys, values) = codes.split_at_mut_checked(stream).unwrap_or_default();
        Self { keys, values: span_mut(values, 0, stream), key_scales, value_scales }
    }
}

/// Memory of a forward pass. T = tokens at most, R = rows at once, A = rows at once after the attention, d = hidden
/// size.
pub(crate) struct Buffers<'a> {
    /// Residual stream, T x d.
    pub(super) residual: &'a mut [i16],
    /// Its rows' units, T.
    pub(super) units: &'a mut [i16],
    pub(super) kept: Kept<'a>,
    /// Output of the layer that ran last, R x d or A x max(d, inner), whichever is more.
    pub(super) output: &'a mut [i32],
    /// Attention scores of one query, T.
    pub(super) scores: &'a mut [i32],
    /// Scales of the quantised tokens, R.
    pub(super) scales: &'a mut [u32],
    /// Up to four tokens laid out for products.
    pub(super) words: &'a mut [i32],
    /// Codes of the quantised tokens, as many as outputs.
    pub(crate) codes: &'a mut [i8],
    /// [`Bounds`] of the layers.
    pub(super) bounds: &'a mut [i16],
}

impl<'a> Buffers<'a> {
    /// Cuts the arena, which is to be `needed` bytes long.
    pub(crate) fn cut(
        arena: &'a mut [u8],
        lengths: &Lengths,
        needed: usize,
    ) -> Result<(Self, Held<'a>), Error> {
        let too_small = Error::ArenaTooSmall { needed, given: arena.len() };
        let unaligned = bytemuck::pod_align_to::<u8, u32>(arena).0.len();
        let aligned = arena.get_mut(unaligned..).and_then(|arena| arena.get_mut(..lengths.bytes()));
        let mut rest = aligned.ok_or(too_small)?;
        let &Lengths { tokens, heads, stream, .. } = lengths;
        let mut take = |bytes| rest.split_off_mut(..bytes).unwrap_or_default();
        let mut words = |len| bytemuck::try_cast_slice_mut(take(size_of::<u32>() * len)).unwrap_or_default();
        let (key_scales, value_scales) = (words(tokens * heads), words(tokens * heads));
        let scales = words(lengths.scales);
        let mut integers = |len| bytemuck::cast_slice_mut::<u32, i32>(words(len));
        let (output, scores) = (integers(lengths.output), integers(tokens));
        let words = integers(lengths.words);
        let mut halves = |len| bytemuck::try_cast_slice_mut(take(size_of::<i16>() * len)).unwrap_or_default();
        let (residual, units, bounds) = (halves(stream), halves(tokens), halves(lengths.bounds));
        let mut bytes = |len| bytemuck::cast_slice_mut(take(len));
        let (keys, values, codes) = (bytes(stream), bytes(stream), bytes(lengths.codes));
        let held = Held { codes: take(lengths.plan), starts: &mut [], packed: &mut [] };
        let kept = Kept { keys, values, key_scales, value_scales };
        Ok((Self { residual, units, kept, output, scores, scales, words, codes, bounds }, held))
    }

    /// Takes note of what a new plan makes of the layers.
    pub(crate) fn bound(&mut self, bundle: &Bundle<'_>, held: &Held<'_>) {
        for (index, bounds) in self.bounds.as_chunks_mut().0.iter_mut().enumerate() {
            let layer = bundle.layer(index);
            *bounds = Bounds::of(&layer, held.widths(bundle, layer.layer().first_channel));
        }
    }

    /// The same with other keys and values.
    pub(super) fn with<'b>(&'b mut self, kept: Kept<'b>) -> Buffers<'b> {
        Buffers {
            residual: self.residual,
            units: self.units,
            kept,
            output: self.output,
            scores: self.scores,
            scales: self.scales,
            words: self.words,
            codes: self.codes,
            bounds: self.bounds,
        }
    }
}
