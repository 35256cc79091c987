//! All stages of a run in order.

use super::metrics_log::MetricsLog;
use super::stage::{Stage, TrainingError, finished};
use crate::config::Config;
use crate::data::LeaveOneOut;
use crate::model::chord::{Chord, Precision};
use crate::tensor::{Backend, Device};
use burn::module::Module;
use std::path::Path;

/// The stages of a configuration, in order: full precision, uniform baselines, static, personal.
pub fn stages(config: &Config) -> Vec<Precision> {
    let uniform = config.train.uniform.widths.iter().map(|&bits| Precision::Uniform(bits));
    [Precision::Fp32].into_iter().chain(uniform).chain([Precision::Static, Precision::Personal]).collect()
}

/// Trains every stage that is not finished. Uniform baselines and static mixed precision both start from full
/// precision with fresh ranges; the personal stage starts from static.
///
/// # Errors
/// As [`Stage::train`].
pub fn train(
    config: &Config,
    data: &LeaveOneOut,
    items: u32,
    device: &Device,
    run: &Path,
) -> Result<(), TrainingError> {
    let mut log = MetricsLog::open(run)?;
    let stage = |precision| Stage { config, data, device, run, precision };
    let fp32 = stage(Precision::Fp32).train(Chord::new(config, items, device), &mut log)?;
    let deviations = config.quantisation.range_deviations;
    let ranged =
        Chord { backbone: fp32.backbone.clone().map_layers(|l| l.initialise_ranges(deviations)), ..fp32 };
    let mut last = ranged.clone();
    for precision in stages(config).into_iter().skip(1) {
        let start = match precision {
            Precision::Personal => last,
            _ => ranged.clone(),
        };
        last = stage(precision).train(start, &mut log)?;
    }
    Ok(())
}

/// The trained model of a stage.
///
/// # Errors
/// If the stage is not finished or its file does not fit the configuration.
pub fn load(
    config: &Config,
    items: u32,
    device: &Device,
    run: &Path,
    precision: Precision,
) -> Result<Chord<Backend>, TrainingError> {
    let blank = Chord::new(config, items, device).no_grad();
    Ok(super::checkpoint::load(&finished(run, precision), blank, device)?.0)
}
