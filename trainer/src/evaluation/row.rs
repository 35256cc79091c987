//! What a row of a table is about, apart from its metrics.

use super::controls::Control;
use super::cost::Cost;
use super::trainer_engine::TrainerEngine;
use crate::allocator::Allocation;
use crate::model::chord::Precision;
use serde::{Deserialize, Serialize};

/// How the model of a row came to its precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Full precision.
    FullPrecision,
    /// Full precision, then tuned for each user.
    FineTuned,
    /// One width for all channels.
    Uniform,
    /// A stage of its own whose widths all users share.
    Shared,
    /// CHORD: each user's own plan.
    Personal,
    /// Each user's own binary mask.
    Masked,
    /// CHORD's model under other plans.
    Control(Control),
}

/// A model at one precision. Figures that depend on the plan are means over users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Unique in its table, for example `personal@3` or `personal@3.mean`.
    pub id: String,
    /// For people.
    pub name: String,
    /// How the model came to its precision.
    pub kind: Kind,
    /// Average bits asked for, where a plan was made.
    pub budget: Option<f32>,
    /// Average bits per weight of the plans in use.
    pub bits: f64,
    /// Bytes a device keeps, so that it can be changed by `update_bytes`.
    pub model_bytes: u64,
    /// Bytes sent to change a user's model.
    pub update_bytes: u64,
    /// Multiply-accumulates of encoding a full window, without scoring.
    pub macs: f64,
    /// Multiply-accumulates of adapting to one user.
    pub adaptation_macs: f64,
    /// Bytes that adapting to one user leaves to be sent or stored.
    pub adaptation_bytes: u64,
    /// What logits are divided by in calibrated cross-entropy; fitted on validation.
    pub temperature: f64,
}

impl Row {
    /// Of a stage without plans: full precision or one width.
    pub fn fixed(precision: Precision, cost: &Cost) -> Self {
        let (bits, kind, bytes) = match precision {
            Precision::Uniform(bits) => (f64::from(bits), Kind::Uniform, cost.fixed_bytes(f64::from(bits))),
            _ => (32.0, Kind::FullPrecision, cost.full_precision_bytes()),
        };
        Self {
            id: precision.to_string(),
            name: name(precision, 0.0),
            kind,
            budget: None,
            bits,
            model_bytes: bytes,
            update_bytes: bytes,
            macs: cost.encode_macs(|_| true) as f64,
            adaptation_macs: 0.0,
            adaptation_bytes: 0,
            temperature: 1.0,
        }
    }

    /// Of a stage within `budget` bits, under a plan for each user or one for all.
    pub fn planned(
        precision: Precision,
        engine: &TrainerEngine,
        plans: &[Allocation],
        cost: &Cost,
        budget: f32,
    ) -> Self {
        let allocator = engine.allocator();
        let mean =
            |figure: &dyn Fn(&Allocation) -> f64| plans.iter().map(figure).sum::<f64>() / plans.len() as f64;
        let bits = mean(&|plan| allocator.average_bits(&plan.codes));
        let macs = |plan: &Allocation| {
            cost.encode_macs(|channel| allocator.widths()[usize::from(plan.codes[channel])] > 0) as f64
        };
        let plan_bytes = cost.plan_bytes(budget);
        let (kind, model_bytes, update_bytes) = match precision {
            Precision::Personal => (Kind::Personal, cost.planned_bytes(), plan_bytes),
            Precision::PersonalMask => (Kind::Masked, cost.planned_bytes(), plan_bytes),
            _ => (Kind::Shared, cost.fixed_bytes(bits), cost.fixed_bytes(bits)),
        };
        let adapts = precision.is_personal();
        Self {
            id: format!("{precision}@{budget}"),
            name: name(precision, budget),
            kind,
            budget: Some(budget),
            bits,
            model_bytes,
            update_bytes,
            macs: mean(&macs),
            adaptation_macs: if adapts { cost.planning_macs() as f64 } else { 0.0 },
            adaptation_bytes: if adapts { plan_bytes } else { 0 },
            temperature: 1.0,
        }
    }

    /// CHORD's model under other plans; this row is that under each user's own.
    pub fn control(
        &self,
        control: Control,
        engine: &TrainerEngine,
        plans: &[Allocation],
        cost: &Cost,
        budget: f32,
    ) -> Self {
        Self {
            id: format!("{}.{}", self.id, control.id()),
            name: format!("{}, {control}", self.name),
            kind: Kind::Control(control),
            adaptation_macs: 0.0,
            adaptation_bytes: 0,
            ..Self::planned(Precision::Personal, engine, plans, cost, budget)
        }
    }
}

/// What a stage's model is called, within `budget` bits where it has a plan.
fn name(precision: Precision, budget: f32) -> String {
    match precision {
        Precision::Fp32 => "FP32".to_owned(),
        Precision::Uniform(bits) => format!("uniform {bits} bits"),
        Precision::Fisher => format!("static mixed by Fisher at {budget}"),
        Precision::Static => format!("static mixed at {budget}"),
        Precision::Personal => format!("CHORD at {budget}"),
        Precision::StaticMask => format!("one mask for all at {budget}"),
        Precision::PersonalMask => format!("masks per user at {budget}"),
    }
}
