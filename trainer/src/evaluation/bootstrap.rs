//! Bootstrap intervals over users (Efron and Tibshirani 1993, chapter 13: the percentile method).

use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::Serialize;

/// Resamples behind an interval.
const RESAMPLES: usize = 2000;

/// A mean over users and its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Of the users there are.
    pub mean: f64,
    /// 2.5% of resampled means lie below.
    pub low: f64,
    /// 2.5% of resampled means lie above.
    pub high: f64,
}

impl Interval {
    /// Of one figure for each user; at least one. The resampling is seeded: the same figures, the same interval.
    ///
    /// # Panics
    /// Without figures.
    pub fn of(figures: &[f64]) -> Self {
        let n = figures.len();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(n as u64);
        let mut mean = || (0..n).map(|_| figures[rng.random_range(0..n)]).sum::<f64>() / n as f64;
        let mut means: Vec<f64> = (0..RESAMPLES).map(|_| mean()).collect();
        means.sort_by(f64::total_cmp);
        let at = |share: f64| means[(share * (RESAMPLES - 1) as f64).round() as usize];
        Self { mean: figures.iter().sum::<f64>() / n as f64, low: at(0.025), high: at(0.975) }
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{:+.4} [{:+.4}, {:+.4}]", self.mean, self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interval of 0s and 1s is that of the normal approximation, which holds at this size.
    #[test]
    fn is_about_two_standard_errors_to_each_side() {
        let figures: Vec<f64> = (0..2000).map(|i| f64::from(i % 4 == 0)).collect();
        let found = Interval::of(&figures);
        let error = (0.25f64 * 0.75 / 2000.0).sqrt();
        assert_eq!(found.mean, 0.25);
        assert!((found.mean - found.low - 1.96 * error).abs() < 0.3 * error, "{found:?}");
        assert!((found.high - found.mean - 1.96 * error).abs() < 0.3 * error, "{found:?}");
        assert_eq!(found, Interval::of(&figures));
    }

    #[test]
    fn equal_figures_leave_no_doubt() {
        assert_eq!(Interval::of(&[2.0; 9]), Interval { mean: 2.0, low: 2.0, high: 2.0 });
    }
}
