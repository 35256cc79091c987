//! `chord train`

use crate::config;
use crate::data::Dataset;
use crate::device::{self, DeviceName};
use crate::evaluation::saved;
use crate::model::chord::Precision;
use crate::run::{Run, load_data};
use crate::tensor::Device;
use crate::training::pipeline;
use crate::training::stage::finished;
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
        let opened = if self.resume { Some(Run::open(&self.run)?) } else { None };
        let config = match &opened {
            Some(run) => run.config.clone(),
            None => config::load(self.config.as_deref(), &self.set)?,
        };
        // Read before the folder appears, so that bad data leaves nothing behind.
        let data = load_data(&config)?;
        data.split(config.data.split())?;
        let run = match opened {
            Some(run) => run,
            None => Run::create(&self.run, config)?,
        };
        crate::logging::init(Some(&run.folder)).context("cannot open log.txt")?;
        train(&run, &data, &device, &pipeline::stages(&run.config))
    }
}

/// Trains some stages of a run on `data`, which is what its configuration names.
pub(super) fn train(run: &Run, data: &Dataset, device: &Device, stages: &[Precision]) -> anyhow::Result<()> {
    let _held = run.hold()?;
    run.tie_to(data)?;
    if stages.iter().any(|stage| !finished(&run.folder, *stage).exists()) {
        // Of fewer stages than there will be.
        saved::remove(&run.folder)?;
        run.record_provenance()?;
    }
    info!(
        "{}: {} users, {} items on {}",
        data.name,
        data.users.len(),
        data.items.len(),
        device::describe(device)
    );
    let split = data.split(run.config.data.split())?;
    pipeline::train(&run.config, &split, data.items.len() as u32, device, &run.folder, stages)?;
    info!("finished: {}", run.folder.display());
    Ok(())
}
