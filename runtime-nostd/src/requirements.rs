//! How much memory an engine needs.

use chord_plan::manifest::{Architecture, SasRecShape};
use chord_plan::{Bundle, rows};

#[cfg(feature = "fixed-point")]
use crate::fixed_point;
use crate::kernels::{max_packed_words, scratch_words};

/// How an engine holds the running plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Holding {
    /// The plan's codes alone; each layer reads the model's bytes in place.
    #[default]
    InPlace,
    /// Applying a plan packs the chosen bits of all layers into the arena, where kernels read them faster. Takes
    /// about as much RAM as the layers' codes take in the model, or, with [`Options::max_budget`], that part of it.
    Packed,
}

/// The arithmetic that an engine or a profile encoder computes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Arithmetic {
    /// That of `docs/numerics.md`: integer products, the rest in f32. The trainer's simulation has the same results.
    #[default]
    Float,
    /// That of `docs/fixed-point.md`: integers throughout, for cores without an FPU. Its results are close to those of
    /// [`Float`](Self::Float) and the same on every platform. An engine reads its plan in place: [`Holding::Packed`] is
    /// [`Error::PackedInFixedPoint`](crate::Error::PackedInFixedPoint).
    #[cfg(feature = "fixed-point")]
    Fixed,
}

/// What a caller may trade memory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Options {
    /// Longest history to look at, in items; of longer ones the last `max_history` count. At most the model's
    /// window, which is also the default. Fewer than those give other logits for histories that are longer.
    pub max_history: usize,
    /// Tokens that go through a layer together, 4 by default: more read the weights less often and take more
    /// scratch memory. Does not change the results; Caser does not use it.
    pub rows_at_once: usize,
    /// How the running plan is held, in place by default. Does not change the results.
    pub holding: Holding,
    /// Largest average of bits per weight of the plans that the engine takes, in 1/1000 as in a plan's header; plans
    /// that keep more are refused. Any plan by default. A packed plan takes RAM for this many bits, whatever their mix.
    pub max_budget: Option<u16>,
    /// What the engine computes in; floating point by default. Changes the results.
    pub arithmetic: Arithmetic,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_history: usize::MAX,
            rows_at_once: 4,
            holding: Holding::InPlace,
            max_budget: None,
            arithmetic: Arithmetic::Float,
        }
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
        // Up to 3 bytes go to align the words.
        Self {
            arena_bytes: align_of::<f32>() - 1 + sizes.arena_bytes(bundle, options.arithmetic),
            plan_bytes: PLAN_HEADER_MAX + sizes.plan + size_of::<u32>(),
        }
    }

    /// Longest message with the rows of so many items, in bytes: what a buffer has to hold for a history or candidates
    /// that come with a request, as all do where the bundle has no item table.
    pub fn rows_bytes(bundle: &Bundle<'_>, items: usize) -> usize {
        rows::longest(items, bundle.manifest().dim())
    }
}

/// Lengths of the buffers, in elements: below 2^31 each. In bytes all of them together stay below 2^32 for a bundle that fits
/// into half of a 32-bit address space, as any slice of bytes there does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Items of a history at most.
    pub(crate) tokens: usize,
    /// Tokens that go through a layer together.
    pub(crate) rows: usize,
    /// Size of an item's embedding.
    pub(crate) dim: usize,
    /// Residual stream, keys and values, each.
    pub(crate) stream: usize,
    /// The buffers of these names.
    pub(crate) token: usize,
    pub(crate) output: usize,
    pub(crate) scores: usize,
    pub(crate) scales: usize,
    pub(crate) codes: usize,
    /// Bytes of packed plan codes.
    pub(crate) plan: usize,
    /// Words that say where each layer's packed weights start.
    pub(crate) starts: usize,
    /// Words of packed weights.
    pub(crate) packed: usize,
    /// Words that a kernel may use in a layer.
    pub(crate) scratch: usize,
}

impl Sizes {
    pub(crate) fn of(bundle: &Bundle<'_>, options: &Options) -> Self {
        let manifest = bundle.manifest();
        let dim = manifest.dim();
        let tokens = options.max_history.min(manifest.window()).max(1);
        let rows = options.rows_at_once.min(tokens).max(1);
        let plan = manifest.channels().div_ceil(4);
        let (starts, packed) = match options.holding {
            Holding::InPlace => (0, 0),
            Holding::Packed => (manifest.layer_count() + 1, max_packed_words(manifest, options.max_budget)),
        };
        match manifest.architecture {
            Architecture::SasRec(SasRecShape { inner, blocks, .. }) => {
                // Only the newest token goes on after the last block's attention.
                let finished = if blocks > 1 { rows } else { 1 };
                let widest = dim.max(inner.into());
                let output = finished * widest;
                Self {
                    tokens,
                    rows,
                    dim,
                    stream: tokens * dim,
                    token: rows * dim,
                    output,
                    scores: tokens,
                    scales: rows,
                    codes: output.max(rows * dim),
                    plan,
                    starts,
                    packed,
                    scratch: scratch_words(rows, dim).max(scratch_words(finished, widest)),
                }
            }
            Architecture::Caser(shape) => Self {
                tokens,
                rows,
                dim,
                stream: 0,
                token: dim,
                output: shape.features(),
                scores: 0,
                scales: tokens,
                codes: shape.features().max(tokens * dim),
                plan,
                starts,
                packed,
                scratch: scratch_words(1, shape.features()),
            },
        }
    }

    pub(crate) fn floats(&self) -> usize {
        3 * self.stream + self.token + self.output + self.scores + self.scales
    }

    /// Bytes of the arena, at an alignment of 4.
    #[cfg_attr(not(feature = "fixed-point"), expect(unused_variables, reason = "there is one arithmetic"))]
    fn arena_bytes(&self, bundle: &Bundle<'_>, arithmetic: Arithmetic) -> usize {
        match arithmetic {
            Arithmetic::Float => self.bytes(),
            #[cfg(feature = "fixed-point")]
            Arithmetic::Fixed => fixed_point::Lengths::of(bundle.manifest(), self).bytes(),
        }
    }

    /// Words that the keys and values of a block take.
    #[cfg_attr(not(feature = "fixed-point"), expect(unused_variables, reason = "there is one arithmetic"))]
    pub(crate) fn kept_words(&self, bundle: &Bundle<'_>, arithmetic: Arithmetic) -> usize {
        match arithmetic {
            Arithmetic::Float => 2 * self.stream,
            #[cfg(feature = "fixed-point")]
            Arithmetic::Fixed => fixed_point::Lengths::of(bundle.manifest(), self).kept_words(),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<f32>() * (self.floats() + self.scratch + self.starts + self.packed) + self.codes + self.plan
    }
}
