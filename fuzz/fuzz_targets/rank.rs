//! A golden model with some bytes changed, any plan for it, any options, any lists: an error, or a sorted ranking of
//! finite logits that does not depend on how the plan is held.
#![no_main]

use chord_fuzz::{Input, seal};
use chord_plan::plan::{PlanHeader, encode, encoded_len};
use chord_plan::{Bundle, Plan};
use chord_runtime::{Engine, Error, Holding, Options, Ranked, Requirements};
use libfuzzer_sys::fuzz_target;

static BUNDLES: [&[u8]; 3] = [
    include_bytes!("../../plan-format/tests/golden/bundle_v1.chord"),
    include_bytes!("../../plan-format/tests/golden/bundle_v1_caser.chord"),
    include_bytes!("../../plan-format/tests/golden/bundle_v1_per_width.chord"),
];

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let mut bundle = BUNDLES[usize::from(input.byte()) % BUNDLES.len()].to_vec();
    for _ in 0..input.byte() % 8 {
        let place = usize::from(input.word()) % bundle.len();
        bundle[place] = input.byte();
    }
    seal(&mut bundle);
    let Ok(bundle) = Bundle::parse(&bundle) else { return };

    let items = bundle.manifest().items();
    let (history, candidates) = (input.items(items), input.items(items));
    let options =
        Options { max_history: input.byte().into(), rows_at_once: input.byte().into(), ..Options::default() };
    let channels = bundle.manifest().channels();
    let header = PlanHeader { model: bundle.model(), sequence: 1, budget: 0, channels: channels as u32 };
    let mut plan = vec![0; encoded_len(&header).expect("a plan of this size fits in memory")];
    let codes: Vec<u8> = (0..channels).map(|_| input.byte() % 4).collect();
    encode(&header, &codes, &mut plan).expect("a plan for this model");
    let plan = Plan::parse(&plan).expect("an encoded plan is valid");

    let results = [Holding::InPlace, Holding::Packed]
        .map(|holding| rank(bundle, &plan, Options { holding, ..options }, &history, &candidates));
    assert_eq!(results[0], results[1]);
});

/// The ranking's items and bits.
fn rank(
    bundle: Bundle<'_>,
    plan: &Plan<'_>,
    options: Options,
    history: &[u32],
    candidates: &[u32],
) -> Result<Vec<(u32, u32)>, Error> {
    let mut arena = vec![0xa5; Requirements::of(&bundle, &options).arena_bytes];
    let mut engine = Engine::new(bundle, plan, &mut arena, options)?;
    let mut ranked = vec![Ranked::default(); candidates.len()];
    let ranked = engine.rank(history, candidates, &mut ranked)?.to_vec();
    assert_eq!(ranked.len(), candidates.len());
    let ordered = |a: &Ranked, b: &Ranked| a.logit > b.logit || a.logit == b.logit && a.item <= b.item;
    assert!(ranked.is_sorted_by(ordered) && ranked.iter().all(|best| best.logit.is_finite()));

    let mut logits = vec![0.0; candidates.len()];
    let logits = engine.score(history, candidates, &mut logits)?;
    for best in &ranked {
        let place = candidates.iter().position(|&item| item == best.item).expect("a candidate");
        assert_eq!(logits[place].to_bits(), best.logit.to_bits());
    }
    let mut best = [Ranked::default(); 5];
    match engine.top(history, &mut best) {
        Ok(best) => assert!(best.is_sorted_by(ordered)),
        // An item that is no candidate.
        Err(error) => assert!(matches!(error, Error::NotFinite { .. })),
    }
    Ok(ranked.iter().map(|best| (best.item, best.logit.to_bits())).collect())
}
