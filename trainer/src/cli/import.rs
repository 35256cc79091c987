//! `chord import`

use super::items::Items;
use crate::data::Dataset;
use crate::device::{self, DeviceName};
use crate::interop::{Format, Weights};
use crate::model::chord::Precision;
use crate::run::{Run, load_data};
use crate::training::{checkpoint, stage};
use anyhow::{Context, ensure};
use clap::Args;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The safetensors file
    #[arg(long)]
    weights: PathBuf,
    /// Whose names and forward pass it has
    #[arg(long, value_enum)]
    from: Format,
    /// Folder of the run to start
    #[arg(long)]
    out: PathBuf,
    /// Raw ids of the table's rows, as in items.tsv of `chord export`; without it they are in the data set's order
    #[arg(long)]
    items: Option<PathBuf>,
    /// TOML file with what differs from `chord config`; sizes come from the weights
    #[arg(long)]
    config: Option<PathBuf>,
    /// Override a knob, for example --set model.heads=4
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Import {
    pub(super) fn run(self) -> anyhow::Result<()> {
        crate::logging::init(None)?;
        let mut weights = Weights::read(&self.weights, self.from)?;
        let config = weights.config(self.config.as_deref(), &self.set)?;
        ensure!(
            config.train.personal.reserved == 0.0,
            "train.personal.reserved: imported weights have seen every interaction, so that none is left to reserve"
        );
        let data = load_data(&config)?;
        if let Some(path) = &self.items {
            weights = weights.with_item_order(&order(path, &data)?)?;
        }
        let items = data.items.len() as u32;
        let model = weights.into_model(&config, items, &device::open(DeviceName::Cpu)?)?;
        let run = Run::create(&self.out, config)?;
        checkpoint::save(&stage::finished(&run.folder, Precision::Fp32), &model, None)?;
        let folder = run.folder.display();
        writeln!(
            stdout(),
            "{folder}: fp32 is finished, with {items} items; go on with `chord train --run {folder} --resume`"
        )?;
        Ok(())
    }
}

/// The table's row of each item of the data set.
fn order(path: &Path, data: &Dataset) -> anyhow::Result<Vec<u32>> {
    let named = Items::read(path)?;
    ensure!(
        named.len() == data.items.len(),
        "{}: {} items, the data set has {}",
        path.display(),
        named.len(),
        data.items.len()
    );
    let rows = (0..data.items.len()).map(|row| named.row(&data.items[row]));
    rows.collect::<Result<_, _>>().with_context(|| path.display().to_string())
}
