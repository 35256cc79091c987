//! `chord table`

use crate::results::{Merged, write};
use clap::Args;
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct MakeTable {
    /// Folders of runs that differ only in train.seed, each evaluated with --save
    #[arg(required = true)]
    pub(super) runs: Vec<PathBuf>,
    /// Folder of the tables, plots and report
    #[arg(long)]
    pub(super) out: PathBuf,
}

impl MakeTable {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let merged = Merged::open(&self.runs)?;
        write!(stdout(), "{}", write(&merged, &self.out)?)?;
        writeln!(stdout(), "\n{}", self.out.join("report.html").display())?;
        Ok(())
    }
}
