//! How much memory an engine needs.

use chord_plan::Bundle;
use chord_plan::manifest::SasRecShape;

/// What a caller may trade memory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Longest history to look at, in items; of longer ones the last `max_history` count. At most the model's
    /// positions, which is also the default. Fewer than those give other logits for histories that are longer.
    pub max_history: usize,
    /// Tokens that go through a layer together, 4 by default: more read the weights less often and take more
    /// scratch memory. Does not change the results.
    pub rows_at_once: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_history: usize::MAX, rows_at_once: 4 }
    }
}

/// Longest header of a plan (`docs/format.md`).
const PLAN_HEADER_MAX: usize = 32;

/// Memory for one engine; [`Core::stack_bytes`](crate::Core::stack_bytes) has the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Requirements {
    /// Length of the arena in bytes. Enough at any alignment; an arena aligned to 4 can do with 3 bytes less.
    pub arena_bytes: usize,
    /// Longest plan for this model, in bytes: what a buffer for a plan that arrives has to hold.
    pub plan_bytes: usize,
}

impl Requirements {
    /// What an engine for this model takes.
    pub fn of(bundle: &Bundle<'_>, options: &Options) -> Self {
        let sizes = Sizes::of(bundle, options);
        // Up to 3 bytes go to align the floats.
        Self {
            arena_bytes: align_of::<f32>() - 1 + sizes.bytes(),
            plan_bytes: PLAN_HEADER_MAX + sizes.plan + size_of::<u32>(),
        }
    }
}

/// Lengths of the buffers, in elements. Even the largest model's stay far below 32 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Tokens at most.
    pub(crate) tokens: usize,
    /// Tokens that go through a layer together.
    pub(crate) rows: usize,
    /// Hidden size.
    pub(crate) dim: usize,
    /// Longest row that enters or leaves a layer.
    pub(crate) widest: usize,
    /// Tokens that go through the layers after the attention together: one where the first block is the last.
    pub(crate) finished: usize,
    /// Bytes of packed plan codes.
    pub(crate) plan: usize,
}

impl Sizes {
    pub(crate) fn of(bundle: &Bundle<'_>, options: &Options) -> Self {
        let &SasRecShape { positions, dim, inner, blocks, .. } = bundle.manifest().shape();
        let tokens = options.max_history.min(positions.into()).max(1);
        let rows = options.rows_at_once.min(tokens).max(1);
        Self {
            tokens,
            rows,
            dim: dim.into(),
            finished: if blocks > 1 { rows } else { 1 },
            widest: dim.max(inner).into(),
            plan: bundle.manifest().channels().div_ceil(4),
        }
    }

    /// Residual stream, keys and values; normalised tokens; a layer's output; scores; scales.
    pub(crate) fn floats(&self) -> usize {
        let layers = self.rows * self.dim + self.finished * self.widest;
        3 * self.tokens * self.dim + layers + self.tokens + self.rows
    }

    /// Codes of the tokens that enter a layer.
    pub(crate) fn codes(&self) -> usize {
        (self.rows * self.dim).max(self.finished * self.widest)
    }

    fn bytes(&self) -> usize {
        size_of::<f32>() * self.floats() + self.codes() + self.plan
    }
}
