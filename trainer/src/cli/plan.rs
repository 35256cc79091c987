//! `chord plan`

use crate::atomic_file;
use crate::data::Dataset;
use crate::device::{self, DeviceName};
use crate::evaluation::trainer_engine::TrainerEngine;
use crate::freeze::freeze_with_profile;
use crate::frozen::encode_plan;
use crate::model::chord::Precision;
use crate::run::Run;
use crate::training::pipeline;
use anyhow::{Context, ensure};
use chord_plan::{Bundle, UserEmbedding};
use clap::Args;
use std::io::{Write, stdout};
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
    /// A user embedding that a device sent (docs/format.md)
    #[arg(long, group = "who")]
    embedding: Option<PathBuf>,
    /// Average bits per weight; the run's default if left out
    #[arg(long, allow_negative_numbers = true, value_parser = super::budget::parse)]
    budget: Option<f32>,
    /// Number of the plan: a device refuses one lower than the last it applied
    #[arg(long, default_value_t = 0)]
    sequence: u32,
    /// For a device whose bundle has no item table (chord export --without-items)
    #[arg(long)]
    without_items: bool,
    /// The plan to write
    #[arg(long)]
    out: PathBuf,
}

impl MakePlan {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let run = Run::open(&self.run)?;
        crate::logging::init(None)?;
        let data = run.data()?;
        let who = match (&self.user, &self.history, &self.embedding) {
            (Some(user), ..) => {
                let row = data
                    .user_row(user)
                    .with_context(|| format!("--user: {user:?} is not in {}", data.name))?;
                Who::History(data.sequences.user(row).to_vec())
            }
            (None, Some(ids), _) => Who::History(item_rows(&data, ids, "--history")?),
            (None, None, Some(path)) => {
                let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
                Who::Embedding { bytes, path: path.clone() }
            }
            (None, None, None) => unreachable!("clap asks for one of them"),
        };
        let budget = self.budget.unwrap_or(run.config.budget.default);
        let (bytes, bits) = plan(&run, &data, &who, budget, self.sequence, self.without_items)?;
        atomic_file::write(&self.out, &bytes).with_context(|| self.out.display().to_string())?;
        writeln!(stdout(), "{}: {} bytes, {bits:.3} bits on average", self.out.display(), bytes.len())?;
        Ok(())
    }
}

/// Rows of the items that an option names by raw ids.
pub(super) fn item_rows(data: &Dataset, ids: &[String], option: &str) -> anyhow::Result<Vec<u32>> {
    ensure!(ids.iter().any(|id| !id.is_empty()), "{option} is empty");
    let row = |id: &String| {
        data.item_row(id).with_context(|| format!("{option}: item {id:?} is not in {}", data.name))
    };
    ids.iter().map(row).collect()
}

/// What a plan follows from.
pub(super) enum Who {
    /// Item rows, oldest first.
    History(Vec<u32>),
    /// A device's message, and where it is from.
    Embedding { bytes: Vec<u8>, path: PathBuf },
}

/// A plan and its average bits.
pub(super) fn plan(
    run: &Run,
    data: &Dataset,
    who: &Who,
    budget: f32,
    sequence: u32,
    without_items: bool,
) -> anyhow::Result<(Vec<u8>, f64)> {
    let config = &run.config;
    let device = device::open(DeviceName::Cpu)?;
    let model = pipeline::load(config, data.items.len() as u32, &device, &run.folder, Precision::Personal)?;
    let engine = TrainerEngine::new(&model, config, Precision::Personal, budget);
    let frozen = freeze_with_profile(&model, config)?;
    let bundle = if without_items { frozen.without_items() } else { frozen }.to_bundle()?;
    let bundle = Bundle::parse(&bundle)?;
    let mut plans = match who {
        Who::History(history) => engine.plans(&[history])?,
        Who::Embedding { bytes, path } => {
            let sent = UserEmbedding::parse(bytes).with_context(|| path.display().to_string())?;
            sent.check_against(&bundle).with_context(|| path.display().to_string())?;
            engine.plans_of(&[sent.numbers().collect()])?
        }
    };
    let codes = plans.remove(0).codes;
    let bits = engine.allocator().average_bits(&codes);
    Ok((encode_plan(&codes, bundle.model(), sequence, budget)?, bits))
}
