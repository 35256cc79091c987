//! The table of a run: one row for each model.

use crate::config::Config;
use crate::data::{Case, Dataset, Split};
use crate::evaluation::trainer_engine::TrainerEngine;
use crate::evaluation::{Report, runtime_engine};
use crate::frozen::encode_plan;
use crate::hypernetwork::Channels;
use crate::model::chord::Precision;
use crate::run::Run;
use crate::tensor::Device;
use crate::training::pipeline;
use crate::training::stage::finished;
use anyhow::ensure;
use chord_plan::bundle::ModelId;
use serde::Serialize;
use std::fmt::Write;

/// What computes the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum EngineName {
    /// The trainer's floating-point forward with fake quantisation
    Trainer,
    /// chord-runtime, the device's integer arithmetic, with each user's own plan
    Runtime,
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

/// The finished models of a run in order; full precision is left out where the device runtime computes.
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
        let skipped = engine == EngineName::Runtime && precision == Precision::Fp32;
        if skipped || !finished(&run.folder, precision).exists() {
            continue;
        }
        let model = pipeline::load(config, data.items.len() as u32, device, &run.folder, precision)?;
        let outcomes = match engine {
            EngineName::Trainer => TrainerEngine::new(&model, config, precision, budget).evaluate(&cases)?,
            EngineName::Runtime => runtime_engine::evaluate(&model, config, precision, budget, &cases)?,
        };
        let channels = Channels::of(&model.backbone);
        let bits = match precision {
            Precision::Fp32 => 32.0,
            Precision::Uniform(bits) => f64::from(bits),
            _ => f64::from(budget),
        };
        let sizes = Sizes { config, channels: &channels, items: data.items.len() as u64 };
        let update_bytes = match precision {
            Precision::Personal | Precision::PersonalMask => {
                let codes = vec![0; channels.total()];
                encode_plan(&codes, ModelId([0; 8]), 0, budget)?.len() as u64
            }
            _ => sizes.model_bytes(precision, bits),
        };
        let name = match precision {
            Precision::Fp32 => "FP32".to_owned(),
            Precision::Uniform(bits) => format!("uniform {bits} bits"),
            Precision::Static => format!("static mixed at {budget}"),
            Precision::Fisher => format!("Fisher mixed at {budget}"),
            Precision::Personal => format!("CHORD at {budget}"),
            Precision::StaticMask => format!("static mask at {budget}"),
            Precision::PersonalMask => format!("masks at {budget}"),
        };
        let model_bytes = sizes.model_bytes(precision, bits);
        rows.push(Row { model: name, bits, model_bytes, update_bytes, report: Report::of(&outcomes)? });
    }
    ensure!(!rows.is_empty(), "{}: no stage of this run is finished", run.folder.display());
    Ok(rows)
}

struct Sizes<'a> {
    config: &'a Config,
    channels: &'a Channels,
    items: u64,
}

impl Sizes<'_> {
    /// Bytes a device needs for the model: weights at `bits` each; with quantised weights also a range for each
    /// channel and an item table at 8 bits with a range for each row; biases, positions and norms at 32 bits.
    fn model_bytes(&self, precision: Precision, bits: f64) -> u64 {
        let m = &self.config.model;
        let (dim, blocks) = (u64::from(m.dim), u64::from(m.blocks));
        let weights: u64 = self.channels.weights_per_channel().iter().map(|&n| u64::from(n)).sum();
        let channels = self.channels.total() as u64;
        let plain = 4 * (channels + u64::from(m.window) * dim + (4 * blocks + 2) * dim);
        let table = match precision {
            Precision::Fp32 => 4 * self.items * dim,
            _ => self.items * (dim + 4) + 4 * channels,
        };
        plain + table + (weights as f64 * bits / 8.0).ceil() as u64
    }
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
