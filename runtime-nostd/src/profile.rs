//! The profile encoder (`docs/numerics.md`, section 11): interactions, one by one, to a user embedding.

use core::fmt;

use chord_plan::bundle::Norm;
use chord_plan::manifest::{ProfileLayer, ProfileShape};
use chord_plan::numerics::{
    feature_units, layer_norm, level, next_state, pooled_feature, quantise_token, step,
};
use chord_plan::{Bundle, Palette, embedding};

use crate::Widths;
use crate::error::{Error, List};
#[cfg(feature = "fixed-point")]
use crate::fixed_point;
use crate::items::sealed::Source;
use crate::items::{Embeddings, Items, check_row};
use crate::kernels::{Linear, Native, Tokens, scratch_words};
use crate::requirements::Arithmetic;
use crate::span::{copy, span, span_mut};

/// Memory for a [`Profile`]; the engine has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ProfileRequirements {
    /// Length of the arena in bytes. Enough at any alignment; an arena aligned to 4 can do with 3 bytes less.
    pub arena_bytes: usize,
    /// Longest message with a user embedding, in bytes.
    pub embedding_bytes: usize,
}

impl ProfileRequirements {
    /// What this model's encoder takes; `None` if it has none.
    pub fn of(bundle: &Bundle<'_>) -> Option<Self> {
        let sizes = Sizes::of(bundle)?;
        let embedding_bytes = embedding::longest(sizes.hidden);
        Some(Self { arena_bytes: align_of::<f32>() - 1 + sizes.bytes(), embedding_bytes })
    }
}

/// Lengths of the buffers, in elements.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    dim: usize,
    features: usize,
    hidden: usize,
    pooled: usize,
    /// Words that an item takes in the ring.
    item: usize,
    work: usize,
    scratch: usize,
    codes: usize,
}

impl Sizes {
    fn of(bundle: &Bundle<'_>) -> Option<Self> {
        let ProfileShape { pooled, features, hidden, .. } = bundle.manifest().profile?;
        let dim = bundle.manifest().dim();
        let [features, hidden, pooled] = [features, hidden, pooled].map(usize::from);
        let codes = dim.max(features).max(hidden);
        let work = dim.max(6 * hidden);
        // The number of a row in the table, or the row: range and codes.
        let item = if bundle.manifest().items() == 0 { 1 + dim.div_ceil(4) } else { 1 };
        Some(Self { dim, features, hidden, pooled, item, work, scratch: scratch_words(1, codes), codes })
    }

    fn words(&self) -> usize {
        self.hidden + 3 * self.features + self.pooled * self.item + self.work + self.scratch
    }

    fn bytes(&self) -> usize {
        size_of::<u32>() * self.words() + self.codes
    }
}

/// The caller's memory, cut.
pub(crate) struct Buffers<'a> {
    /// State of the recurrent layer, H.
    pub(crate) state: &'a mut [f32],
    /// Features of one item, F.
    pub(crate) features: &'a mut [f32],
    /// Of one item: its values, dim; or its gates, input's and state's, 6 H.
    pub(crate) work: &'a mut [f32],
    /// Sums of the newest items' features, F, each 64 bits.
    sums: &'a mut [[u32; 2]],
    /// Those items, `Sizes::item` words each; a ring.
    items: &'a mut [u32],
    /// What a kernel may use in a layer.
    scratch: &'a mut [u32],
    /// Codes of a quantised token.
    pub(crate) codes: &'a mut [i8],
}

impl<'a> Buffers<'a> {
    fn cut(arena: &'a mut [u8], sizes: &Sizes, arena_bytes: usize) -> Result<Self, Error> {
        let too_small = Error::ArenaTooSmall { needed: arena_bytes, given: arena.len() };
        let unaligned = bytemuck::pod_align_to::<u8, u32>(arena).0.len();
        let aligned = arena.get_mut(unaligned..).ok_or(too_small)?;
        let (words, bytes) =
            aligned.split_at_mut_checked(size_of::<u32>() * sizes.words()).ok_or(too_small)?;
        let mut words: &mut [u32] = bytemuck::try_cast_slice_mut(words).map_err(|_| too_small)?;
        let mut take = |len| words.split_off_mut(..len).ok_or(too_small);
        Ok(Self {
            state: bytemuck::cast_slice_mut(take(sizes.hidden)?),
            features: bytemuck::cast_slice_mut(take(sizes.features)?),
            work: bytemuck::cast_slice_mut(take(sizes.work)?),
            sums: take(2 * sizes.features)?.as_chunks_mut().0,
            items: take(sizes.pooled * sizes.item)?,
            scratch: take(sizes.scratch)?,
            codes: bytemuck::cast_slice_mut(bytes.get_mut(..sizes.codes).ok_or(too_small)?),
        })
    }
}

/// Encodes one user's profile, to be sent where plans are made.
///
/// Holds what all interactions so far left behind: each new one takes one step of the recurrent layer, however many
/// came before. After an error the encoder is as it was.
pub struct Profile<'a, K = Native> {
    bundle: Bundle<'a>,
    sizes: Sizes,
    buffers: Buffers<'a>,
    /// Interactions so far.
    interactions: u32,
    /// Where the next item goes in the ring.
    place: usize,
    kernel: K,
    fixed: Fixed,
}

/// What steps in fixed point take, if it computes so.
#[cfg(feature = "fixed-point")]
type Fixed = Option<fixed_point::profile::Encoder>;
#[cfg(not(feature = "fixed-point"))]
type Fixed = ();

impl<K> fmt::Debug for Profile<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("bundle", &self.bundle)
            .field("interactions", &self.interactions)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<K> defmt::Format for Profile<'_, K> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let Self { bundle, interactions, .. } = self;
        defmt::write!(f, "Profile {{ bundle: {}, interactions: {} }}", bundle, interactions);
    }
}

impl<'a> Profile<'a> {
    /// The encoder of a user without interactions, with the fastest kernel for this target.
    ///
    /// `arena` is [`ProfileRequirements::arena_bytes`] long, at any alignment, with any content.
    pub fn new(bundle: Bundle<'a>, arena: &'a mut [u8]) -> Result<Self, Error> {
        Self::with_kernel(bundle, arena, Native::default())
    }

    /// The same, whose steps compute in an arithmetic: in fixed point they are close to those of floating point, the same
    /// on every platform. The arena is as long.
    pub fn with_arithmetic(
        bundle: Bundle<'a>,
        arena: &'a mut [u8],
        arithmetic: Arithmetic,
    ) -> Result<Self, Error> {
        let profile = Self::new(bundle, arena)?;
        match arithmetic {
            Arithmetic::Float => Ok(profile),
            #[cfg(feature = "fixed-point")]
            Arithmetic::Fixed => {
                Ok(Self { fixed: Some(fixed_point::profile::Encoder::new(&bundle)), ..profile })
            }
        }
    }
}

impl<'a, K: Linear> Profile<'a, K> {
    /// An encoder with another kernel; the results are the same.
    pub fn with_kernel(bundle: Bundle<'a>, arena: &'a mut [u8], kernel: K) -> Result<Self, Error> {
        let sizes = Sizes::of(&bundle).ok_or(Error::NoProfile)?;
        let arena_bytes = align_of::<f32>() - 1 + sizes.bytes();
        let buffers = Buffers::cut(arena, &sizes, arena_bytes)?;
        let mut profile =
            Self { bundle, sizes, buffers, interactions: 0, place: 0, kernel, fixed: Default::default() };
        profile.clear();
        Ok(profile)
    }

    /// Forgets all interactions.
    pub fn clear(&mut self) {
        self.buffers.state.fill(0.0);
        self.buffers.sums.fill([0; 2]);
        (self.interactions, self.place) = (0, 0);
    }

    /// The model.
    pub fn bundle(&self) -> &Bundle<'a> {
        &self.bundle
    }

    /// Interactions so far.
    pub fn interactions(&self) -> u32 {
        self.interactions
    }

    /// Takes an interaction in, the newest one: a row of the bundle's table.
    pub fn append(&mut self, item: u32) -> Result<(), Error> {
        check_row(&self.bundle, List::History, 0, item)?;
        self.append_item(&[item][..], 0)
    }

    /// Takes interactions in, oldest first, where the bundle has no item table. On an overflow those before the item that
    /// the error names have been taken in.
    pub fn append_items(&mut self, items: Embeddings<'_>) -> Result<(), Error> {
        if self.bundle.manifest().items() > 0 {
            return Err(Error::ItemTable);
        }
        items.check(List::History, &self.bundle)?;
        (0..items.len()).try_for_each(|index| self.append_item(items, index))
    }

    /// Takes an item of a checked list in.
    fn append_item(&mut self, items: impl Items, index: usize) -> Result<(), Error> {
        let row = items.row(&self.bundle, index);
        self.encode_item(row);
        let features_fit = self.buffers.features.iter().all(|&x| units(&self.fixed, x).is_some());
        if !features_fit || !self.advance() {
            return Err(Error::ProfileOverflow { item: items.id(index) });
        }
        self.add_features(1);
        // What leaves the sum; the ring is out of the way while its features are computed.
        let ring = core::mem::take(&mut self.buffers.items);
        let words = self.sizes.item;
        let place = span_mut(ring, self.place * words, words);
        if self.interactions as usize >= self.sizes.pooled {
            self.encode_item(kept_row(&self.bundle, place));
            self.add_features(-1);
        }
        if let Some((first, rest)) = place.split_first_mut() {
            let (codes, range) = row;
            *first = if rest.is_empty() { items.id(index) } else { range.to_bits() };
            copy(codes, bytemuck::cast_slice_mut(rest));
        }
        self.buffers.items = ring;
        self.place = if self.place + 1 < self.sizes.pooled { self.place + 1 } else { 0 };
        self.interactions = self.interactions.saturating_add(1);
        Ok(())
    }

    /// The user embedding, hidden long; of no interactions, too.
    pub fn embedding(&mut self) -> Result<&[f32], Error> {
        let Sizes { features, hidden, pooled, .. } = self.sizes;
        let items = pooled.min(self.interactions as usize);
        for (feature, sum) in self.buffers.features.iter_mut().zip(&*self.buffers.sums) {
            *feature = pooled_feature(bytemuck::cast(*sum), items);
        }
        let scale = quantise_token(self.buffers.features, span_mut(self.buffers.codes, 0, features));
        self.layer(ProfileLayer::Pooled, scale, 0);
        let (gamma, beta) = self.bundle.norm(Norm::Profile);
        let Some((sum, out)) = self.buffers.work.split_at_mut_checked(hidden) else { return Ok(&[]) };
        let state = |state: f32| {
            #[cfg(feature = "fixed-point")]
            if let Some(fixed) = &self.fixed {
                return fixed.state(state);
            }
            state
        };
        sum.iter_mut().zip(&*self.buffers.state).for_each(|(y, &number)| *y += state(number));
        let epsilon = self.bundle.manifest().profile.map_or(0.0, |shape| shape.norm_epsilon);
        let out = span_mut(out, 0, hidden);
        layer_norm(sum, gamma, beta, epsilon, out);
        if out.iter().all(|x| x.is_finite()) { Ok(out) } else { Err(Error::EmbeddingNotFinite) }
    }

    /// The message that carries the user embedding (`docs/format.md`), at the start of `out`, which is at least
    /// [`ProfileRequirements::embedding_bytes`] long.
    pub fn message<'o>(&mut self, out: &'o mut [u8]) -> Result<&'o [u8], Error> {
        let (model, interactions) = (self.bundle.model(), self.interactions);
        let (needed, given) = (embedding::longest(self.sizes.hidden), out.len());
        let length = embedding::encode(model, interactions, self.embedding()?, out);
        let too_small = Error::OutputTooSmall { needed, given };
        out.get(..length.ok_or(too_small)?).ok_or(too_small)
    }

    /// Leaves the features of an item, codes and range, in their buffer.
    fn encode_item(&mut self, (codes, range): (&[i8], f32)) {
        #[cfg(feature = "fixed-point")]
        if let Some(fixed) = &mut self.fixed {
            return fixed.encode_item(&self.bundle, (codes, range), &mut self.buffers);
        }
        let dim = self.sizes.dim;
        let values = span_mut(self.buffers.work, 0, dim);
        let step = step(range, 8);
        for (x, &code) in values.iter_mut().zip(codes) {
            *x = f32::from(level(code, 8)) * step;
        }
        let scale = quantise_token(values, span_mut(self.buffers.codes, 0, dim));
        let layer = self.bundle.profile_layer(ProfileLayer::Input);
        let tokens = Tokens { codes: span(self.buffers.codes, 0, dim), scales: &[scale] };
        self.kernel.layer(tokens, &layer, ALL_BITS, self.buffers.scratch, self.buffers.features);
    }

    /// Takes the item whose features were computed last into the state, unless that would not be finite; whether it was.
    fn advance(&mut self) -> bool {
        #[cfg(feature = "fixed-point")]
        if let Some(fixed) = &self.fixed {
            return fixed.advance(&self.bundle, &mut self.buffers);
        }
        let Sizes { features, hidden, .. } = self.sizes;
        let scale = quantise_token(self.buffers.features, span_mut(self.buffers.codes, 0, features));
        self.layer(ProfileLayer::InputGates, scale, 0);
        let scale = quantise_token(self.buffers.state, span_mut(self.buffers.codes, 0, hidden));
        self.layer(ProfileLayer::StateGates, scale, 3 * hidden);
        for (unit, &state) in self.buffers.state.iter().enumerate() {
            let gate = |gate: usize| self.buffers.work.get(gate * hidden + unit).copied().unwrap_or(f32::NAN);
            let next = next_state([0, 1, 2].map(gate), [3, 4, 5].map(gate), state);
            // Nobody reads this unit's reset gate again.
            if let Some(place) = self.buffers.work.get_mut(unit) {
                *place = next;
            }
        }
        let next = span(self.buffers.work, 0, hidden);
        let is_finite = next.iter().all(|x| x.is_finite());
        if is_finite {
            copy(next, self.buffers.state);
        }
        is_finite
    }

    /// A layer for the token whose codes are in their buffer; its outputs go to the work buffer from `start` on.
    fn layer(&mut self, kind: ProfileLayer, scale: f32, start: usize) {
        let layer = self.bundle.profile_layer(kind);
        let (inputs, outputs) = (layer.layer().inputs, layer.layer().outputs);
        let tokens = Tokens { codes: span(self.buffers.codes, 0, inputs), scales: &[scale] };
        let out = span_mut(self.buffers.work, start, outputs);
        self.kernel.layer(tokens, &layer, ALL_BITS, self.buffers.scratch, out);
    }

    /// Adds the features computed last to their sums, `times` times; they fit.
    fn add_features(&mut self, times: i64) {
        for (sum, &feature) in self.buffers.sums.iter_mut().zip(&*self.buffers.features) {
            let units = units(&self.fixed, feature).unwrap_or(0);
            let total = bytemuck::cast::<[u32; 2], i64>(*sum).wrapping_add(times * units);
            *sum = bytemuck::cast(total);
        }
    }
}

/// A feature computed last in units of its sum; `None` if it is too large.
#[cfg_attr(not(feature = "fixed-point"), expect(unused_variables, reason = "there is one arithmetic"))]
fn units(fixed: &Fixed, feature: f32) -> Option<i64> {
    #[cfg(feature = "fixed-point")]
    if let Some(fixed) = fixed {
        return fixed.feature_units(feature);
    }
    feature_units(feature)
}

/// Codes and range of an item in the ring.
fn kept_row<'r>(bundle: &Bundle<'r>, place: &'r [u32]) -> (&'r [i8], f32) {
    let Some((&first, codes)) = place.split_first() else { return (&[], f32::NAN) };
    match bundle.manifest().items() {
        0 => (bytemuck::cast_slice(codes), f32::from_bits(first)),
        _ => (bundle.item_codes(first as usize), bundle.item_range(first as usize)),
    }
}

/// Codes of no plan are 0: the palette's one width.
pub(crate) const ALL_BITS: Widths<'static> = Widths::new(&[], Palette::EIGHT_BITS, 0);
