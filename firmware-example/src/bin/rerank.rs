//! Ranks one request and logs the result, then the user embedding of its history, if the model encodes profiles.
//!
//! The model lies in flash and is read there; all working memory is one static arena, sized by the build script.
#![no_std]
#![no_main]

use chord_firmware::{
    ARENA, CANDIDATES, Error, HISTORY, MODEL, PLAN, PROFILE_ARENA, decimal, log, options, stack,
};
use chord_plan::{Bundle, Plan};
use chord_runtime::{Engine, Profile, Ranked};

chord_firmware::application!(rerank);

fn rerank() -> Result<(), Error> {
    let arena = ARENA.try_take().ok_or(Error::ArenaTaken)?;
    let (bundle, parse_stack) = stack::measure(|| Bundle::parse(MODEL));
    let bundle = bundle?;
    let manifest = bundle.manifest();
    let model = u64::from_be_bytes(bundle.model().0);
    log!(info, "model {:016x}, {} bytes, {} channels", model, MODEL.len(), manifest.channels());

    let plan = Plan::parse(PLAN)?;
    let bits = 1000 * plan.kept_bits(manifest) / manifest.quantised_weights();
    log!(
        info,
        "plan {}, {} bytes, {}.{:03} bits per weight",
        plan.header().sequence,
        PLAN.len(),
        bits / 1000,
        bits % 1000
    );

    log!(info, "arena {} bytes", arena.len());
    let mut ranked = [Ranked::default(); CANDIDATES.len()];
    let (ranked, rank_stack) = stack::measure(|| {
        let mut engine = Engine::new(bundle, &plan, arena, options())?;
        engine.rank(&HISTORY, &CANDIDATES, &mut ranked)
    });
    for (place, &Ranked { item, logit }) in (1u32..).zip(ranked?) {
        let (sign, whole, thousandths) = decimal(logit);
        log!(
            info,
            "rank {} item {} logit {:08x} {}{}.{:03}",
            place,
            item,
            logit.to_bits(),
            sign,
            whole,
            thousandths
        );
    }
    let (embedded, profile_stack) = stack::measure(|| match manifest.profile {
        Some(_) => embed(bundle),
        None => Ok(()),
    });
    embedded?;
    log!(
        info,
        "stack {} bytes, {} to check the model, {} to encode the profile",
        rank_stack,
        parse_stack,
        profile_stack
    );
    Ok(())
}

fn embed(bundle: Bundle<'_>) -> Result<(), Error> {
    let arena = PROFILE_ARENA.try_take().ok_or(Error::ArenaTaken)?;
    let mut profile = Profile::with_arithmetic(bundle, arena, options().arithmetic)?;
    HISTORY.iter().try_for_each(|&item| profile.append(item))?;
    for (place, x) in (0u32..).zip(profile.embedding()?) {
        log!(info, "user {} {:08x}", place, x.to_bits());
    }
    Ok(())
}
