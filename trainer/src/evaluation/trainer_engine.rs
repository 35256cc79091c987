//! Evaluation with the trainer's own forward pass, in floating point with fake quantisation.

use super::{EvaluationError, Outcome, outcome};
use crate::allocator::{Allocation, Allocator};
use crate::config::Config;
use crate::data::Case;
use crate::frozen::quantised_item_table;
use crate::hypernetwork::Channels;
use crate::model::activation_quantiser::ActivationQuantiser;
use crate::model::chord::{Chord, Precision, allocator};
use crate::model::dropout::Dropout;
use crate::model::mixed_precision::{Half, PaletteSteps};
use crate::model::profile::Histories;
use crate::model::quantised_linear::LayerWeights;
use crate::model::sasrec::{Pass, Sequences};
use crate::tensor::{Backend, Tensor, floats, to_host};
use burn::module::AutodiffModule;
use indicatif::ProgressBar;
use rayon::prelude::*;

/// Users in one forward pass, at most.
const BATCH: usize = 256;

/// Logits of one forward pass, at most, unless one user has more.
const LOGITS: usize = 1 << 25;

/// A trained model ready to rank, without a graph.
pub struct TrainerEngine<'a> {
    config: &'a Config,
    model: Chord<Backend>,
    precision: Precision,
    budget: f32,
    allocator: Allocator,
    /// The output layer as the device holds it, transposed, [dim, items], in that order in memory too.
    items: Tensor<2>,
    weights: Weights,
}

/// What every forward pass starts from, quantised once.
enum Weights {
    /// The same for all users.
    Fixed(Vec<LayerWeights>),
    /// To be selected from by plans.
    Palette(PaletteSteps),
}

impl<'a> TrainerEngine<'a> {
    /// Of a model on an autodiff device. Quantised precisions see item rows at 8 bits, as the device does.
    pub fn new(model: &Chord<Backend>, config: &'a Config, precision: Precision, budget: f32) -> Self {
        let mut model = model.valid();
        let table = model.backbone.items().val();
        if precision != Precision::Fp32 {
            let shape = table.dims();
            let values = quantised_item_table(&to_host(table.clone()), shape[1]);
            let quantised = floats(values, shape, &table.device());
            model.backbone = model.backbone.with_items(quantised);
        }
        // Laid out anew: every batch of users would do so otherwise.
        let items = model.backbone.items().val().transpose();
        let device = items.device();
        let items = Tensor::from_data(items.into_data(), &device);
        let allocator = allocator(config, precision, &Channels::of(&model.backbone));
        let weights = match model.fixed_weights(precision) {
            Some(weights) => Weights::Fixed(weights),
            None => Weights::Palette(PaletteSteps::new(&model.backbone, precision.palette(config))),
        };
        Self { config, model, precision, budget, allocator, items, weights }
    }

    /// The same model within another budget, in average bits per weight.
    pub fn at(self, budget: f32) -> Self {
        Self { budget, ..self }
    }

    /// The same model, with the halves of the plan `fixed` that are not `kept` in place of each user's own.
    pub fn crossed(&self, fixed: &Allocation, kept: Half) -> Self {
        let widths = self.allocator.widths();
        let palette = PaletteSteps::crossed(&self.model.backbone, widths, &fixed.codes, kept);
        Self {
            config: self.config,
            model: self.model.clone(),
            precision: self.precision,
            budget: self.budget,
            allocator: self.allocator.clone(),
            items: self.items.clone(),
            weights: Weights::Palette(palette),
        }
    }

    /// The allocator of the configuration and the backbone.
    pub fn allocator(&self) -> &Allocator {
        &self.allocator
    }

    /// Log-scores of all channels for users with these histories, newest item last.
    pub fn log_scores(&self, histories: &[&[u32]]) -> Vec<Vec<f32>> {
        let device = self.items.device();
        let p = &self.config.profile;
        self.batched_scores(histories, |batch| {
            let histories = Histories::new(batch, p.recent, p.pooled, &device);
            self.model.user_embeddings(&histories, &mut Dropout::off(), 0.0)
        })
    }

    /// Log-scores of all channels for users with these embeddings, of the profile encoder's size.
    pub fn log_scores_of(&self, embeddings: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let device = self.items.device();
        let hidden = self.config.profile.hidden;
        self.batched_scores(embeddings, |batch| floats(batch.concat(), [batch.len(), hidden], &device))
    }

    fn batched_scores<T>(&self, users: &[T], embed: impl Fn(&[T]) -> Tensor<2>) -> Vec<Vec<f32>> {
        let mut rows = Vec::with_capacity(users.len());
        for batch in users.chunks(BATCH) {
            let scores = self.model.log_scores(Some(embed(batch)));
            let channels = scores.dims()[1];
            rows.extend(to_host(scores).chunks(channels).map(<[f32]>::to_vec));
        }
        rows
    }

    /// The plan of log-scores, within the budget.
    ///
    /// # Errors
    /// If the budget is out of reach or a score is not finite.
    pub fn allocate(&self, log_scores: &[f32]) -> Result<Allocation, EvaluationError> {
        Ok(self.allocator.allocate(log_scores, self.budget)?)
    }

    /// The plans of users with these histories, newest item last.
    ///
    /// # Errors
    /// As [`TrainerEngine::allocate`].
    pub fn plans(&self, histories: &[&[u32]]) -> Result<Vec<Allocation>, EvaluationError> {
        self.log_scores(histories).iter().map(|scores| self.allocate(scores)).collect()
    }

    /// The plans of users with these embeddings, as devices send them.
    ///
    /// # Errors
    /// As [`TrainerEngine::allocate`].
    pub fn plans_of(&self, embeddings: &[Vec<f32>]) -> Result<Vec<Allocation>, EvaluationError> {
        self.log_scores_of(embeddings).iter().map(|scores| self.allocate(scores)).collect()
    }

    /// The plan of static mixed precision.
    ///
    /// # Errors
    /// As [`TrainerEngine::allocate`].
    pub fn shared_plan(&self) -> Result<Allocation, EvaluationError> {
        self.allocate(&to_host(self.model.log_scores(None)))
    }

    /// Logits of all items for each history, under `plans` where the precision is personal.
    ///
    /// # Errors
    /// As [`TrainerEngine::plans`].
    pub fn logits(
        &self,
        histories: &[&[u32]],
        plans: Option<&[Allocation]>,
    ) -> Result<Vec<Vec<f32>>, EvaluationError> {
        let logits = self.flat_logits(histories, plans)?;
        Ok(logits.chunks(self.items.dims()[1]).map(<[f32]>::to_vec).collect())
    }

    /// [`TrainerEngine::logits`], one history after another.
    fn flat_logits(
        &self,
        histories: &[&[u32]],
        plans: Option<&[Allocation]>,
    ) -> Result<Vec<f32>, EvaluationError> {
        let device = self.items.device();
        let window = usize::from(self.config.model.window);
        let recent: Vec<&[u32]> = histories.iter().map(|h| &h[h.len().saturating_sub(window)..]).collect();
        let sequences = Sequences::new(&recent, &device);
        let activations = self.precision.activations(self.config);
        let selected;
        let weights = match &self.weights {
            Weights::Fixed(weights) => weights,
            Weights::Palette(palette) => {
                let shared;
                let plans = match plans {
                    Some(plans) => plans,
                    None => {
                        shared = [self.shared_plan()?];
                        &shared
                    }
                };
                selected = palette.select(&hard_gates(plans, self.allocator.widths().len() - 1, &device));
                &selected
            }
        };
        let mut dropout = Dropout::off();
        let mut pass = Pass { weights, activations, dropout: &mut dropout, rate: 0.0 };
        let hidden = self.model.backbone.hidden(&sequences, &mut pass);
        let [batch, tokens, dim] = hidden.dims();
        let last = hidden.slice([0..batch, tokens - 1..tokens]).reshape([batch, dim]);
        let last = match self.precision {
            Precision::Fp32 => last,
            _ => ActivationQuantiser::apply(activations, last),
        };
        Ok(to_host(last.matmul(self.items.clone())))
    }

    /// Ranks every case's target; each user's plan comes from the history of its case.
    ///
    /// # Errors
    /// If a logit is not finite or a plan cannot be made.
    pub fn evaluate(&self, cases: &[Case]) -> Result<Vec<Outcome>, EvaluationError> {
        if !self.precision.is_personal() {
            return self.rank(cases, None);
        }
        let histories: Vec<&[u32]> = cases.iter().map(|c| c.history).collect();
        self.rank(cases, Some(&self.plans(&histories)?))
    }

    /// Ranks every case's target under a plan for each case.
    ///
    /// # Errors
    /// If a logit is not finite.
    pub fn evaluate_under(
        &self,
        cases: &[Case],
        plans: &[Allocation],
    ) -> Result<Vec<Outcome>, EvaluationError> {
        self.rank(cases, Some(plans))
    }

    fn rank(&self, cases: &[Case], plans: Option<&[Allocation]>) -> Result<Vec<Outcome>, EvaluationError> {
        self.judge(cases, plans, &ProgressBar::hidden(), |_, case, logits| {
            outcome(case.user, logits, case.target)
        })
    }

    /// What `judge` makes of every case (its index, itself and the logits of all items), under a plan for each case
    /// or, without `plans`, under the shared one. Each core holds the logits of up to 256 cases, fewer of a large
    /// catalogue; `bar` moves on by cases.
    ///
    /// # Errors
    /// What `judge` refuses; if a plan cannot be made.
    pub fn judge<T: Send>(
        &self,
        cases: &[Case],
        plans: Option<&[Allocation]>,
        bar: &ProgressBar,
        judge: impl Fn(usize, &Case, &[f32]) -> Result<T, EvaluationError> + Sync,
    ) -> Result<Vec<T>, EvaluationError> {
        let size = (LOGITS / self.items.dims()[1]).clamp(1, BATCH);
        let of_batch = |(number, batch): (usize, &[Case])| {
            let first = number * size;
            let histories: Vec<&[u32]> = batch.iter().map(|c| c.history).collect();
            let logits = self.flat_logits(&histories, plans.map(|plans| &plans[first..][..batch.len()]))?;
            bar.inc(batch.len() as u64);
            let rows = logits.chunks(self.items.dims()[1]);
            let judged = batch.iter().zip(rows).enumerate().map(|(i, (c, l))| judge(first + i, c, l));
            judged.collect::<Result<Vec<T>, _>>()
        };
        let judged: Vec<Vec<T>> =
            cases.par_chunks(size).enumerate().map(of_batch).collect::<Result<_, EvaluationError>>()?;
        Ok(judged.into_iter().flatten().collect())
    }
}

/// Gates of given plans, without gradients.
fn hard_gates(plans: &[Allocation], steps: usize, device: &crate::tensor::Device) -> Vec<Tensor<2>> {
    let shape = [plans.len(), plans.first().map_or(0, |p| p.codes.len())];
    let gate = |step| {
        let values = plans.iter().flat_map(|p| &p.codes).map(|&c| f32::from(usize::from(c) > step)).collect();
        floats(values, shape, device)
    };
    (0..steps).map(gate).collect()
}
