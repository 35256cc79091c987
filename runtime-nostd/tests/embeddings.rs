//! Embeddings that came with the request rank as the same rows of the table, or are an error.

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use chord_plan::{Bundle, ItemRows, Manifest, Plan};
use chord_runtime::{
    Embeddings, Engine, Error, List, Options, Profile, ProfileRequirements, Ranked, Requirements, Session,
    heapless,
};
use proptest::prelude::*;
use random_model::Random;

/// Rows of the table as embeddings.
fn rows(bundle: &Bundle<'_>, items: &[u32]) -> (Vec<i8>, Vec<f32>) {
    let codes = items.iter().flat_map(|&item| bundle.item_codes(item as usize).to_vec());
    (codes.collect(), items.iter().map(|&item| bundle.item_range(item as usize)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(random_model::cases(300)))]

    #[test]
    fn embeddings_are_rows_from_elsewhere(seed: u64, length in 1usize..12, count in 1usize..25) {
        let mut random = Random(seed);
        let bytes = random_model::bundle(&random_model::manifest(&mut random), &mut random);
        let bundle = Bundle::parse(&bytes).unwrap();
        let plan = random_model::plan(&bundle, 1, &mut random);
        let options = Options::default();
        let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
        let mut engine = Engine::new(bundle, &Plan::parse(&plan).unwrap(), &mut arena, options).unwrap();
        let history = random_model::items(length, &bundle, &mut random);
        let candidates = random_model::items(count, &bundle, &mut random);
        let (codes, ranges) = rows(&bundle, &history);
        let sent_history = Embeddings { codes: &codes, ranges: ranges[..].into() };
        let (codes, ranges) = rows(&bundle, &candidates);
        let sent = Embeddings { codes: &codes, ranges: ranges[..].into() };

        let (mut ours, mut theirs) = ([0.0; 25], [0.0; 25]);
        let ours = engine.score_items(sent_history, sent, &mut ours).unwrap();
        let theirs = engine.score(&history, &candidates, &mut theirs).unwrap();
        prop_assert_eq!(ours, theirs);

        // Candidates are called by their places; the order is that of their logits, then of their names.
        let named = |items: &dyn Fn(usize) -> u32| -> Vec<Ranked> {
            let mut sorted: Vec<Ranked> =
                theirs.iter().enumerate().map(|(i, &logit)| Ranked { item: items(i), logit }).collect();
            sorted.sort_by(|a, b| b.logit.partial_cmp(&a.logit).unwrap().then(a.item.cmp(&b.item)));
            sorted
        };
        let by_place = named(&|i| i as u32);
        let mut ranked = [Ranked::default(); 25];
        prop_assert_eq!(engine.rank_items(&history[..], sent, &mut ranked).unwrap(), &by_place);
        let by_row = named(&|i| candidates[i]);
        let mut ranked = [Ranked::default(); 25];
        prop_assert_eq!(engine.rank_items(sent_history, &candidates[..], &mut ranked).unwrap(), &by_row);

        let best: heapless::Vec<Ranked, 7> = engine.top_items(sent_history, sent).unwrap();
        prop_assert_eq!(&best[..], &by_place[..count.min(7)]);
        let none: heapless::Vec<Ranked, 0> = engine.top_items(&history[..], sent).unwrap();
        prop_assert!(none.is_empty());
    }

    /// A bundle without item table, history and candidates from messages: the ranking of the bundle with its table, bit for
    /// bit, and the profile's embedding too.
    #[test]
    fn a_bundle_without_items_ranks_alike(
        seed: u64,
        length in 1usize..if cfg!(miri) { 7 } else { 20 },
        count in 1usize..if cfg!(miri) { 7 } else { 25 },
    ) {
        let mut random = Random(seed);
        let profile = Some(random_model::small_profile(&mut random));
        let manifest = Manifest { profile, ..random_model::manifest(&mut random) };
        let [with, without] = random_model::with_and_without_items(&manifest, &mut random);
        let [with, without] = [&with, &without].map(|bytes| Bundle::parse(bytes).unwrap());
        let history = random_model::items(length, &with, &mut random);
        let candidates = random_model::items(count, &with, &mut random);
        let sent = [&history, &candidates].map(|items| random_model::rows(&with, items, without.model()));
        let [sent_history, sent] = [&sent[0], &sent[1]].map(|message| {
            let rows = ItemRows::parse(message).unwrap();
            rows.check_against(&without).unwrap();
            Embeddings::from(rows)
        });
        let options = Options::default();
        let needed = Requirements::of(&with, &options);
        prop_assert_eq!(Requirements::of(&without, &options), needed);
        let mut arenas = [vec![0; needed.arena_bytes], vec![0; needed.arena_bytes]];
        let [one, other] = &mut arenas;
        let seed = random.bits();
        let [plan, other_plan] = [with, without].map(|bundle| random_model::plan(&bundle, 1, &mut Random(seed)));
        let mut engine = Engine::new(with, &Plan::parse(&plan).unwrap(), one, options).unwrap();
        let mut bare = Engine::new(without, &Plan::parse(&other_plan).unwrap(), other, options).unwrap();
        let (mut ours, mut theirs) = ([Ranked::default(); 25], [Ranked::default(); 25]);
        let ours = bare.rank_items(sent_history, sent, &mut ours).unwrap();
        // Rows of the table with embeddings of the candidates: both call them by their places.
        let theirs = engine.rank_items(&history[..], sent, &mut theirs).unwrap();
        prop_assert!(ours.iter().map(|r| (r.item, r.logit.to_bits()))
            .eq(theirs.iter().map(|r| (r.item, r.logit.to_bits()))));
        let mut logits = [0.0; 25];
        let logits = engine.score(&history, &candidates, &mut logits).unwrap();
        prop_assert!(ours.iter().all(|r| logits[r.item as usize].to_bits() == r.logit.to_bits()));

        let [mut memory, mut bare_memory] = [with, without]
            .map(|bundle| vec![0xa5; ProfileRequirements::of(&bundle).unwrap().arena_bytes]);
        let mut profile = Profile::new(with, &mut memory).unwrap();
        let mut bare = Profile::new(without, &mut bare_memory).unwrap();
        history.iter().for_each(|&item| profile.append(item).unwrap());
        bare.append_items(sent_history).unwrap();
        let bits = |embedding: &[f32]| -> Vec<u32> { embedding.iter().map(|x| x.to_bits()).collect() };
        prop_assert_eq!(bits(bare.embedding().unwrap()), bits(profile.embedding().unwrap()));
        prop_assert_eq!(profile.append_items(sent_history), Err(Error::ItemTable));
        prop_assert_eq!(bare.append(0), Err(Error::NoItemTable { list: List::History }));
    }

    /// Whatever came, there is a result or an error.
    #[test]
    fn any_embeddings_never_panic(
        seed: u64,
        codes in proptest::collection::vec(any::<i8>(), 0..40),
        ranges in proptest::collection::vec(prop_oneof![any::<f32>(), 0.1f32..2.0], 0..6),
        exact: bool,
    ) {
        let mut random = Random(seed);
        let bytes = random_model::bundle(&random_model::manifest(&mut random), &mut random);
        let bundle = Bundle::parse(&bytes).unwrap();
        let plan = random_model::plan(&bundle, 1, &mut random);
        let options = Options::default();
        let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
        let mut engine = Engine::new(bundle, &Plan::parse(&plan).unwrap(), &mut arena, options).unwrap();
        let mut codes = codes;
        if exact {
            codes.resize(ranges.len() * bundle.manifest().dim(), 5);
        }
        let sent = Embeddings { codes: &codes, ranges: ranges[..].into() };
        let allowed = |range: &f32| (2f32.powi(-64)..=2f32.powi(64)).contains(range);
        let sound = !ranges.is_empty()
            && codes.len() == ranges.len() * bundle.manifest().dim()
            && ranges.iter().all(allowed);
        let history = &[0u32][..];
        let mut ranked = [Ranked::default(); 6];
        for result in [engine.rank_items(history, sent, &mut ranked).map(|ranked| ranked.to_vec()),
            engine.top_items::<6>(sent, sent).map(|best| best.to_vec())] {
            match result {
                Ok(ranked) => prop_assert!(sound && ranked.iter().all(|ranked| ranked.logit.is_finite())),
                Err(Error::NotFinite { .. }) => prop_assert!(sound),
                Err(_) => prop_assert!(!sound),
            }
        }
    }
}

#[test]
fn what_is_wrong_is_told() {
    let mut random = Random(7);
    let shape = chord_plan::manifest::CaserShape { items: 3, window: 4, dim: 2, horizontal: 1, vertical: 1 };
    let bytes = random_model::bundle(&random_model::caser(shape, [0, 2, 4, 8]), &mut random);
    let bundle = Bundle::parse(&bytes).unwrap();
    let plan = random_model::plan(&bundle, 1, &mut random);
    let options = Options::default();
    let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
    let mut engine = Engine::new(bundle, &Plan::parse(&plan).unwrap(), &mut arena, options).unwrap();
    let good = Embeddings { codes: &[1, 2, 3, 4], ranges: (&[1.0, 2.0][..]).into() };
    let short = Embeddings { codes: &[1, 2, 3], ..good };
    let mut logits = [0.0; 2];
    let (list, needed, given) = (List::History, 4, 3);
    let error = Error::EmbeddingCodes { list, needed, given };
    assert_eq!(engine.score_items(short, good, &mut logits), Err(error));
    assert_eq!(error.to_string(), "the embeddings in the history take 4 codes, got 3");
    let list = List::Candidates;
    assert_eq!(
        engine.score_items(good, short, &mut logits),
        Err(Error::EmbeddingCodes { list, needed, given })
    );
    for range in [0.0, -1.0, f32::INFINITY, 3e19] {
        let ranges = [1.0, range];
        let bad = Embeddings { ranges: (&ranges[..]).into(), ..good };
        let error = Error::EmbeddingRange { list, index: 1, range };
        assert_eq!(engine.score_items(good, bad, &mut logits), Err(error));
    }
    let empty = Embeddings { codes: &[], ranges: (&[][..]).into() };
    assert_eq!(engine.score_items(good, empty, &mut logits), Err(Error::Empty(list)));
    assert_eq!(engine.top_items::<1>(empty, good), Err(Error::Empty(List::History)));
    let error = Err(Error::OutputTooSmall { needed: 2, given: 1 });
    assert_eq!(engine.score_items(good, good, &mut logits[..1]), error);
}

#[test]
fn rows_of_a_table_that_is_not_there_are_told() {
    let mut random = Random(7);
    let manifest = random_model::small_sasrec(&mut random).without_items();
    let bytes = random_model::bundle(&manifest, &mut random);
    let bundle = Bundle::parse(&bytes).unwrap();
    let plan = random_model::plan(&bundle, 1, &mut random);
    let options = Options::default();
    let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
    let mut engine = Engine::new(bundle, &Plan::parse(&plan).unwrap(), &mut arena, options).unwrap();
    let codes = vec![3; bundle.manifest().dim()];
    let sent = Embeddings { codes: &codes, ranges: (&[1.0][..]).into() };
    let (mut logits, mut ranked) = ([0.0; 2], [Ranked::default(); 2]);
    let error = |list| Error::NoItemTable { list };
    assert_eq!(engine.score(&[0], &[0], &mut logits), Err(error(List::History)));
    assert_eq!(engine.rank_items(sent, &[0, 1][..], &mut ranked), Err(error(List::Candidates)));
    assert_eq!(engine.top(&[0], &mut ranked), Err(error(List::History)));
    assert_eq!(error(List::History).to_string(), "the history has item rows, the model no item table");
    assert!(engine.score_items(sent, sent, &mut logits).is_ok());
    let mut arena = vec![0; Session::arena_bytes(&bundle, &options)];
    assert_eq!(Session::new(engine, &mut arena).unwrap().append(0), Err(error(List::History)));
}
