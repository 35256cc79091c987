//! `chord train`

use crate::config;
use crate::device::{self, DeviceName};
use crate::run::{Run, load_data};
use crate::training::{interrupt, pipeline};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;
use tracing::info;

#[derive(Debug, Args)]
pub(super) struct Train {
    /// Folder of the run: config, log, metrics, checkpoints
    #[arg(long)]
    run: PathBuf,
    /// TOML file with what differs from `chord config`
    #[arg(long)]
    config: Option<PathBuf>,
    /// Override a knob, for example --set train.seed=1
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Go on with an interrupted run, under its own configuration
    #[arg(long, conflicts_with_all = ["config", "set"])]
    resume: bool,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceName,
}

impl Train {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = device::open(self.device)?;
        let run = if self.resume {
            Run::open(&self.run)?
        } else {
            let config = config::load(self.config.as_deref(), &self.set)?;
            // Read before the folder appears, so that bad data leaves nothing behind.
            load_data(&config)?.split(config.data.split())?;
            Run::create(&self.run, config)?
        };
        crate::logging::init(Some(&run.folder)).context("cannot open log.txt")?;
        train(&run, &device)
    }
}

/// Trains all stages of a run.
pub(super) fn train(run: &Run, device: &crate::tensor::Device) -> anyhow::Result<()> {
    interrupt::install();
    let data = load_data(&run.config)?;
    info!(
        "{}: {} users, {} items on {}",
        data.name,
        data.users.len(),
        data.items.len(),
        device::describe(device)
    );
    let split = data.split(run.config.data.split())?;
    pipeline::train(&run.config, &split, data.items.len() as u32, device, &run.folder)?;
    info!("finished: {}", run.folder.display());
    Ok(())
}
