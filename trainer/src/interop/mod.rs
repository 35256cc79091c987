//! SASRec weights of other trainers, as safetensors files, in and out (docs/interop.md).

mod export;
mod names;
#[cfg(test)]
mod parity;
mod weights;

pub use export::export;
pub use weights::Weights;

use crate::config::ConfigError;
use crate::training::checkpoint::CheckpointError;
use std::path::PathBuf;
use thiserror::Error;

/// Whose names and whose forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The module in interop/sasrec.py: pre-norm, positions from the right.
    Pytorch,
    /// SASRec of RecBole 1.2.1: post-norm, positions from the left, item row i in row i + 1.
    Recbole,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pytorch => "pytorch",
            Self::Recbole => "recbole",
        })
    }
}

/// Why weights cannot come in or go out.
#[derive(Debug, Error)]
pub enum InteropError {
    /// The file, or a tensor in it.
    #[error(transparent)]
    Tensor(#[from] CheckpointError),
    /// A tensor that this model has no place for.
    #[error("{path}: tensor `{name}` has no place in a {format} SASRec")]
    Extra {
        /// The file.
        path: PathBuf,
        /// Of the tensor.
        name: String,
        /// As it was read.
        format: Format,
    },
    /// The weights make a configuration that makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration says something else than the weights.
    #[error("{path}: `{key}` is {configured}, the weights need {needed}")]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// Dotted path of the knob.
        key: &'static str,
        /// As configured.
        configured: String,
        /// As the weights say.
        needed: String,
    },
    /// The table has another number of items than the data set.
    #[error("{path}: weights of {found} items, the data set has {expected}")]
    Items {
        /// The file.
        path: PathBuf,
        /// In the table, without a padding row.
        found: usize,
        /// In the data set.
        expected: usize,
    },
    /// The format has no such model.
    #[error("{format} has no such model: it needs `{key}` = {needed}")]
    Unfit {
        /// The format.
        format: Format,
        /// Dotted path of the knob.
        key: &'static str,
        /// What it would have to be.
        needed: String,
    },
}
