//! How much of the hypernetworks' word is taken: chosen on validation when a personal stage ends.

use super::stage::{Stage, TrainingError};
use crate::data::{Case, Split};
use crate::evaluation::controls::mean_scores;
use crate::evaluation::fine_tuning::sample;
use crate::evaluation::temperature;
use crate::evaluation::trainer_engine::TrainerEngine;
use crate::hypernetwork::Shrinkage;
use crate::model::chord::Chord;
use crate::tensor::{Backend, to_host};
use tracing::info;

/// `model` with the strength of least cross-entropy, over up to 2048 validation users and the budgets of the tables.
///
/// # Errors
/// If a logit is not finite.
pub(super) fn fit(stage: &Stage, model: Chord<Backend>) -> Result<Chord<Backend>, TrainingError> {
    let config = stage.config;
    let strengths = &config.train.personal.strengths;
    let cases: Vec<Case> = stage.data.cases(Split::Validation).collect();
    if cases.is_empty() || strengths[..] == [1.0] {
        return Ok(model);
    }
    let items = model.backbone.items().dims()[0];
    let cases: Vec<Case> =
        sample(cases.len(), temperature::users(items)).into_iter().map(|n| cases[n as usize]).collect();
    let histories: Vec<&[u32]> = cases.iter().map(|c| c.history).collect();
    let mut engine = TrainerEngine::new(&model, config, stage.precision, config.budget.default);
    let scores = engine.log_scores(&histories);
    let mean = mean_scores(&scores);
    let mut best: Option<(f64, f32)> = None;
    for &strength in strengths {
        let mut sum = 0.0;
        for &budget in &config.budget.evaluate {
            engine = engine.at(budget);
            let shrunk = |own: &Vec<f32>| -> Vec<f32> {
                own.iter().zip(&mean).map(|(s, m)| (s - m) * strength + m).collect()
            };
            let plans = scores.iter().map(|s| engine.allocate(&shrunk(s))).collect::<Result<Vec<_>, _>>()?;
            sum += engine.evaluate_under(&cases, &plans)?.iter().map(|o| o.cross_entropy).sum::<f64>();
        }
        let cross_entropy = sum / (cases.len() * config.budget.evaluate.len()) as f64;
        info!("{}: strength {strength}: validation CE {cross_entropy:.4}", stage.precision);
        if best.is_none_or(|(least, _)| cross_entropy < least) {
            best = Some((cross_entropy, strength));
        }
    }
    let strength = best.map_or(1.0, |(_, strength)| strength);
    let shared = to_host(model.log_scores(None));
    let centre = mean.iter().zip(shared).map(|(m, s)| m - s).collect();
    let shrinkage = Shrinkage::new(centre, strength, stage.device);
    let hypernetworks = model.hypernetworks.shrunk(shrinkage);
    Ok(Chord { hypernetworks, ..model })
}
