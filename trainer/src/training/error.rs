//! Why training stops before its end.

use super::checkpoint::CheckpointError;
use crate::allocator::AllocationError;
use crate::evaluation::EvaluationError;
use crate::run::RunError;
use std::path::PathBuf;
use thiserror::Error;

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
    #[error(
        "stage {0}: nothing to train on: no user has two training interactions, or none left beside those that \
         train.personal.reserved keeps"
    )]
    NoBatches(String),
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
