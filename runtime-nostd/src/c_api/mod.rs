//! The C interface (`docs/c-api.md`): the functions of `c-api/include/chord.h`.
//!
//! Beside the kernels the only place with unsafe code: pointers come from C. Whatever can be checked of them is (null,
//! alignment, length, overlap, an engine or a profile that is none or at work) and is a [`ChordStatus`], never undefined
//! behaviour.
#![allow(unsafe_code)]

mod memory;
mod object;
mod profile;
mod status;

use core::ffi::c_char;

use chord_plan::{Bundle, ItemRows, Plan};

use self::memory::{Region, apart, input, output};
use self::object::InUse;
pub use self::object::{ChordEngine, ChordProfile};
pub use self::profile::*;
pub use self::status::{ChordStatus, chord_status_name};
use crate::{Arithmetic, Embeddings, Engine, Holding, Options, Ranked, Requirements};

/// What a caller may trade memory for; all zeros is the default.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChordOptions {
    /// Longest history to look at, in items; 0 for the model's window.
    pub max_history: usize,
    /// Tokens that go through a layer together; 0 for the usual number.
    pub rows_at_once: usize,
    /// 0 to read the model in place, 1 to pack the plan's bits into the engine's memory: more RAM, less time.
    pub holding: u32,
    /// The largest average of bits per weight, in 1/1000, of plans to be packed: less needs less memory, and a plan beyond
    /// is refused; 0 for any plan.
    pub max_budget: u16,
    /// 0 for that of docs/numerics.md, 1 for fixed point (docs/fixed-point.md), which a library built with the feature
    /// `fixed-point` has, for `holding` 0: other results, for cores without an FPU.
    pub arithmetic: u16,
}

/// Memory for one engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChordRequirements {
    /// Length in bytes of what `chord_init` takes as memory, at any alignment.
    pub memory_bytes: usize,
    /// Longest plan for this model, in bytes.
    pub plan_bytes: usize,
}

/// Version of this library, `"0.1.0"` say.
#[unsafe(no_mangle)]
pub extern "C" fn chord_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// How much memory an engine for the bundle takes; null `options` are the default ones.
///
/// Looks at the bundle's structure only: `chord_init` checks the rest. On an error `requirements` are 0.
///
/// # Safety
/// Pointers that are not null are those of as much memory as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_requirements(
    bundle: *const u8,
    bundle_len: usize,
    options: *const ChordOptions,
    requirements: *mut ChordRequirements,
) -> ChordStatus {
    status(|| {
        let written = Region::of(requirements, 1)?;
        apart(written, &[Region::of(bundle, bundle_len), Region::of(options, 1)])?;
        // SAFETY: the caller's contract; what is written lies apart from what is read.
        let (bundle, options) = unsafe {
            requirements.write(ChordRequirements::default());
            (input(bundle, bundle_len)?, self::options(options)?)
        };
        let bundle = Bundle::parse_trusted(bundle)?;
        let Requirements { arena_bytes, plan_bytes } = Requirements::of(&bundle, &options);
        let memory_bytes = object::memory_bytes::<ChordEngine>(arena_bytes);
        // SAFETY: as above.
        unsafe { requirements.write(ChordRequirements { memory_bytes, plan_bytes }) };
        Ok(())
    })
}

/// Makes an engine in `memory`, with a plan; null `options` are the default ones. `engine` gets its address, null on an
/// error.
///
/// Takes time linear in the length of the bundle, which it checks completely. The plan is copied. An engine or a profile
/// that lay in `memory` may be none after an error either.
///
/// # Safety
/// Pointers that are not null are those of as much memory as is said. As long as the engine is used, `bundle` stays
/// unchanged and nothing but the engine uses `memory`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_init(
    memory: *mut u8,
    memory_len: usize,
    bundle: *const u8,
    bundle_len: usize,
    plan: *const u8,
    plan_len: usize,
    options: *const ChordOptions,
    engine: *mut *mut ChordEngine,
) -> ChordStatus {
    status(|| {
        let (written, room) = (Region::of(engine, 1)?, Region::of(memory, memory_len));
        let read = [Region::of(bundle, bundle_len), Region::of(plan, plan_len), Region::of(options, 1)];
        apart(written, &read)?;
        apart(written, &[room])?;
        // SAFETY: the caller's contract; what is written lies apart from what is read.
        unsafe { engine.write(core::ptr::null_mut()) };
        apart(room?, &read)?;
        // SAFETY: as above.
        let (bundle, plan, options) =
            unsafe { (input(bundle, bundle_len)?, input(plan, plan_len)?, self::options(options)?) };
        let (bundle, plan) = (Bundle::parse(bundle)?, Plan::parse(plan)?);
        // SAFETY: as above.
        unsafe {
            let made = object::place(memory, memory_len, |arena| Engine::new(bundle, &plan, arena, options))?;
            engine.write(made);
        }
        Ok(())
    })
}

/// Takes a new plan in place of the running one, which on an error stays. The plan is copied.
///
/// One with the running plan's sequence number is taken, an older one is not.
///
/// # Safety
/// As for all calls on an engine: `engine` is from `chord_init`, whose conditions hold; other pointers that are not
/// null are those of as much memory as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_apply(
    engine: *mut ChordEngine,
    plan: *const u8,
    plan_len: usize,
) -> ChordStatus {
    status(|| {
        // SAFETY: the caller's contract.
        let mut engine = unsafe { InUse::take(engine)? };
        apart(engine.memory(), &[Region::of(plan, plan_len)])?;
        // SAFETY: the caller's contract.
        let plan = Plan::parse(unsafe { input(plan, plan_len)? })?;
        Ok(engine.apply(&plan)?)
    })
}

/// Sequence number of the running plan.
///
/// # Safety
/// As `chord_apply`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_running_plan(engine: *mut ChordEngine, sequence: *mut u32) -> ChordStatus {
    status(|| {
        // SAFETY: the caller's contract.
        let engine = unsafe { InUse::take(engine)? };
        apart(Region::of(sequence, 1)?, &[Ok(engine.memory())])?;
        // SAFETY: checked; the caller's contract.
        unsafe { sequence.write(engine.plan().sequence) };
        Ok(())
    })
}

/// Logits of `candidates` for a history with the newest item last, in the candidates' order.
///
/// `logits` has room for as many as there are candidates. Items are rows of the bundle, from 0. On an error `logits`
/// may hold anything.
///
/// # Safety
/// As `chord_apply`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_score(
    engine: *mut ChordEngine,
    history: *const u32,
    history_len: usize,
    candidates: *const u32,
    candidates_len: usize,
    logits: *mut f32,
) -> ChordStatus {
    status(|| {
        // SAFETY: the caller's contract.
        let mut engine = unsafe { InUse::take(engine)? };
        let read = [Region::of(history, history_len), Region::of(candidates, candidates_len)];
        apart(engine.memory(), &read)?;
        apart(Region::of(logits, candidates_len)?, &[read[0], read[1], Ok(engine.memory())])?;
        // SAFETY: the caller's contract; what is written lies apart from what is read.
        let (history, candidates, logits) = unsafe {
            (
                input(history, history_len)?,
                input(candidates, candidates_len)?,
                output(logits, candidates_len)?,
            )
        };
        engine.score(history, candidates, logits)?;
        Ok(())
    })
}

/// `candidates` with their logits, best first: larger logit, then smaller item.
///
/// `ranked` has room for as many as there are candidates. All else as `chord_score`.
///
/// # Safety
/// As `chord_apply`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_rank(
    engine: *mut ChordEngine,
    history: *const u32,
    history_len: usize,
    candidates: *const u32,
    candidates_len: usize,
    ranked: *mut Ranked,
) -> ChordStatus {
    status(|| {
        // SAFETY: the caller's contract.
        let mut engine = unsafe { InUse::take(engine)? };
        let read = [Region::of(history, history_len), Region::of(candidates, candidates_len)];
        apart(engine.memory(), &read)?;
        apart(Region::of(ranked, candidates_len)?, &[read[0], read[1], Ok(engine.memory())])?;
        // SAFETY: the caller's contract; what is written lies apart from what is read.
        let (history, candidates, ranked) = unsafe {
            (
                input(history, history_len)?,
                input(candidates, candidates_len)?,
                output(ranked, candidates_len)?,
            )
        };
        engine.rank(history, candidates, ranked)?;
        Ok(())
    })
}

/// The best items of the whole catalogue, best first: at most `best_len`. `count` gets how many, 0 on an error.
///
/// # Safety
/// As `chord_apply`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_top(
    engine: *mut ChordEngine,
    history: *const u32,
    history_len: usize,
    best: *mut Ranked,
    best_len: usize,
    count: *mut usize,
) -> ChordStatus {
    status(|| {
        // SAFETY: the caller's contract.
        let mut engine = unsafe { InUse::take(engine)? };
        let counted = Region::of(count, 1)?;
        let read = [Ok(engine.memory()), Region::of(history, history_len)];
        apart(counted, &read)?;
        // SAFETY: checked; the caller's contract.
        unsafe { count.write(0) };
        apart(engine.memory(), &read[1..])?;
        apart(Region::of(best, best_len)?, &[read[0], read[1], Ok(counted)])?;
        // SAFETY: the caller's contract; what is written lies apart from what is read.
        let (history, best) = unsafe { (input(history, history_len)?, output(best, best_len)?) };
        let found = engine.top(history, best)?.len();
        // SAFETY: as above.
        unsafe { count.write(found) };
        Ok(())
    })
}

/// As `chord_rank`, for a history and candidates that came as messages with item rows (docs/format.md), which a bundle
/// without item table asks for. An item is called by its place among the candidates, from 0.
///
/// `ranked` has room for `ranked_len`, at least as many as there are candidates. `count` gets how many there are, 0 on
/// an error. The messages may lie at any alignment; they are free after the call.
///
/// # Safety
/// As `chord_apply`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chord_rank_rows(
    engine: *mut ChordEngine,
    history: *const u8,
    history_len: usize,
    candidates: *const u8,
    candidates_len: usize,
    ranked: *mut Ranked,
    ranked_len: usize,
    count: *mut usize,
) -> ChordStatus {
    status(|| {
        // SAFETY: the caller's contract.
        let mut engine = unsafe { InUse::take(engine)? };
        let counted = Region::of(count, 1)?;
        let [memory, from] = [Ok(engine.memory()), Region::of(history, history_len)];
        let read = [memory, from, Region::of(candidates, candidates_len), Ok(counted)];
        apart(counted, &read[..3])?;
        // SAFETY: checked; the caller's contract.
        unsafe { count.write(0) };
        apart(engine.memory(), &read[1..3])?;
        apart(Region::of(ranked, ranked_len)?, &read)?;
        // SAFETY: the caller's contract; what is written lies apart from what is read.
        let (history, candidates, ranked) = unsafe {
            (input(history, history_len)?, input(candidates, candidates_len)?, output(ranked, ranked_len)?)
        };
        let [history, candidates] = [history, candidates].map(|rows| item_rows(rows, engine.bundle()));
        let (history, candidates) = (history?, candidates?);
        let found = engine.rank_items(history, candidates, ranked)?.len();
        // SAFETY: as above.
        unsafe { count.write(found) };
        Ok(())
    })
}

fn status(call: impl FnOnce() -> Result<(), ChordStatus>) -> ChordStatus {
    call().err().unwrap_or(ChordStatus::Ok)
}

/// A message with item rows for the bundle.
fn item_rows<'r>(message: &'r [u8], bundle: &Bundle<'_>) -> Result<Embeddings<'r>, ChordStatus> {
    let rows = ItemRows::parse(message)?;
    rows.check_against(bundle)?;
    Ok(rows.into())
}

/// Options from C.
///
/// # Safety
/// `options` are null, misaligned or can be read.
unsafe fn options(options: *const ChordOptions) -> Result<Options, ChordStatus> {
    let mut result = Options::default();
    if options.is_null() {
        return Ok(result);
    }
    Region::of(options, 1)?;
    // SAFETY: not null, aligned, the caller's contract; any bits are such numbers.
    let ChordOptions { max_history, rows_at_once, holding, max_budget, arithmetic } =
        unsafe { options.read() };
    if max_history != 0 {
        result.max_history = max_history;
    }
    if rows_at_once != 0 {
        result.rows_at_once = rows_at_once;
    }
    if max_budget != 0 {
        result.max_budget = Some(max_budget);
    }
    result.holding = match holding {
        0 => Holding::InPlace,
        1 => Holding::Packed,
        _ => return Err(ChordStatus::UnknownOption),
    };
    result.arithmetic = self::arithmetic(arithmetic)?;
    if result.arithmetic != Arithmetic::Float && result.holding != Holding::InPlace {
        return Err(ChordStatus::UnknownOption);
    }
    Ok(result)
}

/// An arithmetic from C.
fn arithmetic(arithmetic: u16) -> Result<Arithmetic, ChordStatus> {
    match arithmetic {
        0 => Ok(Arithmetic::Float),
        #[cfg(feature = "fixed-point")]
        1 => Ok(Arithmetic::Fixed),
        _ => Err(ChordStatus::UnknownOption),
    }
}
