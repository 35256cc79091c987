//! `chord rows`: what the cloud sends to a device whose bundle has no item table.

use super::export::bundle;
use super::plan::item_rows;
use crate::atomic_file;
use crate::run::Run;
use anyhow::Context;
use chord_plan::Bundle;
use clap::Args;
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct MakeRows {
    /// Folder of the run
    #[arg(long)]
    run: PathBuf,
    /// Raw item ids, separated by commas: a history, oldest first, or candidates
    #[arg(long, value_delimiter = ',', required = true)]
    items: Vec<String>,
    /// The message to write
    #[arg(long)]
    out: PathBuf,
}

impl MakeRows {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let run = Run::open(&self.run)?;
        crate::logging::init(None)?;
        let data = run.data()?;
        let items = item_rows(&data, &self.items, "--items")?;
        let (frozen, bytes) = bundle(&run, &data, true)?;
        let rows = frozen.item_rows(Bundle::parse(&bytes)?.model(), &items)?;
        atomic_file::write(&self.out, &rows).with_context(|| self.out.display().to_string())?;
        writeln!(stdout(), "{}: {} bytes, {} items", self.out.display(), rows.len(), items.len())?;
        Ok(())
    }
}
