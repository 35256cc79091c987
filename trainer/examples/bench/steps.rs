//! Milliseconds of steps, for `benches/torch/bench.py`.

use crate::workload::{self, Stage};
use chord_trainer::config;
use chord_trainer::device::{self, DeviceName};
use clap::Args;

/// For each number of steps read from standard input one line of JSON with the milliseconds of each, the last loss and
/// the parameters that learn.
#[derive(Args)]
pub(crate) struct Steps {
    /// Items of the catalogue
    #[arg(long, default_value_t = 1700)]
    items: u32,
    /// What is trained
    #[arg(long, value_enum, default_value_t = Stage::Fp32)]
    stage: Stage,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    device: DeviceName,
    /// Override a knob
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Steps {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let config = config::load(None, &self.set)?;
        let device = device::open(self.device)?;
        let sequences = workload::sequences(&config, self.items, 4 * config.train.batch);
        let mut lines = std::io::stdin().lines();
        let (mut told, mut asked) = (0, 0);
        workload::train(&config, self.items, &sequences, self.stage, &device, |steps, trained| {
            if steps.len() < asked {
                return Ok(true);
            }
            if let Some(last) = steps.last() {
                let milliseconds: Vec<f64> = steps[told..].iter().map(|step| step.milliseconds).collect();
                let line = serde_json::json!({ "ms": milliseconds, "loss": last.loss, "trained": trained });
                println!("{line}");
            }
            told = steps.len();
            asked = match lines.next() {
                Some(line) => told + line?.trim().parse::<usize>()?,
                None => told,
            };
            Ok(asked > told)
        })
    }
}
