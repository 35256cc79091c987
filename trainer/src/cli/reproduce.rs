//! `chord reproduce`: train, evaluate and tabulate one configuration over several seeds.

use super::make_table::MakeTable;
use crate::config;
use crate::data::Split;
use crate::device::{self, DeviceName};
use crate::evaluation::saved::{self, Evaluation};
use crate::evaluation::suite;
use crate::run::{Run, load_data};
use crate::training::pipeline;
use anyhow::{Context, ensure};
use clap::Args;
use std::collections::HashSet;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Reproduce {
    /// TOML file of the table, for example configs/tables/ml-100k-sasrec.toml
    #[arg(long)]
    config: PathBuf,
    /// Override a knob, for example --set data.source=data/Yelp.txt
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Seeds, a run each
    #[arg(long, value_delimiter = ',', default_value = "0,1,2")]
    seeds: Vec<u64>,
    /// Folder of the runs; those in it are gone on with
    #[arg(long)]
    runs: PathBuf,
    /// Folder of the tables, plots and report
    #[arg(long)]
    out: PathBuf,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceName,
}

impl Reproduce {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = device::open(self.device)?;
        let configs = self.seeds.iter().map(|seed| {
            let set = [&self.set[..], &[format!("train.seed={seed}")]].concat();
            config::load(Some(&self.config), &set)
        });
        let configs = configs.collect::<Result<Vec<_>, _>>()?;
        let data = load_data(configs.first().context("no seed is given")?)?;
        let held_out = data.split(configs[0].data.split())?;
        ensure!(
            self.seeds.iter().collect::<HashSet<_>>().len() == self.seeds.len(),
            "--seeds: a seed counts once"
        );
        std::fs::create_dir_all(&self.out).with_context(|| self.out.display().to_string())?;
        let folders: Vec<PathBuf> = self.seeds.iter().map(|s| self.runs.join(format!("seed-{s}"))).collect();
        std::fs::create_dir_all(&self.runs).with_context(|| self.runs.display().to_string())?;
        crate::logging::init(Some(&self.runs)).context("cannot open log.txt")?;
        for (folder, config) in folders.iter().zip(configs) {
            let run = Run::create_or_resume(folder, config)?;
            super::train::train(&run, &data, &device, &pipeline::stages(&run.config))?;
            let saved = saved::path(folder).exists().then(|| Evaluation::open(folder)).transpose()?;
            if saved.is_none_or(|evaluation| evaluation.summary.split != Split::Test) {
                suite::evaluate(&run, &data, &held_out, &device, Split::Test)?.save(folder)?;
            }
        }
        MakeTable { runs: folders, out: self.out }.run()
    }
}
