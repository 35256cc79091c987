//! Every row of a run's tables: finished stages at every budget, controls of CHORD, per-user fine-tuning.

use super::controls::Control;
use super::cost::Cost;
use super::fine_tuning::{Choice, FineTuning};
use super::row::{Kind, Row};
use super::sampled::{NEGATIVES, negatives};
use super::saved::{Evaluation, LayerSize, Maps, Measured, Outcomes, Summary};
use super::trainer_engine::TrainerEngine;
use super::{EvaluationError, temperature};
use crate::allocator::Allocation;
use crate::data::{Case, Dataset, HeldOut, Split};
use crate::hypernetwork::{Channels, mean_scores};
use crate::model::chord::{Chord, Precision};
use crate::provenance::Provenance;
use crate::random::sample;
use crate::run::Run;
use crate::tensor::{Backend, Device};
use crate::training::error::TrainingError;
use crate::training::pipeline;
use crate::training::progress;
use crate::training::stage::finished;
use tracing::info;

/// Users whose plans are kept for maps.
const SHOWN: usize = 8;

/// Evaluates a run and keeps every user's outcomes.
///
/// # Errors
/// If a stage's file cannot be read, a logit is not finite, or no user can be evaluated.
pub fn evaluate(
    run: &Run,
    data: &Dataset,
    held_out: &HeldOut,
    device: &Device,
    split: Split,
) -> Result<Evaluation, TrainingError> {
    let cases: Vec<Case> = held_out.cases(split).collect();
    if cases.is_empty() {
        return Err(EvaluationError::NoCases.into());
    }
    let items = data.items.len() as u32;
    let draw = |c: &Case| negatives(c.user, data.sequences.user(c.user), items);
    let negatives = cases.iter().map(draw).collect();
    let validation: Vec<Case> = held_out.cases(Split::Validation).collect();
    let chosen = sample(validation.len(), temperature::users(data.items.len()));
    let calibration = chosen.into_iter().map(|n| validation[n as usize]).collect();
    let (rows, outcomes) = (Vec::new(), Vec::new());
    let mut suite = Suite { run, data, cases, negatives, calibration, rows, outcomes };
    let (mut maps, mut choice, mut score_macs) = (None, None, 0);
    for precision in pipeline::stages(&run.config) {
        if !finished(&run.folder, precision).exists() {
            continue;
        }
        let model = pipeline::load(&run.config, items, device, &run.folder, precision)?;
        let channels = Channels::of(&model.backbone);
        let cost = Cost { config: &run.config, channels: &channels, items: u64::from(items) };
        score_macs = cost.score_macs();
        match precision {
            Precision::Fp32 | Precision::Uniform(_) => suite.fixed(&model, precision, &cost)?,
            Precision::Personal => {
                let scores = suite.personal(&model, precision, &cost)?;
                maps = Some(suite.maps(&model, &scores, cost.channels)?);
            }
            Precision::PersonalMask => drop(suite.personal(&model, precision, &cost)?),
            Precision::Fisher | Precision::Static | Precision::StaticMask => {
                suite.shared(&model, precision, &cost)?;
            }
        }
        if precision == Precision::Fp32 && run.config.fine_tuning.users > 0 {
            choice = suite.fine_tuned(&model, device, held_out, &cost)?;
        }
    }
    let summary = Summary {
        data: data.name.clone(),
        users: suite.cases.len(),
        items: data.items.len(),
        split,
        negatives: NEGATIVES,
        score_macs,
        provenance: Provenance::here(),
        fine_tuning: choice,
        maps,
        rows: suite.rows,
    };
    let users = suite.cases.iter().map(|c| c.user as u32).collect();
    Ok(Evaluation { summary, users, outcomes: suite.outcomes })
}

struct Suite<'a> {
    run: &'a Run,
    data: &'a Dataset,
    cases: Vec<Case<'a>>,
    /// Sampled items of each case.
    negatives: Vec<Vec<u32>>,
    /// Validation cases that temperatures are fitted on.
    calibration: Vec<Case<'a>>,
    rows: Vec<Row>,
    outcomes: Vec<Outcomes>,
}

impl Suite<'_> {
    /// Evaluates a row of all cases under the first of `plans`, at the temperature that suits the calibration cases under
    /// the second.
    fn push(
        &mut self,
        row: Row,
        engine: &TrainerEngine,
        plans: Option<[&[Allocation]; 2]>,
    ) -> Result<(), EvaluationError> {
        let bar = progress::bar(&row.id, (self.calibration.len() + self.cases.len()) as u64, 0, "users");
        let [own, calibration] = plans.map_or([None, None], |plans| plans.map(Some));
        let pair = |_, case: &Case, logits: &[f32]| Ok((logits.to_vec(), case.target));
        let temperature = temperature::fit(&engine.judge(&self.calibration, calibration, &bar, pair)?);
        let measured = engine.judge(&self.cases, own, &bar, |number, case, logits| {
            Measured::new(case, logits, &self.negatives[number], temperature)
        })?;
        bar.finish_and_clear();
        info!("{}: {} users, temperature {temperature:.3}", row.name, measured.len());
        self.rows.push(Row { temperature, ..row });
        self.outcomes.push(Outcomes { cases: None, measured });
        Ok(())
    }

    /// Full precision or one width.
    fn fixed(
        &mut self,
        model: &Chord<Backend>,
        precision: Precision,
        cost: &Cost,
    ) -> Result<(), EvaluationError> {
        let engine = TrainerEngine::new(model, &self.run.config, precision, 0.0);
        self.push(Row::fixed(precision, cost), &engine, None)
    }

    /// A stage whose plan all users share, at every budget.
    fn shared(
        &mut self,
        model: &Chord<Backend>,
        precision: Precision,
        cost: &Cost,
    ) -> Result<(), EvaluationError> {
        let mut engine = TrainerEngine::new(model, &self.run.config, precision, 0.0);
        for &budget in &self.run.config.budget.evaluate {
            engine = engine.at(budget);
            let plan = [engine.shared_plan()?];
            let row = Row::planned(precision, &engine, &plan, cost, budget);
            self.push(row, &engine, None)?;
        }
        Ok(())
    }

    /// CHORD with its controls, or masks, at every budget. Returns all users' log-scores.
    fn personal(
        &mut self,
        model: &Chord<Backend>,
        precision: Precision,
        cost: &Cost,
    ) -> Result<Vec<Vec<f32>>, EvaluationError> {
        let config = &self.run.config;
        let mut engine = TrainerEngine::new(model, config, precision, config.budget.default);
        let scores = [&self.cases, &self.calibration].map(|cases| {
            let histories: Vec<&[u32]> = cases.iter().map(|c| c.history).collect();
            engine.log_scores(&histories)
        });
        for &budget in &config.budget.evaluate {
            engine = engine.at(budget);
            let allocate = |scores: &Vec<Vec<f32>>| {
                scores.iter().map(|s| engine.allocate(s)).collect::<Result<Vec<_>, _>>()
            };
            let [own, calibration] = [allocate(&scores[0])?, allocate(&scores[1])?];
            let row = Row::planned(precision, &engine, &own, cost, budget);
            self.push(row.clone(), &engine, Some([&own, &calibration]))?;
            let controls: &[Control] = if precision == Precision::Personal { &Control::ALL } else { &[] };
            for &control in controls {
                let plans = |scores, own| control.plans(&engine, scores, own, config.train.seed);
                let [plans, calibration] = [plans(&scores[0], &own)?, plans(&scores[1], &calibration)?];
                let row = row.control(control, &engine, &plans, cost, budget);
                self.push(row, &engine, Some([&plans, &calibration]))?;
            }
        }
        let [scores, _] = scores;
        Ok(scores)
    }

    /// What the plans of some users look like, spread over the data set.
    fn maps(
        &self,
        model: &Chord<Backend>,
        scores: &[Vec<f32>],
        channels: &Channels,
    ) -> Result<Maps, EvaluationError> {
        let config = &self.run.config;
        let engine = TrainerEngine::new(model, config, Precision::Personal, config.budget.default);
        let mean = mean_scores(scores);
        let shown = SHOWN.min(scores.len());
        let numbers: Vec<usize> = (0..shown).map(|i| i * scores.len() / shown).collect();
        let widths = engine.allocator().widths();
        let bits = |&number: &usize| {
            let codes = engine.allocate(&scores[number])?.codes;
            Ok(codes.iter().map(|&code| u32::from(widths[usize::from(code)])).collect())
        };
        let deviation = |&number: &usize| scores[number].iter().zip(&mean).map(|(s, m)| s - m).collect();
        let names = model.backbone.layer_names().into_iter();
        let layer = |(name, &channels): (String, &usize)| LayerSize { name, channels };
        Ok(Maps {
            users: numbers.iter().map(|&n| self.data.users[self.cases[n].user].clone()).collect(),
            layers: names.zip(&channels.outputs).map(layer).collect(),
            budget: self.run.config.budget.default,
            deviations: numbers.iter().map(deviation).collect(),
            bits: numbers.iter().map(bits).collect::<Result<_, EvaluationError>>()?,
        })
    }

    /// Per-user fine-tuning of full precision, set on validation; no row if none of its users has a validation item.
    fn fine_tuned(
        &mut self,
        model: &Chord<Backend>,
        device: &Device,
        data: &HeldOut,
        cost: &Cost,
    ) -> Result<Option<Choice>, EvaluationError> {
        let config = &self.run.config;
        let tuning = FineTuning { model, config, device };
        let numbers = sample(self.cases.len(), config.fine_tuning.users);
        let cases: Vec<Case> = numbers.iter().map(|&n| self.cases[n as usize]).collect();
        let validation: Vec<Case> =
            cases.iter().filter_map(|c| data.case(c.user, Split::Validation)).collect();
        if validation.is_empty() {
            return Ok(None);
        }
        let rates = config.fine_tuning.learning_rates.len();
        let passes = (rates + 1) * validation.len() + cases.len();
        let bar = progress::bar("tuning", passes as u64, 0, "users");
        let choice = tuning.choose(&validation, &bar)?;
        let setting = &choice.chosen;
        let pair = |number: usize, logits: &[f32]| Ok((logits.to_vec(), validation[number].target));
        let temperature = temperature::fit(&tuning.evaluate(&validation, setting, &bar, pair)?);
        let measured = tuning.evaluate(&cases, setting, &bar, |number, logits| {
            let negatives = &self.negatives[numbers[number] as usize];
            Measured::new(&cases[number], logits, negatives, temperature)
        })?;
        bar.finish_and_clear();
        let macs: u64 = cases.iter().map(|c| tuning.macs(c, setting.steps, cost)).sum();
        let of = match cases.len() == self.cases.len() {
            true => String::new(),
            false => format!(" ({} sampled users)", cases.len()),
        };
        info!("fine-tuned per user{of}: {} steps at {}", setting.steps, setting.learning_rate);
        self.rows.push(Row {
            id: "fine_tuned".to_owned(),
            name: format!("FP32, fine-tuned per user{of}"),
            kind: Kind::FineTuned,
            budget: None,
            bits: 32.0,
            model_bytes: cost.full_precision_bytes(),
            update_bytes: cost.tuned_bytes(),
            macs: cost.encode_macs(|_| true) as f64,
            adaptation_macs: macs as f64 / cases.len() as f64,
            adaptation_bytes: cost.tuned_bytes(),
            temperature,
        });
        self.outcomes.push(Outcomes { cases: (cases.len() < self.cases.len()).then_some(numbers), measured });
        Ok(Some(choice))
    }
}
