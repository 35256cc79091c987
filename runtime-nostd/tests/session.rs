//! A history that grows item by item ranks as the whole of it, bit for bit; what it may reuse, it does.

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use std::cell::Cell;

use chord_plan::bundle::LayerView;
use chord_plan::manifest::{Activation, PositionsFrom, SasRecShape};
use chord_plan::{Bundle, ItemRows, Manifest, Plan};
use chord_runtime::kernels::{Linear, Scalar, Tokens, Tokenwise};
use chord_runtime::{
    Embeddings, Engine, Error, Holding, List, Options, Ranked, Requirements, Session, Widths,
};
use proptest::prelude::*;
use random_model::Random;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(random_model::cases(400)))]

    #[test]
    fn item_by_item_is_from_scratch(
        seed: u64,
        rows_at_once in 1usize..5,
        max_history in prop_oneof![Just(usize::MAX), 1usize..5],
        packed: bool,
        rows: bool,
    ) {
        let mut random = Random(seed);
        let manifest = random_model::manifest(&mut random);
        let bytes = random_model::with_and_without_items(&manifest, &mut random);
        let [bundle, without] = bytes.each_ref().map(|bytes| Bundle::parse(bytes).unwrap());
        // The session's own: with rows that come with requests, or with the same table.
        let own = if rows { without } else { bundle };
        let message = |items: &[u32]| random_model::rows(&bundle, items, own.model());
        let holding = if packed { Holding::Packed } else { Holding::InPlace };
        let options = Options { rows_at_once, max_history, holding, ..Options::default() };
        let arena_bytes = Requirements::of(&bundle, &options).arena_bytes;
        let plans = |sequence, seed| {
            [own, bundle].map(|bundle| random_model::plan(&bundle, sequence, &mut Random(seed)))
        };
        let [own_plan, plan] = plans(1, random.bits());
        let (mut arena, mut whole) = (vec![0xa5; arena_bytes], vec![0xa5; arena_bytes]);
        let engine = Engine::new(own, &Plan::parse(&own_plan).unwrap(), &mut arena, options).unwrap();
        let mut kept = vec![0xa5; Session::arena_bytes(&own, &options)];
        let mut session = Session::new(engine, &mut kept).unwrap();
        let mut engine = Engine::new(bundle, &Plan::parse(&plan).unwrap(), &mut whole, options).unwrap();
        let all: Vec<u32> = (0..manifest.items()).collect();
        // Called by its place, each has its number.
        let sent = message(&all);
        let sent = Embeddings::from(ItemRows::parse(&sent).unwrap());
        let mut history = Vec::new();
        for sequence in 2..if cfg!(miri) { 10 } else { 30 } {
            match random.below(12) {
                0 => {
                    let [own_plan, plan] = plans(sequence, random.bits());
                    session.apply(&Plan::parse(&own_plan).unwrap()).unwrap();
                    engine.apply(&Plan::parse(&plan).unwrap()).unwrap();
                }
                1 => {
                    session.clear();
                    history.clear();
                }
                // One or several items between rankings.
                _ if rows => {
                    let items = random_model::items(1 + random.below(3), &bundle, &mut random);
                    session.append_items(ItemRows::parse(&message(&items)).unwrap().into()).unwrap();
                    history.extend(items);
                }
                _ => {
                    let item = random_model::items(1, &bundle, &mut random)[0];
                    session.append(item).unwrap();
                    history.push(item);
                }
            }
            if random.below(3) == 0 {
                continue;
            }
            let (mut ours, mut theirs) = ([0.0; 20], [0.0; 20]);
            let ours = if rows { session.score(sent, &mut ours) } else { session.score(&all[..], &mut ours) };
            prop_assert_eq!(ours.map(bits), engine.score(&history, &all, &mut theirs).map(bits));
            if history.is_empty() {
                continue;
            }
            let window = manifest.window().min(max_history);
            let newest = &history[history.len().saturating_sub(window)..];
            let newest_rows = message(if rows { newest } else { &[] });
            let newest_rows = Embeddings::from(ItemRows::parse(&newest_rows).unwrap());
            prop_assert_eq!(session.history(), if rows { &[] } else { newest });
            prop_assert_eq!(session.history_rows().codes, newest_rows.codes);
            prop_assert_eq!(session.history_rows().ranges, newest_rows.ranges);
            let (mut ours, mut theirs) = ([Ranked::default(); 20], [Ranked::default(); 20]);
            let theirs = engine.rank(&history, &all, &mut theirs).unwrap();
            let (ours, best) = if rows {
                (session.rank(sent, &mut ours), session.top::<3>(sent))
            } else {
                (session.rank(&all[..], &mut ours), session.top::<3>(&all[..]))
            };
            prop_assert_eq!(ours.unwrap(), theirs);
            prop_assert_eq!(&best.unwrap()[..], &theirs[..theirs.len().min(3)]);
        }
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn manifest(positions_from: PositionsFrom) -> Manifest {
    let shape = SasRecShape {
        items: 9,
        positions: 12,
        dim: 6,
        inner: 7,
        blocks: 3,
        heads: 3,
        activation: Activation::Gelu,
        norm_epsilon: 1e-5,
    };
    Manifest { positions_from, ..random_model::sasrec(shape, [0, 2, 4, 8]) }
}

/// Counts the tokens that go through layers.
struct Counting<'c>(&'c Cell<usize>);

impl Tokenwise for Counting<'_> {}

impl Linear for Counting<'_> {
    fn layer(&self, t: Tokens<'_>, layer: &LayerView<'_>, w: Widths<'_>, s: &mut [u32], out: &mut [f32]) {
        self.0.set(self.0.get() + t.scales.len());
        Scalar.layer(t, layer, w, s, out);
    }

    fn dot(&self, token: &[i8], codes: &[i8]) -> i32 {
        Scalar.dot(token, codes)
    }

    fn packed_layer(
        &self,
        _: Tokens<'_>,
        _: &chord_plan::manifest::Layer,
        _: &[u32],
        _: &mut [u32],
        _: &mut [f32],
    ) {
        unreachable!("the plan is read in place");
    }
}

#[test]
fn an_appended_item_goes_through_the_network_alone() {
    let layers = 3 * 6;
    for (positions, expected) in [
        (PositionsFrom::Left, [layers, layers, 0, layers]),
        // Of n items all go through the first two blocks and two layers of the last.
        (PositionsFrom::Right, [14 * 3 + 4, 14 * 4 + 4, 0, 14 * 5 + 4]),
    ] {
        let bytes = random_model::bundle(&manifest(positions), &mut Random(5));
        let bundle = Bundle::parse(&bytes).unwrap();
        let plan = random_model::plan(&bundle, 1, &mut Random(6));
        let plan = Plan::parse(&plan).unwrap();
        let options = Options::default();
        let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
        let count = Cell::new(0);
        let engine = Engine::with_kernel(bundle, &plan, &mut arena, options, Counting(&count)).unwrap();
        let mut kept = vec![0; Session::arena_bytes(&bundle, &options)];
        let mut session = Session::new(engine, &mut kept).unwrap();
        [4, 8].into_iter().for_each(|item| session.append(item).unwrap());
        let mut ranked = [Ranked::default(); 2];
        session.rank(&[1, 2][..], &mut ranked).unwrap();
        let mut tokens = |item: Option<u32>| {
            count.set(0);
            item.into_iter().for_each(|item| session.append(item).unwrap());
            session.rank(&[1, 2][..], &mut ranked).unwrap();
            count.get()
        };
        // A ranking of the same history again computes no layer at all.
        assert_eq!([tokens(Some(3)), tokens(Some(3)), tokens(None), tokens(Some(0))], expected);
    }
}

#[test]
fn the_arena_is_as_large_as_stated_and_all_of_it_is_used() {
    let [with, without] =
        random_model::with_and_without_items(&manifest(PositionsFrom::Left), &mut Random(5));
    let rows = random_model::rows(
        &Bundle::parse(&with).unwrap(),
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2],
        Bundle::parse(&without).unwrap().model(),
    );
    let rows = Embeddings::from(ItemRows::parse(&rows).unwrap());
    // Keys and values of two blocks, item numbers or ranges, and codes.
    let (words_kept, codes) = (2 * 2 * 12 * 6 + 12, 12 * 6);
    for (bytes, expected) in [(&with, 3 + 4 * words_kept), (&without, 3 + 4 * words_kept + codes)] {
        the_arena_is_used(Bundle::parse(bytes).unwrap(), rows, expected);
    }
}

fn the_arena_is_used(bundle: Bundle<'_>, rows: Embeddings<'_>, expected: usize) {
    let plan = random_model::plan(&bundle, 1, &mut Random(6));
    let plan = Plan::parse(&plan).unwrap();
    let options = Options::default();
    let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
    let mut words = vec![0u32; 1000];
    for shift in if cfg!(miri) { 1..2 } else { 0..4 } {
        let memory: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        let engine = Engine::new(bundle, &plan, &mut arena, options).unwrap();
        let needed = Session::arena_bytes(&bundle, &options);
        assert_eq!(needed, expected);
        let least = needed - 3 + (4 - shift) % 4;
        let refused = Session::new(engine, &mut memory[shift..][..least - 1]);
        assert_eq!(refused.err(), Some(Error::ArenaTooSmall { needed, given: least - 1 }));
        let engine = Engine::new(bundle, &plan, &mut arena, options).unwrap();
        memory.fill(0x5a);
        let mut session = Session::new(engine, &mut memory[shift..][..least]).unwrap();
        if bundle.manifest().items() > 0 {
            (0..12).for_each(|item| session.append(item % 9).unwrap());
        } else {
            session.append_items(rows).unwrap();
        }
        session.top::<1>(rows).unwrap();
        let memory: &[u8] = bytemuck::cast_slice(&words);
        let (first, end) = (shift + (4 - shift) % 4, shift + least);
        assert!(memory[..first].iter().chain(&memory[end..]).all(|&byte| byte == 0x5a));
        assert!(memory[first..end].as_chunks::<4>().0.iter().all(|&word| word != [0x5a; 4]));
    }
}

#[test]
fn what_is_wrong_is_told() {
    let bytes = random_model::bundle(&manifest(PositionsFrom::Left), &mut Random(5));
    let bundle = Bundle::parse(&bytes).unwrap();
    let plan = random_model::plan(&bundle, 1, &mut Random(6));
    let options = Options::default();
    let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
    let engine = Engine::new(bundle, &Plan::parse(&plan).unwrap(), &mut arena, options).unwrap();
    let mut kept = vec![0; Session::arena_bytes(&bundle, &options)];
    let mut session = Session::new(engine, &mut kept).unwrap();
    assert_eq!(session.top::<1>(&[1][..]), Err(Error::Empty(List::History)));
    session.append(3).unwrap();
    let rows = Embeddings { codes: &[1; 6], ranges: (&[1.0][..]).into() };
    assert_eq!(session.append_items(rows), Err(Error::ItemTable));
    let (list, index, item, items) = (List::History, 1, 9, 9);
    assert_eq!(session.append(9), Err(Error::UnknownItem { list, index, item, items }));
    assert_eq!(session.history(), [3]);
    let list = List::Candidates;
    assert_eq!(session.top::<1>(&[8, 9][..]), Err(Error::UnknownItem { list, index, item, items }));
    assert_eq!(session.score(&[1][..], &mut []), Err(Error::OutputTooSmall { needed: 1, given: 0 }));
}

#[test]
fn refused_rows_change_nothing() {
    let bytes = random_model::bundle(&manifest(PositionsFrom::Left).without_items(), &mut Random(5));
    let bundle = Bundle::parse(&bytes).unwrap();
    let plan = random_model::plan(&bundle, 1, &mut Random(6));
    let options = Options::default();
    let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
    let engine = Engine::new(bundle, &Plan::parse(&plan).unwrap(), &mut arena, options).unwrap();
    let mut kept = vec![0; Session::arena_bytes(&bundle, &options)];
    let mut session = Session::new(engine, &mut kept).unwrap();
    let list = List::History;
    assert_eq!(session.append(0), Err(Error::NoItemTable { list }));
    let good = Embeddings { codes: &[1; 12], ranges: (&[1.0, 2.0][..]).into() };
    session.append_items(good).unwrap();
    let short = Embeddings { codes: &[1; 11], ..good };
    let error = Error::EmbeddingCodes { list, needed: 12, given: 11 };
    assert_eq!(session.append_items(short), Err(error));
    let bad = Embeddings { ranges: (&[1.0, f32::INFINITY][..]).into(), ..good };
    let error = Error::EmbeddingRange { list, index: 1, range: f32::INFINITY };
    assert_eq!(session.append_items(bad), Err(error));
    let none = Embeddings { codes: &[], ranges: (&[][..]).into() };
    assert_eq!(session.append_items(none), Err(Error::Empty(list)));
    assert_eq!((session.history_rows().codes, session.history_rows().ranges), (good.codes, good.ranges));
    assert!(session.top::<1>(good).is_ok());
}
