//! Leave-one-out evaluation over the whole catalogue.

pub mod bootstrap;
pub mod controls;
mod hit_rate;
mod ndcg;
mod ranking;
mod report;
pub mod runtime_engine;
pub mod trainer_engine;

pub use hit_rate::hit_rate;
pub use ndcg::ndcg;
pub use ranking::{EvaluationError, Outcome, outcome};
pub use report::Report;
