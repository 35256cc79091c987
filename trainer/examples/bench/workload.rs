//! Training steps on random sequences of full length.

use chord_trainer::config::Config;
use chord_trainer::data::{HeldOut, Sequences};
use chord_trainer::hypernetwork::Channels;
use chord_trainer::model::chord::{Chord, Precision, allocator};
use chord_trainer::random::mix;
use chord_trainer::tensor::Device;
use chord_trainer::training::adam::Adam;
use chord_trainer::training::batches::Window;
use chord_trainer::training::step::StepContext;
use clap::ValueEnum;
use cpu_time::ProcessTime;
use std::time::Instant;

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Stage {
    Fp32,
    Static,
    Personal,
}

impl Stage {
    fn precision(self) -> Precision {
        match self {
            Self::Fp32 => Precision::Fp32,
            Self::Static => Precision::Static,
            Self::Personal => Precision::Personal,
        }
    }
}

/// One step.
pub(crate) struct Step {
    pub(crate) milliseconds: f64,
    /// Of all threads together: what other work on the machine changes little.
    pub(crate) cpu_milliseconds: f64,
    /// Mean over the positions.
    pub(crate) loss: f64,
}

/// One user for each window: as many inputs as a window has, the last target, and the two held out.
pub(crate) fn sequences(config: &Config, items: u32, users: usize) -> Sequences {
    let length = config.training_window() + 3;
    let random = |at: usize| (mix(&[at as u64]) % u64::from(items)) as u32;
    (0..users).map(|user| (0..length).map(|t| random(user * length + t)).collect::<Vec<_>>()).collect()
}

/// Takes steps as long as `wants` says so, which sees all so far and the number of parameters that learnt.
pub(crate) fn train(
    config: &Config,
    items: u32,
    sequences: &Sequences,
    stage: Stage,
    device: &Device,
    mut wants: impl FnMut(&[Step], usize) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let (data, precision) = (HeldOut::new(sequences), stage.precision());
    let batch = config.train.batch;
    let batches = data.users() / batch;
    let deviations = config.quantisation.range_deviations;
    let model = Chord::new(config, items, device);
    let backbone = model.backbone.clone().map_layers(|layer| layer.initialise_ranges(deviations));
    let mut model = Chord { backbone, ..model }.learning(precision, &config.train);
    let allocator = allocator(config, precision, &Channels::of(&model.backbone));
    let context = StepContext {
        config,
        data: &data,
        precision,
        allocator: &allocator,
        device,
        teacher: None,
        sensitivities: None,
    };
    let mut adam = Adam::default().configured(&config.train);
    let mut steps = Vec::new();
    let learnt = |adam: &Adam| adam.moments.values().map(|moments| moments.first.dims()[0]).sum();
    while wants(&steps, learnt(&adam))? {
        let number = adam.steps;
        // Users from everywhere, as in a shuffled epoch.
        let user = |at: usize| at * batches + (mix(&[number]) % batches as u64) as usize;
        let windows: Vec<Window> = (0..batch)
            .map(|at| Window { user: user(at), start: 0, end: config.training_window() + 1 })
            .collect();
        let (began, cpu) = (Instant::now(), ProcessTime::now());
        let (next, found) = context.step(model, &mut adam, &windows, number, 1e-3)?;
        let milliseconds = began.elapsed().as_secs_f64() * 1e3;
        let cpu_milliseconds = cpu.elapsed().as_secs_f64() * 1e3;
        model = next;
        let loss = found.sum / found.positions as f64;
        steps.push(Step { milliseconds, cpu_milliseconds, loss });
    }
    Ok(())
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
