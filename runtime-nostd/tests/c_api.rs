//! The C interface called as C calls it: the same results as in Rust, and a status for whatever is wrong.
// Each call hands over memory of the test's own, or an address that the interface has to refuse unread.
#![allow(clippy::undocumented_unsafe_blocks)]

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use std::ffi::CStr;
use std::ops::Range;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

use chord_plan::bundle::ModelId;
use chord_plan::manifest::{Activation, ProfileShape, SasRecShape};
use chord_plan::{Bundle, BundleWriter, ItemRows, Manifest, Plan, rows};
use chord_runtime::c_api::*;
use chord_runtime::{Arithmetic, Engine, Options, Profile, ProfileRequirements, Ranked, Requirements};
use proptest::prelude::*;
use random_model::Random;

const ITEMS: u32 = 9;

/// Where memory begins, of every alignment; in Miri, which takes seconds for each, of the worst.
const SHIFTS: Range<usize> = if cfg!(miri) { 9..10 } else { 0..16 };

fn manifest() -> Manifest {
    let shape = SasRecShape {
        items: ITEMS,
        positions: 5,
        dim: 6,
        inner: 7,
        blocks: 2,
        heads: 3,
        activation: Activation::Gelu,
        norm_epsilon: 1e-5,
    };
    let profile = ProfileShape { pooled: 3, features: 5, hidden: 4, norm_epsilon: 1e-5 };
    Manifest { profile: Some(profile), ..random_model::sasrec(shape, [0, 4, 8, 255]) }
}

fn model() -> Vec<u8> {
    random_model::bundle(&manifest(), &mut Random(7))
}

fn plan(model: &[u8], sequence: u32) -> Vec<u8> {
    random_model::plan(&Bundle::parse(model).unwrap(), sequence, &mut Random(sequence.into()))
}

fn requirements(bundle: &[u8], options: *const ChordOptions) -> Result<ChordRequirements, ChordStatus> {
    let mut found = ChordRequirements { memory_bytes: 1, plan_bytes: 1 };
    match unsafe { chord_requirements(bundle.as_ptr(), bundle.len(), options, &mut found) } {
        ChordStatus::Ok => Ok(found),
        status => {
            assert_eq!(found, ChordRequirements::default());
            Err(status)
        }
    }
}

fn init(
    memory: &mut [u8],
    bundle: &[u8],
    plan: &[u8],
    options: *const ChordOptions,
) -> Result<*mut ChordEngine, ChordStatus> {
    init_at(memory, bundle, plan, options)
}

/// By a pointer, as from C, through which older handles still reach the memory.
fn init_at(
    memory: *mut [u8],
    bundle: &[u8],
    plan: &[u8],
    options: *const ChordOptions,
) -> Result<*mut ChordEngine, ChordStatus> {
    let mut engine = null_mut();
    let (bundle, bundle_len) = (bundle.as_ptr(), bundle.len());
    let (memory, memory_len) = (memory.cast(), memory.len());
    let status = unsafe {
        chord_init(memory, memory_len, bundle, bundle_len, plan.as_ptr(), plan.len(), options, &mut engine)
    };
    assert_eq!(engine.is_null(), status != ChordStatus::Ok);
    if engine.is_null() { Err(status) } else { Ok(engine) }
}

fn rank(engine: *mut ChordEngine, history: &[u32], candidates: &[u32]) -> Result<Vec<Ranked>, ChordStatus> {
    let mut ranked = vec![Ranked::default(); candidates.len()];
    let (history, history_len) = (history.as_ptr(), history.len());
    let candidates_len = candidates.len();
    match unsafe {
        chord_rank(engine, history, history_len, candidates.as_ptr(), candidates_len, ranked.as_mut_ptr())
    } {
        ChordStatus::Ok => Ok(ranked),
        status => Err(status),
    }
}

#[test]
fn results_are_those_of_rust_at_every_alignment_and_holding() {
    let model = model();
    let bytes = plan(&model, 3);
    let (history, candidates) = ([1, 2, 3, 4, 5, 6, 7], [8, 0, 3, 3]);
    let bundle = Bundle::parse(&model).unwrap();
    let parsed = Plan::parse(&bytes).unwrap();
    for [holding, arithmetic] in [[0, 0], [1, 0], [0, 1]] {
        for &max_history in &[2, 0][..if cfg!(miri) { 1 } else { 2 }] {
            let options = ChordOptions {
                max_history,
                rows_at_once: 2 * max_history,
                holding: holding.into(),
                max_budget: 0,
                arithmetic,
            };
            let rust = Options {
                max_history: if max_history == 0 { usize::MAX } else { max_history },
                arithmetic: [Arithmetic::Float, Arithmetic::Fixed][usize::from(arithmetic)],
                ..Options::default()
            };
            let mut arena = vec![0; Requirements::of(&bundle, &rust).arena_bytes];
            let mut expected = Engine::new(bundle, &parsed, &mut arena, rust).unwrap();
            let needed = requirements(&model, &options).unwrap();
            let mut memory = vec![0xa5; needed.memory_bytes + 16];
            for shift in SHIFTS {
                let memory = &mut memory[shift..][..needed.memory_bytes];
                let engine = init(memory, &model, &bytes, &options).unwrap();
                let mut out = [Ranked::default(); 4];
                let ranked = expected.rank(&history, &candidates, &mut out).unwrap();
                assert_eq!(rank(engine, &history, &candidates).unwrap(), ranked);

                let (mut best, mut count) = ([Ranked::default(); 20], 77);
                let (start, len) = (history.as_ptr(), history.len());
                let status = unsafe { chord_top(engine, start, len, best.as_mut_ptr(), 20, &mut count) };
                let mut out = [Ranked::default(); 20];
                assert_eq!(status, ChordStatus::Ok);
                assert_eq!(&best[..count], expected.top(&history, &mut out).unwrap());

                let (mut logits, mut out) = ([0.0; 4], [0.0; 4]);
                let status =
                    unsafe { chord_score(engine, start, len, candidates.as_ptr(), 4, logits.as_mut_ptr()) };
                assert_eq!(status, ChordStatus::Ok);
                assert_eq!(logits, expected.score(&history, &candidates, &mut out).unwrap());
            }
            // Most of what is asked for is needed, whatever the alignment: less than the arena never is enough.
            let less = needed.memory_bytes - 16;
            assert_eq!(init(&mut memory[..less], &model, &bytes, &options), Err(ChordStatus::MemoryTooSmall));
        }
    }
}

/// A model without item table, called with messages at any alignment, ranks as the same model with its table.
#[test]
fn rows_rank_as_the_table_does() {
    let [with, without] = random_model::with_and_without_items(&manifest(), &mut Random(7));
    let bundles = [&with, &without].map(|bytes| Bundle::parse(bytes).unwrap());
    let (history, candidates) = ([1, 2, 3, 4, 5, 6, 7], [8, 0, 3, 3]);
    let mut memory = vec![0; requirements(&with, null()).unwrap().memory_bytes];
    let engine = init(&mut memory, &with, &plan(&with, 1), null()).unwrap();
    let mut expected = rank(engine, &history, &candidates).unwrap();
    let place = |item| candidates.iter().position(|&candidate| candidate == item).unwrap() as u32;
    expected.iter_mut().for_each(|ranked| ranked.item = place(ranked.item));
    expected[1..].iter_mut().filter(|r| r.item == 2).last().into_iter().for_each(|twin| twin.item = 3);
    expected.sort_by(|a, b| b.logit.partial_cmp(&a.logit).unwrap().then(a.item.cmp(&b.item)));

    let engine = init(&mut memory, &without, &plan(&without, 1), null()).unwrap();
    assert_eq!(rank(engine, &history, &candidates), Err(ChordStatus::NoItemTable));
    let message = |items: &[u32]| random_model::rows(&bundles[0], items, bundles[1].model());
    let mut ranked = [Ranked::default(); 5];
    let mut count = 0;
    let mut call = |history: &[u8], candidates: &[u8], len| {
        let (from, to) = ((history.as_ptr(), history.len()), (candidates.as_ptr(), candidates.len()));
        let status = unsafe {
            chord_rank_rows(engine, from.0, from.1, to.0, to.1, ranked.as_mut_ptr(), len, &mut count)
        };
        assert_eq!(count > 0, status == ChordStatus::Ok);
        if count > 0 { Ok(ranked[..count].to_vec()) } else { Err(status) }
    };
    let sent = [message(&history), message(&candidates)];
    for shift in 0..4 {
        let [history, candidates] = sent.each_ref().map(|bytes| [&vec![0; shift][..], bytes].concat());
        assert_eq!(call(&history[shift..], &candidates[shift..], 5).as_ref(), Ok(&expected));
    }
    let [history, candidates] = &sent;
    assert_eq!(call(history, candidates, 3), Err(ChordStatus::OutputTooSmall));
    assert_eq!(call(&history[1..], candidates, 5), Err(ChordStatus::RowsMalformed));
    assert_eq!(call(history, &[&candidates[..], &[0]].concat(), 5), Err(ChordStatus::RowsChecksum));
    assert_eq!(call(b"CI\x02", candidates, 5), Err(ChordStatus::RowsVersion));
    assert_eq!(call(&message(&[]), candidates, 5), Err(ChordStatus::HistoryEmpty));
    let foreign = random_model::rows(&bundles[0], &[1], bundles[0].model());
    assert_eq!(call(history, &foreign, 5), Err(ChordStatus::RowsModel));
    let start = history.as_ptr();
    let status = unsafe {
        chord_rank_rows(
            engine,
            start,
            history.len(),
            start,
            history.len(),
            ranked.as_mut_ptr(),
            5,
            null_mut(),
        )
    };
    assert_eq!(status, ChordStatus::NullPointer);
    let status = unsafe {
        let out = ranked.as_mut_ptr();
        chord_rank_rows(engine, start, history.len(), out.cast(), 9, out, 5, &mut count)
    };
    assert_eq!(status, ChordStatus::Overlap);
}

fn profile_requirements(bundle: &[u8]) -> Result<ChordProfileRequirements, ChordStatus> {
    let mut found = ChordProfileRequirements { memory_bytes: 1, message_bytes: 1 };
    match unsafe { chord_profile_requirements(bundle.as_ptr(), bundle.len(), &mut found) } {
        ChordStatus::Ok => Ok(found),
        status => {
            assert_eq!(found, ChordProfileRequirements::default());
            Err(status)
        }
    }
}

fn profile_init(memory: &mut [u8], bundle: &[u8], arithmetic: u16) -> Result<*mut ChordProfile, ChordStatus> {
    profile_init_at(memory, bundle, arithmetic)
}

/// As [`init_at`].
fn profile_init_at(
    memory: *mut [u8],
    bundle: &[u8],
    arithmetic: u16,
) -> Result<*mut ChordProfile, ChordStatus> {
    let mut profile = null_mut();
    let (bundle, bundle_len) = (bundle.as_ptr(), bundle.len());
    let (memory, memory_len) = (memory.cast(), memory.len());
    let status =
        unsafe { chord_profile_init(memory, memory_len, bundle, bundle_len, arithmetic, &mut profile) };
    assert_eq!(profile.is_null(), status != ChordStatus::Ok);
    if profile.is_null() { Err(status) } else { Ok(profile) }
}

fn append(profile: *mut ChordProfile, item: u32) -> ChordStatus {
    unsafe { chord_profile_append(profile, item) }
}

fn append_rows(profile: *mut ChordProfile, rows: &[u8]) -> ChordStatus {
    unsafe { chord_profile_append_rows(profile, rows.as_ptr(), rows.len()) }
}

fn interactions(profile: *mut ChordProfile) -> u32 {
    let mut interactions = u32::MAX;
    assert_eq!(unsafe { chord_profile_interactions(profile, &mut interactions) }, ChordStatus::Ok);
    interactions
}

/// The message to send, in a buffer of so many bytes.
fn message(profile: *mut ChordProfile, room: usize) -> Result<Vec<u8>, ChordStatus> {
    let (mut bytes, mut len) = (vec![0xa5; room], 77);
    let status = unsafe { chord_profile_message(profile, bytes.as_mut_ptr(), room, &mut len) };
    bytes.truncate(len);
    assert_eq!(len > 0, status == ChordStatus::Ok);
    if len > 0 { Ok(bytes) } else { Err(status) }
}

/// The same messages as in Rust after every interaction, items that leave the sum included, whether they are rows of the table
/// or came as messages; at every alignment and in either arithmetic.
#[test]
fn a_profile_sends_what_rust_sends() {
    let models = random_model::with_and_without_items(&manifest(), &mut Random(7));
    let [with, without] = models.each_ref().map(|bytes| Bundle::parse(bytes).unwrap());
    let needed = profile_requirements(&models[0]).unwrap();
    assert_eq!(needed.message_bytes, ProfileRequirements::of(&with).unwrap().embedding_bytes);
    let mut memory =
        vec![0xa5; profile_requirements(&models[1]).unwrap().memory_bytes.max(needed.memory_bytes) + 16];
    let history = &[4, 0, 8, 8, 3, 1, 4, 7][..if cfg!(miri) { 5 } else { 8 }];
    let mut sent = Vec::new();
    for (number, arithmetic) in (0..).zip([Arithmetic::Float, Arithmetic::Fixed]) {
        for shift in SHIFTS {
            for (model, bundle) in models.iter().zip([with, without]) {
                let mut arena = vec![0; ProfileRequirements::of(&bundle).unwrap().arena_bytes];
                let mut expected = Profile::with_arithmetic(bundle, &mut arena, arithmetic).unwrap();
                let needed = profile_requirements(model).unwrap();
                let memory = &mut memory[shift..][..needed.memory_bytes];
                let profile = profile_init(memory, model, number).unwrap();
                for (index, &item) in history.iter().enumerate() {
                    let row = [&vec![0; shift % 4][..], &random_model::rows(&with, &[item], bundle.model())]
                        .concat();
                    let rows = ItemRows::parse(&row[shift % 4..]).unwrap();
                    if bundle.manifest().items() > 0 {
                        expected.append(item).unwrap();
                        assert_eq!(append(profile, item), ChordStatus::Ok);
                        assert_eq!(append_rows(profile, &row[shift % 4..]), ChordStatus::ItemTable);
                    } else {
                        expected.append_items(rows.into()).unwrap();
                        assert_eq!(append_rows(profile, &row[shift % 4..]), ChordStatus::Ok);
                        assert_eq!(append(profile, item), ChordStatus::NoItemTable);
                    }
                    let mut buffer = vec![0; needed.message_bytes];
                    let ours = message(profile, needed.message_bytes).unwrap();
                    assert_eq!(ours, expected.message(&mut buffer).unwrap());
                    assert_eq!(interactions(profile) as usize, index + 1);
                    sent.push(ours);
                }
                assert_eq!(unsafe { chord_profile_clear(profile) }, ChordStatus::Ok);
                expected.clear();
                let mut buffer = vec![0; needed.message_bytes];
                assert_eq!(
                    message(profile, needed.message_bytes).unwrap(),
                    expected.message(&mut buffer).unwrap()
                );
                assert_eq!(interactions(profile), 0);
            }
        }
    }
    // Neither interactions nor arithmetics have the same.
    assert_ne!(sent[0], sent[1]);
    assert_ne!(sent[..history.len()], sent[sent.len() - 2 * history.len()..][..history.len()]);
    let less = needed.memory_bytes - 16;
    assert_eq!(profile_init(&mut memory[..less], &models[0], 0), Err(ChordStatus::MemoryTooSmall));
}

/// A model of ones without item table.
fn ones() -> Vec<u8> {
    let manifest = manifest().without_items();
    let mut bytes = vec![0; manifest.bundle_len().unwrap()];
    let mut writer = BundleWriter::new(&manifest, &mut bytes).unwrap();
    for (section, len) in random_model::section_lengths(&manifest) {
        match section.holds_codes() {
            true => writer.codes(section, &vec![127; len]).unwrap(),
            false => writer.floats(section, &vec![1.0; len]).unwrap(),
        }
    }
    writer.finish().unwrap();
    bytes
}

#[test]
fn what_is_wrong_with_a_profile_is_told_and_changes_nothing() {
    let model = model();
    let needed = profile_requirements(&model).unwrap();
    let mut memory = vec![0; needed.memory_bytes];
    assert_eq!(profile_init(&mut memory, &model, 2), Err(ChordStatus::UnknownOption));
    assert_eq!(profile_init(&mut memory, &model[1..], 0), Err(ChordStatus::BundleMalformed));
    let mut damaged = model.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(profile_init(&mut memory, &damaged, 0), Err(ChordStatus::BundleFingerprint));

    let profile = profile_init(&mut memory, &model, 0).unwrap();
    assert_eq!(append(profile, 1), ChordStatus::Ok);
    let before = message(profile, needed.message_bytes).unwrap();
    assert_eq!(append(profile, ITEMS), ChordStatus::HistoryUnknownItem);
    assert_eq!(append_rows(profile, b"CI\x01"), ChordStatus::RowsMalformed);
    let bundle = Bundle::parse(&model).unwrap();
    let mut foreign = random_model::rows(&bundle, &[1], ModelId([7; 8]));
    assert_eq!(append_rows(profile, &foreign), ChordStatus::RowsModel);
    foreign[5] ^= 1;
    assert_eq!(append_rows(profile, &foreign), ChordStatus::RowsChecksum);
    assert_eq!(message(profile, 3), Err(ChordStatus::OutputTooSmall));
    assert_eq!(message(profile, needed.message_bytes), Ok(before));

    let without = Manifest { profile: None, ..manifest() };
    let without = random_model::bundle(&without, &mut Random(7));
    assert_eq!(profile_requirements(&without), Err(ChordStatus::NoProfile));
    assert_eq!(profile_init(&mut vec![0; 1 << 16], &without, 0), Err(ChordStatus::NoProfile));

    // What came before the item that overflows stays: rows of growing ranges.
    let model = ones();
    let bundle = Bundle::parse(&model).unwrap();
    let (codes, ranges) = (vec![127; 3 * bundle.manifest().dim()], [1.0, 2.0, 2f32.powi(60)]);
    let mut sent = vec![0; rows::longest(3, bundle.manifest().dim())];
    let dim = bundle.manifest().dim() as u16;
    let len = rows::encode(bundle.model(), dim, &codes, &ranges, &mut sent).unwrap();
    for arithmetic in [0, 1] {
        let mut memory = vec![0; profile_requirements(&model).unwrap().memory_bytes];
        let profile = profile_init(&mut memory, &model, arithmetic).unwrap();
        assert_eq!(append_rows(profile, &sent[..len]), ChordStatus::ProfileOverflow);
        assert_eq!(interactions(profile), 2);
        assert!(message(profile, needed.message_bytes).is_ok());
    }
}

#[test]
fn a_profiles_pointers_are_checked() {
    let model = model();
    let needed = profile_requirements(&model).unwrap();
    let (bytes, len) = (model.as_ptr(), model.len());
    let mut found = ChordProfileRequirements::default();
    let call = |bundle, len, found| unsafe { chord_profile_requirements(bundle, len, found) };
    assert_eq!(call(null(), len, &mut found), ChordStatus::NullPointer);
    assert_eq!(call(bytes, len, null_mut()), ChordStatus::NullPointer);
    assert_eq!(call(bytes, usize::MAX, &mut found), ChordStatus::Length);
    assert_eq!(call((&raw const found).cast(), 4, &mut found), ChordStatus::Overlap);

    let mut memory = vec![0; needed.memory_bytes];
    let room = memory.as_mut_ptr();
    let mut made = null_mut();
    let out = &raw mut made;
    let start = |room: *mut u8, bundle: *const u8, len, out: *mut *mut ChordProfile| unsafe {
        chord_profile_init(room, needed.memory_bytes, bundle, len, 0, out)
    };
    assert_eq!(start(null_mut(), bytes, len, out), ChordStatus::NullPointer);
    assert_eq!(start(room, null(), len, out), ChordStatus::NullPointer);
    assert_eq!(start(room, bytes, len, null_mut()), ChordStatus::NullPointer);
    assert_eq!(start(room, bytes, usize::MAX, out), ChordStatus::Length);
    assert_eq!(start(room, room.wrapping_add(7), 9, out), ChordStatus::Overlap);
    let inside = room.wrapping_add(room.align_offset(8)).cast();
    assert_eq!(start(room, bytes, len, inside), ChordStatus::Overlap);

    assert_eq!(start(room, bytes, len, out), ChordStatus::Ok);
    let profile = made;
    assert_eq!(append(null_mut(), 1), ChordStatus::NullPointer);
    assert_eq!(append(profile.cast::<u8>().wrapping_add(1).cast(), 1), ChordStatus::Misaligned);
    assert_eq!(unsafe { chord_profile_append_rows(profile, null(), 3) }, ChordStatus::NullPointer);
    assert_eq!(unsafe { chord_profile_append_rows(profile, room, 9) }, ChordStatus::Overlap);
    let inside = profile.cast::<u8>();
    assert_eq!(unsafe { chord_profile_interactions(profile, inside.cast()) }, ChordStatus::Overlap);
    assert_eq!(unsafe { chord_profile_interactions(profile, null_mut()) }, ChordStatus::NullPointer);
    let (mut out, mut len) = (vec![0u64; 200], 5);
    let to = out.as_mut_ptr().cast::<u8>();
    let call = |to, room, len| unsafe { chord_profile_message(profile, to, room, len) };
    assert_eq!(call(to, 1600, &mut len), ChordStatus::Ok);
    assert_eq!(call(null_mut(), 1600, &mut len), ChordStatus::NullPointer);
    assert_eq!(call(to, 1600, null_mut()), ChordStatus::NullPointer);
    assert_eq!(call(to, usize::MAX, &mut len), ChordStatus::Length);
    assert_eq!(call(to, 1600, to.cast()), ChordStatus::Overlap);
    assert_eq!(call(to, 1600, inside.cast()), ChordStatus::Overlap);
    assert_eq!(call(inside, 1600, &mut len), ChordStatus::Overlap);

    // Neither is taken for the other.
    let mut others = vec![0; requirements(&model, null()).unwrap().memory_bytes];
    let engine = init(&mut others, &model, &plan(&model, 1), null()).unwrap();
    assert_eq!(append(engine.cast(), 1), ChordStatus::NotAProfile);
    assert_eq!(rank(profile.cast(), &[1], &[1]), Err(ChordStatus::NotAnEngine));
    memory.fill(0);
    assert_eq!(append(profile, 1), ChordStatus::NotAProfile);
}

#[test]
fn a_refused_plan_leaves_the_running_one() {
    let model = model();
    let mut memory = vec![0; requirements(&model, null()).unwrap().memory_bytes];
    let engine = init(&mut memory, &model, &plan(&model, 5), null()).unwrap();
    let before = rank(engine, &[3, 1], &[0, 1, 2]).unwrap();
    let apply = |plan: &[u8]| unsafe { chord_apply(engine, plan.as_ptr(), plan.len()) };
    let mut damaged = plan(&model, 6);
    damaged[9] ^= 1;
    assert_eq!(apply(&plan(&model, 4)), ChordStatus::PlanStale);
    assert_eq!(apply(&damaged), ChordStatus::PlanChecksum);
    assert_eq!(apply(&damaged[..2]), ChordStatus::PlanMalformed);
    assert_eq!(apply(b"CP\x02.."), ChordStatus::PlanVersion);
    assert_eq!(unsafe { chord_apply(engine, null(), 3) }, ChordStatus::NullPointer);
    assert_eq!(rank(engine, &[3, 1], &[0, 1, 2]).unwrap(), before);
    let mut sequence = 0;
    assert_eq!(unsafe { chord_running_plan(engine, &mut sequence) }, ChordStatus::Ok);
    assert_eq!((sequence, apply(&plan(&model, 6))), (5, ChordStatus::Ok));
    assert_eq!(unsafe { chord_running_plan(engine, &mut sequence) }, ChordStatus::Ok);
    assert_eq!(sequence, 6);
}

/// What lay in memory that a new engine or profile was refused in is none: its arena was taken for the new one.
#[test]
fn a_refused_start_in_used_memory_leaves_no_handle() {
    let (model, other) = (model(), random_model::bundle(&manifest(), &mut Random(8)));
    let (plan, foreign) = (plan(&model, 1), plan(&other, 1));
    let without = random_model::bundle(&Manifest { profile: None, ..manifest() }, &mut Random(7));
    for arithmetic in [0, 1] {
        let options = ChordOptions { arithmetic, ..ChordOptions::default() };
        let mut memory = vec![0; requirements(&model, &options).unwrap().memory_bytes];
        let memory: *mut [u8] = &mut memory[..];
        let engine = init_at(memory, &model, &plan, &options).unwrap();
        let ranked = rank(engine, &[3, 1], &[0, 1, 2]);
        // Refused before the memory is touched.
        assert_eq!(init_at(memory, &model, &plan[1..], &options), Err(ChordStatus::PlanMalformed));
        assert_eq!(rank(engine, &[3, 1], &[0, 1, 2]), ranked);
        assert_eq!(init_at(memory, &model, &foreign, &options), Err(ChordStatus::PlanModel));
        assert_eq!(rank(engine, &[3, 1], &[0, 1, 2]), Err(ChordStatus::NotAnEngine));

        let mut memory = vec![0; profile_requirements(&model).unwrap().memory_bytes];
        let memory: *mut [u8] = &mut memory[..];
        let profile = profile_init_at(memory, &model, arithmetic).unwrap();
        assert_eq!(append(profile, 1), ChordStatus::Ok);
        assert_eq!(profile_init_at(memory, &without, arithmetic), Err(ChordStatus::NoProfile));
        assert_eq!(append(profile, 1), ChordStatus::NotAProfile);
    }
}

#[test]
fn pointers_are_checked() {
    let model = model();
    let plan = plan(&model, 1);
    let needed = requirements(&model, null()).unwrap();
    let (bytes, len) = (model.as_ptr(), model.len());

    let none = ChordOptions::default();
    let wrong = ChordOptions { holding: 2, ..none };
    for wrong in
        [wrong, ChordOptions { arithmetic: 2, ..none }, ChordOptions { holding: 1, arithmetic: 1, ..none }]
    {
        assert_eq!(requirements(&model, &wrong), Err(ChordStatus::UnknownOption));
        assert_eq!(init(&mut vec![0; 1 << 16], &model, &plan, &wrong), Err(ChordStatus::UnknownOption));
    }
    let odd = (&raw const wrong).cast::<u8>().wrapping_add(1).cast();
    assert_eq!(requirements(&model, odd), Err(ChordStatus::Misaligned));
    let mut found = ChordRequirements::default();
    let call = |bundle, len, found| unsafe { chord_requirements(bundle, len, null(), found) };
    assert_eq!(call(null(), len, &mut found), ChordStatus::NullPointer);
    assert_eq!(call(bytes, len, null_mut()), ChordStatus::NullPointer);
    assert_eq!(call(bytes, usize::MAX, &mut found), ChordStatus::Length);
    assert_eq!(call((&raw const found).cast(), 4, &mut found), ChordStatus::Overlap);
    assert_eq!(call(bytes, len - 1, &mut found), ChordStatus::BundleMalformed);

    let mut memory = vec![0; needed.memory_bytes];
    let room = memory.as_mut_ptr();
    let mut made = null_mut();
    let out = &raw mut made;
    let start = |room: *mut u8, bundle: *const u8, plan_len, out: *mut *mut ChordEngine| unsafe {
        chord_init(room, needed.memory_bytes, bundle, len, plan.as_ptr(), plan_len, null(), out)
    };
    assert_eq!(start(null_mut(), bytes, plan.len(), out), ChordStatus::NullPointer);
    assert_eq!(start(room, null(), plan.len(), out), ChordStatus::NullPointer);
    assert_eq!(start(room, bytes, plan.len(), null_mut()), ChordStatus::NullPointer);
    assert_eq!(start(room, bytes, usize::MAX, out), ChordStatus::Length);
    assert_eq!(start(room, room.wrapping_add(7), plan.len(), out), ChordStatus::Overlap);
    assert_eq!(start(room, bytes, plan.len() - 1, out), ChordStatus::PlanChecksum);
    let inside = room.wrapping_add(room.align_offset(8)).cast();
    assert_eq!(start(room, bytes, plan.len(), inside), ChordStatus::Overlap);

    assert_eq!(start(room, bytes, plan.len(), out), ChordStatus::Ok);
    let engine = made;
    let history = [1u32, 2, 3];
    let mut ranked = [Ranked::default(); 3];
    let ids = history.as_ptr();
    let call = |engine, history, history_len, candidates, len, ranked| unsafe {
        chord_rank(engine, history, history_len, candidates, len, ranked)
    };
    let to = ranked.as_mut_ptr();
    assert_eq!(call(engine, ids, 3, ids, 3, to), ChordStatus::Ok);
    assert_eq!(call(null_mut(), ids, 3, ids, 3, to), ChordStatus::NullPointer);
    assert_eq!(call(engine.cast::<u8>().wrapping_add(1).cast(), ids, 3, ids, 3, to), ChordStatus::Misaligned);
    assert_eq!(call(engine, null(), 3, ids, 3, to), ChordStatus::NullPointer);
    assert_eq!(call(engine, ids, 3, null(), 3, to), ChordStatus::NullPointer);
    assert_eq!(call(engine, ids, 3, ids, 3, null_mut()), ChordStatus::NullPointer);
    assert_eq!(call(engine, ids.cast::<u8>().wrapping_add(2).cast(), 2, ids, 3, to), ChordStatus::Misaligned);
    assert_eq!(call(engine, ids, usize::MAX / 2, ids, 3, to), ChordStatus::Length);
    assert_eq!(call(engine, ids, 3, to.cast(), 3, to), ChordStatus::Overlap);
    assert_eq!(call(engine, ids, 3, ids, 3, inside.cast()), ChordStatus::Overlap);
    let taken = inside.cast_const().cast();
    for (history, candidates) in [(taken, ids), (ids, taken)] {
        assert_eq!(call(engine, history, 1, candidates, 1, to), ChordStatus::Overlap);
        let status = unsafe { chord_score(engine, history, 1, candidates, 1, &mut 0.0) };
        assert_eq!(status, ChordStatus::Overlap);
        let mut count = 5;
        let status =
            unsafe { chord_rank_rows(engine, history.cast(), 1, candidates.cast(), 1, to, 1, &mut count) };
        assert_eq!((status, count), (ChordStatus::Overlap, 0));
    }
    let mut count = 5;
    let status = unsafe { chord_top(engine, taken, 1, to, 3, &mut count) };
    assert_eq!((status, count), (ChordStatus::Overlap, 0));
    assert_eq!(call(engine, ids, 0, ids, 3, to), ChordStatus::HistoryEmpty);
    assert_eq!(call(engine, ids, 3, ids, 0, to), ChordStatus::CandidatesEmpty);
    assert_eq!(rank(engine, &[ITEMS], &[1]), Err(ChordStatus::HistoryUnknownItem));
    assert_eq!(rank(engine, &[1], &[1, u32::MAX]), Err(ChordStatus::CandidatesUnknownItem));
    let mut count = 5;
    let status = unsafe { chord_top(engine, ids, 3, to, 0, &mut count) };
    assert_eq!((status, count), (ChordStatus::OutputTooSmall, 0));

    // An engine that was moved, or whose memory was used for something else, is none.
    let mut moved = memory.clone();
    let shift = engine.addr() - room.addr();
    let moved = moved.as_mut_ptr().wrapping_add(shift).cast::<ChordEngine>();
    if moved.is_aligned() {
        assert_eq!(call(moved, ids, 3, ids, 3, to), ChordStatus::NotAnEngine);
    }
    memory.fill(0);
    assert_eq!(call(engine, ids, 3, ids, 3, to), ChordStatus::NotAnEngine);
}

/// Two threads, one engine: each call ranks right or is told to wait, and some are.
#[test]
fn an_engine_at_work_refuses() {
    let model = model();
    let mut memory = vec![0; requirements(&model, null()).unwrap().memory_bytes];
    let engine = init(&mut memory, &model, &plan(&model, 1), null()).unwrap();
    let expected = rank(engine, &[3, 1], &[0, 1, 2]).unwrap();
    let (address, was_busy) = (engine.expose_provenance(), AtomicBool::new(false));
    let least = if cfg!(miri) { 5 } else { 20_000 };
    let work = || {
        let engine = std::ptr::with_exposed_provenance_mut(address);
        for call in 0..1000 * least {
            match rank(engine, &[3, 1], &[0, 1, 2]) {
                Err(ChordStatus::Busy) => was_busy.store(true, Ordering::Relaxed),
                ranked => assert_eq!(ranked.as_ref(), Ok(&expected)),
            }
            if call >= least && was_busy.load(Ordering::Relaxed) {
                return;
            }
        }
        panic!("no call came while another was at work");
    };
    std::thread::scope(|scope| [(); 2].map(|()| scope.spawn(work)).map(|thread| thread.join().unwrap()));
}

#[test]
fn statuses_have_the_names_and_values_of_the_header() {
    let header = include_str!("../../c-api/include/chord.h");
    let name = |status| match chord_status_name(status) {
        name if name.is_null() => None,
        name => Some(unsafe { CStr::from_ptr(name) }.to_str().unwrap()),
    };
    for status in ChordStatus::ALL {
        let line = format!("  {} = {},", name(status as i32).unwrap(), status as i32);
        assert!(header.lines().any(|text| text == line), "{line}");
    }
    let values = header.lines().filter(|line| line.starts_with("  CHORD_STATUS_"));
    assert_eq!(values.count(), ChordStatus::ALL.len());
    assert_eq!([name(-1), name(i32::MAX)], [None, None]);
    let version = unsafe { CStr::from_ptr(chord_version()) };
    assert_eq!(version.to_str(), Ok(env!("CARGO_PKG_VERSION")));
}

/// Whether a status is one of a bundle, or of a plan.
fn blames(status: ChordStatus, part: &str) -> bool {
    let name = unsafe { CStr::from_ptr(chord_status_name(status as i32)) };
    name.to_str().unwrap().starts_with(&format!("CHORD_STATUS_{part}_"))
}

proptest! {
    /// All else is right, so that what is wrong has to be noticed.
    #[test]
    fn any_bytes_are_a_status(
        bundle in proptest::collection::vec(any::<u8>(), 0..300),
        other in proptest::collection::vec(any::<u8>(), 0..100),
        place: usize,
        change in 1u8..,
    ) {
        let model = model();
        let plan = plan(&model, 1);
        let needed = requirements(&model, null()).unwrap();
        let (mut memory, mut room) =
            (vec![0; needed.memory_bytes], vec![0; profile_requirements(&model).unwrap().memory_bytes]);
        let damaged = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let place = place % bytes.len();
            bytes[place] ^= change;
            bytes
        };
        for bundle in [&bundle, &damaged(&model)] {
            // Damage that it need not notice: the engine's and the profile's start do.
            let status = requirements(bundle, null()).err().unwrap_or(ChordStatus::BundleFingerprint);
            let of_engine = init(&mut memory, bundle, &plan, null()).unwrap_err();
            let of_profile = profile_init(&mut room, bundle, 0).unwrap_err();
            for status in [status, of_engine, of_profile] {
                prop_assert!(blames(status, "BUNDLE"), "{status:?}");
            }
        }
        for plan in [&other, &damaged(&plan)] {
            let status = init(&mut memory, &model, plan, null()).unwrap_err();
            prop_assert!(blames(status, "PLAN"), "{status:?}");
        }
        prop_assert!(init(&mut memory, &model, &plan, null()).is_ok());
    }
}
