//! What training costs: `cargo run --release --package chord-trainer --example bench -- growth|memory|loading|steps`.
//! Results are committed under `benches/training/`; `steps` is the side of CHORD in `benches/torch/`.

mod growth;
mod growth_plot;
mod loading;
mod memory;
mod steps;
mod workload;

use chord_trainer::provenance::Provenance;
use clap::Parser;

/// As in the `chord` command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
enum Bench {
    /// Time of a step by items, users and channels: a table and a plot
    Growth(growth::Growth),
    /// Memory of the process after every epoch of every stage, and the share of time that batches take
    Memory(memory::Memory),
    /// Seconds to read many interactions, and to map them the second time
    Loading(loading::Loading),
    /// Milliseconds of steps, as many as each line of standard input says
    Steps(steps::Steps),
}

fn main() -> anyhow::Result<()> {
    match Bench::parse() {
        Bench::Growth(bench) => bench.run(),
        Bench::Memory(bench) => bench.run(),
        Bench::Loading(bench) => bench.run(),
        Bench::Steps(bench) => bench.run(),
    }
}

/// Where a result comes from, and the processors that other work had left: load over the last minute.
fn origin() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!("{}; load {load}.", Provenance::here())
}
