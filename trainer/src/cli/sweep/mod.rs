//! `chord sweep`

mod grid;
mod summary;

use super::train;
use crate::allocator::AllocationError;
use crate::atomic_file;
use crate::config::{self, Config};
use crate::data::{Case, Split};
use crate::device::{self, DeviceName};
use crate::evaluation::trainer_engine::TrainerEngine;
use crate::evaluation::{EvaluationError, Report};
use crate::model::chord::Precision;
use crate::run::{Run, load_data};
use crate::tensor::Device;
use crate::training::error::TrainingError;
use crate::training::pipeline;
use crate::training::stage::finished;
use anyhow::{Context, anyhow, bail};
use clap::Args;
use grid::Point;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use summary::Row;
use tracing::info;

#[derive(Debug, Args)]
pub(super) struct Sweep {
    /// TOML file with what differs from `chord config` at every point
    #[arg(long)]
    config: Option<PathBuf>,
    /// Override a knob at every point, for example --set train.fp32.epochs=10
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// TOML file with a list of values for each knob to vary, for example "train.seed" = [0, 1, 2]
    #[arg(long)]
    grid: PathBuf,
    /// Folder of the sweep: a run folder for each point, and the table
    #[arg(long)]
    out: PathBuf,
    /// The stage whose metrics are compared, fp32, uniform4, static, personal, ...; those that it needs train too
    #[arg(long, default_value = "personal")]
    stage: String,
    /// Also evaluate on the test items, which decide nothing
    #[arg(long)]
    test: bool,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceName,
}

/// Whether what stopped a run comes from the values of its knobs.
fn is_of_this_point(error: &anyhow::Error) -> bool {
    let of_evaluation = |error: &EvaluationError| {
        matches!(
            error,
            EvaluationError::NotFinite { .. } | EvaluationError::Allocation(AllocationError::Score { .. })
        )
    };
    match error.downcast_ref() {
        Some(
            TrainingError::Diverged { .. }
            | TrainingError::OutOfMemory { .. }
            | TrainingError::Allocation(AllocationError::Score { .. }),
        ) => true,
        Some(TrainingError::Evaluation(error)) => of_evaluation(error),
        _ => error.downcast_ref().is_some_and(of_evaluation),
    }
}

impl Sweep {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = device::open(self.device)?;
        let base = config::load(self.config.as_deref(), &self.set)?;
        let points = grid::read(&self.grid)?;
        // All of them, before the first hour is spent.
        let configs: Vec<Config> = points
            .iter()
            .map(|point| self.checked(point).with_context(|| point.name.clone()))
            .collect::<Result<_, _>>()?;
        std::fs::create_dir_all(&self.out).with_context(|| self.out.display().to_string())?;
        crate::logging::init(Some(&self.out)).context("cannot open log.txt")?;

        let (mut rows, mut failed) = (Vec::new(), Vec::new());
        for (number, (point, config)) in (1..).zip(points.iter().zip(configs)) {
            info!("run {number} of {}: {}", points.len(), point.name);
            let folder = self.out.join(&point.name);
            let run = Run::create_or_resume(&folder, config)?;
            match self.finish(&run, &device) {
                Ok((validation, test)) => rows.push(Row::new(point, validation, test)),
                Err(error) if matches!(error.downcast_ref(), Some(TrainingError::Interrupted { .. })) => {
                    return Err(error.context("the sweep goes on with the same command"));
                }
                // The others may do better.
                Err(error) if is_of_this_point(&error) => {
                    tracing::error!("{}: {error}", point.name);
                    failed.push(format!("{}: {error}", point.name));
                }
                Err(error) => return Err(error.context(point.name.clone())),
            }
        }
        let figure = |row: &Row| base.train.choose_by.figure(&row.validation);
        rows.sort_by(|a, b| match base.train.choose_by.better(figure(a), figure(b)) {
            true => std::cmp::Ordering::Less,
            false if figure(a) == figure(b) => std::cmp::Ordering::Equal,
            false => std::cmp::Ordering::Greater,
        });
        let text = summary::markdown(&rows);
        self.save("sweep.md", text.as_bytes())?;
        self.save("sweep.json", serde_json::to_string_pretty(&rows)?.as_bytes())?;
        self.save("sweep.csv", &summary::csv(&rows)?)?;
        write!(stdout(), "{text}")?;
        if !failed.is_empty() {
            bail!("{} of {} runs failed:\n  {}", failed.len(), points.len(), failed.join("\n  "));
        }
        Ok(())
    }

    /// The configuration of a point, if it can be trained: its values, its data and a run that is there already.
    fn checked(&self, point: &Point) -> anyhow::Result<Config> {
        let overrides: Vec<String> = self.set.iter().cloned().chain(point.overrides()).collect();
        let config = config::load(self.config.as_deref(), &overrides)?;
        self.precision(&config)?;
        load_data(&config)?.split(config.data.split())?;
        let folder = self.out.join(&point.name);
        if folder.join("config.toml").exists() {
            Run::resume(&folder, config.clone())?;
        }
        Ok(config)
    }

    fn precision(&self, config: &Config) -> anyhow::Result<Precision> {
        let stages = pipeline::stages(config);
        stages.iter().copied().find(|stage| stage.to_string() == self.stage).ok_or_else(|| {
            let names: Vec<_> = stages.iter().map(ToString::to_string).collect();
            anyhow!("--stage: {:?} is none of {}", self.stage, names.join(", "))
        })
    }

    /// Trains the stage and what it needs, where they are not trained yet, and evaluates.
    fn finish(&self, run: &Run, device: &Device) -> anyhow::Result<(Report, Option<Report>)> {
        let config = &run.config;
        let data = run.data()?;
        let precision = self.precision(config)?;
        if !finished(&run.folder, precision).exists() {
            train::train(run, &data, device, &pipeline::needed(precision))?;
        }
        let held_out = data.split(config.data.split())?;
        let model = pipeline::load(config, data.items.len() as u32, device, &run.folder, precision)?;
        let engine = TrainerEngine::new(&model, config, precision, config.budget.default);
        let report = |split| -> anyhow::Result<Report> {
            let cases: Vec<Case> = held_out.cases(split).collect();
            Ok(Report::of(&engine.evaluate(&cases)?)?)
        };
        let test = self.test.then(|| report(Split::Test)).transpose()?;
        Ok((report(Split::Validation)?, test))
    }

    fn save(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path: &Path = &self.out.join(name);
        atomic_file::write(path, content).with_context(|| path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_points_go_on_after_one_that_diverged() {
        let logit = EvaluationError::NotFinite { user: 0, item: 0, logit: f32::NAN };
        let score = AllocationError::Score { channel: 0, score: f32::NAN };
        assert!(is_of_this_point(&logit.into()) && is_of_this_point(&TrainingError::from(score).into()));
        assert!(!is_of_this_point(&TrainingError::from(EvaluationError::NoCases).into()));
        assert!(!is_of_this_point(&anyhow!("disk")));
    }
}
