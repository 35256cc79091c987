//! The alternative CHORD replaces: a copy of the full-precision layers for each user, tuned on the user's own history.
//!
//! Adam steps over the whole history, cut into windows, with the training loss (softmax over the catalogue); item
//! embeddings stay frozen. The number of steps and the rate are those of the best uncut NDCG on validation.

use super::cost::Cost;
use super::trainer_engine::TrainerEngine;
use super::{EvaluationError, ndcg, outcome};
use crate::config::Config;
use crate::data::Case;
use crate::model::backbone::Backbone;
use crate::model::chord::{Chord, Precision};
use crate::model::dropout::Dropout;
use crate::model::sasrec::{Pass, Sequences};
use crate::tensor::{Backend, Device, integers};
use crate::training::adam::Adam;
use crate::training::loss::softmax;
use burn::module::AutodiffModule;
use burn::optim::GradientsParams;
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// One setting on validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Adam steps.
    pub steps: usize,
    /// Their rate.
    pub learning_rate: f64,
    /// Uncut NDCG of the tuned users on validation.
    pub ndcg: f64,
    /// Cross-entropy of the same, in nats.
    pub cross_entropy: f64,
}

/// What was tried on validation, and what was chosen there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Users tuned.
    pub users: usize,
    /// The best trial.
    pub chosen: Trial,
    /// All of them.
    pub trials: Vec<Trial>,
}

/// Tunes a full-precision model for users.
pub struct FineTuning<'a> {
    /// The finished full-precision model.
    pub model: &'a Chord<Backend>,
    /// The configuration it was trained with.
    pub config: &'a Config,
    /// An autodiff device.
    pub device: &'a Device,
}

impl FineTuning<'_> {
    /// Tries every setting of the configuration on validation `cases` and takes the best.
    ///
    /// # Errors
    /// If a logit is not finite; without cases.
    pub fn choose(&self, cases: &[Case], bar: &ProgressBar) -> Result<Choice, EvaluationError> {
        let knobs = &self.config.fine_tuning;
        let mut trials = Vec::new();
        for &learning_rate in &knobs.learning_rates {
            let judge = |n: usize, logits: &[f32]| outcome(cases[n].user, logits, cases[n].target);
            let outcomes = self.tune(cases, &knobs.steps, learning_rate, bar, judge)?;
            for (index, &steps) in knobs.steps.iter().enumerate() {
                let ranks: Vec<u32> = outcomes.iter().map(|o| o[index].rank).collect();
                let losses = outcomes.iter().map(|o| o[index].cross_entropy);
                let cross_entropy = losses.sum::<f64>() / outcomes.len() as f64;
                trials.push(Trial { steps, learning_rate, ndcg: ndcg(&ranks, u32::MAX), cross_entropy });
            }
        }
        let best = trials.iter().copied().max_by(|a, b| a.ndcg.total_cmp(&b.ndcg));
        let chosen = best.filter(|_| !cases.is_empty()).ok_or(EvaluationError::NoCases)?;
        Ok(Choice { users: cases.len(), chosen, trials })
    }

    /// Ranks every case's target with the user's own model: what `judge` makes of its number and logits.
    ///
    /// # Errors
    /// As [`FineTuning::choose`].
    pub fn evaluate<T: Send>(
        &self,
        cases: &[Case],
        setting: &Trial,
        bar: &ProgressBar,
        judge: impl Fn(usize, &[f32]) -> Result<T, EvaluationError> + Sync,
    ) -> Result<Vec<T>, EvaluationError> {
        let judged = self.tune(cases, &[setting.steps], setting.learning_rate, bar, judge)?;
        Ok(judged.into_iter().flatten().collect())
    }

    /// MACs of adapting to the user of a case.
    pub fn macs(&self, case: &Case, steps: usize, cost: &Cost) -> u64 {
        steps as u64 * cost.tuning_macs(self.windows(case.history).iter().map(|w| w.len() as u64 - 1))
    }

    /// For each case, what `judge` makes of its number and logits after each of `steps` (increasing).
    fn tune<T: Send>(
        &self,
        cases: &[Case],
        steps: &[usize],
        learning_rate: f64,
        bar: &ProgressBar,
        judge: impl Fn(usize, &[f32]) -> Result<T, EvaluationError> + Sync,
    ) -> Result<Vec<Vec<T>>, EvaluationError> {
        let of_case = |number: usize| {
            let case = &cases[number];
            let mut model = self.model.clone().learning(Precision::Fp32, &self.config.train);
            let mut adam = Adam::default();
            let mut judged = Vec::with_capacity(steps.len());
            for step in 1..=steps.last().copied().unwrap_or(0) {
                model.backbone = self.step(model.backbone, &mut adam, case.history, learning_rate);
                if steps.contains(&step) {
                    let engine = TrainerEngine::new(&model, self.config, Precision::Fp32, 32.0);
                    let logits = engine.logits(&[case.history], None)?.remove(0);
                    judged.push(judge(number, &logits)?);
                }
            }
            bar.inc(1);
            Ok(judged)
        };
        (0..cases.len()).into_par_iter().map(of_case).collect()
    }

    /// One step on all windows of a history. Shorter histories than two items leave the model as it is.
    fn step(
        &self,
        backbone: Backbone<Backend>,
        adam: &mut Adam,
        history: &[u32],
        learning_rate: f64,
    ) -> Backbone<Backend> {
        let windows = self.windows(history);
        if windows.is_empty() {
            return backbone;
        }
        // A graph of this step's own, as in `StepContext`.
        let backbone = Backbone::from_inner(backbone.valid()).with_frozen_items();
        let inputs: Vec<&[u32]> = windows.iter().map(|w| &w[..w.len() - 1]).collect();
        let hidden = backbone.hidden(
            &Sequences::new(&inputs, self.device),
            &mut Pass {
                weights: &backbone.full_precision(),
                activations: Precision::Fp32.activations(self.config),
                dropout: &mut Dropout::off(),
                rate: 0.0,
            },
        );
        let [batch, tokens, dim] = hidden.dims();
        let place = |(b, w): (usize, &&[u32])| (0..w.len() - 1).map(move |t| (b + 1) * tokens - 1 - t);
        let rows: Vec<i32> = windows.iter().enumerate().flat_map(place).map(|row| row as i32).collect();
        let targets: Vec<i32> =
            windows.iter().flat_map(|w| w[1..].iter().rev()).map(|&item| item as i32).collect();
        let n = rows.len();
        let hidden = hidden.reshape([batch * tokens, dim]).select(0, integers(rows, [n], self.device));
        let loss = softmax(hidden, backbone.items().val(), integers(targets, [n], self.device));
        let gradients = (loss.surrogate / n as f32).backward();
        let gradients = GradientsParams::from_grads(gradients, &backbone);
        adam.step(backbone, &mut [gradients], learning_rate, self.config.train.clip)
    }

    /// A history from its end in stretches of a window of inputs and the item after it; they share one item.
    fn windows<'h>(&self, history: &'h [u32]) -> Vec<&'h [u32]> {
        let window = self.config.training_window();
        let mut windows = Vec::new();
        let mut end = history.len();
        while end >= 2 {
            let start = end.saturating_sub(window + 1);
            windows.push(&history[start..end]);
            end = start + 1;
        }
        windows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::tensor::to_host;

    fn small() -> (Config, Device) {
        let sets =
            ["model.dim=8", "model.inner=8", "model.window=4", "model.embedding_std=0.5"].map(String::from);
        (config::load(None, &sets).unwrap(), Device::autodiff(Device::Flex(Default::default())))
    }

    #[test]
    fn windows_cover_every_transition_once() {
        let (config, device) = small();
        let model = Chord::new(&config, 20, &device);
        let tuning = FineTuning { model: &model, config: &config, device: &device };
        let history: Vec<u32> = (0..11).collect();
        let windows = tuning.windows(&history);
        assert_eq!(windows, [&history[6..11], &history[2..7], &history[0..3]]);
        assert!(tuning.windows(&history[..1]).is_empty());
    }

    /// More steps on a history that always goes on alike make its next item likelier, and leave the item table and
    /// the model itself as they were.
    #[test]
    fn steps_fit_the_user_and_nothing_else() {
        let (config, device) = small();
        let model = Chord::new(&config, 20, &device);
        let before = to_host(model.backbone.items().val());
        let tuning = FineTuning { model: &model, config: &config, device: &device };
        let history = [3, 9, 3, 9, 3, 9, 3, 9, 3];
        let cases = [Case { user: 0, history: &history, target: 9 }];
        let bar = ProgressBar::hidden();
        let outcome = |_: usize, logits: &[f32]| outcome(0, logits, 9);
        let found = tuning.tune(&cases, &[1, 30], 1e-2, &bar, outcome).unwrap();
        assert!(found[0][1].cross_entropy < found[0][0].cross_entropy - 0.1, "{found:?}");
        assert_eq!(before, to_host(model.backbone.items().val()));
        let again = tuning.tune(&cases, &[1], 1e-2, &bar, outcome).unwrap();
        assert_eq!(again[0][0], found[0][0]);
        let mut adam = Adam::default();
        let stepped = tuning.step(
            model.clone().learning(Precision::Fp32, &config.train).backbone,
            &mut adam,
            &history,
            1e-2,
        );
        assert_eq!(before, to_host(stepped.items().val()));
        let weights = |b: &Backbone<Backend>| to_host(b.layers()[0].weight.val());
        assert_ne!(weights(&stepped), weights(&model.backbone));
    }
}
