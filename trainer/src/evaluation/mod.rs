//! Leave-one-out evaluation over the whole catalogue.

pub mod bootstrap;
pub mod controls;
pub mod cost;
pub mod fine_tuning;
mod hit_rate;
mod ndcg;
mod ranking;
mod report;
pub mod row;
pub mod runtime_engine;
pub mod sampled;
pub mod saved;
pub mod suite;
pub mod temperature;
pub mod trainer_engine;

pub use hit_rate::hit_rate;
pub use ndcg::ndcg;
pub use ranking::{EvaluationError, Outcome, outcome};
pub use report::Report;
