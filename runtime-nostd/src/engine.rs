//! The engine: a model, the user's plan and the memory to run them.

use core::fmt;

use chord_plan::manifest::Architecture;
use chord_plan::numerics::{logit, step};
use chord_plan::plan::PlanHeader;
use chord_plan::{Bundle, Plan};

use crate::arena::{self, Buffers};
use crate::error::{Error, List};
#[cfg(feature = "fixed-point")]
use crate::fixed_point;
use crate::held::Held;
use crate::items::Items;
use crate::items::sealed::Source;
use crate::kernels::{Linear, Native};
use crate::ranking::{self, Best, Ranked};
use crate::requirements::{Arithmetic, Options, Requirements, Sizes};
use crate::sasrec::Kept;
use crate::span::span;
use crate::{caser, sasrec};

/// Ranks items for one user.
///
/// Item ids are rows of the bundle, from 0. After an error the engine is as it was; output buffers may hold anything.
pub struct Engine<'a, K = Native> {
    bundle: Bundle<'a>,
    plan: PlanHeader,
    max_budget: Option<u16>,
    held: Held<'a>,
    memory: Memory<'a>,
    sizes: Sizes,
    kernel: K,
}

/// Buffers of either arithmetic.
enum Memory<'a> {
    Float(Buffers<'a>),
    #[cfg(feature = "fixed-point")]
    Fixed(fixed_point::Buffers<'a>),
}

impl Memory<'_> {
    /// Takes note of a new plan.
    #[cfg_attr(not(feature = "fixed-point"), expect(unused_variables, reason = "floating point needs none"))]
    fn hold(&mut self, bundle: &Bundle<'_>, held: &Held<'_>) {
        match self {
            Self::Float(_) => {}
            #[cfg(feature = "fixed-point")]
            Self::Fixed(buffers) => buffers.bound(bundle, held),
        }
    }
}

impl<K> fmt::Debug for Engine<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("bundle", &self.bundle)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<K> defmt::Format for Engine<'_, K> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Engine {{ bundle: {}, plan: {} }}", self.bundle, self.plan);
    }
}

impl<'a> Engine<'a> {
    /// An engine with the fastest kernel for this target.
    ///
    /// `arena` is [`Requirements::arena_bytes`] long, at any alignment, with any content.
    pub fn new(
        bundle: Bundle<'a>,
        plan: &Plan<'_>,
        arena: &'a mut [u8],
        options: Options,
    ) -> Result<Self, Error> {
        Self::with_kernel(bundle, plan, arena, options, Native::default())
    }
}

impl<'a, K: Linear> Engine<'a, K> {
    /// An engine with another kernel; the results are the same.
    pub fn with_kernel(
        bundle: Bundle<'a>,
        plan: &Plan<'_>,
        arena: &'a mut [u8],
        options: Options,
        kernel: K,
    ) -> Result<Self, Error> {
        let is_built = match bundle.manifest().architecture {
            Architecture::SasRec(_) => cfg!(feature = "sasrec"),
            Architecture::Caser(_) => cfg!(feature = "caser"),
        };
        if !is_built {
            return Err(Error::NetworkLeftOut);
        }
        #[cfg(feature = "fixed-point")]
        if options.arithmetic == Arithmetic::Fixed && options.holding == crate::Holding::Packed {
            return Err(Error::PackedInFixedPoint);
        }
        check_plan(plan, &bundle, options.max_budget)?;
        let sizes = Sizes::of(&bundle, &options);
        let requirements = Requirements::of(&bundle, &options);
        let (mut memory, mut held) = match options.arithmetic {
            Arithmetic::Float => {
                let (buffers, held) = arena::cut(arena, &sizes, requirements)?;
                (Memory::Float(buffers), held)
            }
            #[cfg(feature = "fixed-point")]
            Arithmetic::Fixed => {
                let lengths = fixed_point::Lengths::of(bundle.manifest(), &sizes);
                let (buffers, held) = fixed_point::Buffers::cut(arena, &lengths, requirements.arena_bytes)?;
                (Memory::Fixed(buffers), held)
            }
        };
        held.hold(plan, &bundle, &kernel);
        memory.hold(&bundle, &held);
        let max_budget = options.max_budget;
        Ok(Self { bundle, plan: *plan.header(), max_budget, held, memory, sizes, kernel })
    }

    /// Takes a new plan in place of the running one.
    ///
    /// The plan is copied. It is checked completely before anything changes: on an error the old one stays. One with
    /// the running plan's sequence number is taken, an older one is not.
    pub fn apply(&mut self, plan: &Plan<'_>) -> Result<(), Error> {
        check_plan(plan, &self.bundle, self.max_budget)?;
        let (running, offered) = (self.plan.sequence, plan.header().sequence);
        if offered < running {
            return Err(Error::StalePlan { running, offered });
        }
        self.held.hold(plan, &self.bundle, &self.kernel);
        self.memory.hold(&self.bundle, &self.held);
        self.plan = *plan.header();
        Ok(())
    }

    /// Header of the running plan.
    pub fn plan(&self) -> &PlanHeader {
        &self.plan
    }

    /// The model.
    pub fn bundle(&self) -> &Bundle<'a> {
        &self.bundle
    }

    /// Logits of `candidates` in their order, for a history with the newest item last.
    ///
    /// Returns the part of `logits` that it wrote. Of a history longer than the model's window the last part counts.
    /// Candidates may repeat.
    pub fn score<'o>(
        &mut self,
        history: &[u32],
        candidates: &[u32],
        logits: &'o mut [f32],
    ) -> Result<&'o [f32], Error> {
        self.score_items(history, candidates, logits)
    }

    /// `candidates` with their logits, best first (`docs/numerics.md`, section 9).
    ///
    /// Returns the part of `ranked` that it wrote: one entry per candidate, repeated ones included.
    pub fn rank<'o>(
        &mut self,
        history: &[u32],
        candidates: &[u32],
        ranked: &'o mut [Ranked],
    ) -> Result<&'o [Ranked], Error> {
        self.rank_items(history, candidates, ranked)
    }

    /// The best items of the whole catalogue, best first: as many as `best` holds, at most all.
    pub fn top<'o>(&mut self, history: &[u32], best: &'o mut [Ranked]) -> Result<&'o [Ranked], Error> {
        history.check(List::History, &self.bundle)?;
        if best.is_empty() {
            return Err(Error::OutputTooSmall { needed: 1, given: 0 });
        }
        let scale = self.encode(history);
        let mut best = Best::new(best);
        for item in 0..self.bundle.manifest().items() {
            best.offer(self.ranked(&[item][..], 0, scale)?);
        }
        Ok(best.into_slice())
    }

    /// As [`score`](Self::score), for a history and candidates that may have come as [`Embeddings`](crate::Embeddings).
    pub fn score_items<'o>(
        &mut self,
        history: impl Items,
        candidates: impl Items,
        logits: &'o mut [f32],
    ) -> Result<&'o [f32], Error> {
        history.check(List::History, &self.bundle)?;
        let logits = self.check_candidates(candidates, logits)?;
        let scale = self.encode(history);
        self.score_encoded(scale, candidates, logits)
    }

    /// As [`rank`](Self::rank), for a history and candidates that may have come as [`Embeddings`](crate::Embeddings).
    pub fn rank_items<'o>(
        &mut self,
        history: impl Items,
        candidates: impl Items,
        ranked: &'o mut [Ranked],
    ) -> Result<&'o [Ranked], Error> {
        history.check(List::History, &self.bundle)?;
        let ranked = self.check_candidates(candidates, ranked)?;
        let scale = self.encode(history);
        self.rank_encoded(scale, candidates, ranked)
    }

    /// The best `N` of `candidates`, or all if there are fewer, best first. However many there are, no more memory is
    /// needed than for these.
    pub fn top_items<const N: usize>(
        &mut self,
        history: impl Items,
        candidates: impl Items,
    ) -> Result<heapless::Vec<Ranked, N>, Error> {
        history.check(List::History, &self.bundle)?;
        candidates.check(List::Candidates, &self.bundle)?;
        let scale = self.encode(history);
        self.top_encoded(scale, candidates)
    }

    /// Checks candidates; returns the part of the output buffer to fill.
    pub(crate) fn check_candidates<'o, T>(
        &self,
        candidates: impl Items,
        output: &'o mut [T],
    ) -> Result<&'o mut [T], Error> {
        candidates.check(List::Candidates, &self.bundle)?;
        let (needed, given) = (candidates.len(), output.len());
        output.get_mut(..needed).ok_or(Error::OutputTooSmall { needed, given })
    }

    /// Logits for the history encoded last; the list is checked.
    pub(crate) fn score_encoded<'o>(
        &self,
        scale: f32,
        candidates: impl Items,
        logits: &'o mut [f32],
    ) -> Result<&'o [f32], Error> {
        for (index, logit) in logits.iter_mut().enumerate() {
            *logit = self.ranked(candidates, index, scale)?.logit;
        }
        Ok(logits)
    }

    /// The ranking for the history encoded last; the list is checked.
    pub(crate) fn rank_encoded<'o>(
        &self,
        scale: f32,
        candidates: impl Items,
        ranked: &'o mut [Ranked],
    ) -> Result<&'o [Ranked], Error> {
        for (index, ranked) in ranked.iter_mut().enumerate() {
            *ranked = self.ranked(candidates, index, scale)?;
        }
        ranking::sort(ranked);
        Ok(ranked)
    }

    /// The best for the history encoded last; the list is checked.
    pub(crate) fn top_encoded<const N: usize>(
        &self,
        scale: f32,
        candidates: impl Items,
    ) -> Result<heapless::Vec<Ranked, N>, Error> {
        let mut buffer = [Ranked::default(); N];
        let mut best = Best::new(&mut buffer);
        for index in 0..candidates.len() {
            best.offer(self.ranked(candidates, index, scale)?);
        }
        // They fit.
        Ok(heapless::Vec::from_slice(best.into_slice()).unwrap_or_default())
    }

    /// Leaves the code vector of a checked history in the buffers; returns its scale.
    pub(crate) fn encode(&mut self, history: impl Items) -> f32 {
        let recent = history.last(self.sizes.tokens, self.sizes.dim);
        let Self { bundle, held, memory, sizes, kernel, .. } = self;
        match (&bundle.manifest().architecture, memory) {
            (Architecture::SasRec(shape), Memory::Float(buffers)) if cfg!(feature = "sasrec") => {
                sasrec::Forward { bundle, shape, held, kernel, rows: sizes.rows }.encode(recent, buffers)
            }
            (Architecture::Caser(shape), Memory::Float(buffers)) if cfg!(feature = "caser") => {
                caser::Forward { bundle, shape, held, kernel }.encode(recent, buffers)
            }
            #[cfg(feature = "fixed-point")]
            (Architecture::SasRec(shape), Memory::Fixed(buffers)) if cfg!(feature = "sasrec") => {
                let forward = fixed_point::sasrec::Forward::new(bundle, shape, held, sizes.rows);
                forward.encode(recent, 0, &mut [], buffers)
            }
            #[cfg(feature = "fixed-point")]
            (Architecture::Caser(shape), Memory::Fixed(buffers)) if cfg!(feature = "caser") => {
                fixed_point::caser::Forward::new(bundle, shape, held).encode(recent, buffers)
            }
            // No engine is made for it.
            _ => f32::NAN,
        }
    }

    /// As [`encode`](Self::encode), for a history that fits the window and of which SASRec has seen some items.
    pub(crate) fn encode_kept(&mut self, history: impl Items, kept: Kept<'_>) -> f32 {
        let Self { bundle, held, memory, sizes, kernel, .. } = self;
        match (&bundle.manifest().architecture, memory) {
            #[cfg(feature = "fixed-point")]
            (Architecture::SasRec(shape), Memory::Fixed(buffers)) if cfg!(feature = "sasrec") => {
                let forward = fixed_point::sasrec::Forward::new(bundle, shape, held, sizes.rows);
                forward.encode(history, kept.seen, kept.blocks, buffers)
            }
            (Architecture::SasRec(shape), Memory::Float(buffers)) if cfg!(feature = "sasrec") => {
                let forward = sasrec::Forward { bundle, shape, held, kernel, rows: sizes.rows };
                forward.encode_kept(history, kept, buffers)
            }
            _ => self.encode(history),
        }
    }

    pub(crate) fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    pub(crate) fn arithmetic(&self) -> Arithmetic {
        match self.memory {
            Memory::Float(_) => Arithmetic::Float,
            #[cfg(feature = "fixed-point")]
            Memory::Fixed(_) => Arithmetic::Fixed,
        }
    }

    /// Codes of the history encoded last.
    fn codes(&self) -> &[i8] {
        let codes = match &self.memory {
            Memory::Float(buffers) => &*buffers.codes,
            #[cfg(feature = "fixed-point")]
            Memory::Fixed(buffers) => &*buffers.codes,
        };
        span(codes, 0, self.sizes.dim)
    }

    /// A candidate with its logit for the history encoded last.
    fn ranked(&self, candidates: impl Items, index: usize, scale: f32) -> Result<Ranked, Error> {
        let (codes, range) = candidates.row(&self.bundle, index);
        let dot = self.kernel.dot(self.codes(), codes);
        let (item, logit) = (candidates.id(index), logit(dot, step(range, 8), scale));
        if logit.is_finite() { Ok(Ranked { item, logit }) } else { Err(Error::NotFinite { item }) }
    }
}

/// Checks that a plan is for this model and within the budget.
fn check_plan(plan: &Plan<'_>, bundle: &Bundle<'_>, max_budget: Option<u16>) -> Result<(), Error> {
    plan.check_against(bundle)?;
    let Some(max_budget) = max_budget else { return Ok(()) };
    let (kept, weights) = (plan.kept_bits(bundle.manifest()), bundle.manifest().quantised_weights());
    match kept * 1000 > u64::from(max_budget) * weights {
        true => Err(Error::OverBudget { kept, weights, max_budget }),
        false => Ok(()),
    }
}
