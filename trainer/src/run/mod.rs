//! A run folder: config, log, metrics, checkpoints and what was made of them.

mod error;
mod lock;

pub use error::RunError;

use crate::atomic_file;
use crate::config::{self, Config};
use crate::data::{DataError, Dataset, LoadOptions, load_cached};
use crate::evaluation::saved;
use crate::model::chord::Precision;
use crate::provenance::Provenance;
use crate::training::stage::finished;
use std::path::{Path, PathBuf};

/// The file that holds a run's configuration.
const CONFIG: &str = "config.toml";

/// The file that says what a run was started by and gone on with.
const PROVENANCE: &str = "provenance.json";

/// The file with the digest of the interactions that a run trains on.
const DATA: &str = "data.sha256";

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
        let path = folder.join(CONFIG);
        if path.exists() {
            return Err(RunError::Exists(folder.to_owned()));
        }
        let checkpoints = folder.join("checkpoints");
        if checkpoints.exists() {
            return Err(RunError::Remains(checkpoints));
        }
        write_provenance(folder, &[Provenance::here()])?;
        write_config(folder, &config)?;
        Ok(Self { folder: folder.to_owned(), config })
    }

    /// Opens a run that was started.
    ///
    /// # Errors
    /// If there is none or its configuration is damaged.
    pub fn open(folder: &Path) -> Result<Self, RunError> {
        let path = folder.join(CONFIG);
        if !path.exists() {
            return Err(RunError::Missing(folder.to_owned()));
        }
        Ok(Self { folder: folder.to_owned(), config: config::load(Some(&path), &[])? })
    }

    /// The interactions that its configuration names, which must be those that it was trained on.
    ///
    /// # Errors
    /// If they cannot be fetched or read, or are others.
    pub fn data(&self) -> Result<Dataset, RunError> {
        let data = load_data(&self.config)?;
        match self.data_digest().is_some_and(|digest| digest != data.digest()) {
            true => Err(RunError::Data(self.folder.clone())),
            false => Ok(data),
        }
    }

    /// [`Dataset::digest`] of the interactions that it was trained on; nothing for runs that did not record it.
    pub fn data_digest(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.join(DATA)).ok()
    }

    /// Ties the run to the interactions that it trains on.
    ///
    /// # Errors
    /// If it was tied to others; if the folder cannot be written.
    pub fn tie_to(&self, data: &Dataset) -> Result<(), RunError> {
        let (path, digest) = (self.folder.join(DATA), data.digest());
        match self.data_digest() {
            Some(stored) if stored == digest => Ok(()),
            Some(_) => Err(RunError::Data(self.folder.clone())),
            None => {
                atomic_file::write(&path, digest.as_bytes()).map_err(|source| RunError::Io { path, source })
            }
        }
    }

    /// What the run was started by, and what else it was gone on with; nothing for runs that did not record it.
    pub fn provenance(&self) -> Vec<Provenance> {
        let file = std::fs::read(self.folder.join(PROVENANCE)).unwrap_or_default();
        serde_json::from_slice(&file)
            // One of them in runs of earlier versions.
            .or_else(|_| serde_json::from_slice(&file).map(|first| vec![first]))
            .unwrap_or_default()
    }

    /// Records that this process trains in the run.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn record_provenance(&self) -> Result<(), RunError> {
        let (mut known, here) = (self.provenance(), Provenance::here());
        if known.contains(&here) {
            return Ok(());
        }
        known.push(here);
        write_provenance(&self.folder, &known)
    }

    /// Starts a run, or goes on with the one that is there, as [`Run::resume`].
    ///
    /// # Errors
    /// As [`Run::create`] and [`Run::resume`].
    pub fn create_or_resume(folder: &Path, config: Config) -> Result<Self, RunError> {
        match folder.join(CONFIG).exists() {
            true => Self::resume(folder, config),
            false => Self::create(folder, config),
        }
    }

    /// Opens a run to go on with it under `config`, which must be its own but for what evaluations are asked for
    /// (`fine_tuning`; `train.masks`; `budget.evaluate`, unless a finished personal stage chose its strength by it): these
    /// the run takes over, and the saved evaluation that lacks them goes.
    ///
    /// # Errors
    /// As [`Run::open`]; if the configurations differ in more; if the folder cannot be written.
    pub fn resume(folder: &Path, config: Config) -> Result<Self, RunError> {
        let mut run = Self::open(folder)?;
        if run.config == config {
            return Ok(run);
        }
        // Its budgets had a say in how much of the hypernetworks' word is taken.
        let settled = run.config.train.personal.strengths[..] != [1.0]
            && [Precision::Personal, Precision::PersonalMask].iter().any(|&p| finished(folder, p).exists());
        if !settled {
            run.config.budget.evaluate.clone_from(&config.budget.evaluate);
        }
        run.config.fine_tuning.clone_from(&config.fine_tuning);
        // Stages of their own, which nothing else comes from.
        run.config.train.masks.clone_from(&config.train.masks);
        if run.config != config {
            return Err(RunError::Changed(folder.to_owned()));
        }
        saved::remove(folder)?;
        write_config(folder, &config)?;
        Ok(run)
    }
}

fn write_provenance(folder: &Path, provenance: &[Provenance]) -> Result<(), RunError> {
    let path = folder.join(PROVENANCE);
    let text = serde_json::to_string_pretty(provenance).expect("plain data");
    atomic_file::write(&path, text.as_bytes()).map_err(|source| RunError::Io { path, source })
}

fn write_config(folder: &Path, config: &Config) -> Result<(), RunError> {
    let path = folder.join(CONFIG);
    let text = toml::to_string(config).expect("a configuration is plain data");
    atomic_file::write(&path, text.as_bytes()).map_err(|source| RunError::Io { path, source })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_over_what_evaluations_are_asked_for_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let config = |set: &str| config::load(None, &[set.to_owned()]).unwrap();
        let resume = |set| Run::resume(folder.path(), config(set));
        let saved = || saved::path(folder.path()).exists();
        Run::create(folder.path(), config("train.seed=0")).unwrap();
        std::fs::write(saved::path(folder.path()), "{}").unwrap();
        resume("train.seed=0").unwrap();
        assert!(matches!(resume("train.seed=1"), Err(RunError::Changed(_))) && saved());
        let asked = resume("budget.evaluate=[2.0]").unwrap();
        assert_eq!(Run::open(folder.path()).unwrap().config, asked.config);
        assert!(asked.config == config("budget.evaluate=[2.0]") && !saved());
        // Nothing is saved that could go.
        assert!(resume("fine_tuning.users=7").is_ok());
    }
}
