//! Ranks one request on a Cortex-M4F and logs the result.
//!
//! The model lies in flash and is read there; all working memory is one static arena, sized by the build script.
//! Exits through semihosting: 0 if the ranking is logged, 1 on any error.
#![no_std]
#![no_main]

mod request;

use chord_plan::bundle::BundleError;
use chord_plan::plan::PlanError;
use chord_plan::{Bundle, Plan};
use chord_runtime::{Engine, Options, Ranked};
// Brings the critical section that defmt logs in.
use cortex_m as _;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS, ExitStatus};
use defmt_semihosting as _;
use request::{ARENA_BYTES, CANDIDATES, HISTORY, MODEL, PLAN};

#[derive(defmt::Format)]
enum Error {
    Model(BundleError),
    Plan(PlanError),
    Engine(chord_runtime::Error),
}

#[entry]
fn main() -> ! {
    static mut ARENA: [u8; ARENA_BYTES] = [0; ARENA_BYTES];
    match rank(ARENA) {
        Ok(()) => exit(EXIT_SUCCESS),
        Err(error) => {
            defmt::error!("{}", error);
            exit(EXIT_FAILURE)
        }
    }
}

fn rank(arena: &'static mut [u8]) -> Result<(), Error> {
    let bundle = Bundle::parse(&MODEL.0).map_err(Error::Model)?;
    let manifest = bundle.manifest();
    defmt::info!("model {=[u8]:02x} {}", bundle.model().0, manifest);
    defmt::info!("arena {=usize} bytes", arena.len());

    let plan = Plan::parse(PLAN).map_err(Error::Plan)?;
    let average = plan.kept_bits(manifest) as f32 / manifest.quantised_weights() as f32;
    defmt::info!("plan {=u32}, {=f32} bits per weight", plan.header().sequence, average);

    let mut engine = Engine::new(bundle, &plan, arena, Options::default()).map_err(Error::Engine)?;
    let mut ranked = [Ranked::default(); CANDIDATES.len()];
    let ranked = engine.rank(&HISTORY, &CANDIDATES, &mut ranked).map_err(Error::Engine)?;
    for (place, Ranked { item, logit }) in (1u32..).zip(ranked) {
        defmt::info!(
            "rank {=u32} item {=u32} logit {=u32:08x} {=f32}",
            place,
            *item,
            logit.to_bits(),
            *logit
        );
    }
    Ok(())
}

fn exit(status: ExitStatus) -> ! {
    loop {
        debug::exit(status);
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    defmt::error!("{}", defmt::Display2Format(info));
    exit(EXIT_FAILURE)
}

/// Without this a fault, a stack overflow say, would loop for ever.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!("hard fault at {=u32:08x}", frame.pc());
    exit(EXIT_FAILURE)
}
