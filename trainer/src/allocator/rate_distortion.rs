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

use super::{Allocation, Allocator};

/// t_j for each step between neighbouring widths.
fn thresholds(widths: &[u8]) -> Vec<f32> {
    let distortion = |bits: u8| 0.25f64.powi(i32::from(bits));
    let threshold = |w: &[u8]| (f64::from(w[1] - w[0]) / (distortion(w[0]) - distortion(w[1]))).ln() as f32;
    widths.windows(2).map(threshold).collect()
}

/// The best codes within the budget, for scores that are finite.
pub(super) fn allocate(allocator: &Allocator, log_scores: &[f32], budget: f32) -> Allocation {
    let Allocator { widths, weights, .. } = allocator;
    let thresholds = thresholds(widths);
    let mut steps: Vec<(f32, u32, u8)> = Vec::with_capacity(log_scores.len() * thresholds.len());
    for (channel, score) in log_scores.iter().enumerate() {
        for (step, threshold) in thresholds.iter().enumerate() {
            steps.push((score - threshold, channel as u32, step as u8));
        }
    }
    // Ties go to the earlier channel, then the earlier step: the same plan on every machine.
    steps.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let total = allocator.total();
    let mut left = (f64::from(budget) * total as f64).floor() as u64 - u64::from(widths[0]) * total;
    let mut codes = vec![0u8; log_scores.len()];
    let mut log_lambda = steps.last().map_or(0.0, |s| s.0 - 1.0);
    for &(margin, channel, step) in &steps {
        let (channel, step) = (channel as usize, usize::from(step));
        let cost = u64::from(widths[step + 1] - widths[step]) * u64::from(weights[channel]);
        if cost > left {
            log_lambda = margin;
            break;
        }
        left -= cost;
        codes[channel] = step as u8 + 1;
    }
    Allocation { codes, log_lambda, thresholds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Rule;
    use proptest::prelude::*;

    fn cost(solver: &Allocator, log_scores: &[f32], codes: &[u8]) -> f64 {
        (log_scores.iter().zip(codes).zip(&solver.weights))
            .map(|((s, &c), &n)| {
                f64::from(n) * f64::from(*s).exp() * 0.25f64.powi(i32::from(solver.widths[usize::from(c)]))
            })
            .sum()
    }

    #[test]
    fn thresholds_are_those_of_the_recipe() {
        let rounded: Vec<_> = thresholds(&[0, 2, 4, 8]).iter().map(|t| (t * 1000.0).round()).collect();
        assert_eq!(rounded, [758.0, 3530.0, 6935.0]);
    }

    proptest! {
        /// No plan at the same or lower cost in bits has less distortion (checked against all 4^5 plans).
        #[test]
        fn is_optimal_for_the_bits_it_spends(
            scores in prop::collection::vec(-6.0f32..6.0, 5),
            weights in prop::collection::vec(1u32..9, 5),
            budget in 0.0f32..8.0,
        ) {
            let solver = Allocator::new(Rule::RateDistortion, &[0, 2, 4, 8], weights);
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
            let solver = Allocator::new(Rule::RateDistortion, &[0, 2, 4, 8], vec![64; 40]);
            let found = solver.allocate(&scores, budget).unwrap();
            for (score, &code) in scores.iter().zip(&found.codes) {
                let above = found.thresholds.iter().filter(|t| score - *t > found.log_lambda).count();
                prop_assert_eq!(above, usize::from(code));
            }
        }
    }
}
