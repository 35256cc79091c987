//! From log-scores and a bit budget to the code of every channel.

mod gates;
mod quotas;
mod rate_distortion;

pub use gates::gates;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How bits follow from scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The least distortion, weighted by importance, that the budget allows.
    RateDistortion,
    /// Channels ranked by importance; each width has a quota.
    Quotas,
}

/// Allocates bits for one palette and one backbone.
#[derive(Clone, Debug)]
pub struct Allocator {
    rule: Rule,
    widths: Vec<u8>,
    weights: Vec<u32>,
}

/// The plan codes of one user.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// Index into the palette for each channel.
    pub codes: Vec<u8>,
    /// ln lambda, which all thresholds of the user share.
    pub log_lambda: f32,
    /// Step j of the palette is taken where `log s - log_lambda` lies above threshold j.
    pub thresholds: Vec<f32>,
}

/// Why a budget or scores cannot be served.
#[derive(Debug, Error, PartialEq)]
pub enum AllocationError {
    /// The budget is below the narrowest width or not a number.
    #[error(
        "a budget of {budget} bits cannot be met: the narrowest width of the palette is {narrowest} bits"
    )]
    Budget {
        /// Asked for.
        budget: f32,
        /// Least possible.
        narrowest: u8,
    },
    /// A score is not finite.
    #[error("the log-score of channel {channel} is {score}")]
    Score {
        /// Index of the channel.
        channel: usize,
        /// Its score.
        score: f32,
    },
}

impl Allocator {
    /// For strictly increasing `widths` (bits) and the number of weights of each channel.
    pub fn new(rule: Rule, widths: &[u8], weights_per_channel: Vec<u32>) -> Self {
        Self { rule, widths: widths.to_vec(), weights: weights_per_channel }
    }

    /// Widths of the palette, in bits.
    pub fn widths(&self) -> &[u8] {
        &self.widths
    }

    /// Number of weights of each channel.
    pub fn weights_per_channel(&self) -> &[u32] {
        &self.weights
    }

    /// Average bits per weight of a plan.
    pub fn average_bits(&self, codes: &[u8]) -> f64 {
        let bits = codes
            .iter()
            .zip(&self.weights)
            .map(|(&c, &n)| u64::from(self.widths[usize::from(c)]) * u64::from(n));
        bits.sum::<u64>() as f64 / self.total() as f64
    }

    /// Codes within `budget` average bits per weight.
    ///
    /// # Errors
    /// If the budget lies below the narrowest width, or a score is not finite.
    pub fn allocate(&self, log_scores: &[f32], budget: f32) -> Result<Allocation, AllocationError> {
        let narrowest = self.widths[0];
        if budget.is_nan() || budget < f32::from(narrowest) {
            return Err(AllocationError::Budget { budget, narrowest });
        }
        if let Some(channel) = log_scores.iter().position(|s| !s.is_finite()) {
            return Err(AllocationError::Score { channel, score: log_scores[channel] });
        }
        Ok(match self.rule {
            Rule::RateDistortion => rate_distortion::allocate(self, log_scores, budget),
            Rule::Quotas => quotas::allocate(self, log_scores, budget),
        })
    }

    fn total(&self) -> u64 {
        self.weights.iter().map(|&n| u64::from(n)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_requests_are_errors() {
        for rule in [Rule::RateDistortion, Rule::Quotas] {
            let solver = Allocator::new(rule, &[2, 4, 8], vec![1, 1]);
            let refused = |scores: [f32; 2], budget| solver.allocate(&scores, budget).unwrap_err();
            assert!(matches!(refused([0.0; 2], 1.9), AllocationError::Budget { narrowest: 2, .. }));
            assert!(matches!(refused([0.0; 2], f32::NAN), AllocationError::Budget { .. }));
            assert!(matches!(refused([0.0, f32::NAN], 3.0), AllocationError::Score { channel: 1, .. }));
        }
    }

    #[test]
    fn the_widest_and_the_narrowest_budget_leave_no_choice() {
        for rule in [Rule::RateDistortion, Rule::Quotas] {
            let solver = Allocator::new(rule, &[0, 2, 4, 8], vec![3, 5, 7]);
            assert_eq!(solver.allocate(&[0.0, -9.0, 9.0], 8.0).unwrap().codes, [3, 3, 3]);
            assert_eq!(solver.allocate(&[0.0, -9.0, 9.0], 0.0).unwrap().codes, [0, 0, 0]);
        }
    }
}
