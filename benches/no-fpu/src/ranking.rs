//! A model with a plan and a request.

use core::hint::black_box;

use chord_plan::numerics::{attend, score_scale};
use chord_plan::{Bundle, Plan};
use chord_runtime::{Arithmetic, Engine, Holding, Options, Ranked};
use semihosting::println;

use crate::marks::{Marked, counted};

/// What is ranked.
pub(crate) struct Request {
    pub(crate) name: &'static str,
    pub(crate) model: &'static [u8],
    pub(crate) plan: &'static [u8],
    pub(crate) history: &'static [u32],
    pub(crate) candidates: &'static [u32],
}

/// The most candidates.
const CANDIDATES: usize = 100;

impl Request {
    /// Counts a ranking in either arithmetic and with a packed plan, then its parts in floating point.
    pub(crate) fn count(&self, arena: &mut [u8]) -> Option<()> {
        let &Self { name, history, candidates, .. } = self;
        let (bundle, plan) = (Bundle::parse_trusted(self.model).ok()?, Plan::parse(self.plan).ok()?);
        let mut ranked = [Ranked::default(); CANDIDATES];
        for (what, options) in [
            ("ranking", Options::default()),
            ("packed", Options { holding: Holding::Packed, ..Options::default() }),
            ("fixed", fixed()),
        ] {
            let mut engine = Engine::new(bundle, &plan, arena, options).ok()?;
            let mut succeeded = false;
            counted(name, what, || {
                succeeded = black_box(engine.rank(history, candidates, &mut ranked)).is_ok();
            });
            succeeded.then_some(())?;
        }
        let mut engine = Engine::with_kernel(bundle, &plan, arena, Options::default(), Marked(name)).ok()?;
        engine.rank(history, candidates, &mut ranked).ok()?;
        Some(())
    }

    /// Prints the best ten in fixed point, with the bits of their logits.
    pub(crate) fn print(&self, arena: &mut [u8]) -> Option<()> {
        let (bundle, plan) = (Bundle::parse_trusted(self.model).ok()?, Plan::parse(self.plan).ok()?);
        let mut engine = Engine::new(bundle, &plan, arena, fixed()).ok()?;
        let best = engine.top_items::<10>(self.history, self.candidates).ok()?;
        for Ranked { item, logit } in best {
            println!("rank {item} {:08x}", logit.to_bits());
        }
        Some(())
    }
}

fn fixed() -> Options {
    Options { arithmetic: Arithmetic::Fixed, ..Options::default() }
}

/// Counts the softmaxes of SASRec's ranking: attention without queries and values.
pub(crate) fn count_softmax() {
    const TOKENS: usize = 50;
    let mut scores = [0.0; TOKENS];
    scores.iter_mut().enumerate().for_each(|(i, score)| *score = (i % 7) as f32 * 0.3);
    counted("sasrec", "softmax", || {
        // Two heads: every token over those before it in the first block, the last one in the second.
        for tokens in (1..=TOKENS).chain([TOKENS]).flat_map(|tokens| [tokens; 2]) {
            attend(&[], &[], &[], 1, score_scale(32), black_box(&mut scores[..tokens]), &mut []);
        }
    });
}
