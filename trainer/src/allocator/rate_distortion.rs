//! Rate-distortion allocation.
//!
//! Minimise `sum_c n_c s_c D[b_c]` subject to `sum_c n_c b_c <= B sum_c n_c`, where `s_c` is the importance of channel
//! c per weight, `n_c` its number of weights, `b_c` one of the palette's widths and `D[b] = 4^-b` the distortion of
//! a uniform quantiser (high-resolution theory, Gersho and Gray 1991, section 5.6), `D[0] = 1`. The widths lie on the
//! convex hull of D, so for a multiplier lambda the solution takes every step from width j to j + 1 with
//!
//! ```text
//! log s_c - log lambda > t_j,      t_j = ln((b_{j+1} - b_j) / (D[b_j] - D[b_{j+1}]))
//! ```
//!
//! and lambda follows from the budget. Sorting all steps by `log s_c - t_j` finds it exactly.

use thiserror::Error;

/// Solves the allocation for one palette and one backbone.
#[derive(Clone, Debug)]
pub struct RateDistortion {
    widths: Vec<u8>,
    thresholds: Vec<f32>,
    weights: Vec<u32>,
}

/// The plan codes of one user.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// Index into the palette for each channel.
    pub codes: Vec<u8>,
    /// ln lambda: a step is taken where `log s_c - t_j` lies above it.
    pub log_lambda: f32,
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

impl RateDistortion {
    /// For strictly increasing `widths` (bits) and the number of weights of each channel.
    pub fn new(widths: &[u8], weights_per_channel: Vec<u32>) -> Self {
        let distortion = |bits: u8| 0.25f64.powi(i32::from(bits));
        let thresholds = widths
            .windows(2)
            .map(|w| (f64::from(w[1] - w[0]) / (distortion(w[0]) - distortion(w[1]))).ln() as f32);
        Self { widths: widths.to_vec(), thresholds: thresholds.collect(), weights: weights_per_channel }
    }

    /// Widths of the palette, in bits.
    pub fn widths(&self) -> &[u8] {
        &self.widths
    }

    /// Number of weights of each channel.
    pub fn weights_per_channel(&self) -> &[u32] {
        &self.weights
    }

    /// t_j for each step between neighbouring widths.
    pub fn thresholds(&self) -> &[f32] {
        &self.thresholds
    }

    /// Average bits per weight of a plan.
    pub fn average_bits(&self, codes: &[u8]) -> f64 {
        let bits = codes
            .iter()
            .zip(&self.weights)
            .map(|(&c, &n)| u64::from(self.widths[usize::from(c)]) * u64::from(n));
        bits.sum::<u64>() as f64 / self.total() as f64
    }

    /// The best codes within `budget` average bits per weight.
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
        let mut steps: Vec<(f32, u32, u8)> = Vec::with_capacity(log_scores.len() * self.thresholds.len());
        for (channel, score) in log_scores.iter().enumerate() {
            for (step, threshold) in self.thresholds.iter().enumerate() {
                steps.push((score - threshold, channel as u32, step as u8));
            }
        }
        // Ties go to the earlier channel, then the earlier step: the same plan on every machine.
        steps.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut left =
            (f64::from(budget) * self.total() as f64).floor() as u64 - u64::from(narrowest) * self.total();
        let mut codes = vec![0u8; log_scores.len()];
        let mut log_lambda = steps.last().map_or(0.0, |s| s.0 - 1.0);
        for &(margin, channel, step) in &steps {
            let channel = channel as usize;
            let step = usize::from(step);
            let cost =
                u64::from(self.widths[step + 1] - self.widths[step]) * u64::from(self.weights[channel]);
            if cost > left {
                log_lambda = margin;
                break;
            }
            left -= cost;
            codes[channel] = step as u8 + 1;
        }
        Ok(Allocation { codes, log_lambda })
    }

    fn total(&self) -> u64 {
        self.weights.iter().map(|&n| u64::from(n)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cost(solver: &RateDistortion, log_scores: &[f32], codes: &[u8]) -> f64 {
        (log_scores.iter().zip(codes).zip(&solver.weights))
            .map(|((s, &c), &n)| {
                f64::from(n) * f64::from(*s).exp() * 0.25f64.powi(i32::from(solver.widths[usize::from(c)]))
            })
            .sum()
    }

    #[test]
    fn thresholds_are_those_of_the_recipe() {
        let solver = RateDistortion::new(&[0, 2, 4, 8], vec![1]);
        let rounded: Vec<_> = solver.thresholds().iter().map(|t| (t * 1000.0).round()).collect();
        assert_eq!(rounded, [758.0, 3530.0, 6935.0]);
    }

    #[test]
    fn a_budget_of_the_widest_width_gives_all_of_it() {
        let solver = RateDistortion::new(&[0, 2, 4, 8], vec![3, 5, 7]);
        assert_eq!(solver.allocate(&[0.0, -9.0, 9.0], 8.0).unwrap().codes, [3, 3, 3]);
        assert_eq!(solver.allocate(&[0.0, -9.0, 9.0], 0.0).unwrap().codes, [0, 0, 0]);
    }

    #[test]
    fn impossible_requests_are_errors() {
        let solver = RateDistortion::new(&[2, 4, 8], vec![1, 1]);
        assert!(matches!(
            solver.allocate(&[0.0, 0.0], 1.9),
            Err(AllocationError::Budget { narrowest: 2, .. })
        ));
        assert!(matches!(solver.allocate(&[0.0, 0.0], f32::NAN), Err(AllocationError::Budget { .. })));
        assert!(matches!(
            solver.allocate(&[0.0, f32::NAN], 3.0),
            Err(AllocationError::Score { channel: 1, .. })
        ));
    }

    proptest! {
        /// No plan at the same or lower cost in bits has less distortion (checked against all 4^5 plans).
        #[test]
        fn is_optimal_for_the_bits_it_spends(
            scores in prop::collection::vec(-6.0f32..6.0, 5),
            weights in prop::collection::vec(1u32..9, 5),
            budget in 0.0f32..8.0,
        ) {
            let solver = RateDistortion::new(&[0, 2, 4, 8], weights);
            let found = solver.allocate(&scores, budget).unwrap();
            let spent = solver.average_bits(&found.codes);
            prop_assert!(spent <= f64::from(budget) + 1e-6);
            let best = cost(&solver, &scores, &found.codes);
            for plan in 0..1024u32 {
                let codes: Vec<u8> = (0..5).map(|c| (plan >> (2 * c) & 3) as u8).collect();
                if solver.average_bits(&codes) <= spent {
                    prop_assert!(cost(&solver, &scores, &codes) >= best * (1.0 - 1e-5));
                }
            }
        }

        #[test]
        fn codes_are_the_steps_above_lambda(
            scores in prop::collection::vec(-6.0f32..6.0, 40),
            budget in 0.0f32..8.0,
        ) {
            let solver = RateDistortion::new(&[0, 2, 4, 8], vec![64; 40]);
            let found = solver.allocate(&scores, budget).unwrap();
            for (score, &code) in scores.iter().zip(&found.codes) {
                let above = solver.thresholds().iter().filter(|t| score - *t > found.log_lambda).count();
                prop_assert_eq!(above, usize::from(code));
            }
        }
    }
}
