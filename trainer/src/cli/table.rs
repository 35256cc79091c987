//! The table of a run: one row for each model.

use crate::data::{Case, Dataset, Split};
use crate::evaluation::cost::Cost;
use crate::evaluation::trainer_engine::TrainerEngine;
use crate::evaluation::{Report, row, runtime_engine};
use crate::hypernetwork::Channels;
use crate::model::chord::Precision;
use crate::run::Run;
use crate::tensor::Device;
use crate::training::pipeline;
use crate::training::stage::finished;
use anyhow::ensure;
use chord_runtime::Arithmetic;
use serde::Serialize;
use std::fmt::Write;

/// What computes the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum EngineName {
    /// The trainer's floating-point forward with fake quantisation
    Trainer,
    /// chord-runtime, the device's integer arithmetic, with each user's own plan
    Runtime,
    /// The same in fixed point, as on devices without an FPU (docs/fixed-point.md)
    FixedPoint,
}

/// One model at one budget.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// Name of the model.
    model: String,
    /// Average bits of the quantised layers' weights.
    bits: f64,
    /// Bytes of the quantised layers' weights, ranges and biases, item table, positions and norms at these bits.
    model_bytes: u64,
    /// Bytes sent to change a user's model.
    update_bytes: u64,
    /// Metrics.
    #[serde(flatten)]
    report: Report,
}

/// The finished models of a run in order; full precision and masks are left out where the device runtime computes.
///
/// # Errors
/// If no model is finished, or one cannot be evaluated.
pub(super) fn rows(
    run: &Run,
    data: &Dataset,
    device: &Device,
    engine: EngineName,
    split: Split,
    budget: f32,
) -> anyhow::Result<Vec<Row>> {
    let config = &run.config;
    let cases: Vec<Case> = data.split(config.data.split())?.cases(split).collect();
    let mut rows = Vec::new();
    for precision in pipeline::stages(config) {
        let of_trainer =
            matches!(precision, Precision::Fp32 | Precision::StaticMask | Precision::PersonalMask);
        let skipped = engine != EngineName::Trainer && of_trainer;
        if skipped || !finished(&run.folder, precision).exists() {
            continue;
        }
        let model = pipeline::load(config, data.items.len() as u32, device, &run.folder, precision)?;
        let on_device =
            |arithmetic| runtime_engine::evaluate(&model, config, precision, budget, arithmetic, &cases);
        let outcomes = match engine {
            EngineName::Trainer => TrainerEngine::new(&model, config, precision, budget).evaluate(&cases)?,
            EngineName::Runtime => on_device(Arithmetic::Float)?,
            EngineName::FixedPoint => on_device(Arithmetic::Fixed)?,
        };
        let channels = Channels::of(&model.backbone);
        let bits = match precision {
            Precision::Fp32 => 32.0,
            Precision::Uniform(bits) => f64::from(bits),
            _ => f64::from(budget),
        };
        let cost = Cost { config, channels: &channels, items: data.items.len() as u64 };
        let model_bytes = match precision {
            Precision::Fp32 => cost.full_precision_bytes(),
            _ => cost.quantised_bytes(bits),
        };
        let update_bytes = match precision {
            Precision::Personal | Precision::PersonalMask => cost.plan_bytes(budget),
            _ => model_bytes,
        };
        rows.push(Row {
            model: row::name(precision, budget),
            bits,
            model_bytes,
            update_bytes,
            report: Report::of(&outcomes)?,
        });
    }
    ensure!(!rows.is_empty(), "{}: no stage of this run is finished", run.folder.display());
    Ok(rows)
}

/// The rows as text, Markdown style.
pub(super) fn text(rows: &[Row]) -> String {
    let mut out = String::from(
        "| model                | bits |   HR@5 |  HR@10 | NDCG@5 | NDCG@10 |     CE | model bytes | update bytes |\n\
         |----------------------|-----:|-------:|-------:|-------:|--------:|-------:|------------:|-------------:|\n",
    );
    for row in rows {
        let r = &row.report;
        writeln!(
            out,
            "| {:<20} | {:>4.1} | {:.4} | {:.4} | {:.4} |  {:.4} | {:.4} | {:>11} | {:>12} |",
            row.model,
            row.bits,
            r.hr5,
            r.hr10,
            r.ndcg5,
            r.ndcg10,
            r.cross_entropy,
            row.model_bytes,
            row.update_bytes
        )
        .expect("writing to a string");
    }
    out
}
