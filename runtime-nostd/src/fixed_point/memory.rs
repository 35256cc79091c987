//! The caller's memory, cut into the buffers of the fixed-point arithmetic.

use chord_plan::Bundle;
use chord_plan::manifest::{Architecture, Manifest};

use super::layer::Bounds;
use super::number::Scale;
use super::row::quantise;
use crate::error::Error;
use crate::held::Held;
use crate::kernels::pairs;
use crate::requirements::Sizes;
use crate::span::{span, span_mut};

/// Lengths of the buffers, in elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    /// Residual stream, keys and values, each.
    stream: usize,
    /// Scales of all heads' keys, and of their values.
    head_scales: usize,
    /// The buffers of these names.
    units: usize,
    output: usize,
    scores: usize,
    scales: usize,
    words: usize,
    codes: usize,
    bounds: usize,
    plan: usize,
}

impl Lengths {
    pub(crate) fn of(manifest: &Manifest, sizes: &Sizes) -> Self {
        let &Sizes { tokens, rows, dim, plan, .. } = sizes;
        let bounds = 2 * manifest.layer_count();
        match manifest.architecture {
            Architecture::SasRec(shape) => {
                let inner = shape.inner.into();
                // Only the newest token goes on after the last block's attention.
                let finished = if shape.blocks > 1 { rows } else { 1 };
                let widest = (rows * dim).max(finished * dim.max(inner));
                Self {
                    stream: tokens * dim,
                    head_scales: tokens * usize::from(shape.heads),
                    units: tokens,
                    output: widest,
                    scores: tokens,
                    scales: rows,
                    words: pairs::words(rows, dim).max(pairs::words(finished, inner)),
                    codes: widest,
                    bounds,
                    plan,
                }
            }
            Architecture::Caser(shape) => Self {
                stream: 0,
                head_scales: 0,
                units: 0,
                output: shape.features(),
                scores: 2 * tokens + usize::from(shape.window),
                scales: tokens,
                words: 0,
                codes: shape.features().max(tokens * dim),
                bounds,
                plan,
            },
        }
    }

    /// Bytes of the arena, at an alignment of 4.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<u32>() * (self.output + self.scores + self.scales + self.words + 2 * self.head_scales)
            + size_of::<i16>() * (self.stream + self.units + self.bounds)
            + 2 * self.stream
            + self.codes
            + self.plan
    }

    /// Words that the keys and values of a block take.
    pub(crate) fn kept_words(&self) -> usize {
        2 * self.head_scales + (2 * self.stream).div_ceil(size_of::<u32>())
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
/// size, F = features of Caser, L = its window.
pub(crate) struct Buffers<'a> {
    /// SASRec: residual stream, T x d.
    pub(super) residual: &'a mut [i16],
    /// SASRec: its rows' units, T.
    pub(super) units: &'a mut [i16],
    /// SASRec: of the current block.
    pub(super) kept: Kept<'a>,
    /// Output of the layer that ran last, SASRec: R x d or A x max(d, inner), whichever is more. Caser: features, F.
    pub(super) output: &'a mut [i32],
    /// SASRec: attention scores of one query, T. Caser: sums of the rows, multipliers of a filter, its outputs, 2 T + L.
    pub(super) scores: &'a mut [i32],
    /// Scales of the quantised tokens, SASRec: R, Caser: T.
    pub(super) scales: &'a mut [u32],
    /// SASRec: up to four tokens laid out for products.
    pub(super) words: &'a mut [i32],
    /// Codes of the quantised tokens, SASRec: as many as outputs, Caser: max(T x d, F).
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
        let &Lengths { stream, head_scales, .. } = lengths;
        let mut take = |bytes| rest.split_off_mut(..bytes).unwrap_or_default();
        let mut words = |len| bytemuck::try_cast_slice_mut(take(size_of::<u32>() * len)).unwrap_or_default();
        let (key_scales, value_scales) = (words(head_scales), words(head_scales));
        let scales = words(lengths.scales);
        let mut integers = |len| bytemuck::cast_slice_mut::<u32, i32>(words(len));
        let (output, scores) = (integers(lengths.output), integers(lengths.scores));
        let words = integers(lengths.words);
        let mut halves = |len| bytemuck::try_cast_slice_mut(take(size_of::<i16>() * len)).unwrap_or_default();
        let (residual, units, bounds) = (halves(stream), halves(lengths.units), halves(lengths.bounds));
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

    /// Quantises row `from` of the output, `width` numbers in units of `2^unit`, as token `to`; returns its scale.
    pub(super) fn quantise(&mut self, from: usize, width: usize, unit: i32, to: usize) -> Scale {
        let x = span(self.output, from * width, width);
        let scale = quantise(x, unit, span_mut(self.codes, to * width, width));
        self.scales.get_mut(to).into_iter().for_each(|kept| *kept = scale.to_word());
        scale
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
