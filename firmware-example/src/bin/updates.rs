//! Ranks all the time, and takes plans that come over the UART meanwhile.
//!
//! A plan comes as one frame: the plan's bytes in COBS, then a 0. To each frame comes one line of text, `taken` or
//! `refused` and why; a refused plan leaves the running one. At most two frames may be under way without an answer: so
//! much the ring holds.
#![no_std]
#![no_main]

use core::fmt::{self, Write};

use chord_firmware::frames::{FRAME_BYTES, FrameError, Frames};
use chord_firmware::uart::Uart;
use chord_firmware::{ARENA, CANDIDATES, Error, HISTORY, MODEL, PLAN, log, options};
use chord_plan::plan::PlanError;
use chord_plan::{Bundle, Plan};
use chord_runtime::{Engine, Ranked};
use heapless::spsc::Queue;
use static_cell::ConstStaticCell;

chord_firmware::application!(updates);

/// Two frames with their ends, and the place that a full ring leaves empty.
static RING: ConstStaticCell<Queue<u8, { 2 * (FRAME_BYTES + 1) + 1 }>> = ConstStaticCell::new(Queue::new());

/// Why the running plan stays.
#[derive(chord_firmware::defmt::Format)]
#[defmt(crate = chord_firmware::defmt)]
enum Refusal {
    Frame(FrameError),
    Plan(PlanError),
    Engine(chord_runtime::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::Engine(error) => error.fmt(f),
        }
    }
}

fn updates() -> Result<(), Error> {
    let arena = ARENA.try_take().ok_or(Error::ArenaTaken)?;
    let mut engine = Engine::new(Bundle::parse(MODEL)?, &Plan::parse(PLAN)?, arena, options())?;
    log!(info, "{}", engine);
    let mut uart = Uart::start(RING.try_take().ok_or(Error::ArenaTaken)?);
    let mut frames = Frames::default();
    let mut ranked = [Ranked::default(); CANDIDATES.len()];
    let (mut rankings, mut meanwhile) = (0u32, 0u32);
    let mut answer = Some(Ok(()));
    loop {
        let before = uart.received();
        let best = engine.rank(&HISTORY, &CANDIDATES, &mut ranked)?;
        meanwhile = meanwhile.wrapping_add(uart.received().wrapping_sub(before));
        rankings = rankings.wrapping_add(1);
        if let Some(outcome) = answer.take() {
            let sequence = engine.plan().sequence;
            report(&mut uart, &outcome, sequence, best);
            log!(info, "{} rankings, {} bytes came meanwhile", rankings, meanwhile);
        }
        while let Some(byte) = uart.read() {
            if let Some(frame) = frames.push(byte) {
                answer = Some(frame.map_err(Refusal::Frame).and_then(|bytes| apply(&mut engine, bytes)));
                break;
            }
        }
    }
}

/// One line: whether the plan was taken, what runs now and how it ranks, whether bytes were lost.
fn report(uart: &mut Uart, outcome: &Result<(), Refusal>, sequence: u32, best: &[Ranked]) {
    // Writing to this UART does not fail.
    let _ = match outcome {
        Ok(()) => write!(uart, "taken"),
        Err(refusal) => write!(uart, "refused: {refusal}"),
    };
    match outcome {
        Ok(()) => log!(info, "plan {} runs", sequence),
        Err(refusal) => log!(info, "refused: {}", refusal),
    }
    let _ = write!(uart, "; plan {sequence} ranks");
    for Ranked { item, logit } in best.iter().take(3) {
        let _ = write!(uart, " {item} ({:08x})", logit.to_bits());
    }
    let (received, lost) = (uart.received(), uart.lost());
    let _ = writeln!(uart, "; {received} bytes came, {lost} were lost");
}

fn apply(engine: &mut Engine<'_>, bytes: &[u8]) -> Result<(), Refusal> {
    let plan = Plan::parse(bytes).map_err(Refusal::Plan)?;
    engine.apply(&plan).map_err(Refusal::Engine)
}
