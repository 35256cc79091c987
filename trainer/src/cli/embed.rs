//! `chord embed`: the device's profile encoder on this machine.

use super::export::items_path;
use super::items::Items;
use super::rerank::rows;
use crate::atomic_file;
use anyhow::{Context, ensure};
use chord_plan::Bundle;
use chord_runtime::{Profile, ProfileRequirements};
use clap::Args;
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Embed {
    /// The bundle; items.tsv beside it gives raw ids
    #[arg(long)]
    model: PathBuf,
    /// Raw item ids of all interactions, oldest first, separated by commas
    #[arg(long, value_delimiter = ',', required_unless_present = "history_rows")]
    history: Vec<String>,
    /// For a model without item table: all interactions as chord rows wrote them
    #[arg(long, conflicts_with = "history")]
    history_rows: Option<PathBuf>,
    /// The user embedding to write
    #[arg(long)]
    out: PathBuf,
}

impl Embed {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let bytes = std::fs::read(&self.model).with_context(|| self.model.display().to_string())?;
        let bundle = Bundle::parse(&bytes).with_context(|| self.model.display().to_string())?;
        let requirements = ProfileRequirements::of(&bundle).ok_or(chord_runtime::Error::NoProfile);
        let requirements = requirements.with_context(|| self.model.display().to_string())?;
        let mut arena = vec![0; requirements.arena_bytes];
        let mut profile = Profile::new(bundle, &mut arena)?;
        if let Some(path) = &self.history_rows {
            let message = std::fs::read(path).with_context(|| path.display().to_string())?;
            let rows = rows(&message, &bundle).with_context(|| path.display().to_string())?;
            profile.append_items(rows.into()).with_context(|| path.display().to_string())?;
        } else {
            ensure!(self.history.iter().any(|id| !id.is_empty()), "--history is empty");
            let items = Items::read(&items_path(&self.model))?;
            for id in &self.history {
                profile.append(items.row(id).context("--history")?)?;
            }
        }
        let mut message = vec![0; requirements.embedding_bytes];
        let message = profile.message(&mut message)?;
        atomic_file::write(&self.out, message).with_context(|| self.out.display().to_string())?;
        let bytes = message.len();
        writeln!(
            stdout(),
            "{}: {bytes} bytes, of {} interactions",
            self.out.display(),
            profile.interactions()
        )?;
        Ok(())
    }
}
