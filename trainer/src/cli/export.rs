//! `chord export`

use super::items::Items;
use crate::atomic_file;
use crate::data::Dataset;
use crate::device::{self, DeviceName};
use crate::freeze::freeze;
use crate::model::chord::Precision;
use crate::run::{Run, load_data};
use crate::training::pipeline;
use anyhow::Context;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Export {
    /// Folder of the run
    #[arg(long)]
    run: PathBuf,
    /// The bundle to write; items.tsv goes beside it
    #[arg(long)]
    out: PathBuf,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let run = Run::open(&self.run)?;
        crate::logging::init(None)?;
        let data = load_data(&run.config)?;
        export(&run, &data, &self.out)
    }
}

/// Writes the bundle of a run's personal stage and its item names.
pub(super) fn export(run: &Run, data: &Dataset, out: &Path) -> anyhow::Result<()> {
    let device = device::open(DeviceName::Cpu)?;
    let items = data.items.len() as u32;
    let model = pipeline::load(&run.config, items, &device, &run.folder, Precision::Personal)?;
    let bundle = freeze(&model.backbone, &run.config)?.to_bundle()?;
    let names = items_path(out);
    atomic_file::write(&names, Items::write(data).as_bytes()).with_context(|| names.display().to_string())?;
    atomic_file::write(out, &bundle).with_context(|| out.display().to_string())?;
    println!("{}: {} bytes; {}: {items} items", out.display(), bundle.len(), names.display());
    Ok(())
}

/// Where the item names of a bundle stand.
pub(super) fn items_path(bundle: &Path) -> PathBuf {
    bundle.with_file_name("items.tsv")
}
