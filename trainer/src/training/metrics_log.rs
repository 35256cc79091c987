//! Metrics of each epoch: as JSON lines, and as events for TensorBoard.

use super::error::TrainingError;
use super::events::EventWriter;
use super::process_memory::ProcessMemory;
use crate::evaluation::Report;
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What one epoch came to.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Name of the stage.
    pub stage: String,
    /// From 1.
    pub epoch: usize,
    /// Mean training cross-entropy, in nats.
    pub loss: f64,
    /// Of the last step.
    pub learning_rate: f64,
    /// Of training, without validation.
    pub seconds: f64,
    /// Share of `seconds` in which the host put batches together. The device waits no longer than that for its data.
    pub assembly_share: f64,
    /// After the epoch and its validation; nothing where the system does not tell.
    pub memory: Option<ProcessMemory>,
    /// On the validation items, when this epoch was validated.
    pub validation: Option<Report>,
}

impl Record {
    /// Values by tag, for TensorBoard.
    fn scalars(&self) -> Vec<(&'static str, f64)> {
        let mut scalars = vec![
            ("train/loss", self.loss),
            ("train/learning_rate", self.learning_rate),
            ("train/seconds_per_epoch", self.seconds),
            ("train/assembly_share", self.assembly_share),
        ];
        if let Some(memory) = &self.memory {
            scalars.push(("train/resident_mib", memory.resident as f64 / f64::from(1 << 20)));
        }
        if let Some(v) = &self.validation {
            scalars.extend([
                ("validation/hr_5", v.hr5),
                ("validation/hr_10", v.hr10),
                ("validation/ndcg_5", v.ndcg5),
                ("validation/ndcg_10", v.ndcg10),
                ("validation/ndcg", v.ndcg),
                ("validation/cross_entropy", v.cross_entropy),
            ]);
        }
        scalars
    }
}

impl std::fmt::Display for Record {
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

/// `metrics.jsonl` of a run folder, and `events/STAGE/` with TensorBoard's files.
pub struct MetricsLog {
    path: PathBuf,
    file: File,
    events: PathBuf,
    /// Of the stage in progress, by its name.
    writer: Option<(String, EventWriter)>,
}

impl MetricsLog {
    /// Opens for appending, after the last whole line.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(run: &Path) -> Result<Self, TrainingError> {
        let path = run.join("metrics.jsonl");
        let open = || {
            let file = File::options().create(true).append(true).open(&path)?;
            // A full disk may have cut the last one.
            let written = std::fs::read(&path)?;
            let whole = written.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
            file.set_len(whole as u64)?;
            Ok(file)
        };
        let file = open().map_err(|source| TrainingError::Io { path: path.clone(), source })?;
        Ok(Self { path, file, events: run.join("events"), writer: None })
    }

    /// Writes one epoch.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn append(&mut self, record: &Record) -> Result<(), TrainingError> {
        let line = serde_json::to_string(record).expect("plain data") + "\n";
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|source| TrainingError::Io { path: self.path.clone(), source })?;
        let folder = self.events.join(&record.stage);
        self.append_event(&folder, record).map_err(|source| TrainingError::Io { path: folder, source })
    }

    fn append_event(&mut self, folder: &Path, record: &Record) -> std::io::Result<()> {
        let writer = match &mut self.writer {
            Some((stage, writer)) if *stage == record.stage => writer,
            other => &mut other.insert((record.stage.clone(), EventWriter::create(folder)?)).1,
        };
        writer.scalars(record.epoch as u64, &record.scalars())
    }
}
