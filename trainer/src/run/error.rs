use crate::config::ConfigError;
use crate::data::DataError;
use crate::evaluation::saved::SavedError;
use std::path::PathBuf;
use thiserror::Error;

/// Why a run folder cannot be used.
#[derive(Debug, Error)]
pub enum RunError {
    /// Training would overwrite something.
    #[error("{0}: a run is there already; go on with --resume, or name another folder")]
    Exists(PathBuf),
    /// Checkpoints of a run whose configuration is gone.
    #[error("{0}: checkpoints of a run without its config.toml; name another folder")]
    Remains(PathBuf),
    /// There is nothing to go on with.
    #[error("{0}: no run is there (config.toml is missing)")]
    Missing(PathBuf),
    /// The file at `data.source` is another one now.
    #[error("{0}: the run was trained on other interactions than its data.source has now")]
    Data(PathBuf),
    /// Resuming under another configuration.
    #[error("{0}: the run was started with another configuration; a resumed run keeps its own")]
    Changed(PathBuf),
    /// Two processes would write the same checkpoints.
    #[error("{0}: another process trains in this run")]
    Busy(PathBuf),
    /// A file cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The stored configuration is damaged.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The saved evaluation cannot be removed.
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// The interactions cannot be read.
    #[error(transparent)]
    Interactions(#[from] DataError),
}
