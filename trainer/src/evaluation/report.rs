//! Metrics over all users.

use super::{EvaluationError, Outcome, hit_rate, ndcg};
use serde::{Deserialize, Serialize};

/// Means over users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Users evaluated.
    pub users: usize,
    /// Hit rate at 5.
    pub hr5: f64,
    /// Hit rate at 10.
    pub hr10: f64,
    /// NDCG at 5.
    pub ndcg5: f64,
    /// NDCG at 10.
    pub ndcg10: f64,
    /// NDCG over the whole ranking; model choice on validation uses it, as it moves least between runs.
    pub ndcg: f64,
    /// Cross-entropy of the held-out item, in nats.
    pub cross_entropy: f64,
}

impl Report {
    /// Of at least one outcome.
    ///
    /// # Errors
    /// Without outcomes.
    pub fn of(outcomes: &[Outcome]) -> Result<Self, EvaluationError> {
        if outcomes.is_empty() {
            return Err(EvaluationError::NoCases);
        }
        let ranks: Vec<u32> = outcomes.iter().map(|o| o.rank).collect();
        Ok(Self {
            users: outcomes.len(),
            hr5: hit_rate(&ranks, 5),
            hr10: hit_rate(&ranks, 10),
            ndcg5: ndcg(&ranks, 5),
            ndcg10: ndcg(&ranks, 10),
            ndcg: ndcg(&ranks, u32::MAX),
            cross_entropy: outcomes.iter().map(|o| o.cross_entropy).sum::<f64>() / outcomes.len() as f64,
        })
    }
}
