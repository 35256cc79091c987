//! Time of a step by items, users and channels.

use crate::growth_plot;
use crate::workload::{self, Stage, median};
use chord_trainer::config;
use chord_trainer::device::{self, DeviceName};
use chord_trainer::training::batches;
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

/// Writes `growth.md` and `growth.svg`. Each figure is a median of steps after the first, as many as fit the time but
/// at least two, in processor time of all threads: the clock on the wall also counts what else the machine does.
#[derive(Args)]
pub(crate) struct Growth {
    /// Folder of the results
    #[arg(long, default_value = "benches/training")]
    out: PathBuf,
    /// Processor seconds for each figure
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Most items and users, to see that it runs
    #[arg(long, default_value_t = 1_000_000)]
    most: u32,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    device: DeviceName,
}

/// A curve: stage and loss.
const CURVES: [(&str, Stage, &str); 4] = [
    ("FP32", Stage::Fp32, "softmax"),
    ("static", Stage::Static, "softmax"),
    ("personal", Stage::Personal, "softmax"),
    ("FP32, 1,024 negatives", Stage::Fp32, "sampled-softmax"),
];
const ITEMS: u32 = 1_700;
const USERS: usize = 1_000;

/// One axis: what grows and the milliseconds of each curve.
pub(crate) struct Axis {
    pub(crate) name: &'static str,
    /// Value, and milliseconds in the order of the curves.
    pub(crate) rows: Vec<(f64, [f64; CURVES.len()])>,
}

pub(crate) fn curves() -> impl Iterator<Item = &'static str> {
    CURVES.iter().map(|curve| curve.0)
}

impl Growth {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let origin = crate::origin();
        let sizes = |sizes: &[u32]| sizes.iter().copied().filter(|&n| n <= self.most).collect::<Vec<_>>();
        let items = sizes(&[1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000]);
        let users = sizes(&[1_000, 10_000, 100_000, 1_000_000]);
        let row = |value: u32, row| (f64::from(value), row);
        let mut axes = Vec::new();
        let of_items = items.iter().map(|&n| Ok(row(n, self.row(n, USERS, &[])?)));
        axes.push(Axis { name: "items", rows: of_items.collect::<anyhow::Result<_>>()? });
        let of_users = users.iter().map(|&n| Ok(row(n, self.row(ITEMS, n as usize, &[])?)));
        axes.push(Axis { name: "users", rows: of_users.collect::<anyhow::Result<_>>()? });
        let of_width = [16, 32, 64, 128, 256].map(|n| {
            let set = [format!("model.dim={n}"), format!("model.inner={n}")];
            Ok(row(n, self.row(ITEMS, USERS, &set)?))
        });
        let name = "hidden size (output channels of a layer)";
        axes.push(Axis { name, rows: of_width.into_iter().collect::<anyhow::Result<_>>()? });
        let of_blocks =
            [1, 2, 4, 8].map(|n| Ok(row(n, self.row(ITEMS, USERS, &[format!("model.blocks={n}")])?)));
        axes.push(Axis { name: "blocks", rows: of_blocks.into_iter().collect::<anyhow::Result<_>>()? });

        let text = format!("{}{}", self.tables(&axes, &origin), self.batch_lists(&users)?);
        std::fs::create_dir_all(&self.out)?;
        std::fs::write(self.out.join("growth.md"), text)?;
        std::fs::write(self.out.join("growth.svg"), growth_plot::svg(&axes)?)?;
        Ok(())
    }

    /// Milliseconds of every curve at one size.
    fn row(&self, items: u32, users: usize, set: &[String]) -> anyhow::Result<[f64; CURVES.len()]> {
        let device = device::open(self.device)?;
        let mut row = [0.0; CURVES.len()];
        for (figure, (_, stage, loss)) in row.iter_mut().zip(CURVES) {
            let set = [set, &[format!("train.loss.kind={loss}")]].concat();
            let config = config::load(None, &set)?;
            let sequences = workload::sequences(&config, items, users);
            let mut timed = Vec::new();
            workload::train(&config, items, &sequences, stage, &device, |steps, _| {
                timed = steps.iter().skip(1).map(|step| step.cpu_milliseconds).collect();
                Ok(timed.len() < 2 || timed.iter().sum::<f64>() < 1e3 * self.seconds)
            })?;
            *figure = median(timed);
        }
        eprintln!("{items} items, {users} users {set:?}: {row:.1?} ms");
        Ok(row)
    }

    fn tables(&self, axes: &[Axis], origin: &str) -> String {
        let mut text = format!(
            "# Growth of a training step\n\nWritten by `cargo run --release --package chord-trainer --example bench -- \
             growth`. {origin}\n\nProcessor milliseconds of a SASRec step, all threads together, median over about {} s: the default configuration \
             ({ITEMS} items, {USERS} users, batch 32, window 50, hidden size 64, 2 blocks, full softmax, 2 threads) \
             with one size changed. Random sequences that fill the window.\n\n![step time](growth.svg)\n",
            self.seconds
        );
        for axis in axes {
            let heads: String = curves().map(|name| format!(" {name} |")).collect();
            let rule: String = curves().map(|_| "--:|").collect();
            write!(text, "\n| {} |{heads}\n|--:|{rule}\n", axis.name).expect("a string");
            for (value, row) in &axis.rows {
                let cells: String = row.iter().map(|ms| format!(" {ms:.1} |")).collect();
                writeln!(text, "| {value} |{cells}").expect("a string");
            }
        }
        text
    }

    /// The part of an epoch that grows with the users: its list of batches.
    fn batch_lists(&self, users: &[u32]) -> anyhow::Result<String> {
        let config = config::load(None, &[])?;
        let mut text = "\nBefore the first step an epoch lists its batches:\n\n| users | ms | ms for each step |\n|--:|--:|--:|\n".to_owned();
        for &users in users {
            let sequences = workload::sequences(&config, ITEMS, users as usize);
            let data = chord_trainer::data::HeldOut::new(&sequences);
            let began = Instant::now();
            let batches = batches::epoch(&data, config.training_window(), config.train.batch, 0).len();
            let ms = began.elapsed().as_secs_f64() * 1e3;
            writeln!(text, "| {users} | {ms:.1} | {:.4} |", ms / batches as f64)?;
        }
        Ok(text)
    }
}
