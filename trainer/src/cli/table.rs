//! The table of a run: one row for each model.

use crate::data::{Case, Dataset, Split};
use crate::evaluation::cost::Cost;
use crate::evaluation::trainer_engine::TrainerEngine;
use crate::evaluation::{Report, row as evaluation, runtime_engine};
use crate::hypernetwork::Channels;
use crate::markdown;
use crate::model::chord::Precision;
use crate::run::Run;
use crate::tensor::Device;
use crate::training::pipeline;
use crate::training::stage::finished;
use anyhow::ensure;
use chord_runtime::Arithmetic;
use serde::Serialize;

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
    /// Average bits per weight of the plans in use.
    bits: f64,
    /// Bytes a device keeps.
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
        let cost = Cost { config, channels: &channels, items: data.items.len() as u64 };
        let engine = TrainerEngine::new(&model, config, precision, budget);
        let plans = match precision {
            Precision::Fp32 | Precision::Uniform(_) => None,
            Precision::Personal | Precision::PersonalMask => {
                Some(engine.plans(&cases.iter().map(|c| c.history).collect::<Vec<_>>())?)
            }
            Precision::Fisher | Precision::Static | Precision::StaticMask => {
                Some(vec![engine.shared_plan()?])
            }
        };
        let row = match &plans {
            None => evaluation::Row::fixed(precision, &cost),
            Some(plans) => evaluation::Row::planned(precision, &engine, plans, &cost, budget),
        };
        rows.push(Row {
            model: row.name,
            bits: row.bits,
            model_bytes: row.model_bytes,
            update_bytes: row.update_bytes,
            report: Report::of(&outcomes)?,
        });
    }
    ensure!(!rows.is_empty(), "{}: no stage of this run is finished", run.folder.display());
    Ok(rows)
}

/// The rows as text, Markdown style.
pub(super) fn text(rows: &[Row]) -> String {
    let head = "model,bits,HR@5,HR@10,NDCG@5,NDCG@10,CE,model bytes,update bytes";
    let head: Vec<String> = head.split(',').map(str::to_owned).collect();
    let line = |row: &Row| {
        let r = &row.report;
        let metrics =
            [r.hr5, r.hr10, r.ndcg5, r.ndcg10, r.cross_entropy].map(|figure| format!("{figure:.4}"));
        let bytes = [row.model_bytes, row.update_bytes].map(|bytes| bytes.to_string());
        [vec![row.model.clone(), format!("{:.1}", row.bits)], metrics.to_vec(), bytes.to_vec()].concat()
    };
    markdown::table(&head, &rows.iter().map(line).collect::<Vec<_>>())
}
