//! Bootstrap intervals over users (Efron and Tibshirani 1993, chapter 13: the percentile method).

use crate::random::mix;
use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Resamples behind an interval.
const RESAMPLES: usize = 2000;

/// A mean over users and its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
        Self::of_all(&[figures]).remove(0)
    }

    /// Of several figures of the same users, each as by [`Interval::of`]. Every resample of users is drawn once and
    /// serves all figures; resamples are shared among the cores.
    ///
    /// # Panics
    /// Without users, or if the figures are not of as many users each.
    pub fn of_all(figures: &[&[f64]]) -> Vec<Self> {
        let Some(n) = figures.first().map(|f| f.len()) else { return Vec::new() };
        assert!(n > 0 && figures.iter().all(|f| f.len() == n), "figures of the same users, at least one");
        let of_resample = |times: &mut Vec<f64>, number: u64| {
            draw(times, number);
            figures.iter().map(|f| dot(times, f) / n as f64).collect::<Vec<_>>()
        };
        let resamples = (0..RESAMPLES as u64).into_par_iter();
        let means: Vec<Vec<f64>> = resamples.map_init(|| vec![0.0; n], of_resample).collect();
        let interval = |(index, figures): (usize, &&[f64])| {
            let mut means: Vec<f64> = means.iter().map(|m| m[index]).collect();
            means.sort_by(f64::total_cmp);
            let at = |share: f64| means[(share * (RESAMPLES - 1) as f64).round() as usize];
            Self { mean: figures.iter().sum::<f64>() / n as f64, low: at(0.025), high: at(0.975) }
        };
        figures.iter().enumerate().map(interval).collect()
    }
}

/// How often each user is drawn in resample `number`.
fn draw(times: &mut [f64], number: u64) {
    let n = times.len();
    times.fill(0.0);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(mix(&[n as u64, number]));
    (0..n).for_each(|_| times[rng.random_range(0..n)] += 1.0);
}

/// The sum of products, in eight partial sums: one that the compiler turns into vector instructions.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        (0..8).for_each(|i| sums[i] += a[i] * b[i]);
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
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

    #[test]
    fn figures_taken_together_have_the_intervals_of_each() {
        let wave = |f: f64| (0..101).map(|i| (f64::from(i) * f).sin()).collect::<Vec<_>>();
        let (a, b) = (wave(0.3), wave(1.7));
        assert_eq!(Interval::of_all(&[&a, &b]), [Interval::of(&a), Interval::of(&b)]);
    }

    #[test]
    fn a_resample_draws_as_many_users_as_there_are() {
        let mut times = [0.0; 30];
        draw(&mut times, 5);
        assert_eq!(times.iter().sum::<f64>(), 30.0);
        let figures: Vec<f64> = (0..30).map(f64::from).collect();
        let plain: f64 = times.iter().zip(&figures).map(|(t, f)| t * f).sum();
        assert!((dot(&times, &figures) - plain).abs() < 1e-9);
    }
}
