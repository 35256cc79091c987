//! `chord plan`

use crate::atomic_file;
use crate::data::Dataset;
use crate::device::{self, DeviceName};
use crate::evaluation::trainer_engine::TrainerEngine;
use crate::freeze::freeze;
use crate::frozen::encode_plan;
use crate::model::chord::Precision;
use crate::run::{Run, load_data};
use crate::training::pipeline;
use anyhow::{Context, ensure};
use chord_plan::Bundle;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("who").required(true)))]
pub(super) struct MakePlan {
    /// Folder of the run
    #[arg(long)]
    run: PathBuf,
    /// A user of the data set, by raw id: the plan follows from all their interactions
    #[arg(long, group = "who")]
    user: Option<String>,
    /// Raw item ids, oldest first, separated by commas
    #[arg(long, group = "who", value_delimiter = ',')]
    history: Option<Vec<String>>,
    /// Average bits per weight; the run's default if left out
    #[arg(long, allow_negative_numbers = true, value_parser = super::budget::parse)]
    budget: Option<f32>,
    /// Number of the plan: a device refuses one lower than the last it applied
    #[arg(long, default_value_t = 0)]
    sequence: u32,
    /// The plan to write
    #[arg(long)]
    out: PathBuf,
}

impl MakePlan {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let run = Run::open(&self.run)?;
        crate::logging::init(None)?;
        let data = load_data(&run.config)?;
        let history = match (&self.user, &self.history) {
            (Some(user), _) => {
                let row = data
                    .user_row(user)
                    .with_context(|| format!("--user: {user:?} is not in {}", data.name))?;
                data.sequences.user(row).to_vec()
            }
            (None, Some(ids)) => history_rows(&data, ids)?,
            (None, None) => unreachable!("clap asks for one of them"),
        };
        let budget = self.budget.unwrap_or(run.config.budget.default);
        let (bytes, bits) = plan(&run, &data, &history, budget, self.sequence)?;
        atomic_file::write(&self.out, &bytes).with_context(|| self.out.display().to_string())?;
        println!("{}: {} bytes, {bits:.3} bits on average", self.out.display(), bytes.len());
        Ok(())
    }
}

fn history_rows(data: &Dataset, ids: &[String]) -> anyhow::Result<Vec<u32>> {
    ensure!(ids.iter().any(|id| !id.is_empty()), "--history is empty");
    let row = |id: &String| {
        data.item_row(id).with_context(|| format!("--history: item {id:?} is not in {}", data.name))
    };
    ids.iter().map(row).collect()
}

/// The plan for a history and its average bits.
pub(super) fn plan(
    run: &Run,
    data: &Dataset,
    history: &[u32],
    budget: f32,
    sequence: u32,
) -> anyhow::Result<(Vec<u8>, f64)> {
    let config = &run.config;
    let device = device::open(DeviceName::Cpu)?;
    let model = pipeline::load(config, data.items.len() as u32, &device, &run.folder, Precision::Personal)?;
    let engine = TrainerEngine::new(&model, config, Precision::Personal, budget);
    let codes = engine.plans(&[history])?.remove(0).codes;
    let bundle = freeze(&model.backbone, config)?.to_bundle()?;
    let id = Bundle::parse(&bundle)?.model();
    let bits = engine.allocator().average_bits(&codes);
    Ok((encode_plan(&codes, id, sequence, budget)?, bits))
}
