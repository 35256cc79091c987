//! Times training steps on random sequences of full length: for each number of steps read from standard input, one
//! line of JSON with the milliseconds of each step. See benches/torch.

use chord_trainer::config;
use chord_trainer::data::{HeldOut, Sequences};
use chord_trainer::device::{self, DeviceName};
use chord_trainer::hypernetwork::Channels;
use chord_trainer::model::chord::{Chord, Precision, allocator};
use chord_trainer::training::adam::Adam;
use chord_trainer::training::batches::Window;
use chord_trainer::training::step::{StepContext, mix};
use clap::{Parser, ValueEnum};
use std::time::Instant;

/// As in the `chord` command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    /// Items of the catalogue
    #[arg(long, default_value_t = 1700)]
    items: u32,
    /// What is trained
    #[arg(long, value_enum, default_value_t = Stage::Fp32)]
    stage: Stage,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    device: DeviceName,
    /// Override a knob
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stage {
    Fp32,
    Static,
    Personal,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let config = config::load(None, &arguments.set)?;
    let device = device::open(arguments.device)?;
    let precision = match arguments.stage {
        Stage::Fp32 => Precision::Fp32,
        Stage::Static => Precision::Static,
        Stage::Personal => Precision::Personal,
    };
    // One user for each window of a step: as many inputs as a window has, the last target, and the two held out.
    let (batch, length) = (config.train.batch, config.training_window() + 1);
    let random = |at: usize| (mix(&[at as u64]) % u64::from(arguments.items)) as u32;
    let user = |user: usize| (0..length + 2).map(|t| random(user * (length + 2) + t)).collect::<Vec<_>>();
    let sequences: Sequences = (0..4 * batch).map(user).collect();
    let data = HeldOut::new(&sequences);
    let windows: Vec<Window> = (0..4 * batch).map(|user| Window { user, start: 0, end: length }).collect();

    let deviations = config.quantisation.range_deviations;
    let model = Chord::new(&config, arguments.items, &device);
    let backbone = model.backbone.clone().map_layers(|layer| layer.initialise_ranges(deviations));
    let mut model = Chord { backbone, ..model }.learning(precision, &config.train);
    let allocator = allocator(&config, precision, &Channels::of(&model.backbone));
    let context = StepContext {
        config: &config,
        data: &data,
        precision,
        allocator: &allocator,
        device: &device,
        teacher: None,
        sensitivities: None,
    };
    let mut adam = Adam::default();
    for line in std::io::stdin().lines() {
        let mut milliseconds = Vec::new();
        let mut loss = 0.0;
        for _ in 0..line?.trim().parse()? {
            let number = adam.steps;
            let batch = windows.chunks(batch).nth(number as usize % 4).expect("four of them");
            let began = Instant::now();
            let (next, found) = context.step(model, &mut adam, batch, number, 1e-3)?;
            milliseconds.push(began.elapsed().as_secs_f64() * 1e3);
            model = next;
            loss = found.sum / found.positions as f64;
        }
        let trained: usize = adam.moments.values().map(|moments| moments.first.dims()[0]).sum();
        println!("{}", serde_json::json!({ "ms": milliseconds, "loss": loss, "trained": trained }));
    }
    Ok(())
}
