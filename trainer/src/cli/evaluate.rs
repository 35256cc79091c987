//! `chord evaluate`

use super::table::{self, EngineName};
use crate::data::{Dataset, Split};
use crate::device::{self, DeviceName};
use crate::evaluation::controls::{self, Comparison};
use crate::evaluation::trainer_engine::TrainerEngine;
use crate::evaluation::{saved, suite};
use crate::model::chord::Precision;
use crate::run::Run;
use crate::tensor::Device;
use crate::training::pipeline;
use anyhow::ensure;
use clap::Args;
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Evaluate {
    /// Folder of the run
    #[arg(long)]
    run: PathBuf,
    /// What computes the logits
    #[arg(long, value_enum, default_value = "trainer")]
    engine: EngineName,
    /// Average bits per weight of mixed precision; the run's default if left out
    #[arg(long, allow_negative_numbers = true, value_parser = super::budget::parse)]
    budget: Option<f32>,
    /// Which held-out item to rank
    #[arg(long, value_enum, default_value = "test")]
    split: SplitName,
    /// Compare each user's own plan with static, mean, swapped and random plans at the same bits
    #[arg(long, conflicts_with = "engine")]
    controls: bool,
    /// Evaluate every stage, budget and control, and keep each user's outcomes in the run folder for `chord table`
    #[arg(long, conflicts_with_all = ["engine", "budget", "controls", "json"])]
    save: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceName,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SplitName {
    Validation,
    Test,
}

impl Evaluate {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = device::open(self.device)?;
        let run = Run::open(&self.run)?;
        crate::logging::init(None)?;
        let data = run.data()?;
        let split = match self.split {
            SplitName::Validation => Split::Validation,
            SplitName::Test => Split::Test,
        };
        if self.save {
            let evaluation =
                suite::evaluate(&run, &data, &data.split(run.config.data.split())?, &device, split)?;
            ensure!(!evaluation.outcomes.is_empty(), "{}: no stage is finished", run.folder.display());
            evaluation.save(&run.folder)?;
            writeln!(stdout(), "{}: {} rows", saved::path(&run.folder).display(), evaluation.outcomes.len())?;
            return Ok(());
        }
        let budget = self.budget.unwrap_or(run.config.budget.default);
        if self.controls {
            let comparisons = compare_plans(&run, &data, &device, split, budget)?;
            match self.json {
                true => writeln!(stdout(), "{}", serde_json::to_string_pretty(&comparisons)?)?,
                false => write!(stdout(), "{}", controls::text(&comparisons))?,
            }
            return Ok(());
        }
        let rows = table::rows(&run, &data, &device, self.engine, split, budget)?;
        match self.json {
            true => writeln!(stdout(), "{}", serde_json::to_string_pretty(&rows)?)?,
            false => write!(stdout(), "{}", table::text(&rows))?,
        }
        Ok(())
    }
}

/// The personal model's own plans against every control.
pub(super) fn compare_plans(
    run: &Run,
    data: &Dataset,
    device: &Device,
    split: Split,
    budget: f32,
) -> anyhow::Result<Vec<Comparison>> {
    let config = &run.config;
    let items = data.items.len() as u32;
    let model = pipeline::load(config, items, device, &run.folder, Precision::Personal)?;
    let engine = TrainerEngine::new(&model, config, Precision::Personal, budget);
    let cases: Vec<_> = data.split(config.data.split())?.cases(split).collect();
    Ok(controls::compare(&engine, &cases, config.train.seed, config.quantisation.per_width)?)
}
