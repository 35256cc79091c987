//! Does a user's own plan pay? The same model, users and bits under other plans.
//!
//! Benefit is own minus static and own minus mean plan. Own minus swapped only shows that the model depends on its
//! plan: a foreign plan does harm.

use super::bootstrap::Interval;
use super::trainer_engine::TrainerEngine;
use super::{EvaluationError, Outcome, ndcg};
use crate::allocator::{Allocation, Allocator};
use crate::data::Case;
use crate::hypernetwork::mean_scores;
use crate::markdown;
use crate::model::mixed_precision::Half;
use crate::random::mix;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// What a user's own plan is compared with, at the same budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Control {
    /// The plan of the scores all users share.
    Static,
    /// The plan of the users' mean log-scores.
    Mean,
    /// Another user's plan.
    Swapped,
    /// The user's own codes in random order, among channels with as many weights.
    Random,
}

impl Control {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Static, Self::Mean, Self::Swapped, Self::Random];

    /// Its name in ids.
    pub fn id(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Mean => "mean",
            Self::Swapped => "swapped",
            Self::Random => "random",
        }
    }

    /// A plan for each user, given all users' log-scores (at least one) and `own` plans.
    ///
    /// # Errors
    /// As [`TrainerEngine::allocate`].
    pub fn plans(
        self,
        engine: &TrainerEngine,
        scores: &[Vec<f32>],
        own: &[Allocation],
        seed: u64,
    ) -> Result<Vec<Allocation>, EvaluationError> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(mix(&[seed, self as u64]));
        Ok(match self {
            Self::Static => vec![engine.shared_plan()?; own.len()],
            Self::Mean => vec![engine.allocate(&mean_scores(scores))?; own.len()],
            Self::Swapped => swapped(own, &mut rng),
            Self::Random => own.iter().map(|plan| shuffled(plan, engine.allocator(), &mut rng)).collect(),
        })
    }
}

impl std::fmt::Display for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Static => "static plan",
            Self::Mean => "mean plan",
            Self::Swapped => "swapped plans",
            Self::Random => "random plans",
        })
    }
}

/// Own plan minus a control, paired user by user.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// What is subtracted.
    pub control: String,
    /// Hit rate at 10; positive is better.
    pub hr10: Interval,
    /// NDCG at 10; positive is better.
    pub ndcg10: Interval,
    /// Cross-entropy in nats; negative is better.
    pub cross_entropy: Interval,
    /// ln(rank + 1); negative is better.
    pub log_rank: Interval,
}

/// Compares own plans with every control on the same cases; where widths have scales and biases of their own
/// (`per_width`), also with plans that are each user's own in one half only: which of the two does the work?
///
/// # Errors
/// As [`TrainerEngine::evaluate`]; without cases.
pub fn compare(
    engine: &TrainerEngine,
    cases: &[Case],
    seed: u64,
    per_width: bool,
) -> Result<Vec<Comparison>, EvaluationError> {
    if cases.is_empty() {
        return Err(EvaluationError::NoCases);
    }
    let histories: Vec<&[u32]> = cases.iter().map(|c| c.history).collect();
    let scores = engine.log_scores(&histories);
    let own = scores.iter().map(|s| engine.allocate(s)).collect::<Result<Vec<_>, _>>()?;
    let own_outcomes = engine.evaluate_under(cases, &own)?;
    let against = |control: Control| {
        let plans = control.plans(engine, &scores, &own, seed)?;
        let others = engine.evaluate_under(cases, &plans)?;
        Ok(Comparison::new(control.to_string(), &own_outcomes, &others))
    };
    let halved = |(kept, name): (Half, &str)| {
        let others = engine.crossed(&engine.shared_plan()?, kept).evaluate_under(cases, &own)?;
        Ok(Comparison::new(name.to_owned(), &own_outcomes, &others))
    };
    let halves = [(Half::Widths, "own widths, static tables"), (Half::Tables, "own tables, static widths")];
    let halves = halves.into_iter().filter(|_| per_width).map(halved);
    Control::ALL.into_iter().map(against).chain(halves).collect()
}

impl Comparison {
    fn new(control: String, own: &[Outcome], other: &[Outcome]) -> Self {
        let paired = |figure: fn(&Outcome) -> f64| {
            let differences: Vec<f64> = own.iter().zip(other).map(|(a, b)| figure(a) - figure(b)).collect();
            Interval::of(&differences)
        };
        Self {
            control,
            hr10: paired(|o| f64::from(o.rank < 10)),
            ndcg10: paired(|o| ndcg(&[o.rank], 10)),
            cross_entropy: paired(|o| o.cross_entropy),
            log_rank: paired(|o| (f64::from(o.rank) + 1.0).ln()),
        }
    }
}

/// Everybody gets the plan of the next user on a random round: nobody keeps their own, unless they are alone.
fn swapped(own: &[Allocation], rng: &mut Xoshiro256PlusPlus) -> Vec<Allocation> {
    let mut round: Vec<usize> = (0..own.len()).collect();
    round.shuffle(rng);
    let mut plans = own.to_vec();
    for (&user, &next) in round.iter().zip(round.iter().cycle().skip(1)) {
        plans[user] = own[next].clone();
    }
    plans
}

/// The codes in random order among channels with as many weights: the same bits.
fn shuffled(plan: &Allocation, allocator: &Allocator, rng: &mut Xoshiro256PlusPlus) -> Allocation {
    let mut codes = plan.codes.clone();
    let weights = allocator.weights_per_channel();
    let mut sizes = weights.to_vec();
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes {
        let channels: Vec<usize> = (0..codes.len()).filter(|&c| weights[c] == size).collect();
        let mut order = channels.clone();
        order.shuffle(rng);
        channels.iter().zip(order).for_each(|(&to, from)| codes[to] = plan.codes[from]);
    }
    Allocation { codes, ..plan.clone() }
}

/// The comparisons as text, Markdown style.
pub fn text(comparisons: &[Comparison]) -> String {
    let head = ["own minus", "HR@10", "NDCG@10", "CE", "log-rank"].map(str::to_owned);
    let row = |c: &Comparison| {
        let figures = [c.hr10, c.ndcg10, c.cross_entropy, c.log_rank].map(|interval| interval.to_string());
        [vec![c.control.to_string()], figures.to_vec()].concat()
    };
    markdown::table(&head, &comparisons.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Rule;

    fn plan(codes: &[u8]) -> Allocation {
        Allocation { codes: codes.to_vec(), log_lambda: 0.0, thresholds: vec![] }
    }

    #[test]
    fn swapping_leaves_nobody_their_own() {
        let own: Vec<_> = (0..3).map(|code| plan(&[code])).collect();
        for seed in 0..20 {
            let found = swapped(&own, &mut Xoshiro256PlusPlus::seed_from_u64(seed));
            assert!(own.iter().zip(&found).all(|(a, b)| a != b));
            let mut codes: Vec<_> = found.iter().map(|p| p.codes[0]).collect();
            codes.sort_unstable();
            assert_eq!(codes, [0, 1, 2]);
        }
    }

    #[test]
    fn shuffling_keeps_the_bits() {
        let allocator = Allocator::new(Rule::RateDistortion, &[0, 2, 4, 8], vec![5, 5, 5, 5, 9, 9, 9]);
        let own = plan(&[0, 1, 2, 3, 3, 0, 0]);
        let mut changed = false;
        for seed in 0..20 {
            let found = shuffled(&own, &allocator, &mut Xoshiro256PlusPlus::seed_from_u64(seed));
            assert_eq!(allocator.average_bits(&own.codes), allocator.average_bits(&found.codes));
            changed |= own != found;
        }
        assert!(changed);
    }

    #[test]
    fn differences_are_own_minus_control() {
        let outcome = |rank, cross_entropy| Outcome { rank, cross_entropy };
        let found = Comparison::new("mean plan".to_owned(), &[outcome(0, 1.0)], &[outcome(10, 3.5)]);
        assert_eq!((found.hr10.mean, found.ndcg10.mean, found.cross_entropy.mean), (1.0, 1.0, -2.5));
        assert!((found.log_rank.mean + 11f64.ln()).abs() < 1e-12);
    }
}
