//! Memory of training, epoch by epoch.

use chord_trainer::config;
use chord_trainer::data::SplitRule;
use chord_trainer::device::{self, DeviceName};
use chord_trainer::random::mix;
use chord_trainer::run::load_data;
use chord_trainer::training::pipeline;
use clap::Args;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;

/// Trains full precision, static and personal stages of as many epochs and prints a table from `metrics.jsonl`.
#[derive(Args)]
pub(crate) struct Memory {
    /// Interactions in a format of docs/data.md; random sequences without it
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
    /// Users of random sequences
    #[arg(long, default_value_t = 17_052)]
    users: u64,
    /// Items of random sequences
    #[arg(long, default_value_t = 35_118)]
    items: u64,
    /// Length of a random sequence
    #[arg(long, default_value_t = 28)]
    length: u64,
    /// Epochs of each stage
    #[arg(long, default_value_t = 6)]
    epochs: usize,
    /// Where to compute: of a GPU's memory this shows nothing
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    device: DeviceName,
    /// Configuration; the default one without it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override a knob
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Memory {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let source = match &self.source {
            Some(source) => source.clone(),
            None => self.write_sequences(folder.path().join("random.txt"))?,
        };
        let stages =
            ["fp32", "static", "personal"].map(|stage| format!("train.{stage}.epochs={}", self.epochs));
        let fixed = [
            format!("data.source={}", source.display()),
            format!("data.cache={}", folder.path().display()),
            "train.uniform.widths=[]".to_owned(),
            "train.fisher.windows=0".to_owned(),
        ];
        let config = config::load(self.config.as_deref(), &[&fixed[..], &stages, &self.set].concat())?;
        let data = load_data(&config)?;
        let (users, items) = (data.users.len(), data.items.len());
        let device = device::open(self.device)?;
        let run = folder.path().join("run");
        std::fs::create_dir_all(&run)?;
        let (split, stages) = (data.split(SplitRule::LeaveOneOut)?, pipeline::stages(&config));
        pipeline::train(&config, &split, items as u32, &device, &run, &stages)?;

        println!(
            "{}\n\n{users} users, {items} items, {} interactions; `{}`.\n\n| stage | epoch | s | batches % | resident MiB \
             | peak MiB |\n|---|--:|--:|--:|--:|--:|",
            crate::origin(),
            data.sequences.interactions().len(),
            self.set.join(" ")
        );
        for line in std::fs::read_to_string(run.join("metrics.jsonl"))?.lines() {
            let epoch: Value = serde_json::from_str(line)?;
            let mib = |name: &str| {
                let bytes = epoch["memory"][name].as_f64();
                bytes.map_or("unknown".to_owned(), |bytes| format!("{:.0}", bytes / f64::from(1 << 20)))
            };
            println!(
                "| {} | {} | {:.1} | {:.2} | {} | {} |",
                epoch["stage"].as_str().unwrap_or_default(),
                epoch["epoch"],
                epoch["seconds"].as_f64().unwrap_or(f64::NAN),
                epoch["assembly_share"].as_f64().unwrap_or(f64::NAN) * 100.0,
                mib("resident"),
                mib("peak")
            );
        }
        Ok(())
    }

    fn write_sequences(&self, path: PathBuf) -> std::io::Result<PathBuf> {
        let mut out = std::io::BufWriter::new(std::fs::File::create(&path)?);
        for user in 0..self.users {
            let items = (0..self.length).map(|t| format!(" {}", mix(&[user, t]) % self.items));
            writeln!(out, "{user}{}", items.collect::<String>())?;
        }
        out.flush()?;
        Ok(path)
    }
}
