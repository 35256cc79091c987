//! What a row of a table is about, apart from its metrics.

use super::controls::Control;
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
    /// Bytes a device keeps.
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

/// What a stage's model is called, within `budget` bits where it has a plan.
pub fn name(precision: Precision, budget: f32) -> String {
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
