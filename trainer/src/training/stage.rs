//! One stage of training: epochs, validation, checkpoints, resume.

use super::adam::Adam;
use super::batches;
use super::checkpoint::{self, CheckpointError, Progress};
use super::device_memory::within_memory;
use super::fisher;
use super::metrics_log::{MetricsLog, Record};
use super::process_memory::ProcessMemory;
use super::step::{StepContext, Teacher, mix};
use super::{interrupt, progress, shrinkage, transfer};
use crate::allocator::{AllocationError, Allocator};
use crate::config::{Config, Schedule};
use crate::data::{HeldOut, Split};
use crate::evaluation::trainer_engine::TrainerEngine;
use crate::evaluation::{EvaluationError, Report};
use crate::hypernetwork::Channels;
use crate::model::chord::{Chord, Precision, allocator};
use crate::run::RunError;
use crate::tensor::{Backend, Device};
use std::path::{Path, PathBuf};
use std::time::Instant;
use thiserror::Error;
use tracing::info;

/// Why training stopped before its end.
#[derive(Debug, Error)]
pub enum TrainingError {
    /// Ctrl-C or SIGTERM; a checkpoint is there.
    #[error("interrupted; go on with `chord train --run {run} --resume`")]
    Interrupted {
        /// The run folder.
        run: PathBuf,
    },
    /// The loss is not a number.
    #[error("stage {stage}, epoch {epoch}, step {step}: the loss is {loss}; lower the learning rate")]
    Diverged {
        /// Name of the stage.
        stage: String,
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1.
        step: usize,
        /// Mean over the step.
        loss: f64,
    },
    /// The step does not fit the device.
    #[error(
        "stage {stage}: the device is out of memory ({said}); lower `train.batch`, now {batch}. The last checkpoint is \
         whole, but a run keeps its configuration: start another one"
    )]
    OutOfMemory {
        /// Name of the stage.
        stage: String,
        /// Windows in a step.
        batch: usize,
        /// By the backend.
        said: String,
    },
    /// There is nothing to train on.
    #[error("no user has two training interactions")]
    NoBatches,
    /// The run named as teacher cannot be opened.
    #[error("train.distillation.teacher: {0}")]
    Run(#[from] RunError),
    /// The run named as teacher does not fit.
    #[error("train.distillation.teacher: {run}: {why}")]
    Teacher {
        /// The run folder.
        run: PathBuf,
        /// What does not fit.
        why: &'static str,
    },
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A score or budget is out of range.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// Validation failed.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// A file of the run folder cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

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
        let (latest, best) = (self.file("latest"), self.file("best"));
        let name = self.precision.to_string();
        let mut progress = Progress { stage: name.clone(), ..Progress::default() };
        let mut adam = Adam::default();
        let mut model = start;
        if latest.exists()
            && let (loaded, Some(state)) = checkpoint::load(&latest, model.clone(), self.device)?
        {
            model = loaded;
            (adam, progress) = state;
            if progress.stage != name {
                let (found, expected) = (progress.stage, name);
                return Err(CheckpointError::Stage { path: latest, found, expected }.into());
            }
            info!("{name}: going on from epoch {}, step {}", progress.epoch + 1, progress.step);
        }
        adam = adam.configured(&self.config.train);
        model = model.learning(self.precision, &self.config.train);
        let schedule = self.schedule();
        let allocator = allocator(self.config, self.precision, &Channels::of(&model.backbone));
        let weight = self.config.train.personal.fisher.weight;
        let context = StepContext {
            teacher: self.teacher,
            sensitivities: sensitivities.as_deref().map(|of_users| (weight, of_users)),
            ..self.context(self.precision, &allocator)
        };
        let train = &self.config.train;
        let stream = mix(&[train.seed, name.bytes().fold(0, |h, b| mix(&[h, b.into()]))]);
        let epoch_batches = |epoch: usize| {
            let (context, window) = (self.config.model.window.into(), self.config.training_window());
            let seed = mix(&[stream, 1, epoch as u64]);
            match train.personal.reserved {
                share if share > 0.0 && self.precision.is_personal() => {
                    batches::reserved_epoch(self.data, share, context, window, train.batch, seed)
                }
                _ => batches::epoch(self.data, window, train.batch, seed),
            }
        };
        let steps_per_epoch = epoch_batches(0).len();
        if steps_per_epoch == 0 {
            return Err(TrainingError::NoBatches);
        }
        let total = (schedule.epochs * steps_per_epoch).max(1);
        let rate = |number: usize| {
            let warm = ((number + 1) as f64 / train.warm_up.max(1) as f64).min(1.0);
            let decay = (1.0 - number as f64 / total as f64).max(0.02);
            schedule.learning_rate * warm * decay
        };
        let bar = progress::bar(
            &name,
            total as u64,
            (progress.epoch * steps_per_epoch + progress.step) as u64,
            "steps",
        );
        let mut validated = String::new();
        if schedule.epochs == 0 {
            checkpoint::save(&best, &model, None)?;
        }
        for epoch in progress.epoch..schedule.epochs {
            if train.patience > 0 && progress.stale >= train.patience {
                info!("{name}: stopped early, {} validations without a better one", progress.stale);
                break;
            }
            let began = Instant::now();
            let first = progress.step;
            let batches = epoch_batches(epoch);
            let mut assembly = began.elapsed();
            for (step, batch) in batches.iter().enumerate().skip(first) {
                let number = epoch * steps_per_epoch + step;
                let seed = mix(&[stream, 2, number as u64]);
                let (next, loss) =
                    within_memory(|| context.step(model, &mut adam, batch, seed, rate(number))).map_err(
                        |said| TrainingError::OutOfMemory { stage: name.clone(), batch: train.batch, said },
                    )??;
                model = next;
                assembly += loss.assembly;
                if !loss.sum.is_finite() {
                    let loss = loss.sum / loss.positions as f64;
                    return Err(TrainingError::Diverged {
                        stage: name,
                        epoch: epoch + 1,
                        step: step + 1,
                        loss,
                    });
                }
                progress.loss_sum += loss.sum;
                progress.positions += loss.positions as u64;
                progress.step = step + 1;
                bar.set_position(number as u64 + 1);
                bar.set_message(format!(
                    "loss {:.4}{validated}",
                    progress.loss_sum / progress.positions as f64
                ));
                let stop = interrupt::requested();
                if stop || (number + 1).is_multiple_of(train.checkpoint_every) {
                    checkpoint::save(&latest, &model, Some((&adam, &progress)))?;
                }
                if stop {
                    return Err(TrainingError::Interrupted { run: self.run.to_owned() });
                }
            }
            let loss = progress.loss_sum / progress.positions.max(1) as f64;
            let seconds = began.elapsed().as_secs_f64();
            let averaged = adam.averaged(model.clone());
            let validation = self.validate(&averaged, epoch, schedule.epochs)?;
            if let Some(report) = &validation {
                let figure = train.choose_by.figure(report);
                if progress.best.is_none_or(|(best, _)| train.choose_by.better(figure, best)) {
                    (progress.best, progress.stale) = (Some((figure, epoch + 1)), 0);
                    checkpoint::save(&best, &averaged, None)?;
                } else {
                    progress.stale += 1;
                }
                validated = format!("  validation NDCG {:.4}  CE {:.4}", report.ndcg, report.cross_entropy);
            }
            progress = Progress { epoch: epoch + 1, step: 0, loss_sum: 0.0, positions: 0, ..progress };
            checkpoint::save(&latest, &model, Some((&adam, &progress)))?;
            let learning_rate = rate((epoch + 1) * steps_per_epoch - 1);
            let record = Record {
                stage: &name,
                epoch: epoch + 1,
                loss,
                learning_rate,
                seconds,
                assembly_share: assembly.as_secs_f64() / seconds,
                memory: ProcessMemory::now(),
                validation,
            };
            log.append(&record)?;
            info!("{record}");
        }
        bar.finish_and_clear();
        if self.precision.is_personal() {
            // Not over the best one: a stage killed here would fit what is fitted already.
            let (chosen, _) = checkpoint::load(&best, model.clone(), self.device)?;
            checkpoint::save(&done, &shrinkage::fit(self, self.transferred(chosen))?, None)?;
            let _ = std::fs::remove_file(&best);
        } else {
            std::fs::rename(&best, &done)
                .map_err(|source| TrainingError::Io { path: done.clone(), source })?;
        }
        // Absent when the stage has no epochs.
        let _ = std::fs::remove_file(&latest);
        Ok(checkpoint::load(&done, model, self.device)?.0)
    }

    fn validate(
        &self,
        model: &Chord<Backend>,
        epoch: usize,
        epochs: usize,
    ) -> Result<Option<Report>, TrainingError> {
        if !(epoch + 1).is_multiple_of(self.config.train.evaluate_every) && epoch + 1 != epochs {
            return Ok(None);
        }
        let cases: Vec<_> = self.data.cases(Split::Validation).collect();
        let centred =
            self.precision.is_personal().then(|| shrinkage::centred(self, self.transferred(model.clone())));
        let model = centred.as_ref().unwrap_or(model);
        let engine = TrainerEngine::new(model, self.config, self.precision, self.config.budget.default);
        Ok(Some(Report::of(&engine.evaluate(&cases)?)?))
    }
}
