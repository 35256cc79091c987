//! All stages of a run in order.

use super::error::TrainingError;
use super::metrics_log::MetricsLog;
use super::stage::{Stage, finished};
use super::step::Teacher;
use crate::config::{Config, DataConfig, DistillationConfig};
use crate::data::HeldOut;
use crate::model::backbone::Backbone;
use crate::model::chord::{Chord, Precision};
use crate::run::Run;
use crate::tensor::{Backend, Device};
use burn::module::{AutodiffModule, Module};
use std::path::Path;
use tracing::info;

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

/// The stages that a stage cannot do without, in order, itself last.
pub fn needed(stage: Precision) -> Vec<Precision> {
    let mut stages = vec![Precision::Fp32];
    stages.extend(starts_from(stage));
    stages.extend((stage != Precision::Fp32).then_some(stage));
    stages
}

/// Folder in a run of the models that personal stages start from where interactions are reserved for them.
pub(crate) const FOUNDATION: &str = "foundation";

/// Trains those of `stages` that are not finished, in this order: full precision first, a personal stage after the static
/// one that it starts from; all others start from full precision with fresh ranges. Shared scores start from the Fisher
/// information if it is estimated, else at random.
///
/// With `train.personal.reserved` this is stacked generalisation (Wolpert, 1992): full precision and static mixed
/// precision are first trained without the reserved interactions, in a folder of their own, and personal stages learn from
/// the reserved ones there: what a backbone knows by heart would teach hypernetworks nothing of how it errs. All other
/// stages see every training interaction, full precision going on from the foundation, and their static model gets what
/// the personal stage learnt.
///
/// # Errors
/// As [`Stage::train`].
pub fn train(
    config: &Config,
    data: &HeldOut,
    items: u32,
    device: &Device,
    run: &Path,
    stages: &[Precision],
) -> Result<(), TrainingError> {
    let teacher = teacher(config, items, device)?;
    let teacher = teacher.as_ref().map(|(model, context)| Teacher { model, context: *context });
    let fresh = Chord::new(config, items, device);
    let share = config.train.personal.reserved;
    if share == 0.0 {
        let level = Level { config, data, device, run, teacher, foundation: None };
        return level.train(fresh, stages).map(drop);
    }
    let (known, folder) = (data.reserving(share), run.join(FOUNDATION));
    std::fs::create_dir_all(&folder).map_err(|source| TrainingError::Io { path: folder.clone(), source })?;
    let mut first = vec![Precision::Fp32];
    first.extend(stages.iter().filter_map(|stage| starts_from(*stage)));
    info!(
        "foundation: without the {share} of the training interactions that personal stages have for themselves"
    );
    let level = Level { config, data: &known, device, run: &folder, teacher, foundation: None };
    let foundation = level.train(fresh, &first)?;
    info!("all training interactions:");
    let mut again = config.clone();
    again.train.fp32 = config.train.refit.clone();
    let level = Level { config: &again, data, device, run, teacher, foundation: Some(&foundation) };
    level.train(foundation[0].1.clone(), stages).map(drop)
}

/// The teacher that `train.distillation` names, on the plain device, and how many items before a training window it sees:
/// those that its own windows are longer by.
fn teacher(
    config: &Config,
    items: u32,
    device: &Device,
) -> Result<Option<(Backbone<Backend>, usize)>, TrainingError> {
    let DistillationConfig { weight, teacher: folder, .. } = &config.train.distillation;
    if *weight == 0.0 || folder.as_os_str().is_empty() {
        return Ok(None);
    }
    let run = Run::open(folder)?;
    let refused = |why| TrainingError::Teacher { run: folder.clone(), why };
    let data = DataConfig { cache: config.data.cache.clone(), ..run.config.data.clone() };
    if data != config.data {
        return Err(refused("its data are others"));
    }
    let longer = run.config.training_window().checked_sub(config.training_window());
    let context =
        longer.ok_or_else(|| refused("its training windows are shorter than those that it is to teach"))?;
    let model = load(&run.config, items, device, folder, Precision::Fp32)?;
    Ok(Some((model.backbone.valid(), context)))
}

/// The stage before a personal one, whose model it starts from.
fn starts_from(stage: Precision) -> Option<Precision> {
    match stage {
        Precision::Personal => Some(Precision::Static),
        Precision::PersonalMask => Some(Precision::StaticMask),
        _ => None,
    }
}

/// A trained model and its stage.
type Trained = (Precision, Chord<Backend>);

/// Stages that train on the same interactions.
struct Level<'a> {
    config: &'a Config,
    data: &'a HeldOut<'a>,
    device: &'a Device,
    run: &'a Path,
    /// Another teacher than its own full-precision model.
    teacher: Option<Teacher<'a>>,
    /// Models that personal stages start from instead of this level's own.
    foundation: Option<&'a [Trained]>,
}

impl Level<'_> {
    /// The models of `stages`, the first of which is full precision and starts at `start`.
    fn train(&self, start: Chord<Backend>, stages: &[Precision]) -> Result<Vec<Trained>, TrainingError> {
        let Self { config, data, device, run, teacher, foundation } = *self;
        let mut log = MetricsLog::open(run)?;
        let first =
            Stage { config, data, device, run, precision: Precision::Fp32, teacher: None, transfer: None };
        let fp32 = first.train(start, &mut log)?;
        let distilled = config.train.distillation.weight > 0.0;
        let own = distilled.then(|| fp32.backbone.valid());
        // The foundation's has not seen what is reserved.
        let reserved = foundation.filter(|_| distilled).map(|models| models[0].1.backbone.valid());
        let stage = |precision: Precision| {
            let own = reserved.as_ref().filter(|_| precision.is_personal()).or(own.as_ref());
            Stage { precision, teacher: teacher.or(own.map(|model| Teacher { model, context: 0 })), ..first }
        };
        let deviations = config.quantisation.range_deviations;
        let layers = fp32.backbone.clone().map_layers(|l| l.initialise_ranges(deviations));
        let ranged = Chord { backbone: layers, ..fp32.clone() };
        let mut fisher = None;
        let mut models = vec![(Precision::Fp32, fp32)];
        for &precision in &stages[1..] {
            let origin = starts_from(precision);
            let of = |models: &[Trained]| {
                models.iter().find(|(stage, _)| Some(*stage) == origin).map(|(_, model)| model.clone())
            };
            let (own, foundation) = (of(&models), foundation.and_then(of));
            let start = match precision {
                Precision::Personal | Precision::PersonalMask => foundation
                    .clone()
                    .or(own.clone())
                    .expect("stages hold the one that a personal stage starts from"),
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
            let transfer = foundation.as_ref().zip(own.as_ref()).map(<[_; 2]>::from);
            models.push((precision, Stage { transfer, ..stage(precision) }.train(start, &mut log)?));
        }
        Ok(models)
    }
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
