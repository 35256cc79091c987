//! Evaluation with the device runtime itself, on this machine: bundle bytes, plan bytes, either of its arithmetics.

use super::trainer_engine::TrainerEngine;
use super::{EvaluationError, Outcome, outcome};
use crate::config::Config;
use crate::data::Case;
use crate::freeze::{freeze, freeze_with_profile, palette};
use crate::frozen::encode_plan;
use crate::model::chord::{Chord, Precision};
use crate::tensor::Backend;
use chord_plan::{Bundle, Plan, UserEmbedding};
use chord_runtime::{Arithmetic, Engine, Options, Profile, ProfileRequirements, Requirements};

/// Ranks every case's target through chord-runtime in an arithmetic. Personal precision applies each user's own plan first,
/// which is made from the embedding that their device sends, computed in the same arithmetic.
///
/// # Errors
/// If the model cannot be frozen, a plan cannot be made, or the runtime refuses an input.
pub fn evaluate(
    model: &Chord<Backend>,
    config: &Config,
    precision: Precision,
    budget: f32,
    arithmetic: Arithmetic,
    cases: &[Case],
) -> Result<Vec<Outcome>, EvaluationError> {
    let frozen = match precision {
        Precision::Personal => freeze_with_profile(model, config)?,
        _ => freeze(&model.backbone, config)?,
    };
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
    let options = Options { arithmetic, ..Options::default() };
    let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
    let mut running: Option<Engine> = None;
    let mut arena = Some(arena.as_mut_slice());
    let mut outcomes = Vec::with_capacity(cases.len());
    let channels = bundle.manifest().channels();
    let plans = match precision {
        Precision::Personal => {
            let embed = |case: &Case| {
                embedding(bundle, case.history, arithmetic).map_err(|message| refused(case.user, &message))
            };
            let embeddings = cases.iter().map(embed).collect::<Result<Vec<_>, _>>()?;
            engine.plans_of(&embeddings)?.into_iter().map(|p| p.codes).collect()
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

/// The user embedding as it arrives from a device that saw this history.
fn embedding(bundle: Bundle<'_>, history: &[u32], arithmetic: Arithmetic) -> Result<Vec<f32>, String> {
    let requirements = ProfileRequirements::of(&bundle).ok_or(chord_runtime::Error::NoProfile);
    let requirements = requirements.map_err(|e| e.to_string())?;
    let mut arena = vec![0; requirements.arena_bytes];
    let profile = Profile::with_arithmetic(bundle, &mut arena, arithmetic);
    let mut profile = profile.map_err(|e| e.to_string())?;
    history.iter().try_for_each(|&item| profile.append(item)).map_err(|e| e.to_string())?;
    let mut message = vec![0; requirements.embedding_bytes];
    let message = profile.message(&mut message).map_err(|e| e.to_string())?;
    Ok(UserEmbedding::parse(message).map_err(|e| e.to_string())?.numbers().collect())
}
