//! A golden model with some bytes changed, any plan for it, any options, any lists, in either arithmetic: an error, or a
//! sorted ranking of finite logits that depends neither on how the plan is held, nor on the rows that go through a layer
//! together, nor on whether a session made it. A model without item table takes any rows. One with a profile encoder
//! encodes the history.
#![no_main]

use chord_fuzz::Input;
use chord_plan::{Bundle, Plan, UserEmbedding};
use chord_runtime::{
    Arithmetic, Embeddings, Engine, Error, Holding, Items, Options, Profile, ProfileRequirements, Ranked,
    Requirements, Session,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let bundle = input.bundle();
    let Ok(bundle) = Bundle::parse(&bundle) else { return };

    match bundle.manifest().items() {
        0 => {
            let [history, candidates] = [0; 2].map(|_| input.rows(bundle.manifest().dim()));
            let [history, candidates] = [&history, &candidates]
                .map(|(codes, ranges)| Embeddings { codes, ranges: ranges[..].into() });
            let places: Vec<u32> = (0..candidates.ranges.len() as u32).collect();
            check(bundle, input, history, candidates, &places, |session| session.append_items(history), None);
            let dim = bundle.manifest().dim();
            check_profile(bundle, history.ranges.len(), |profile, index| {
                let range = [history.ranges.get(index).expect("an item of the history")];
                let codes = &history.codes[index * dim..][..dim];
                profile.append_items(Embeddings { codes, ranges: range[..].into() })
            });
        }
        items => {
            let [history, candidates] = [0; 2].map(|_| input.items(items));
            // The network sees them one by one.
            let append = |session: &mut Session<'_>| {
                history.iter().try_for_each(|&item| {
                    session.append(item)?;
                    _ = session.top::<1>(&candidates[..]);
                    Ok(())
                })
            };
            let top = Some(&history[..]);
            check(bundle, input, &history[..], &candidates[..], &candidates, append, top);
            check_profile(bundle, history.len(), |profile, index| profile.append(history[index]));
        }
    }
});

/// Encodes a history in either arithmetic, twice: the messages are the same and well-formed, and an interaction that is
/// refused changes nothing.
fn check_profile(
    bundle: Bundle<'_>,
    items: usize,
    append: impl Fn(&mut Profile<'_>, usize) -> Result<(), Error>,
) {
    let Some(needed) = ProfileRequirements::of(&bundle) else { return };
    for arithmetic in [Arithmetic::Float, Arithmetic::Fixed] {
        let mut arena = vec![0xa5; needed.arena_bytes];
        let mut profile =
            Profile::with_arithmetic(bundle, &mut arena, arithmetic).expect("the arena is large enough");
        let mut out = vec![0; needed.embedding_bytes];
        let mut message = |profile: &mut Profile<'_>| profile.message(&mut out).map(<[u8]>::to_vec);
        let [once, again] = [(); 2].map(|()| {
            profile.clear();
            for index in 0..items {
                let before = message(&mut profile);
                if append(&mut profile, index).is_err() {
                    assert_eq!(message(&mut profile), before);
                }
            }
            message(&mut profile)
        });
        assert_eq!(once, again);
        if let Ok(message) = once {
            let parsed = UserEmbedding::parse(&message).expect("a message is valid");
            assert_eq!(parsed.check_against(&bundle), Ok(()));
            assert_eq!(parsed.interactions(), profile.interactions());
        }
    }
}

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
    let (max_history, rows) = (input.byte().into(), input.byte());
    let arithmetic = [Arithmetic::Float, Arithmetic::Fixed][usize::from(rows / 128)];
    let options =
        Options { max_history, rows_at_once: (rows % 128).into(), arithmetic, ..Options::default() };
    let otherwise = match arithmetic {
        Arithmetic::Float => Options { holding: Holding::Packed, ..options },
        Arithmetic::Fixed => Options { rows_at_once: 1, ..options },
    };
    let plan = input.plan(&bundle, 1);
    let plan = Plan::parse(&plan).expect("an encoded plan is valid");

    let results = [options, otherwise].map(|options| {
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
    let [one, other] = results.map(|result| result.map_err(|error| format!("{error:?}")));
    assert_eq!(one, other);
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
