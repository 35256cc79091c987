//! All of the runtime, no messages: the profile encoder, a session, and candidates that came with the request. What is
//! looked through for panics beside `bare`.
#![no_std]
#![no_main]

use core::hint::black_box;

use chord_firmware::{ARENA, CANDIDATES, Error, HISTORY, MODEL, PLAN, PROFILE_ARENA, SESSION_ARENA, options};
use chord_plan::{Bundle, ItemRows, Plan};
use chord_runtime::{Embeddings, Engine, Profile, Ranked, Session};

chord_firmware::application!(all);

fn all() -> Result<(), Error> {
    let bundle = Bundle::parse(black_box(MODEL))?;
    let plan = Plan::parse(black_box(PLAN))?;
    // The plan is none, but who knows.
    let rows = ItemRows::parse(black_box(PLAN)).ok().filter(|rows| rows.check_against(&bundle).is_ok());
    let mut message = [0; 128];
    if bundle.manifest().profile.is_some() {
        let arena = PROFILE_ARENA.try_take().ok_or(Error::ArenaTaken)?;
        let mut profile = Profile::with_arithmetic(bundle, arena, black_box(options()).arithmetic)?;
        HISTORY.iter().try_for_each(|&item| profile.append(black_box(item)))?;
        black_box(profile.message(&mut message)?);
        if let Some(rows) = rows {
            _ = black_box(profile.append_items(rows.into()));
        }
        profile.clear();
    }

    let arena = ARENA.try_take().ok_or(Error::ArenaTaken)?;
    let mut engine = Engine::new(bundle, &plan, arena, black_box(options()))?;
    let ranges = [bundle.item_range(0)];
    let sent = Embeddings { codes: black_box(bundle.item_codes(0)), ranges: ranges[..].into() };
    let mut ranked = [Ranked::default(); CANDIDATES.len()];
    let mut logits = [0.0; CANDIDATES.len()];
    black_box(engine.rank_items(sent, sent, &mut ranked)?);
    black_box(engine.rank_items(&HISTORY[..], sent, &mut ranked)?);
    black_box(engine.score_items(sent, &CANDIDATES[..], &mut logits)?);
    black_box(engine.top_items::<3>(&HISTORY[..], sent)?);
    black_box(engine.top(&HISTORY, &mut ranked)?);

    let mut session = Session::new(engine, SESSION_ARENA.try_take().ok_or(Error::ArenaTaken)?)?;
    for item in HISTORY {
        session.append(black_box(item))?;
        black_box(session.rank(&CANDIDATES[..], &mut ranked)?);
    }
    session.apply(&plan)?;
    black_box(session.score(sent, &mut logits)?);
    black_box(session.top::<3>(&CANDIDATES[..])?);
    session.clear();
    if let Some(rows) = rows {
        _ = black_box(session.append_items(rows.into()));
        black_box(session.score(sent, &mut logits)?);
    }
    Ok(())
}
