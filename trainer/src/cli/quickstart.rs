//! `chord quickstart`

use super::evaluate::compare_plans;
use super::export::{export, items_path};
use super::items::Items;
use super::rerank::{rank, ranking_text};
use super::table::{self, EngineName};
use super::{plan, train};
use crate::atomic_file;
use crate::config;
use crate::data::{MIN_EVALUATED, Split};
use crate::device::{self, DeviceName};
use crate::evaluation::controls;
use crate::run::{Run, load_data};
use crate::training::pipeline;
use anyhow::{Context, ensure};
use chord_plan::{Bundle, Plan};
use clap::Args;
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Quickstart {
    /// Folder of the run; a run found there is gone on with, or shown again if it is finished
    #[arg(long, default_value = "runs/quickstart")]
    run: PathBuf,
    /// Override a knob, for example --set train.seed=1
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The user whose device is shown, by raw id
    #[arg(long, default_value = "1")]
    user: String,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceName,
}

/// The table of MovieLens-100K and SASRec, without the baselines that would take most of the time, on two threads.
const BASE: [&str; 2] = [
    include_str!("../../../configs/tables/ml-100k-sasrec.toml"),
    "fine_tuning.users = 0\ntrain.fisher.train = false\ntrain.masks.train = false\ntrain.shards = 2",
];

impl Quickstart {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = device::open(self.device)?;
        let config = config::load_over(&BASE.map(str::to_owned), None, &self.set)?;
        let data = load_data(&config)?;
        let user = data
            .user_row(&self.user)
            .with_context(|| format!("--user: {:?} is not in {}", self.user, data.name))?;
        let sequence = data.sequences.user(user);
        ensure!(sequence.len() >= MIN_EVALUATED, "--user: {:?} has too few interactions", self.user);
        data.split(config.data.split())?;
        let run = Run::create_or_resume(&self.run, config)?;
        crate::logging::init(Some(&run.folder)).context("cannot open log.txt")?;
        train::train(&run, &data, &device, &pipeline::stages(&run.config))?;

        let budget = run.config.budget.default;
        let rows = table::rows(&run, &data, &device, EngineName::Trainer, Split::Test, budget)?;
        let text = table::text(&rows);
        let save = |name: &str, content: &[u8]| {
            let path = run.folder.join(name);
            atomic_file::write(&path, content).with_context(|| path.display().to_string())
        };
        save("table.md", text.as_bytes())?;
        save("table.json", serde_json::to_string_pretty(&rows)?.as_bytes())?;
        writeln!(
            stdout(),
            "\nTest users of {}, full ranking; trained and ranked in floating point:\n\n{text}",
            data.name
        )?;
        let rows = table::rows(&run, &data, &device, EngineName::Runtime, Split::Test, budget)?;
        let text = table::text(&rows);
        save("table-runtime.md", text.as_bytes())?;
        save("table-runtime.json", serde_json::to_string_pretty(&rows)?.as_bytes())?;
        writeln!(
            stdout(),
            "The same on the device runtime (integers, each user's own plan bytes):\n\n{text}"
        )?;
        let comparisons = compare_plans(&run, &data, &device, Split::Test, budget)?;
        writeln!(
            stdout(),
            "Does a plan of one's own pay? Each user's plan at {budget} bits minus others at the same bits:\n\n{}",
            controls::text(&comparisons)
        )?;

        // The device has seen everything but the last interaction, and does not recommend what it has seen.
        let history = &sequence[..sequence.len() - 1];
        let unseen: Vec<u32> = (0..data.items.len() as u32).filter(|item| !history.contains(item)).collect();
        let rows = |rows: &[u32]| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
        let model = run.folder.join("device/model.chord");
        export(&run, &data, &model, false)?;
        let (plan, bits) = plan::plan(&run, &data, &plan::Who::History(history.to_vec()), budget, 0, false)?;
        save("device/user.plan", &plan)?;
        save("device/history.txt", rows(history).as_bytes())?;
        save("device/candidates.txt", rows(&unseen).as_bytes())?;
        let folder = run.folder.join("device");
        writeln!(
            stdout(),
            "{}: user.plan, {} bytes, {bits:.3} bits on average",
            folder.display(),
            plan.len()
        )?;
        let items = Items::read(&items_path(&model))?;
        writeln!(stdout(), "\nUser {}, last of {} interactions:", self.user, history.len())?;
        for &item in history.iter().rev().take(5).rev() {
            writeln!(stdout(), "     {:>6}  {}", items.id(item), items.title(item))?;
        }
        let bundle = std::fs::read(&model).with_context(|| model.display().to_string())?;
        let ranked = rank(Bundle::parse(&bundle)?, &Plan::parse(&plan)?, history, &unseen[..])?;
        writeln!(
            stdout(),
            "\nTheir device ranks {} unseen items; the first ten:\n{}",
            unseen.len(),
            ranking_text(&items, &ranked[..10.min(ranked.len())])
        )?;
        Ok(())
    }
}
