//! A new plan and a ranking, in place and packed, and one interaction if the model has a profile encoder: each between
//! the marks that the plugin in benches/insn-count knows. No messages; the regions come in this order. The arena is made
//! for packed plans (feature `packed`).
#![no_std]
#![no_main]

use core::arch::asm;
use core::hint::black_box;

use chord_firmware::{ARENA, CANDIDATES, Error, HISTORY, MODEL, PLAN, PROFILE_ARENA, options};
use chord_plan::{Bundle, Plan};
use chord_runtime::{Engine, Holding, Options, Profile, Ranked};

chord_firmware::application!(count);

// A Cortex-M0+ has no such hint, but the Cortex-M3 that runs its code has.
#[cfg(target_arch = "arm")]
macro_rules! mark {
    ($number:literal) => {
        concat!(".short 0xf3af, 0x80", $number)
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! mark {
    ($number:literal) => {
        concat!("hint #0x", $number)
    };
}
#[cfg(target_arch = "riscv32")]
macro_rules! mark {
    ($number:literal) => {
        concat!("slti x0, x0, 0x", $number)
    };
}

/// Calls `region` between the marks.
#[inline(always)]
fn counted<T>(region: impl FnOnce() -> T) -> T {
    // SAFETY: a hint without a meaning, which cores execute as a nop.
    unsafe { asm!(mark!("40"), options(nomem, nostack, preserves_flags)) };
    let result = region();
    // SAFETY: as above.
    unsafe { asm!(mark!("41"), options(nomem, nostack, preserves_flags)) };
    result
}

fn count() -> Result<(), Error> {
    let bundle = Bundle::parse_trusted(black_box(MODEL))?;
    let arena = ARENA.try_take().ok_or(Error::ArenaTaken)?;
    for holding in [Holding::InPlace, Holding::Packed] {
        let options = Options { holding, ..options() };
        let mut engine = Engine::new(bundle, &Plan::parse(PLAN)?, arena, black_box(options))?;
        counted(|| -> Result<(), Error> { Ok(engine.apply(&Plan::parse(black_box(PLAN))?)?) })?;
        let mut ranked = [Ranked::default(); CANDIDATES.len()];
        counted(|| engine.rank(&HISTORY, &CANDIDATES, &mut ranked).map(|ranked| _ = black_box(ranked)))?;
    }
    if bundle.manifest().profile.is_some() {
        let mut profile = Profile::new(bundle, PROFILE_ARENA.try_take().ok_or(Error::ArenaTaken)?)?;
        for &item in &HISTORY[1..] {
            profile.append(item)?;
        }
        counted(|| profile.append(black_box(HISTORY[0])))?;
    }
    Ok(())
}
