//! Ranking with quotas: the plain reading of the paper.
//!
//! Channels are ranked by importance; the first get the widest width until its quota of weights is full, the next get
//! the next one, and so on. The paper does not say how quotas follow from a budget. Here they are the shares
//! `p_b ~ exp(theta b)` with `sum_b p_b b = B`: of all shares with that mean, those of greatest entropy (Jaynes 1957),
//! which favour no width beyond what the budget asks for.

use super::{Allocation, Allocator};

/// The share of weights at each width, for a mean of `budget` bits within the palette's range.
fn shares(widths: &[u8], budget: f64) -> Vec<f64> {
    let at = |theta: f64| {
        // Relative to the middle of the palette, so that no exponential overflows.
        let middle = f64::from(widths[0] + widths[widths.len() - 1]) / 2.0;
        let powers: Vec<f64> = widths.iter().map(|&b| (theta * (f64::from(b) - middle)).exp()).collect();
        let total: f64 = powers.iter().sum();
        powers.into_iter().map(|p| p / total).collect::<Vec<_>>()
    };
    let mean = |shares: &[f64]| shares.iter().zip(widths).map(|(p, &b)| p * f64::from(b)).sum::<f64>();
    let (mut low, mut high) = (-64.0, 64.0);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if mean(&at(middle)) > budget { high = middle } else { low = middle }
    }
    at(low)
}

/// Codes by rank, for scores that are finite. Ties go to the earlier channel.
pub(super) fn allocate(allocator: &Allocator, log_scores: &[f32], budget: f32) -> Allocation {
    let Allocator { widths, weights, .. } = allocator;
    let mut ranked: Vec<usize> = (0..log_scores.len()).collect();
    ranked.sort_by(|&a, &b| log_scores[b].total_cmp(&log_scores[a]));
    let shares = shares(widths, f64::from(budget));
    let total = allocator.total() as f64;
    let mut codes = vec![0u8; log_scores.len()];
    let lowest = ranked.last().map_or(0.0, |&channel| log_scores[channel]) - 1.0;
    let mut thresholds = Vec::with_capacity(shares.len() - 1);
    for step in 1..shares.len() {
        // The last bits of the shares must not cost a channel its place.
        let quota = shares[step..].iter().sum::<f64>() * total * (1.0 + 1e-12);
        let mut filled = 0.0;
        let mut threshold = lowest;
        for &channel in &ranked {
            filled += f64::from(weights[channel]);
            if filled > quota {
                threshold = log_scores[channel];
                break;
            }
            codes[channel] = step as u8;
        }
        thresholds.push(threshold);
    }
    Allocation { codes, log_lambda: 0.0, thresholds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::Rule;
    use proptest::prelude::*;

    #[test]
    fn shares_have_the_mean_and_the_greatest_entropy() {
        for budget in [0.1, 1.0, 2.0, 3.0, 3.5, 6.0, 7.9] {
            let p = shares(&[0, 2, 4, 8], budget);
            let mean = 2.0 * p[1] + 4.0 * p[2] + 8.0 * p[3];
            assert!((mean - budget).abs() < 1e-9 && (p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            // Exponential in the width: equal steps of the palette have equal ratios.
            assert!((p[1] / p[0] - p[2] / p[1]).abs() < 1e-9 * p[1] / p[0]);
        }
        // The mean of equal shares.
        shares(&[0, 2, 4, 8], 3.5).iter().for_each(|p| assert!((p - 0.25).abs() < 1e-9));
    }

    proptest! {
        #[test]
        fn wider_widths_go_to_greater_scores_within_the_budget(
            scores in prop::collection::vec(-6.0f32..6.0, 30),
            weights in prop::collection::vec(1u32..9, 30),
            budget in 0.0f32..8.0,
        ) {
            let allocator = Allocator::new(Rule::Quotas, &[0, 2, 4, 8], weights);
            let found = allocator.allocate(&scores, budget).unwrap();
            prop_assert!(allocator.average_bits(&found.codes) <= f64::from(budget) + 1e-6);
            for (a, &code) in scores.iter().zip(&found.codes) {
                prop_assert!(scores.iter().zip(&found.codes).all(|(b, &other)| a <= b || code >= other));
                let above = found.thresholds.iter().filter(|&t| a > t).count();
                prop_assert_eq!(above, usize::from(code));
            }
        }

        /// Channels of one weight each: quotas are met to within one channel a width.
        #[test]
        fn quotas_are_filled(scores in prop::collection::vec(-6.0f32..6.0, 200), budget in 0.0f32..8.0) {
            let allocator = Allocator::new(Rule::Quotas, &[0, 2, 4, 8], vec![1; 200]);
            let found = allocator.allocate(&scores, budget).unwrap();
            prop_assert!(allocator.average_bits(&found.codes) > f64::from(budget) - 8.0 / 200.0 - 1e-6);
        }
    }
}
