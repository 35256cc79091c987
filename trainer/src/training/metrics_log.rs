//! Metrics as JSON lines, one for each epoch.

use super::stage::TrainingError;
use crate::evaluation::Report;
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What one epoch came to.
#[derive(Clone, Debug, Serialize)]
pub struct Record<'a> {
    /// Name of the stage.
    pub stage: &'a str,
    /// From 1.
    pub epoch: usize,
    /// Mean training cross-entropy, in nats.
    pub loss: f64,
    /// Of training, without validation.
    pub seconds: f64,
    /// On the validation items, when this epoch was validated.
    pub validation: Option<Report>,
}

impl std::fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{:>8} epoch {:>3}  loss {:.4}  {:.1} s", self.stage, self.epoch, self.loss, self.seconds)?;
        if let Some(v) = &self.validation {
            write!(
                f,
                "  validation HR@10 {:.4}  NDCG@10 {:.4}  CE {:.4}",
                v.hr10, v.ndcg10, v.cross_entropy
            )?;
        }
        Ok(())
    }
}

/// `metrics.jsonl` of a run folder.
pub struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// Opens for appending.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(run: &Path) -> Result<Self, TrainingError> {
        let path = run.join("metrics.jsonl");
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(|source| TrainingError::Io { path: path.clone(), source })?;
        Ok(Self { path, file })
    }

    /// Writes one line.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn append(&mut self, record: &Record) -> Result<(), TrainingError> {
        let line = serde_json::to_string(record).expect("plain data") + "\n";
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|source| TrainingError::Io { path: self.path.clone(), source })
    }
}
