//! One optimisation step, split over threads.

use super::adam::Adam;
use super::batches::{Example, Window};
use super::loss::{
    Loss, TeacherOutput, bce, distillation, distinct_negatives, other_items, sampled_distillation,
    sampled_softmax, softmax,
};
use crate::allocator::{AllocationError, Allocator};
use crate::config::{Config, DistillationConfig, LossName};
use crate::data::HeldOut;
use crate::model::activation_quantiser::ActivationQuantiser;
use crate::model::backbone::Backbone;
use crate::model::chord::{Chord, Precision};
use crate::model::dropout::Dropout;
use crate::model::mixed_precision::PaletteSteps;
use crate::model::profile::Histories;
use crate::model::sasrec::{Pass, Sequences};
use crate::random::mix;
use crate::tensor::{Backend, Device, Tensor, floats, integers, to_host};
use burn::module::AutodiffModule;
use burn::optim::GradientsParams;
use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

/// What stays the same over the steps of a stage.
pub struct StepContext<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The interactions.
    pub data: &'a HeldOut<'a>,
    /// The stage.
    pub precision: Precision,
    /// Bits from scores.
    pub allocator: &'a Allocator,
    /// An autodiff device.
    pub device: &'a Device,
    /// The full-precision model that the stage learns from beside the data.
    pub teacher: Option<Teacher<'a>>,
    /// What personal deviations are drawn towards, [users][channels], with its weight in the loss of a position.
    pub sensitivities: Option<(f32, &'a [Vec<f32>])>,
}

/// A full-precision model that another one learns from.
#[derive(Clone, Copy)]
pub struct Teacher<'a> {
    /// The model, on the plain device.
    pub model: &'a Backbone<Backend>,
    /// Items before a training window that it sees, too.
    pub context: usize,
}

/// The loss of one step.
#[derive(Clone, Copy, Debug)]
pub struct StepLoss {
    /// Loss summed over the positions.
    pub sum: f64,
    /// Positions that counted.
    pub positions: usize,
    /// Time in which the batch was put together on the host, of the slowest shard. A device that has nothing else to
    /// do waits for it.
    pub assembly: Duration,
}

impl StepContext<'_> {
    /// Takes one step on `batch`. Everything random in it follows from `seed`.
    ///
    /// # Errors
    /// If scores stop being finite, which means that training diverged.
    pub fn step(
        &self,
        model: Chord<Backend>,
        adam: &mut Adam,
        batch: &[Window],
        seed: u64,
        learning_rate: f64,
    ) -> Result<(Chord<Backend>, StepLoss), AllocationError> {
        let began = Instant::now();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let budget = self.draw_budget(&mut rng);
        let personal = self.precision.is_personal();
        let reserved = self.config.train.personal.reserved;
        let examples: Vec<Example> =
            (batch.iter())
                .map(|window| {
                    if personal {
                        window.split(self.data, reserved, &mut rng)
                    } else {
                        window.whole(self.data)
                    }
                })
                .collect();
        let positions: usize = examples.iter().map(|e| e.targets.len() - e.first_target).sum();
        // Shards hold equal numbers of sequences; a small batch uses fewer of them.
        let shards: Vec<&[Example]> =
            examples.chunks(examples.len().div_ceil(self.config.train.shards)).collect();
        let cut = began.elapsed();
        let run = |(index, shard): (usize, &&[Example])| {
            self.shard(&model, shard, positions, budget, [seed, mix(&[seed, index as u64])])
        };
        let results: Vec<_> = if shards.len() == 1 {
            vec![run((0, &shards[0]))]
        } else {
            std::thread::scope(|scope| {
                let threads: Vec<_> =
                    (shards.iter().enumerate()).map(|s| scope.spawn(move || run(s))).collect();
                threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
            })
        };
        let mut gradients = Vec::new();
        let mut sum = 0.0;
        let mut slowest = Duration::ZERO;
        for result in results {
            let (loss, gradient, assembly) = result?;
            sum += loss;
            gradients.push(gradient);
            slowest = slowest.max(assembly);
        }
        let model = adam.step(model, &mut gradients, learning_rate, self.config.train.clip);
        Ok((model, StepLoss { sum, positions, assembly: cut + slowest }))
    }

    fn draw_budget(&self, rng: &mut impl Rng) -> f32 {
        let b = &self.config.budget;
        let fixed = rng.random_bool(b.fixed_share);
        let drawn = rng.random_range(b.lowest..=b.highest);
        if fixed { b.default } else { drawn }
    }

    /// Loss, gradients and time of assembly of some sequences; the gradients are of the mean over the whole step's
    /// positions.
    ///
    /// The first seed is the step's: shards share its negatives; the second is the shard's own.
    pub(super) fn shard(
        &self,
        model: &Chord<Backend>,
        examples: &[Example],
        positions: usize,
        budget: f32,
        [step_seed, seed]: [u64; 2],
    ) -> Result<(f64, GradientsParams, Duration), AllocationError> {
        let mut assembly = Duration::ZERO;
        let mut dropout = Dropout::seeded(seed);
        // Leaves of this shard's own, so that each thread has its own graph. `fork` would hang a copy on every leaf
        // of the model for good: the graph's bookkeeping, and its time, would grow with every step.
        let model = Chord::from_inner(model.valid());
        let mut supervision = None;
        let weights = match model.fixed_weights(self.precision) {
            Some(weights) => weights,
            None => {
                let users = self.precision.is_personal().then(|| {
                    let began = Instant::now();
                    let histories = self.thinned_histories(examples, mix(&[seed, 1]));
                    assembly += began.elapsed();
                    model.user_embeddings(&histories, &mut dropout, self.config.profile.dropout)
                });
                let palette = PaletteSteps::new(&model.backbone, self.allocator.widths());
                let temperature = self.config.train.gate_temperature;
                let mut scores = model.log_scores(users);
                if self.precision.is_personal() && self.config.train.personal.centred {
                    // What all users of the shard share teaches nothing: static scores have that already.
                    scores = scores.clone() - scores.mean_dim(0) + model.log_scores(None);
                }
                supervision = self.sensitivities.map(|(weight, sensitivities)| {
                    let deviations = scores.clone() - model.log_scores(None).detach();
                    self.distance(deviations, sensitivities, examples) * weight
                });
                model.planned_weights(scores, &palette, self.allocator, budget, temperature)?
            }
        };
        let began = Instant::now();
        let inputs: Vec<&[u32]> = examples.iter().map(|e| e.inputs).collect();
        let sequences = Sequences::new(&inputs, self.device);
        assembly += began.elapsed();
        let hidden = model.backbone.hidden(
            &sequences,
            &mut Pass {
                weights: &weights,
                activations: self.precision.activations(self.config),
                dropout: &mut dropout,
                rate: self.config.model.dropout,
            },
        );
        let began = Instant::now();
        let targets: Vec<i32> =
            examples.iter().flat_map(|e| &e.targets[e.first_target..]).map(|&item| item as i32).collect();
        assembly += began.elapsed();
        // The states that predict them: the last ones of each sequence, which ends where its row does.
        let counted = |hidden: Tensor<3>| {
            let [batch, tokens, dim] = hidden.dims();
            let counts = examples.iter().map(|e| e.targets.len() - e.first_target).enumerate();
            let rows = counts.flat_map(|(b, count)| (b + 1) * tokens - count..(b + 1) * tokens);
            let rows = integers(rows.map(|row| row as i32).collect(), [targets.len()], &hidden.device());
            hidden.reshape([batch * tokens, dim]).select(0, rows)
        };
        let taught = self.teacher.map(|teacher| TeacherOutput {
            hidden: counted(teacher.hidden(examples)),
            items: teacher.model.items().val(),
        });
        let seeds = [step_seed, seed];
        let loss = self.loss(counted(hidden), model.backbone.items().val(), targets, taught.as_ref(), seeds);
        let surrogate = match supervision {
            Some(distance) => loss.surrogate + distance,
            None => loss.surrogate,
        };
        let gradients = (surrogate / positions as f32).backward();
        let sum = f64::from(to_host(loss.sum)[0]);
        Ok((sum, GradientsParams::from_grads(gradients, &model), assembly))
    }

    /// The configured loss of `hidden` [positions, dim] against target rows, mixed with what the teacher says.
    fn loss(
        &self,
        hidden: Tensor<2>,
        items: Tensor<2>,
        targets: Vec<i32>,
        teacher: Option<&TeacherOutput>,
        [step_seed, seed]: [u64; 2],
    ) -> Loss {
        let settings = &self.config.train.loss;
        let DistillationConfig { weight, temperature, .. } = self.config.train.distillation;
        let (catalogue, n) = (items.dims()[0], targets.len());
        let tensor = |rows: Vec<i32>| {
            let count = rows.len();
            integers(rows, [count], self.device)
        };
        match settings.kind {
            LossName::Softmax => {
                let task = softmax(hidden.clone(), items.clone(), tensor(targets));
                match teacher {
                    Some(teacher) => distillation(hidden, items, teacher, temperature).mixed(weight, task),
                    None => task,
                }
            }
            LossName::SampledSoftmax => {
                let mut rng = Xoshiro256PlusPlus::seed_from_u64(mix(&[step_seed, 2]));
                let negatives = distinct_negatives(catalogue, settings.negatives, &mut rng);
                let (targets, negatives) = (tensor(targets), tensor(negatives));
                let task = sampled_softmax(hidden.clone(), items.clone(), targets.clone(), negatives.clone());
                match teacher {
                    Some(teacher) => {
                        sampled_distillation(hidden, items, targets, negatives, teacher, temperature)
                            .mixed(weight, task)
                    }
                    None => task,
                }
            }
            LossName::Bce => {
                let mut rng = Xoshiro256PlusPlus::seed_from_u64(mix(&[seed, 2]));
                let mut negatives = Vec::with_capacity(n * settings.negatives);
                for &target in &targets {
                    negatives.extend(other_items(catalogue, target, settings.negatives, &mut rng));
                }
                bce(hidden, items, tensor(targets), tensor(negatives))
            }
        }
    }

    /// Squared distance of `deviations` [examples, channels] from the users' `sensitivities`, mean over channels, summed
    /// over the positions that count. Users without sensitivities take no part.
    fn distance(&self, deviations: Tensor<2>, sensitivities: &[Vec<f32>], examples: &[Example]) -> Tensor<1> {
        let [count, channels] = deviations.dims();
        let device = deviations.device();
        let (mut targets, mut weights) = (Vec::with_capacity(count * channels), Vec::with_capacity(count));
        for example in examples {
            let of_user = &sensitivities[example.user];
            let known = !of_user.is_empty();
            targets.extend((0..channels).map(|c| of_user.get(c).copied().unwrap_or_default()));
            let positions = example.targets.len() - example.first_target;
            weights.push(if known { positions as f32 / channels as f32 } else { 0.0 });
        }
        let targets = floats(targets, [count, channels], &device);
        ((deviations - targets).square() * floats(weights, [count, 1], &device)).sum()
    }

    /// What the profile sees, with a share of the items left out at random but never all.
    fn thinned_histories(&self, examples: &[Example], seed: u64) -> Histories {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let p = &self.config.profile;
        let kept: Vec<Vec<u32>> = (examples.iter())
            .map(|e| {
                let seen = if p.recent == 0 { usize::MAX } else { p.pooled };
                let newest = &e.profile[e.profile.len().saturating_sub(seen)..];
                let mut kept: Vec<u32> =
                    newest.iter().copied().filter(|_| !rng.random_bool(p.history_dropout)).collect();
                if kept.is_empty() {
                    kept.extend(newest.last());
                }
                kept
            })
            .collect();
        let rows: Vec<&[u32]> = kept.iter().map(Vec::as_slice).collect();
        Histories::new(&rows, p.recent, p.pooled, self.device)
    }
}

impl Teacher<'_> {
    /// Its hidden states over the examples' inputs and the context before them, [batch, tokens, dim].
    fn hidden(&self, examples: &[Example]) -> Tensor<3> {
        let seen = |e: &Example| e.history.len().saturating_sub(e.inputs.len() + self.context);
        let rows: Vec<&[u32]> = examples.iter().map(|e| &e.history[seen(e)..]).collect();
        let sequences = Sequences::new(&rows, &self.model.items().device());
        let weights = self.model.full_precision();
        let activations = ActivationQuantiser::None;
        let mut pass = Pass { weights: &weights, activations, dropout: &mut Dropout::off(), rate: 0.0 };
        self.model.hidden(&sequences, &mut pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::data::Sequences as Items;

    /// A teacher's states see as far back as they may, and no further.
    #[test]
    fn a_teacher_sees_items_before_the_window() {
        let sets = ["model.dim=8", "model.inner=8", "model.window=8"].map(str::to_owned);
        let config = config::load(None, &sets).unwrap();
        let device = Device::autodiff(Device::Flex(Default::default()));
        let model = Chord::new(&config, 20, &device).valid().backbone;
        let states = |items: [u32; 11], context: usize| {
            let sequences: Items = [&items[..]].into_iter().collect();
            let data = HeldOut::new(&sequences);
            let example = Window { user: 0, start: 4, end: 8 }.whole(&data);
            let hidden = Teacher { model: &model, context }.hidden(&[example]);
            let [_, tokens, dim] = hidden.dims();
            (tokens, to_host(hidden)[(tokens - 3) * dim..].to_vec())
        };
        let items = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        let [before, earlier] = [3, 0].map(|at| {
            let mut changed = items;
            changed[at] = 19;
            changed
        });
        assert_eq!(states(items, 0), states(before, 0));
        assert_ne!(states(items, 3).1, states(before, 3).1);
        assert_eq!(states(items, 3), states(earlier, 3));
        assert_eq!([0, 3, 9].map(|context| states(items, context).0), [3, 6, 7]);
    }
}
