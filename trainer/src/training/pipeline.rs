//! All stages of a run in order.

use super::metrics_log::MetricsLog;
use super::stage::{Stage, TrainingError, finished};
use crate::config::Config;
use crate::data::HeldOut;
use crate::model::chord::{Chord, Precision};
use crate::tensor::{Backend, Device};
use burn::module::{AutodiffModule, Module};
use std::path::Path;

/// The stages of a configuration, in order: full precision, the baselines of one width, Fisher, static, personal,
/// masks.
pub fn stages(config: &Config) -> Vec<Precision> {
    let train = &config.train;
    let mut stages = vec![Precision::Fp32];
    stages.extend(train.uniform.widths.iter().map(|&bits| Precision::Uniform(bits)));
    stages.extend((train.fisher.windows > 0 && train.fisher.train).then_some(Precision::Fisher));
    stages.extend([Precision::Static, Precision::Personal]);
    stages.extend(
        train.masks.train.then_some([Precision::StaticMask, Precision::PersonalMask]).into_iter().flatten(),
    );
    stages
}

/// Trains every stage that is not finished. Personal stages start from the static one before them, all others from
/// full precision with fresh ranges. Shared scores start from the Fisher information if it is estimated, else at random.
///
/// # Errors
/// As [`Stage::train`].
pub fn train(
    config: &Config,
    data: &HeldOut,
    items: u32,
    device: &Device,
    run: &Path,
) -> Result<(), TrainingError> {
    let mut log = MetricsLog::open(run)?;
    let first = Stage { config, data, device, run, precision: Precision::Fp32, teacher: None };
    let fp32 = first.train(Chord::new(config, items, device), &mut log)?;
    let teacher = (config.train.distillation.weight > 0.0).then(|| fp32.backbone.valid());
    let stage = |precision| Stage { precision, teacher: teacher.as_ref(), ..first };
    let deviations = config.quantisation.range_deviations;
    let ranged =
        Chord { backbone: fp32.backbone.clone().map_layers(|l| l.initialise_ranges(deviations)), ..fp32 };
    let mut last = ranged.clone();
    let mut fisher = None;
    for precision in stages(config).into_iter().skip(1) {
        let start = match precision {
            Precision::Personal | Precision::PersonalMask => last,
            Precision::Fisher | Precision::Static | Precision::StaticMask
                if config.train.fisher.windows > 0 =>
            {
                if fisher.is_none() && !finished(run, precision).exists() {
                    fisher = Some(stage(precision).with_fisher_scores(ranged.clone())?);
                }
                fisher.clone().unwrap_or_else(|| ranged.clone())
            }
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
