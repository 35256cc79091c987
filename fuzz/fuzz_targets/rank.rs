//! A golden model with some bytes changed, any plan for it, any options, any lists: an error, or a sorted ranking of
//! finite logits that depends neither on how the plan is held nor on whether a session made it. A model without item table
//! takes any rows.
#![no_main]

use chord_fuzz::{Input, seal};
use chord_plan::plan::{PlanHeader, encode, encoded_len};
use chord_plan::{Bundle, Plan};
use chord_runtime::{Embeddings, Engine, Error, Holding, Items, Options, Ranked, Requirements, Session};
use libfuzzer_sys::fuzz_target;

static BUNDLES: [&[u8]; 4] = [
    include_bytes!("../../plan-format/tests/golden/bundle_v1.chord"),
    include_bytes!("../../plan-format/tests/golden/bundle_v1_caser.chord"),
    include_bytes!("../../plan-format/tests/golden/bundle_v1_per_width.chord"),
    include_bytes!("../../plan-format/tests/golden/bundle_v1_without_items.chord"),
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

    match bundle.manifest().items() {
        0 => {
            let [history, candidates] = [0; 2].map(|_| input.rows(bundle.manifest().dim()));
            let [history, candidates] = [&history, &candidates]
                .map(|(codes, ranges)| Embeddings { codes, ranges: ranges[..].into() });
            let places: Vec<u32> = (0..candidates.ranges.len() as u32).collect();
            check(bundle, input, history, candidates, &places, |session| session.append_items(history), None);
        }
        items => {
            let [history, candidates] = [0; 2].map(|_| input.items(items));
            let append =
                |session: &mut Session<'_>| history.iter().try_for_each(|&item| session.append(item));
            let top = Some(&history[..]);
            check(bundle, input, &history[..], &candidates[..], &candidates, append, top);
        }
    }
});

/// Ranks with the options and the plan that follow in the input. `ids` is what results call the candidates; the best of
/// the table are asked for with the history `top`.
fn check(
    bundle: Bundle<'_>,
    mut input: Input<'_>,
    history: impl Items,
    candidates: impl Items,
    ids: &[u32],
    append: impl Fn(&mut Session<'_>) -> Result<(), Error>,
    top: Option<&[u32]>,
) {
    let options =
        Options { max_history: input.byte().into(), rows_at_once: input.byte().into(), ..Options::default() };
    let channels = bundle.manifest().channels();
    let header = PlanHeader { model: bundle.model(), sequence: 1, budget: 0, channels: channels as u32 };
    let mut plan = vec![0; encoded_len(&header).expect("a plan of this size fits in memory")];
    let codes: Vec<u8> = (0..channels).map(|_| input.byte() % 4).collect();
    encode(&header, &codes, &mut plan).expect("a plan for this model");
    let plan = Plan::parse(&plan).expect("an encoded plan is valid");

    let results = [Holding::InPlace, Holding::Packed].map(|holding| {
        let options = Options { holding, ..options };
        let mut arena = vec![0xa5; Requirements::of(&bundle, &options).arena_bytes];
        let mut engine = Engine::new(bundle, &plan, &mut arena, options)?;
        let ranked = rank(&mut engine, history, candidates, ids)?;
        if let Some(history) = top {
            match engine.top(history, &mut [Ranked::default(); 5]) {
                Ok(best) => assert!(best.is_sorted_by(ordered)),
                // An item that is no candidate.
                Err(error) => assert!(matches!(error, Error::NotFinite { .. })),
            }
        }
        let mut kept = vec![0xa5; Session::arena_bytes(&bundle, &options)];
        let mut session = Session::new(engine, &mut kept)?;
        append(&mut session)?;
        let mut of_session = vec![Ranked::default(); ids.len()];
        assert_eq!(session.rank(candidates, &mut of_session).map(bits), Ok(bits(&ranked)));
        Ok::<_, Error>(bits(&ranked))
    });
    // As text: a range of NaN is not equal to itself.
    let [in_place, packed] = results.map(|result| result.map_err(|error| format!("{error:?}")));
    assert_eq!(in_place, packed);
}

fn rank(
    engine: &mut Engine<'_>,
    history: impl Items,
    candidates: impl Items,
    ids: &[u32],
) -> Result<Vec<Ranked>, Error> {
    let mut ranked = vec![Ranked::default(); ids.len()];
    let ranked = engine.rank_items(history, candidates, &mut ranked)?.to_vec();
    assert_eq!(ranked.len(), ids.len());
    assert!(ranked.is_sorted_by(ordered) && ranked.iter().all(|best| best.logit.is_finite()));

    let mut logits = vec![0.0; ids.len()];
    let logits = engine.score_items(history, candidates, &mut logits)?;
    for best in &ranked {
        let place = ids.iter().position(|&item| item == best.item).expect("a candidate");
        assert_eq!(logits[place].to_bits(), best.logit.to_bits());
    }
    let best = engine.top_items::<5>(history, candidates)?;
    assert_eq!(bits(&best), bits(&ranked[..best.len()]));
    Ok(ranked)
}

fn ordered(a: &Ranked, b: &Ranked) -> bool {
    a.logit > b.logit || a.logit == b.logit && a.item <= b.item
}

/// The ranking's items and bits.
fn bits(ranked: &[Ranked]) -> Vec<(u32, u32)> {
    ranked.iter().map(|best| (best.item, best.logit.to_bits())).collect()
}
