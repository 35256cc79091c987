//! `chord inspect`

use anyhow::Context;
use chord_runtime::Core;
use clap::Args;
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A bundle (model.chord) or a plan (user.plan)
    file: PathBuf,
    /// For a plan: the bundle it belongs to, to show bits layer by layer
    #[arg(long)]
    model: Option<PathBuf>,
    /// For a bundle: the memory that it takes on cortex-m4, cortex-m7, cortex-m33, cortex-m55, cortex-m0plus, riscv32imac or
    /// cortex-a53
    #[arg(long, value_parser = core, conflicts_with = "model")]
    target: Option<Core>,
}

fn core(name: &str) -> Result<Core, String> {
    let names = || Core::ALL.map(Core::name).join(", ");
    Core::named(name).ok_or_else(|| format!("one of {}", names()))
}

impl Inspect {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string());
        let bytes = read(&self.file)?;
        let model = self.model.as_ref().map(read).transpose()?;
        let text = match self.target {
            Some(core) => crate::inspect::describe_memory(&bytes, core),
            None => crate::inspect::describe(&bytes, model.as_deref()),
        };
        write!(stdout(), "{}", text.with_context(|| self.file.display().to_string())?)?;
        Ok(())
    }
}
