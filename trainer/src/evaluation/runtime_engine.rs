//! Evaluation with the device runtime itself, on this machine: bundle bytes, plan bytes, integer arithmetic.

use super::trainer_engine::TrainerEngine;
use super::{EvaluationError, Outcome, outcome};
use crate::config::Config;
use crate::data::Case;
use crate::freeze::{freeze, palette};
use crate::frozen::encode_plan;
use crate::model::chord::{Chord, Precision};
use crate::tensor::Backend;
use chord_plan::{Bundle, Plan};
use chord_runtime::{Engine, Options, Requirements};

/// Ranks every case's target through chord-runtime. Personal precision applies each user's own plan first.
///
/// # Errors
/// If the model cannot be frozen, a plan cannot be made, or the runtime refuses an input.
pub fn evaluate(
    model: &Chord<Backend>,
    config: &Config,
    precision: Precision,
    budget: f32,
    cases: &[Case],
) -> Result<Vec<Outcome>, EvaluationError> {
    let frozen = freeze(&model.backbone, config)?;
    let bytes = frozen.to_bundle()?;
    let refused = |user: usize, error: &dyn std::fmt::Display| EvaluationError::Runtime {
        user,
        message: error.to_string(),
    };
    let first = cases.first().ok_or(EvaluationError::NoCases)?.user;
    let bundle = Bundle::parse(&bytes).map_err(|e| refused(first, &e))?;
    let engine = TrainerEngine::new(model, config, precision, budget);
    let candidates: Vec<u32> = (0..bundle.manifest().items()).collect();
    let mut logits = vec![0.0; candidates.len()];
    let options = Options::default();
    let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
    let mut running: Option<Engine> = None;
    let mut arena = Some(arena.as_mut_slice());
    let mut outcomes = Vec::with_capacity(cases.len());
    let channels = bundle.manifest().channels();
    let plans = match precision {
        Precision::Personal => {
            let histories: Vec<&[u32]> = cases.iter().map(|c| c.history).collect();
            engine.plans(&histories)?.into_iter().map(|p| p.codes).collect()
        }
        Precision::Static | Precision::Fisher => vec![engine.shared_plan()?.codes; cases.len()],
        Precision::Uniform(bits) => {
            let code = palette(config).code_of(bits);
            let missing = || refused(first, &format!("the palette has no {bits} bits"));
            vec![vec![code.ok_or_else(missing)?; channels]; cases.len()]
        }
        _ => return Err(refused(first, &format!("{precision} does not run on the device"))),
    };
    for (case, codes) in cases.iter().zip(&plans) {
        let plan = encode_plan(codes, bundle.model(), 0, budget).map_err(|e| refused(case.user, &e))?;
        let plan = Plan::parse(&plan).map_err(|e| refused(case.user, &e))?;
        let device = match running.as_mut() {
            Some(device) => {
                device.apply(&plan).map_err(|e| refused(case.user, &e))?;
                device
            }
            None => {
                let arena = arena.take().expect("the engine is made once");
                let device = Engine::new(bundle, &plan, arena, options);
                running.insert(device.map_err(|e| refused(case.user, &e))?)
            }
        };
        let scored = device.score(case.history, &candidates, &mut logits);
        let scored = scored.map_err(|e| refused(case.user, &e))?;
        outcomes.push(outcome(case.user, scored, case.target)?);
    }
    Ok(outcomes)
}
