//! A model trained on the spot, small enough for debug builds.

use std::path::Path;

use chord_trainer::config::{self, Config};
use chord_trainer::data::{HeldOut, Sequences};
use chord_trainer::model::chord::{Chord, Precision};
use chord_trainer::tensor::{Backend, Device};
use chord_trainer::training::pipeline;

/// Items of [`sequences`].
pub const ITEMS: u32 = 300;

/// Ninety users who walk round a ring of items, each at a pace of their own.
pub fn sequences() -> Sequences {
    let walk = |user: u32| (0..25).map(|t| (user * 17 + t * (1 + user % 4)) % ITEMS).collect::<Vec<_>>();
    let walks: Vec<Vec<u32>> = (0..90).map(walk).collect();
    walks.iter().map(Vec::as_slice).collect()
}

/// A small configuration.
///
/// # Panics
/// If its knobs are out of date.
pub fn config() -> Config {
    let set = [
        "model.dim=32",
        "model.inner=48",
        "model.window=12",
        "profile.hidden=16",
        "train.batch=16",
        "train.uniform.widths=[]",
        "train.fp32.epochs=12",
        "train.static.epochs=3",
        "train.personal.epochs=2",
        "train.personal.learning_rate=2e-2",
    ];
    config::load(None, &set.map(String::from)).expect("the knobs exist")
}

/// The CPU, with backpropagation.
pub fn device() -> Device {
    Device::autodiff(Device::Flex(Default::default()))
}

/// Trains all stages in `run`; the model with personal plans.
///
/// # Panics
/// If training fails.
pub fn train(config: &Config, run: &Path) -> Chord<Backend> {
    let sequences = sequences();
    let data = HeldOut::new(&sequences);
    let stages = pipeline::needed(Precision::Personal);
    pipeline::train(config, &data, ITEMS, &device(), run, &stages).expect("training succeeds");
    pipeline::load(config, ITEMS, &device(), run, Precision::Personal).expect("the last stage is finished")
}
