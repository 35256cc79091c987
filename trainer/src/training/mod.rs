//! Training: batches, loss, optimiser, stages, checkpoints.

pub mod adam;
pub mod batches;
pub mod checkpoint;
mod choice;
pub mod device_memory;
pub mod error;
pub mod events;
mod fisher;
pub mod interrupt;
pub mod loss;
pub mod metrics_log;
pub mod pipeline;
pub mod process_memory;
pub mod progress;
mod shrinkage;
pub mod stage;
pub mod step;
mod transfer;
