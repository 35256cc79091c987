//! One temperature for all logits of a model, fitted on validation (Guo et al., 2017, "On Calibration of Modern Neural
//! Networks", section 4.2).
//!
//! Cross-entropy mixes how well a model ranks with how sure it claims to be. Divided by its own temperature, every model
//! is as sure as it should be on average, and what is left of a difference is information. Ranks do not change.

use crate::exponential;
use rayon::prelude::*;

/// Logits held while fitting; at most this many users times items.
const LOGITS: usize = 1 << 24;

/// Users a temperature is fitted on, of a catalogue of `items`.
pub fn users(items: usize) -> usize {
    (LOGITS / items.max(1)).clamp(1, 2048)
}

/// The temperature of least cross-entropy over pairs of logits, one for each item, and their target. Without pairs, 1.
///
/// Newton's method in the inverse temperature, in which cross-entropy is convex; a step at most halves or doubles it.
pub fn fit(pairs: &[(Vec<f32>, u32)]) -> f64 {
    let mut inverse = 1.0;
    for _ in 0..50 {
        let (slope, curvature) = derivatives(pairs, inverse);
        let next = (inverse - slope / curvature).clamp(inverse / 2.0, inverse * 2.0);
        // Logits that are all alike have no curvature and no best temperature.
        let next = if next.is_finite() { next } else { inverse };
        if (next / inverse - 1.0).abs() < 1e-6 {
            break;
        }
        inverse = next.clamp(1e-3, 1e3);
    }
    1.0 / inverse
}

/// First and second derivative of the summed cross-entropy. On all cores, added up in the same order however many there
/// are.
fn derivatives(pairs: &[(Vec<f32>, u32)], inverse: f64) -> (f64, f64) {
    let of_pair = |(logits, target): &(Vec<f32>, u32)| {
        let (mean, variance) = moments(logits, inverse);
        (mean - f64::from(logits[*target as usize]), variance)
    };
    let parts: Vec<(f64, f64)> = pairs.par_iter().map(of_pair).collect();
    parts.into_iter().fold((0.0, 0.0), |(slope, curvature), (s, c)| (slope + s, curvature + c))
}

/// Mean and variance of logits under their own softmax at an inverse temperature.
fn moments(logits: &[f32], inverse: f64) -> (f64, f64) {
    let largest = exponential::largest(logits);
    let [sum, first, second] = exponential::moments(logits, largest, inverse as f32);
    let mean = first / sum;
    (f64::from(largest) + mean, second / sum - mean * mean)
}

#[cfg(test)]
mod tests {
    use super::super::ranking::cross_entropy;
    use super::*;
    use rand::Rng;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::SeedableRng;

    /// Targets drawn from the softmax of `logits / 2`.
    fn drawn(rng: &mut impl Rng) -> Vec<(Vec<f32>, u32)> {
        let user = |_| {
            let logits: Vec<f32> = (0..20).map(|_| rng.random_range(-6.0..6.0)).collect();
            let weights: Vec<f64> = logits.iter().map(|&l| f64::from(l / 2.0).exp()).collect();
            let mut left = rng.random_range(0.0..weights.iter().sum::<f64>());
            let target = weights.iter().position(|w| {
                left -= w;
                left < 0.0
            });
            (logits, target.unwrap_or(19) as u32)
        };
        (0..4000).map(user).collect()
    }

    #[test]
    fn the_temperature_of_the_draw_is_found_and_none_is_better() {
        let pairs = drawn(&mut Xoshiro256PlusPlus::seed_from_u64(5));
        let found = fit(&pairs);
        assert!((found - 2.0).abs() < 0.1, "{found}");
        let loss = |t: f64| pairs.iter().map(|(l, target)| cross_entropy(l, *target, t)).sum::<f64>();
        assert!([0.5, 0.99, 1.01, 2.0].iter().all(|factor| loss(found) < loss(found * factor)));
    }

    #[test]
    fn there_is_always_an_answer() {
        assert_eq!(fit(&[]), 1.0);
        assert_eq!(fit(&[(vec![2.0; 4], 1)]), 1.0);
        // A target that always wins asks for a temperature of 0, one that always loses for infinity.
        assert!((1e-3..0.3).contains(&fit(&[(vec![0.0, 9.0], 1)])));
        assert!((300.0..=1000.1).contains(&fit(&[(vec![0.0, 9.0], 0)])));
        assert_eq!((users(0), users(1 << 20), users(1 << 30)), (2048, 16, 1));
    }
}
