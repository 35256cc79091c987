//! Every malformed input is an error that says what and where; the arena is exactly as large as stated.

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use chord_plan::bundle::{BundleWriter, LayerPart, ModelId, NormPart, Section};
use chord_plan::manifest::{Activation, CaserShape, LayerName, SasRecShape};
use chord_plan::plan::{PlanError, PlanHeader};
use chord_plan::{Bundle, Manifest, Plan};
use chord_runtime::{Engine, Error, Holding, List, Options, Ranked, Requirements};
use proptest::prelude::*;
use random_model::Random;

fn sasrec() -> Manifest {
    let shape = SasRecShape {
        items: 9,
        positions: 5,
        dim: 6,
        inner: 7,
        blocks: 2,
        heads: 3,
        activation: Activation::Gelu,
        norm_epsilon: 1e-5,
    };
    random_model::sasrec(shape, [0, 4, 8, 255])
}

/// SASRec, Caser where five item rows take the most codes, and Caser where the features do.
fn manifests() -> [Manifest; 3] {
    let shape = CaserShape { items: 9, window: 5, dim: 6, horizontal: 2, vertical: 1 };
    let caser = |shape| random_model::caser(shape, [0, 4, 8, 255]);
    [sasrec(), caser(shape), caser(CaserShape { vertical: 6, ..shape })]
}

fn models() -> [Vec<u8>; 3] {
    manifests().map(|manifest| random_model::bundle(&manifest, &mut Random(7)))
}

fn plan(bundle: &Bundle<'_>, sequence: u32) -> Vec<u8> {
    random_model::plan(bundle, sequence, &mut Random(sequence.into()))
}

#[test]
fn lists_and_buffers() {
    for bytes in models() {
        let bundle = Bundle::parse(&bytes).unwrap();
        let plan = plan(&bundle, 1);
        let mut arena = [0; 4000];
        let mut engine =
            Engine::new(bundle, &Plan::parse(&plan).unwrap(), &mut arena, Options::default()).unwrap();
        let mut logits = [0.0; 3];
        let mut ranked = [Ranked::default(); 3];
        let unknown = |list, index, item| Error::UnknownItem { list, index, item, items: 9 };
        let cases: [(&[u32], &[u32], Error); 6] = [
            (&[], &[1], Error::Empty(List::History)),
            (&[1], &[], Error::Empty(List::Candidates)),
            (&[1, 9], &[1], unknown(List::History, 1, 9)),
            // Also where the window does not reach.
            (&[u32::MAX, 1, 1, 1, 1, 1, 1], &[1], unknown(List::History, 0, u32::MAX)),
            (&[1], &[8, 0, 10], unknown(List::Candidates, 2, 10)),
            (&[1], &[1, 2, 3, 4], Error::OutputTooSmall { needed: 4, given: 3 }),
        ];
        for (history, candidates, error) in cases {
            assert_eq!(engine.score(history, candidates, &mut logits), Err(error));
            assert_eq!(engine.rank(history, candidates, &mut ranked), Err(error));
        }
        assert_eq!(engine.top(&[], &mut ranked), Err(Error::Empty(List::History)));
        assert_eq!(engine.top(&[9], &mut ranked), Err(unknown(List::History, 0, 9)));
        assert_eq!(engine.top(&[1], &mut []), Err(Error::OutputTooSmall { needed: 1, given: 0 }));
        assert_eq!(unknown(List::History, 1, 9).to_string(), "history[1] is item 9, the model has 9 items");
    }
}

#[test]
fn a_refused_plan_leaves_the_running_one() {
    for bytes in models() {
        let bundle = Bundle::parse(&bytes).unwrap();
        let running = plan(&bundle, 5);
        let running = Plan::parse(&running).unwrap();
        let mut arena = [0; 4000];
        let mut engine = Engine::new(bundle, &running, &mut arena, Options::default()).unwrap();
        let mut before = [0.0; 9];
        let all: Vec<u32> = (0..9).collect();
        engine.score(&[3, 1], &all, &mut before).unwrap();

        let n = bundle.manifest().channels();
        let header = PlanHeader { sequence: 6, ..*running.header() };
        let mut codes = vec![2; n];
        codes[n - 1] = 3;
        let other = ModelId([0; 8]);
        let refused = [
            (
                random_model::encode(&PlanHeader { sequence: 4, ..header }, &vec![2; n]),
                Error::StalePlan { running: 5, offered: 4 },
            ),
            (
                random_model::encode(&PlanHeader { model: other, ..header }, &vec![2; n]),
                Error::Plan(PlanError::Model { plan: other, bundle: bundle.model() }),
            ),
            (
                random_model::encode(&PlanHeader { channels: 4, ..header }, &[2; 4]),
                Error::Plan(PlanError::Channels { plan: 4, bundle: n }),
            ),
            (random_model::encode(&header, &codes), Error::Plan(PlanError::Code { channel: n - 1, code: 3 })),
        ];
        for (plan, error) in &refused {
            assert_eq!(engine.apply(&Plan::parse(plan).unwrap()), Err(*error));
            let mut after = [0.0; 9];
            engine.score(&[3, 1], &all, &mut after).unwrap();
            assert_eq!((before, engine.plan()), (after, running.header()));
        }
        // A new engine has no plan to compare with, but the rest is checked.
        for (plan, error) in &refused[1..] {
            let mut arena = [0; 4000];
            let new = Engine::new(bundle, &Plan::parse(plan).unwrap(), &mut arena, Options::default());
            assert_eq!(new.err(), Some(*error));
        }
    }
}

#[test]
fn the_arena_is_as_large_as_stated_at_every_alignment() {
    for bytes in models() {
        let bundle = Bundle::parse(&bytes).unwrap();
        let plan = plan(&bundle, 1);
        let plan = Plan::parse(&plan).unwrap();
        let mut memory = vec![0u32; 4000];
        let memory: &mut [u8] = bytemuck::cast_slice_mut(&mut memory);
        let windows = [(usize::MAX, 4), (3, 2), (1, 1), (0, 0), (5, usize::MAX)];
        let holdings = [Holding::InPlace, Holding::Packed];
        for ((max_history, rows_at_once), holding) in windows
            .into_iter()
            .skip(if cfg!(miri) { 4 } else { 0 })
            .flat_map(|window| holdings.map(|holding| (window, holding)))
        {
            let options = Options { max_history, rows_at_once, holding, ..Options::default() };
            let needed = Requirements::of(&bundle, &options).arena_bytes;
            for shift in if cfg!(miri) { 1..2 } else { 0..4 } {
                // Bytes before the first aligned one.
                let lost = (4 - shift) % 4;
                let least = needed - (3 - lost);
                let (before, rest) = memory.split_at_mut(shift);
                let (arena, after) = rest.split_at_mut(least);
                before.fill(0x5a);
                after.fill(0x5a);
                let mut engine = Engine::new(bundle, &plan, arena, options).unwrap();
                let mut ranked = [Ranked::default(); 9];
                engine.rank(&[1, 2, 3, 4, 5, 6, 7, 8], &[0, 1, 2], &mut ranked).unwrap();
                assert!(before.iter().chain(&*after).all(|&byte| byte == 0x5a));
                for less in [least - 1, least / 2, 1, 0] {
                    let arena = &mut memory[shift..][..less];
                    let error = Engine::new(bundle, &plan, arena, options).err();
                    assert_eq!(error, Some(Error::ArenaTooSmall { needed, given: less }));
                }
            }
        }
    }
}

/// Numbers that the format allows but that overflow on the way are an error, not a ranking.
#[test]
fn an_overflow_is_an_error() {
    for manifest in manifests() {
        let mut bytes = vec![0; manifest.bundle_len().unwrap()];
        let mut writer = BundleWriter::new(&manifest, &mut bytes).unwrap();
        for (section, len) in random_model::section_lengths(&manifest) {
            if section.holds_codes() {
                writer.codes(section, &vec![127; len]).unwrap();
            } else {
                let huge = match section {
                    Section::Layer(LayerName::Vertical, part) => part == LayerPart::Biases,
                    section => matches!(section, Section::Positions | Section::Norm(_, NormPart::Gamma)),
                };
                let numbers: Vec<f32> =
                    (0..len).map(|i| if huge { [3e38, -3e38, 1e38][i % 3] } else { 1.0 }).collect();
                writer.floats(section, &numbers).unwrap();
            }
        }
        writer.finish().unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        for sequence in 0..if cfg!(miri) { 2 } else { 8 } {
            let plan = plan(&bundle, sequence);
            let mut arena = [0; 4000];
            let mut engine =
                Engine::new(bundle, &Plan::parse(&plan).unwrap(), &mut arena, Options::default()).unwrap();
            let mut logits = [0.0; 1];
            assert_eq!(engine.score(&[1, 2], &[4], &mut logits), Err(Error::NotFinite { item: 4 }));
            assert_eq!(engine.top(&[1], &mut [Ranked::default()]), Err(Error::NotFinite { item: 0 }));
        }
    }
}

proptest! {
    /// A warm start takes a bundle's numbers on trust: whatever they are, there is a result or an error.
    #[test]
    fn damaged_models_never_panic(
        seed: u64,
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..40),
        length in 1usize..12,
    ) {
        let mut random = Random(seed);
        let manifest = random_model::manifest(&mut random);
        let mut bytes = random_model::bundle(&manifest, &mut random);
        let original = Bundle::parse(&bytes).unwrap();
        let plan = random_model::plan(&original, 1, &mut random);
        let history = random_model::items(length, &original, &mut random);
        for (place, byte) in damage {
            // Behind header and manifest.
            let place = 80 + place % (bytes.len() - 80);
            bytes[place] = byte;
        }
        if let Ok(bundle) = Bundle::parse_trusted(&bytes) {
            let options = Options::default();
            let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
            let mut engine = Engine::new(bundle, &Plan::parse(&plan).unwrap(), &mut arena, options).unwrap();
            match engine.top(&history, &mut [Ranked::default(); 5]) {
                Ok(best) => prop_assert!(best.iter().all(|ranked| ranked.logit.is_finite())),
                Err(error) => prop_assert!(matches!(error, Error::NotFinite { .. }), "{error}"),
            }
        }
    }
}
