//! One stage of training: epochs, validation, checkpoints, resume.

use super::adam::Adam;
use super::batches::{self, Window};
use super::checkpoint::{self, CheckpointError, Progress};
use super::device_memory::within_memory;
use super::error::TrainingError;
use super::fisher;
use super::interrupt::{self, Heed};
use super::metrics_log::{MetricsLog, Record};
use super::process_memory::ProcessMemory;
use super::step::{StepContext, Teacher};
use super::{progress, shrinkage, transfer};
use crate::allocator::Allocator;
use crate::config::{Config, Schedule};
use crate::data::{HeldOut, Split};
use crate::evaluation::Report;
use crate::evaluation::trainer_engine::TrainerEngine;
use crate::hypernetwork::Channels;
use crate::model::chord::{Chord, Precision, allocator};
use crate::random::mix;
use crate::tensor::{Backend, Device};
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tracing::info;

/// A stage and where it keeps its files.
pub struct Stage<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The interactions.
    pub data: &'a HeldOut<'a>,
    /// An autodiff device.
    pub device: &'a Device,
    /// The run folder.
    pub run: &'a Path,
    /// How weights are chosen while it trains.
    pub precision: Precision,
    /// The full-precision model to learn from.
    pub teacher: Option<Teacher<'a>>,
    /// The model that this stage starts from, and the one of the same origin that gets what it learns.
    pub transfer: Option<[&'a Chord<Backend>; 2]>,
}

/// A stage in training.
struct Standing {
    model: Chord<Backend>,
    adam: Adam,
    progress: Progress,
}

/// Kinds of checkpoints of a stage in training: the one to go on from, and the best of its validations.
const LATEST: &str = "latest";
const BEST: &str = "best";

/// The finished weights of a stage.
pub fn finished(run: &Path, precision: Precision) -> PathBuf {
    run.join("checkpoints").join(format!("{precision}.safetensors"))
}

impl Stage<'_> {
    fn schedule(&self) -> Schedule {
        let train = &self.config.train;
        match self.precision {
            Precision::Fp32 => train.fp32.clone(),
            Precision::Uniform(_) => train.uniform.schedule(),
            Precision::Fisher | Precision::Static | Precision::StaticMask => train.static_.clone(),
            Precision::Personal | Precision::PersonalMask => train.personal.schedule(),
        }
    }

    /// The Fisher information of `model` user by user, for a personal stage that learns from it.
    fn sensitivities(&self, model: &Chord<Backend>) -> Result<Option<Vec<Vec<f32>>>, TrainingError> {
        let supervision = &self.config.train.personal.fisher;
        if !self.precision.is_personal() || supervision.weight == 0.0 {
            return Ok(None);
        }
        let bar =
            progress::bar("fisher of users", (self.data.users() * supervision.windows) as u64, 0, "windows");
        let allocator = allocator(self.config, Precision::Fp32, &Channels::of(&model.backbone));
        let context = self.context(Precision::Fp32, &allocator);
        let found = fisher::deviations(
            &context,
            model,
            supervision.windows,
            mix(&[self.config.train.seed, 4]),
            &bar,
        )?;
        bar.finish_and_clear();
        Ok(Some(found))
    }

    /// `model`, what it learnt put onto the model that is to get it.
    fn transferred(&self, model: Chord<Backend>) -> Chord<Backend> {
        let Some([from, onto]) = self.transfer else { return model };
        let backbone = transfer::moved(onto.backbone.clone(), &from.backbone, &model.backbone);
        Chord { backbone, shared: onto.shared.clone(), ..model }
    }

    fn context<'b>(&'b self, precision: Precision, allocator: &'b Allocator) -> StepContext<'b> {
        let Self { config, data, device, .. } = *self;
        StepContext { config, data, precision, allocator, device, teacher: None, sensitivities: None }
    }

    /// `model` with shared scores from its Fisher information at full precision.
    ///
    /// # Errors
    /// If its gradients are not finite.
    pub fn with_fisher_scores(&self, model: Chord<Backend>) -> Result<Chord<Backend>, TrainingError> {
        let precision = Precision::Fp32;
        let allocator = allocator(self.config, precision, &Channels::of(&model.backbone));
        let windows = self.config.train.fisher.windows;
        let bar = progress::bar("fisher information", windows as u64, 0, "windows");
        let context = self.context(precision, &allocator);
        let scores = fisher::log_scores(&context, &model, windows, mix(&[self.config.train.seed, 3]), &bar)?;
        bar.finish_and_clear();
        Ok(Chord { shared: model.shared.with_scores(scores), ..model })
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.run.join("checkpoints").join(format!("{}.{kind}.safetensors", self.precision))
    }

    /// Trains from `start`, or goes on from this stage's last checkpoint, and returns the model of the best
    /// validation. Its weights are then in the file [`finished`] names; a stage found finished is only loaded.
    ///
    /// # Errors
    /// When interrupted (resumable), when the loss diverges, or when files cannot be read or written.
    pub fn train(
        &self,
        start: Chord<Backend>,
        log: &mut MetricsLog,
    ) -> Result<Chord<Backend>, TrainingError> {
        let done = finished(self.run, self.precision);
        if done.exists() {
            info!("{}: finished before", self.precision);
            return Ok(checkpoint::load(&done, start, self.device)?.0);
        }
        // Of where the stage starts, so that one that goes on learns towards the same.
        let sensitivities = self.sensitivities(&start)?;
        let mut at = self.standing(start)?;
        let train = &self.config.train;
        let allocator = allocator(self.config, self.precision, &Channels::of(&at.model.backbone));
        let context = StepContext {
            teacher: self.teacher,
            sensitivities: sensitivities.as_deref().map(|users| (train.personal.fisher.weight, users)),
            ..self.context(self.precision, &allocator)
        };
        let epochs = self.schedule().epochs;
        let steps = self.batches(0).len();
        if steps == 0 {
            return Err(TrainingError::NoBatches(self.precision.to_string()));
        }
        if epochs == 0 {
            checkpoint::save(&self.file(BEST), &at.model, None)?;
        }
        let _heed = Heed::new();
        let first = at.progress.epoch * steps + at.progress.step;
        let bar =
            progress::bar(&self.precision.to_string(), (epochs * steps).max(1) as u64, first as u64, "steps");
        let mut validated = String::new();
        while at.progress.epoch < epochs {
            if train.patience > 0 && at.progress.stale >= train.patience {
                info!(
                    "{}: stopped early, {} validations without a better one",
                    self.precision, at.progress.stale
                );
                break;
            }
            let record;
            (at, record) = self.epoch(at, &context, &bar, &validated)?;
            if let Some(report) = &record.validation {
                validated = format!("  validation NDCG {:.4}  CE {:.4}", report.ndcg, report.cross_entropy);
            }
            log.append(&record)?;
            info!("{record}");
        }
        bar.finish_and_clear();
        let model = self.finish(at.model)?;
        // Asked after the last step.
        if interrupt::requested() { Err(self.interrupted()) } else { Ok(model) }
    }

    fn out_of_memory(&self, said: String) -> TrainingError {
        TrainingError::OutOfMemory { stage: self.precision.to_string(), batch: self.config.train.batch, said }
    }

    fn interrupted(&self) -> TrainingError {
        TrainingError::Interrupted { run: self.run.to_owned() }
    }

    /// Where this stage stands: at its last checkpoint, or at its beginning.
    fn standing(&self, start: Chord<Backend>) -> Result<Standing, TrainingError> {
        let (latest, stage) = (self.file(LATEST), self.precision.to_string());
        let mut at = Standing {
            model: start,
            adam: Adam::default(),
            progress: Progress { stage: stage.clone(), ..Progress::default() },
        };
        if latest.exists() {
            let (model, state) = checkpoint::load(&latest, at.model, self.device)?;
            let (adam, progress) = state.ok_or_else(|| CheckpointError::NoProgress(latest.clone()))?;
            if progress.stage != stage {
                let (found, expected) = (progress.stage, stage);
                return Err(CheckpointError::Stage { path: latest, found, expected }.into());
            }
            info!("{stage}: going on from epoch {}, step {}", progress.epoch + 1, progress.step);
            at = Standing { model, adam, progress };
        }
        let train = &self.config.train;
        let (model, adam) = (at.model.learning(self.precision, train), at.adam.configured(train));
        Ok(Standing { model, adam, ..at })
    }

    /// Seed of everything that this stage draws.
    fn stream(&self) -> u64 {
        let name = self.precision.to_string();
        mix(&[self.config.train.seed, name.bytes().fold(0, |hash, byte| mix(&[hash, byte.into()]))])
    }

    /// The batches of an epoch.
    fn batches(&self, epoch: usize) -> Vec<Vec<Window>> {
        let train = &self.config.train;
        let (context, window) = (self.config.model.window.into(), self.config.training_window());
        let seed = mix(&[self.stream(), 1, epoch as u64]);
        match train.personal.reserved {
            share if share > 0.0 && self.precision.is_personal() => {
                batches::reserved_epoch(self.data, share, context, window, train.batch, seed)
            }
            _ => batches::epoch(self.data, window, train.batch, seed),
        }
    }

    /// The learning rate of step `number` of `total`: a linear rise, then a linear fall.
    fn rate(&self, number: usize, total: usize) -> f64 {
        let warm = ((number + 1) as f64 / self.config.train.warm_up.max(1) as f64).min(1.0);
        let decay = (1.0 - number as f64 / total as f64).max(0.02);
        self.schedule().learning_rate * warm * decay
    }

    /// The rest of the epoch in progress, with its validation and checkpoints; `validated` stands beside the loss on the
    /// bar.
    fn epoch(
        &self,
        at: Standing,
        context: &StepContext,
        bar: &ProgressBar,
        validated: &str,
    ) -> Result<(Standing, Record), TrainingError> {
        let Standing { mut model, mut adam, mut progress } = at;
        let train = &self.config.train;
        let (latest, stream, epoch) = (self.file(LATEST), self.stream(), progress.epoch);
        let began = Instant::now();
        let batches = self.batches(epoch);
        let mut assembly = began.elapsed();
        let (steps, epochs) = (batches.len(), self.schedule().epochs);
        let rate = |number| self.rate(number, epochs * steps);
        for (step, batch) in batches.iter().enumerate().skip(progress.step) {
            let number = epoch * steps + step;
            let seed = mix(&[stream, 2, number as u64]);
            let taken = within_memory(|| context.step(model, &mut adam, batch, seed, rate(number)));
            let (next, loss) = taken.map_err(|said| self.out_of_memory(said))??;
            model = next;
            assembly += loss.assembly;
            if !loss.sum.is_finite() {
                return Err(TrainingError::Diverged {
                    stage: progress.stage,
                    epoch: epoch + 1,
                    step: step + 1,
                    loss: loss.sum / loss.positions as f64,
                });
            }
            progress.loss_sum += loss.sum;
            progress.positions += loss.positions as u64;
            progress.step = step + 1;
            bar.set_position(number as u64 + 1);
            bar.set_message(format!("loss {:.4}{validated}", progress.loss()));
            let stop = interrupt::requested();
            if stop || (number + 1).is_multiple_of(train.checkpoint_every) {
                checkpoint::save(&latest, &model, Some((&adam, &progress)))?;
            }
            if stop {
                return Err(self.interrupted());
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let due = (epoch + 1).is_multiple_of(train.evaluate_every) || epoch + 1 == epochs;
        let validation =
            due.then(|| within_memory(|| self.validate(adam.averaged(model.clone()), &mut progress)));
        let validation = validation.transpose().map_err(|said| self.out_of_memory(said))?.transpose()?;
        let record = Record {
            stage: progress.stage.clone(),
            epoch: epoch + 1,
            loss: progress.loss(),
            learning_rate: rate((epoch + 1) * steps - 1),
            seconds,
            assembly_share: assembly.as_secs_f64() / seconds,
            memory: ProcessMemory::now(),
            validation,
        };
        progress = Progress { epoch: epoch + 1, step: 0, loss_sum: 0.0, positions: 0, ..progress };
        checkpoint::save(&latest, &model, Some((&adam, &progress)))?;
        Ok((Standing { model, adam, progress }, record))
    }

    /// How `model` ranks validation items; it is kept if none before ranked them better.
    fn validate(&self, model: Chord<Backend>, progress: &mut Progress) -> Result<Report, TrainingError> {
        let cases: Vec<_> = self.data.cases(Split::Validation).collect();
        let centred =
            self.precision.is_personal().then(|| shrinkage::centred(self, self.transferred(model.clone())));
        let ranking = centred.as_ref().unwrap_or(&model);
        let engine = TrainerEngine::new(ranking, self.config, self.precision, self.config.budget.default);
        let report = Report::of(&engine.evaluate(&cases)?)?;
        let choose_by = self.config.train.choose_by;
        let figure = choose_by.figure(&report);
        if progress.best.is_none_or(|(best, _)| choose_by.better(figure, best)) {
            (progress.best, progress.stale) = (Some((figure, progress.epoch + 1)), 0);
            checkpoint::save(&self.file(BEST), &model, None)?;
        } else {
            progress.stale += 1;
        }
        Ok(report)
    }

    /// Makes the best model the finished one; `like` has its shapes.
    fn finish(&self, like: Chord<Backend>) -> Result<Chord<Backend>, TrainingError> {
        let (best, done) = (self.file(BEST), finished(self.run, self.precision));
        if self.precision.is_personal() {
            // Not over the best one: a stage killed here would fit what is fitted already.
            let (chosen, _) = checkpoint::load(&best, like.clone(), self.device)?;
            checkpoint::save(&done, &shrinkage::fit(self, self.transferred(chosen))?, None)?;
            let _ = std::fs::remove_file(&best);
        } else {
            std::fs::rename(&best, &done)
                .map_err(|source| TrainingError::Io { path: done.clone(), source })?;
        }
        // Absent when the stage has no epochs.
        let _ = std::fs::remove_file(self.file(LATEST));
        Ok(checkpoint::load(&done, like, self.device)?.0)
    }
}
