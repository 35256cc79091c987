//! The runtime and nothing else: ranks one request, no messages. What is measured for its size and for panics.
#![no_std]
#![no_main]

use core::hint::black_box;

use chord_firmware::{ARENA, CANDIDATES, Error, HISTORY, MODEL, PLAN, options};
use chord_plan::{Bundle, Plan};
use chord_runtime::{Engine, Ranked};

chord_firmware::application!(rerank);

fn rerank() -> Result<(), Error> {
    let arena = ARENA.try_take().ok_or(Error::ArenaTaken)?;
    let bundle = Bundle::parse(black_box(MODEL))?;
    let plan = Plan::parse(black_box(PLAN))?;
    let mut engine = Engine::new(bundle, &plan, arena, black_box(options()))?;
    let mut ranked = [Ranked::default(); CANDIDATES.len()];
    black_box(engine.rank(&HISTORY, &CANDIDATES, &mut ranked)?);
    Ok(())
}
