//! The engine's numbers are those of the plain reference, bit for bit.

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;
mod reference;

use chord_plan::{Bundle, Plan};
use chord_runtime::{Engine, Holding, Options, Ranked, Requirements};
use proptest::prelude::*;
use random_model::Random;

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn arena(bundle: &Bundle<'_>, options: &Options) -> Vec<u8> {
    // What was there before does not matter.
    vec![0xa5; Requirements::of(bundle, options).arena_bytes]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(random_model::cases(600)))]

    #[test]
    fn scores_are_those_of_the_reference(
        seed: u64,
        length in 1usize..12,
        rows_at_once in 1usize..8,
        packed: bool,
    ) {
        let mut random = Random(seed);
        let manifest = random_model::manifest(&mut random);
        let bytes = random_model::bundle(&manifest, &mut random);
        let bundle = Bundle::parse(&bytes).unwrap();
        let holding = if packed { Holding::Packed } else { Holding::InPlace };
        let options = Options { rows_at_once, holding, ..Options::default() };
        let mut arena = arena(&bundle, &options);
        let first = random_model::plan(&bundle, 1, &mut random);
        let mut engine = Engine::new(bundle, &Plan::parse(&first).unwrap(), &mut arena, options).unwrap();
        let all: Vec<u32> = (0..manifest.items()).collect();
        // Plan after plan in the same engine, also the same plan again.
        for sequence in [1, 2, 2] {
            let plan = random_model::plan(&bundle, sequence, &mut random);
            let plan = Plan::parse(&plan).unwrap();
            engine.apply(&plan).unwrap();
            prop_assert_eq!(engine.plan(), plan.header());
            let history = random_model::items(length, &bundle, &mut random);
            let expected = reference::logits(&bundle, &plan, &history);
            let mut logits = vec![0.0; all.len() + 1];
            let logits = engine.score(&history, &all, &mut logits).unwrap();
            prop_assert_eq!(bits(logits), bits(&expected));

            // Ranking: the same logits in order, repeated candidates kept.
            let candidates = random_model::items(25, &bundle, &mut random);
            let mut ranked = [Ranked::default(); 25];
            let ranked = engine.rank(&history, &candidates, &mut ranked).unwrap();
            let mut sorted: Vec<Ranked> =
                candidates.iter().map(|&item| Ranked { item, logit: expected[item as usize] }).collect();
            sorted.sort_by(|a, b| b.logit.partial_cmp(&a.logit).unwrap().then(a.item.cmp(&b.item)));
            prop_assert_eq!(ranked, &sorted);

            let mut best = [Ranked::default(); 5];
            let best = engine.top(&history, &mut best).unwrap();
            let mut sorted: Vec<Ranked> =
                all.iter().map(|&item| Ranked { item, logit: expected[item as usize] }).collect();
            sorted.sort_by(|a, b| b.logit.partial_cmp(&a.logit).unwrap().then(a.item.cmp(&b.item)));
            prop_assert_eq!(best, &sorted[..best.len()]);
            prop_assert_eq!(best.len(), all.len().min(5));
        }
    }

    /// A shorter window is the same as a shorter history.
    #[test]
    fn max_history_keeps_the_newest(seed: u64, max_history in 1usize..6) {
        let mut random = Random(seed);
        let manifest = random_model::manifest(&mut random);
        let bytes = random_model::bundle(&manifest, &mut random);
        let bundle = Bundle::parse(&bytes).unwrap();
        let plan = random_model::plan(&bundle, 1, &mut random);
        let plan = Plan::parse(&plan).unwrap();
        let history = random_model::items(9, &bundle, &mut random);
        let options = Options { max_history, ..Options::default() };
        let mut arena = arena(&bundle, &options);
        let mut engine = Engine::new(bundle, &plan, &mut arena, options).unwrap();
        let mut logits = [0.0];
        let logits = engine.score(&history, &[0], &mut logits).unwrap();
        let expected = reference::logits(&bundle, &plan, &history[9 - max_history..]);
        prop_assert_eq!(bits(logits), bits(&expected[..1]));
    }
}
