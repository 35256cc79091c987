//! How much of the hypernetworks' word is taken: chosen on validation when a personal stage ends.

use super::error::TrainingError;
use super::stage::Stage;
use crate::data::{Case, Split};
use crate::evaluation::Report;
use crate::evaluation::trainer_engine::TrainerEngine;
use crate::hypernetwork::{Shrinkage, mean_scores};
use crate::model::chord::Chord;
use crate::random::sample;
use crate::tensor::{Backend, to_host};
use tracing::info;

/// `model` with its personal scores centred on validation users' histories, if the stage trains them so.
pub(super) fn centred(stage: &Stage, model: Chord<Backend>) -> Chord<Backend> {
    let cases = validation(stage);
    if !stage.config.train.personal.centred || cases.is_empty() {
        return model;
    }
    let engine = TrainerEngine::new(&model, stage.config, stage.precision, 0.0);
    let mean = mean_scores(&engine.log_scores(&histories(&cases)));
    with_strength(stage, model, &mean, 1.0)
}

/// `model` with the strength that validates best (`train.choose_by`), over up to 2048 users and the budgets of the tables.
///
/// # Errors
/// If a logit is not finite.
pub(super) fn fit(stage: &Stage, model: Chord<Backend>) -> Result<Chord<Backend>, TrainingError> {
    let config = stage.config;
    let strengths = &config.train.personal.strengths;
    let cases = validation(stage);
    if cases.is_empty() || strengths[..] == [1.0] {
        return Ok(centred(stage, model));
    }
    let engine = TrainerEngine::new(&model, config, stage.precision, 0.0);
    let mean = mean_scores(&engine.log_scores(&histories(&cases)));
    let choose_by = config.train.choose_by;
    let mut best: Option<(f64, Chord<Backend>)> = None;
    for &strength in strengths {
        let shrunk = with_strength(stage, model.clone(), &mean, strength);
        let mut engine = TrainerEngine::new(&shrunk, config, stage.precision, 0.0);
        // What users are encoded to does not depend on the budget.
        let scores = engine.log_scores(&histories(&cases));
        let mut outcomes = Vec::new();
        for &budget in &config.budget.evaluate {
            engine = engine.at(budget);
            let plans = scores.iter().map(|s| engine.allocate(s)).collect::<Result<Vec<_>, _>>()?;
            outcomes.extend(engine.evaluate_under(&cases, &plans)?);
        }
        let report = Report::of(&outcomes)?;
        let (ndcg, cross_entropy) = (report.ndcg, report.cross_entropy);
        info!("{}: strength {strength}: validation NDCG {ndcg:.4}  CE {cross_entropy:.4}", stage.precision);
        let figure = choose_by.figure(&report);
        if best.as_ref().is_none_or(|(so_far, _)| choose_by.better(figure, *so_far)) {
            best = Some((figure, shrunk));
        }
    }
    Ok(best.map_or(model, |(_, shrunk)| shrunk))
}

/// Up to 2048 validation cases.
fn validation<'a>(stage: &Stage<'a>) -> Vec<Case<'a>> {
    let cases: Vec<Case> = stage.data.cases(Split::Validation).collect();
    sample(cases.len(), 2048).into_iter().map(|n| cases[n as usize]).collect()
}

fn histories<'a>(cases: &[Case<'a>]) -> Vec<&'a [u32]> {
    cases.iter().map(|c| c.history).collect()
}

/// `model`, so far without shrinkage, with `strength` of the distance from the users' `mean` log-scores.
fn with_strength(stage: &Stage, model: Chord<Backend>, mean: &[f32], strength: f32) -> Chord<Backend> {
    let shared = to_host(model.log_scores(None));
    let centre: Vec<f32> = mean.iter().zip(shared).map(|(m, s)| m - s).collect();
    let common = if stage.config.train.personal.centred { vec![0.0; centre.len()] } else { centre.clone() };
    let shrinkage = Shrinkage::new(centre, common, strength, stage.device);
    let hypernetworks = model.hypernetworks.shrunk(shrinkage);
    Chord { hypernetworks, ..model }
}
