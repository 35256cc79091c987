//! Calls of the C interface, one after another, on a golden model with some bytes changed: whatever options, plans, lists,
//! lengths and addresses they get, results are those of Rust, the same errors, or what the interface has to say of memory.
#![no_main]

use std::ptr::null_mut;

use chord_fuzz::Input;
use chord_plan::{Bundle, ItemRows, Plan};
use chord_runtime::c_api::*;
use chord_runtime::{
    Arithmetic, Embeddings, Engine, Error, Holding, Options, Profile, ProfileRequirements, Ranked,
    Requirements,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let model = input.bundle();
    let options = ChordOptions {
        max_history: input.byte().into(),
        rows_at_once: input.byte().into(),
        holding: u32::from(input.byte()) % 3,
        max_budget: input.word() % 9000,
        arithmetic: u16::from(input.byte()) % 3,
    };
    let mut needed = ChordRequirements { memory_bytes: 1, plan_bytes: 1 };
    // SAFETY: here and below pointers are those of slices or are refused by their address.
    let status = unsafe { chord_requirements(model.as_ptr(), model.len(), &options, &mut needed) };
    if status != ChordStatus::Ok {
        assert_eq!(needed, ChordRequirements::default());
        return;
    }
    let shift = usize::from(input.byte()) % 16;
    let len = needed.memory_bytes;
    let mut memory = vec![0xa5; shift + len];
    let room = memory.as_mut_ptr().wrapping_add(shift);
    let Ok(bundle) = Bundle::parse(&model) else {
        assert!(init(room, len, &model, &[0; 40], &options).1.is_null());
        return;
    };
    let (engine, running) = (null_mut(), None);
    let mut calls = Calls { bundle, model: &model, options, room, len, engine, running, used: 0 };
    for sequence in 1..32 {
        if input.0.is_empty() {
            break;
        }
        calls.make(sequence, &mut input);
    }
});

/// One engine and what it should be.
struct Calls<'m> {
    bundle: Bundle<'m>,
    model: &'m [u8],
    options: ChordOptions,
    /// Memory for it.
    room: *mut u8,
    len: usize,
    engine: *mut ChordEngine,
    /// The plan that runs, if the engine is one.
    running: Option<Vec<u8>>,
    /// The memory that it got.
    used: usize,
}

impl Calls<'_> {
    fn make(&mut self, sequence: u32, input: &mut Input<'_>) {
        let items = self.bundle.manifest().items();
        match input.byte() % 8 {
            0 => self.init(sequence, input),
            1 => self.apply(sequence, input),
            2 => self.rank(&input.items(items), &input.items(items)),
            3 => self.top(&input.items(items), usize::from(input.byte()) % 8),
            4 => self.rank_rows(&input.message(&self.bundle), &input.message(&self.bundle)),
            5 => self.inside(input),
            6 => {
                let history = input.items(items);
                profile(self.bundle, self.model, input, &history);
            }
            _ => self.running_plan(),
        }
    }

    /// Where memory may be too small, and a plan may be damaged.
    fn init(&mut self, sequence: u32, input: &mut Input<'_>) {
        let less = usize::from(input.byte() / 128) * usize::from(input.word());
        let plan = plan(&self.bundle, sequence, input);
        let room = self.len.saturating_sub(less);
        let (status, engine) = init(self.room, room, self.model, &plan, &self.options);
        let old = std::mem::replace(&mut self.engine, engine);
        match status {
            ChordStatus::Ok => (self.running, self.used) = (Some(plan.clone()), room),
            // The old one is there still, or it is none.
            _ if self.running.is_some() => {
                self.engine = old;
                let mut running = 0;
                match unsafe { chord_running_plan(old, &mut running) } {
                    ChordStatus::Ok => {}
                    ChordStatus::NotAnEngine => self.running = None,
                    status => panic!("{status:?}"),
                }
            }
            _ => self.engine = old,
        }
        if less == 0 && status != ChordStatus::UnknownOption {
            let parsed = Plan::parse(&plan);
            let expected = parsed.map_err(ChordStatus::from).and_then(|plan| self.rust(&plan, |_| Ok(())));
            assert_eq!(expected.err().unwrap_or(ChordStatus::Ok), status);
        }
    }

    fn apply(&mut self, sequence: u32, input: &mut Input<'_>) {
        // Older ones among them.
        let plan = plan(&self.bundle, sequence.saturating_sub(u32::from(input.byte() % 4)), input);
        let status = unsafe { chord_apply(self.engine, plan.as_ptr(), plan.len()) };
        let expected = self.expected(|engine| {
            // An error of its own for bytes that are no plan.
            Plan::parse(&plan).map_or_else(|error| Err(Error::Plan(error)), |plan| engine.apply(&plan))
        });
        assert_eq!(status, expected.err().unwrap_or(ChordStatus::Ok));
        if status == ChordStatus::Ok {
            self.running = Some(plan);
        }
    }

    fn rank(&self, history: &[u32], candidates: &[u32]) {
        let (mut ranked, mut logits) =
            (vec![Ranked::default(); candidates.len()], vec![0.0; candidates.len()]);
        let (h, c) = (history.as_ptr(), candidates.as_ptr());
        let status =
            unsafe { chord_rank(self.engine, h, history.len(), c, candidates.len(), ranked.as_mut_ptr()) };
        let expected = self.expected(|engine| {
            let mut ranked = vec![Ranked::default(); candidates.len()];
            engine.rank(history, candidates, &mut ranked).map(<[Ranked]>::to_vec)
        });
        assert_same(status, &ranked, expected);
        let status =
            unsafe { chord_score(self.engine, h, history.len(), c, candidates.len(), logits.as_mut_ptr()) };
        let expected = self.expected(|engine| {
            let mut logits = vec![0.0; candidates.len()];
            engine.score(history, candidates, &mut logits).map(<[f32]>::to_vec)
        });
        assert_same(status, &logits, expected);
    }

    fn top(&self, history: &[u32], len: usize) {
        let (mut best, mut count) = (vec![Ranked::default(); len], 77);
        let (h, to) = (history.as_ptr(), best.as_mut_ptr());
        let status = unsafe { chord_top(self.engine, h, history.len(), to, len, &mut count) };
        let expected = self.expected(|engine| {
            engine.top(history, &mut vec![Ranked::default(); len]).map(<[Ranked]>::to_vec)
        });
        assert_eq!(count > 0 && count <= len, status == ChordStatus::Ok);
        assert_same(status, best.get(..count).unwrap_or_default(), expected);
    }

    fn rank_rows(&self, history: &[u8], candidates: &[u8]) {
        let (mut ranked, mut count) = ([Ranked::default(); 31], 77);
        let (from, to) = ((history.as_ptr(), history.len()), (candidates.as_ptr(), candidates.len()));
        let status = unsafe {
            chord_rank_rows(self.engine, from.0, from.1, to.0, to.1, ranked.as_mut_ptr(), 31, &mut count)
        };
        let rows = |message| Embeddings::from(ItemRows::parse(message).expect("a message is valid"));
        let expected = self.expected(|engine| {
            let mut ranked = [Ranked::default(); 31];
            engine.rank_items(rows(history), rows(candidates), &mut ranked).map(<[Ranked]>::to_vec)
        });
        assert_same(status, ranked.get(..count).unwrap_or_default(), expected);
    }

    /// Input and output that lie in the engine's own memory.
    fn inside(&self, input: &mut Input<'_>) {
        if self.running.is_none() {
            return;
        }
        let place = usize::from(input.word()) % self.used;
        let inside = self.room.wrapping_add(place);
        let (word, other) = (inside.wrapping_add(inside.align_offset(8)).cast::<u32>(), [0, 1]);
        if word.addr() >= self.room.addr() + self.used {
            return;
        }
        let (engine, mut count) = (self.engine, 5);
        let mut ranked = [Ranked::default(); 2];
        let (to, ids) = (ranked.as_mut_ptr(), other.as_ptr());
        let statuses = unsafe {
            [
                chord_rank(engine, word, 1, ids, 2, to),
                chord_rank(engine, ids, 2, word, 1, to),
                chord_rank(engine, ids, 2, ids, 2, word.cast()),
                chord_score(engine, word, 1, ids, 2, &mut [0.0; 2][0]),
                chord_top(engine, word, 1, to, 2, &mut count),
                chord_top(engine, ids, 2, to, 2, word.cast()),
                chord_rank_rows(engine, inside, 1, ids.cast(), 2, to, 2, &mut count),
                chord_apply(engine, inside, 1),
                chord_running_plan(engine, word),
            ]
        };
        assert_eq!(statuses, [ChordStatus::Overlap; 9]);
    }

    fn running_plan(&self) {
        let mut sequence = 0;
        let status = unsafe { chord_running_plan(self.engine, &mut sequence) };
        let expected = self.expected(|engine| Ok(engine.plan().sequence));
        assert_same(status, &sequence, expected);
    }

    /// What an engine in Rust makes of the running plan.
    fn expected<T>(&self, call: impl FnOnce(&mut Engine<'_>) -> Result<T, Error>) -> Result<T, ChordStatus> {
        let none = if self.engine.is_null() { ChordStatus::NullPointer } else { ChordStatus::NotAnEngine };
        let plan = self.running.as_ref().ok_or(none)?;
        self.rust(&Plan::parse(plan).expect("a plan that runs is valid"), call)
    }

    fn rust<T>(
        &self,
        plan: &Plan<'_>,
        call: impl FnOnce(&mut Engine<'_>) -> Result<T, Error>,
    ) -> Result<T, ChordStatus> {
        let ChordOptions { max_history, rows_at_once, holding, max_budget, arithmetic } = self.options;
        let usual = Options::default();
        let options = Options {
            max_history: if max_history == 0 { usual.max_history } else { max_history },
            rows_at_once: if rows_at_once == 0 { usual.rows_at_once } else { rows_at_once },
            holding: if holding == 0 { Holding::InPlace } else { Holding::Packed },
            max_budget: (max_budget > 0).then_some(max_budget),
            arithmetic: if arithmetic == 0 { Arithmetic::Float } else { Arithmetic::Fixed },
        };
        let mut arena = vec![0x5a; Requirements::of(&self.bundle, &options).arena_bytes];
        let mut engine = Engine::new(self.bundle, plan, &mut arena, options)?;
        Ok(call(&mut engine)?)
    }
}

/// A plan with a byte changed, if at all.
fn plan(bundle: &Bundle<'_>, sequence: u32, input: &mut Input<'_>) -> Vec<u8> {
    let mut plan = input.plan(bundle, sequence);
    let (place, change) = (usize::from(input.byte()) % plan.len(), input.byte());
    plan[place] ^= if change < 64 { change } else { 0 };
    plan
}

fn init(
    room: *mut u8,
    len: usize,
    model: &[u8],
    plan: &[u8],
    options: &ChordOptions,
) -> (ChordStatus, *mut ChordEngine) {
    let mut engine = null_mut();
    let (of_model, of_plan) = (model.as_ptr(), plan.as_ptr());
    let status =
        unsafe { chord_init(room, len, of_model, model.len(), of_plan, plan.len(), options, &mut engine) };
    assert_eq!(engine.is_null(), status != ChordStatus::Ok);
    (status, engine)
}

fn assert_same<T: PartialEq + std::fmt::Debug + ?Sized>(
    status: ChordStatus,
    found: &T,
    expected: Result<impl std::borrow::Borrow<T>, ChordStatus>,
) {
    match expected {
        Ok(expected) => assert_eq!((status, found), (ChordStatus::Ok, expected.borrow())),
        Err(expected) => assert_eq!(status, expected),
    }
}

/// The message of a user who had the history, or what keeps it from being made.
fn profile(bundle: Bundle<'_>, model: &[u8], input: &mut Input<'_>, history: &[u32]) {
    let mut needed = ChordProfileRequirements { memory_bytes: 1, message_bytes: 1 };
    let (bytes, arithmetic) = (model.as_ptr(), input.byte() % 2);
    let status = unsafe { chord_profile_requirements(bytes, model.len(), &mut needed) };
    let Some(of_rust) = ProfileRequirements::of(&bundle) else {
        return assert_eq!((status, needed), (ChordStatus::NoProfile, ChordProfileRequirements::default()));
    };
    let (mut memory, mut profile) = (vec![0xa5; needed.memory_bytes], null_mut());
    let (room, len) = (memory.as_mut_ptr(), memory.len());
    let status =
        unsafe { chord_profile_init(room, len, bytes, model.len(), arithmetic.into(), &mut profile) };
    assert_eq!(status, ChordStatus::Ok);

    let mut arena = vec![0x5a; of_rust.arena_bytes];
    let arithmetic = [Arithmetic::Float, Arithmetic::Fixed][usize::from(arithmetic)];
    let mut expected =
        Profile::with_arithmetic(bundle, &mut arena, arithmetic).expect("the arena is large enough");
    for &item in history {
        let status = unsafe { chord_profile_append(profile, item) };
        assert_same(status, &(), expected.append(item).map_err(ChordStatus::from));
        let message = input.message(&bundle);
        let status = unsafe { chord_profile_append_rows(profile, message.as_ptr(), message.len()) };
        let rows = ItemRows::parse(&message).expect("a message is valid");
        assert_same(status, &(), expected.append_items(rows.into()).map_err(ChordStatus::from));
    }
    let (mut message, mut of_rust, mut len) =
        (vec![0; needed.message_bytes], vec![0; of_rust.embedding_bytes], 77);
    let (to, room) = (message.as_mut_ptr(), message.len());
    let status = unsafe { chord_profile_message(profile, to, room, &mut len) };
    let expected = expected.message(&mut of_rust).map_err(ChordStatus::from);
    assert_same(status, message.get(..len).unwrap_or_default(), expected);
}
