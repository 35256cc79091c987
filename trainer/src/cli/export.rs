//! `chord export`

use super::items::Items;
use crate::atomic_file;
use crate::data::Dataset;
use crate::device::{self, DeviceName};
use crate::freeze::freeze_with_profile;
use crate::frozen::FrozenModel;
use crate::interop::{self, Format};
use crate::model::chord::Precision;
use crate::run::Run;
use crate::training::pipeline;
use crate::training::stage::finished;
use anyhow::{Context, ensure};
use clap::Args;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Export {
    /// Folder of the run
    #[arg(long)]
    run: PathBuf,
    /// The bundle to write; items.tsv goes beside it
    #[arg(long, required_unless_present = "weights")]
    out: Option<PathBuf>,
    /// Leave the item table out of the bundle: history and candidates come with each request (chord rows)
    #[arg(long, requires = "out")]
    without_items: bool,
    /// The safetensors file to write, with full-precision weights; items.tsv goes beside it
    #[arg(long, requires = "to")]
    weights: Option<PathBuf>,
    /// Whose names and forward pass the weights are for
    #[arg(long, value_enum, requires = "weights")]
    to: Option<Format>,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let run = Run::open(&self.run)?;
        crate::logging::init(None)?;
        let data = run.data()?;
        if let (Some(path), Some(format)) = (&self.weights, self.to) {
            weights(&run, &data, path, format)?;
        }
        self.out.map_or(Ok(()), |out| export(&run, &data, &out, self.without_items))
    }
}

/// Writes the full-precision weights of a run and its item names.
fn weights(run: &Run, data: &Dataset, out: &Path, format: Format) -> anyhow::Result<()> {
    let device = device::open(DeviceName::Cpu)?;
    let items = data.items.len() as u32;
    let model = pipeline::load(&run.config, items, &device, &run.folder, Precision::Fp32)?;
    interop::export(out, format, &model.backbone, &run.config)?;
    let names = write_items(data, out)?;
    writeln!(stdout(), "{}: {format} weights; {}: {items} items", out.display(), names.display())?;
    Ok(())
}

/// Writes the item names that belong to `out`; where they stand.
fn write_items(data: &Dataset, out: &Path) -> anyhow::Result<PathBuf> {
    let (names, text) = (items_path(out), Items::write(data));
    // They would be taken for those of the other model beside them.
    ensure!(
        out.exists() || std::fs::read(&names).is_ok_and(|there| there == text.as_bytes()) || !names.exists(),
        "{}: names the items of another model; write to another folder",
        names.display()
    );
    atomic_file::write(&names, text.as_bytes()).with_context(|| names.display().to_string())?;
    Ok(names)
}

/// A run's personal stage, frozen, and its bundle, with its item table or without.
pub(super) fn bundle(
    run: &Run,
    data: &Dataset,
    without_items: bool,
) -> anyhow::Result<(FrozenModel, Vec<u8>)> {
    let device = device::open(DeviceName::Cpu)?;
    let items = data.items.len() as u32;
    ensure!(
        finished(&run.folder, Precision::Personal).exists(),
        "{}: its personal stage is not finished; go on with `chord train --run {0} --resume`",
        run.folder.display()
    );
    let model = pipeline::load(&run.config, items, &device, &run.folder, Precision::Personal)?;
    let frozen = freeze_with_profile(&model, &run.config)?;
    let bytes = if without_items { frozen.clone().without_items().to_bundle() } else { frozen.to_bundle() };
    Ok((frozen, bytes?))
}

/// Writes the bundle of a run's personal stage and its item names.
pub(super) fn export(run: &Run, data: &Dataset, out: &Path, without_items: bool) -> anyhow::Result<()> {
    let items = data.items.len();
    let (_, bundle) = bundle(run, data, without_items)?;
    let names = write_items(data, out)?;
    atomic_file::write(out, &bundle).with_context(|| out.display().to_string())?;
    writeln!(stdout(), "{}: {} bytes; {}: {items} items", out.display(), bundle.len(), names.display())?;
    Ok(())
}

/// Where the item names of a bundle stand.
pub(super) fn items_path(bundle: &Path) -> PathBuf {
    bundle.with_file_name("items.tsv")
}
