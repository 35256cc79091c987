//! The engine: a model, the user's plan and the memory to run them.

use core::fmt;

use chord_plan::manifest::Architecture;
use chord_plan::numerics::{logit, step};
use chord_plan::plan::PlanHeader;
use chord_plan::{Bundle, Plan};

use crate::arena::{self, Buffers};
use crate::error::{Error, List};
use crate::held::Held;
use crate::kernels::{Linear, Native};
use crate::ranking::{self, Best, Ranked};
use crate::requirements::{Options, Requirements, Sizes};
use crate::span::{last, span};
use crate::{caser, sasrec};

/// Ranks items for one user.
///
/// Item ids are rows of the bundle, from 0. After an error the engine is as it was; output buffers may hold anything.
pub struct Engine<'a, K = Native> {
    bundle: Bundle<'a>,
    plan: PlanHeader,
    max_budget: Option<u16>,
    held: Held<'a>,
    buffers: Buffers<'a>,
    sizes: Sizes,
    kernel: K,
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
        check_plan(plan, &bundle, options.max_budget)?;
        let sizes = Sizes::of(&bundle, &options);
        let (buffers, mut held) = arena::cut(arena, &sizes, Requirements::of(&bundle, &options))?;
        held.hold(plan, &bundle, &kernel);
        let max_budget = options.max_budget;
        Ok(Self { bundle, plan: *plan.header(), max_budget, held, buffers, sizes, kernel })
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
        let logits = self.check(history, candidates, logits)?;
        let scale = self.encode(history);
        for (logit, &item) in logits.iter_mut().zip(candidates) {
            *logit = self.item_logit(item, scale)?;
        }
        Ok(logits)
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
        let ranked = self.check(history, candidates, ranked)?;
        let scale = self.encode(history);
        for (ranked, &item) in ranked.iter_mut().zip(candidates) {
            *ranked = Ranked { item, logit: self.item_logit(item, scale)? };
        }
        ranking::sort(ranked);
        Ok(ranked)
    }

    /// The best items of the whole catalogue, best first: as many as `best` holds, at most all.
    pub fn top<'o>(&mut self, history: &[u32], best: &'o mut [Ranked]) -> Result<&'o [Ranked], Error> {
        self.check_items(List::History, history)?;
        if best.is_empty() {
            return Err(Error::OutputTooSmall { needed: 1, given: 0 });
        }
        let scale = self.encode(history);
        let mut best = Best::new(best);
        for item in 0..self.bundle.manifest().items() {
            best.offer(Ranked { item, logit: self.item_logit(item, scale)? });
        }
        Ok(best.into_slice())
    }

    /// Checks the inputs of a call; returns the part of the output buffer to fill.
    fn check<'o, T>(
        &self,
        history: &[u32],
        candidates: &[u32],
        output: &'o mut [T],
    ) -> Result<&'o mut [T], Error> {
        self.check_items(List::History, history)?;
        self.check_items(List::Candidates, candidates)?;
        let (needed, given) = (candidates.len(), output.len());
        output.get_mut(..needed).ok_or(Error::OutputTooSmall { needed, given })
    }

    fn check_items(&self, list: List, list_items: &[u32]) -> Result<(), Error> {
        if list_items.is_empty() {
            return Err(Error::Empty(list));
        }
        let items = self.bundle.manifest().items();
        match list_items.iter().enumerate().find(|&(_, &item)| item >= items) {
            Some((index, &item)) => Err(Error::UnknownItem { list, index, item, items }),
            None => Ok(()),
        }
    }

    /// Leaves the history's code vector in the buffers; returns its scale.
    fn encode(&mut self, history: &[u32]) -> f32 {
        let recent = last(history, self.sizes.tokens);
        let Self { bundle, held, buffers, sizes, kernel, .. } = self;
        match &bundle.manifest().architecture {
            Architecture::SasRec(shape) => {
                sasrec::Forward { bundle, shape, held, kernel, rows: sizes.rows }.encode(recent, buffers)
            }
            Architecture::Caser(shape) => {
                caser::Forward { bundle, shape, held, kernel }.encode(recent, buffers)
            }
        }
    }

    /// Logit of an item for the history encoded last.
    fn item_logit(&self, item: u32, scale: f32) -> Result<f32, Error> {
        let row = item as usize;
        let dot = self.kernel.dot(span(self.buffers.codes, 0, self.sizes.dim), self.bundle.item_codes(row));
        let logit = logit(dot, step(self.bundle.item_range(row), 8), scale);
        if logit.is_finite() { Ok(logit) } else { Err(Error::NotFinite { item }) }
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
