//! `chord config`

use clap::Args;
use std::io::Write;

/// Takes no arguments.
#[derive(Debug, Args)]
pub(super) struct PrintConfig {}

impl PrintConfig {
    pub(super) fn run(self) -> anyhow::Result<()> {
        Ok(std::io::stdout().write_all(crate::config::DEFAULTS.as_bytes())?)
    }
}
