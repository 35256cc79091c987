//! `chord inspect`

use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A bundle (model.chord) or a plan (user.plan)
    file: PathBuf,
    /// For a plan: the bundle it belongs to, to show bits layer by layer
    #[arg(long)]
    model: Option<PathBuf>,
}

impl Inspect {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string());
        let bytes = read(&self.file)?;
        let model = self.model.as_ref().map(read).transpose()?;
        let text = crate::inspect::describe(&bytes, model.as_deref());
        print!("{}", text.with_context(|| self.file.display().to_string())?);
        Ok(())
    }
}
