//! A run folder: config, log, metrics, checkpoints and what was made of them.

use crate::config::{self, Config, ConfigError};
use crate::data::{DataError, Dataset, LoadOptions, load_cached};
use crate::provenance::Provenance;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The file that says what a run was started by.
const PROVENANCE: &str = "provenance.json";

/// Why a run folder cannot be used.
#[derive(Debug, Error)]
pub enum RunError {
    /// Training would overwrite something.
    #[error("{0}: a run is there already; go on with --resume, or name another folder")]
    Exists(PathBuf),
    /// There is nothing to go on with.
    #[error("{0}: no run is there (config.toml is missing)")]
    Missing(PathBuf),
    /// Resuming under another configuration.
    #[error("{0}: the run was started with another configuration; a resumed run keeps its own")]
    Changed(PathBuf),
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
}

/// A run folder and its configuration.
#[derive(Clone, Debug)]
pub struct Run {
    /// The folder.
    pub folder: PathBuf,
    /// What it was started with.
    pub config: Config,
}

impl Run {
    /// Starts a run in a new folder, or in an empty one.
    ///
    /// # Errors
    /// If a run is there already or the folder cannot be written.
    pub fn create(folder: &Path, config: Config) -> Result<Self, RunError> {
        let path = folder.join("config.toml");
        if path.exists() {
            return Err(RunError::Exists(folder.to_owned()));
        }
        let provenance = serde_json::to_string_pretty(&Provenance::here()).expect("plain data");
        let origin = folder.join(PROVENANCE);
        let written = crate::atomic_file::write(&origin, provenance.as_bytes());
        written.map_err(|source| RunError::Io { path: origin, source })?;
        let text = toml::to_string(&config).expect("a configuration is plain data");
        let written = crate::atomic_file::write(&path, text.as_bytes());
        written.map_err(|source| RunError::Io { path, source })?;
        Ok(Self { folder: folder.to_owned(), config })
    }

    /// Opens a run that was started.
    ///
    /// # Errors
    /// If there is none or its configuration is damaged.
    pub fn open(folder: &Path) -> Result<Self, RunError> {
        let path = folder.join("config.toml");
        if !path.exists() {
            return Err(RunError::Missing(folder.to_owned()));
        }
        Ok(Self { folder: folder.to_owned(), config: config::load(Some(&path), &[])? })
    }

    /// What the run was started by; nothing for runs that did not record it.
    pub fn provenance(&self) -> Option<Provenance> {
        serde_json::from_slice(&std::fs::read(self.folder.join(PROVENANCE)).ok()?).ok()
    }

    /// Starts a run, or goes on with the one that is there; `config` must then be its own.
    ///
    /// # Errors
    /// As [`Run::create`] and [`Run::open`]; if the configurations differ.
    pub fn create_or_resume(folder: &Path, config: Config) -> Result<Self, RunError> {
        match folder.join("config.toml").exists() {
            true => Self::resume(folder, &config),
            false => Self::create(folder, config),
        }
    }

    /// Opens a run to go on with it under `config`, which must be its own.
    ///
    /// # Errors
    /// As [`Run::open`]; if the configurations differ.
    pub fn resume(folder: &Path, config: &Config) -> Result<Self, RunError> {
        let run = Self::open(folder)?;
        if run.config != *config {
            return Err(RunError::Changed(folder.to_owned()));
        }
        Ok(run)
    }
}

/// The interactions a configuration names.
///
/// # Errors
/// If they cannot be fetched or read.
pub fn load_data(config: &Config) -> Result<Dataset, DataError> {
    let filters = config.data.filters();
    match config.data.source.as_str() {
        "ml-100k" => crate::data::ml100k::load_filtered(&config.data.cache, filters),
        path => {
            let options = LoadOptions { skip_bad: config.data.skip_bad, filters };
            load_cached(Path::new(path), options, &config.data.cache)
        }
    }
}
