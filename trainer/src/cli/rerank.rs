//! `chord rerank`: the device's own code on this machine.

use super::export::items_path;
use super::items::Items;
use anyhow::{Context, ensure};
use chord_plan::rows::RowsError;
use chord_plan::{Bundle, ItemRows, Plan};
use chord_runtime::{Embeddings, Engine, Options, Ranked, Requirements};
use clap::Args;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Rerank {
    /// The bundle; items.tsv beside it gives raw ids and titles
    #[arg(long)]
    model: PathBuf,
    /// The user's plan
    #[arg(long)]
    plan: PathBuf,
    /// Raw item ids the user chose, oldest first, separated by commas
    #[arg(long, value_delimiter = ',', required_unless_present = "history_rows")]
    history: Vec<String>,
    /// Raw item ids to rank, separated by commas; all items if left out
    #[arg(long, value_delimiter = ',', conflicts_with = "history_rows")]
    candidates: Option<Vec<String>>,
    /// For a model without item table: what the user chose, as chord rows wrote it
    #[arg(long, conflicts_with = "history", requires = "candidate_rows")]
    history_rows: Option<PathBuf>,
    /// And what to rank; the result calls items by their places in it, from 0
    #[arg(long, requires = "history_rows")]
    candidate_rows: Option<PathBuf>,
    /// How many to print
    #[arg(long, default_value_t = 10)]
    top: usize,
}

impl Rerank {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (bundle, plan) = (read(&self.model)?, read(&self.plan)?);
        let bundle = Bundle::parse(&bundle).with_context(|| self.model.display().to_string())?;
        let plan = Plan::parse(&plan).with_context(|| self.plan.display().to_string())?;
        let shown = |count: usize| self.top.min(count);
        if let (Some(history), Some(candidates)) = (&self.history_rows, &self.candidate_rows) {
            let messages = (read(history)?, read(candidates)?);
            let history = rows(&messages.0, &bundle).with_context(|| history.display().to_string())?;
            let candidates = rows(&messages.1, &bundle).with_context(|| candidates.display().to_string())?;
            let ranked = rank(bundle, &plan, Embeddings::from(history), Embeddings::from(candidates))
                .with_context(|| self.plan.display().to_string())?;
            for (place, r) in ranked[..shown(ranked.len())].iter().enumerate() {
                writeln!(stdout(), "{:>3}  {:>8.4}  {:>6}", place + 1, r.logit, r.item)?;
            }
            return Ok(());
        }
        let items = Items::read(&items_path(&self.model))?;
        let rows = |option: &str, ids: &[String]| -> anyhow::Result<Vec<u32>> {
            ensure!(ids.iter().any(|id| !id.is_empty()), "{option} is empty");
            ids.iter().map(|id| items.row(id).with_context(|| option.to_owned())).collect()
        };
        let history = rows("--history", &self.history)?;
        let candidates = match &self.candidates {
            Some(ids) => rows("--candidates", ids)?,
            None => (0..items.len() as u32).collect(),
        };
        let rows = bundle.manifest().items() as usize;
        ensure!(
            rows == 0 || rows == items.len(),
            "{}: {} items, the model has {rows}",
            items_path(&self.model).display(),
            items.len()
        );
        let ranked = rank(bundle, &plan, &history[..], &candidates[..])
            .with_context(|| self.plan.display().to_string())?;
        write!(stdout(), "{}", ranking_text(&items, &ranked[..shown(ranked.len())]))?;
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

/// Item rows for a bundle from a message.
pub(super) fn rows<'a>(message: &'a [u8], bundle: &Bundle<'_>) -> Result<ItemRows<'a>, RowsError> {
    let rows = ItemRows::parse(message)?;
    rows.check_against(bundle)?;
    Ok(rows)
}

/// All candidates, best first, through chord-runtime.
pub(super) fn rank(
    bundle: Bundle,
    plan: &Plan,
    history: impl chord_runtime::Items,
    candidates: impl chord_runtime::Items,
) -> Result<Vec<Ranked>, chord_runtime::Error> {
    let options = Options::default();
    let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
    let mut engine = Engine::new(bundle, plan, &mut arena, options)?;
    let mut ranked = vec![Ranked { item: 0, logit: 0.0 }; candidates.len()];
    engine.rank_items(history, candidates, &mut ranked)?;
    Ok(ranked)
}

/// One line for each ranked item.
pub(super) fn ranking_text(items: &Items, ranked: &[Ranked]) -> String {
    let line = |(place, r): (usize, &Ranked)| {
        format!("{:>3}  {:>8.4}  {:>6}  {}\n", place + 1, r.logit, items.id(r.item), items.title(r.item))
    };
    ranked.iter().enumerate().map(line).collect()
}
