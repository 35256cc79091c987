//! Channel scores from the diagonal Fisher information of the full-precision model, the criterion of HAWQ-like static
//! mixed precision (Dong et al. 2019, arXiv 1905.03696; with the Fisher information in place of the Hessian).
//!
//! To second order, quantising weight i with error d_i costs `F_ii d_i^2 / 2`, and the mean squared error of a uniform
//! quantiser of range r at b bits is `4^-b r^2 / 3`. So the importance of channel c per weight is
//! `mean_i F_ii * r_c^2`; constant factors do not change an allocation.

use super::batches::{self, Window};
use super::step::StepContext;
use crate::allocator::AllocationError;
use crate::config::TrainConfig;
use crate::hypernetwork::mean_scores;
use crate::model::chord::{Chord, Precision};
use crate::random::mix;
use crate::tensor::{Backend, to_host};
use indicatif::ProgressBar;

/// Log-scores [channels] from the squared gradients of up to `windows` training windows, one at a time, under the dropout
/// that the model trains with.
///
/// # Errors
/// As a training step.
pub(super) fn log_scores(
    context: &StepContext,
    model: &Chord<Backend>,
    windows: usize,
    seed: u64,
    bar: &ProgressBar,
) -> Result<Vec<f32>, AllocationError> {
    let drawn = batches::epoch(context.data, context.config.training_window(), 1, seed);
    let drawn: Vec<Window> = drawn.into_iter().flatten().take(windows).collect();
    of_windows(context, model, &drawn, seed, bar)
}

/// How each user's log-scores differ from their mean over users, [users][channels], from up to `windows` of their
/// training windows; nothing for users without any.
///
/// # Errors
/// As a training step.
pub(super) fn deviations(
    context: &StepContext,
    model: &Chord<Backend>,
    windows: usize,
    seed: u64,
    bar: &ProgressBar,
) -> Result<Vec<Vec<f32>>, AllocationError> {
    let mut of_user: Vec<Vec<Window>> = vec![Vec::new(); context.data.users()];
    for window in
        batches::epoch(context.data, context.config.training_window(), 1, seed).into_iter().flatten()
    {
        let kept = &mut of_user[window.user];
        if kept.len() < windows {
            kept.push(window);
        }
    }
    let score = |drawn: &Vec<Window>| match drawn.is_empty() {
        true => Ok(Vec::new()),
        false => of_windows(context, model, drawn, seed, bar),
    };
    let mut scores = of_user.iter().map(score).collect::<Result<Vec<_>, _>>()?;
    let scored: Vec<Vec<f32>> = scores.iter().filter(|s| !s.is_empty()).cloned().collect();
    if !scored.is_empty() {
        let mean = mean_scores(&scored);
        scores.iter_mut().for_each(|s| s.iter_mut().zip(&mean).for_each(|(s, m)| *s -= m));
    }
    Ok(scores)
}

fn of_windows(
    context: &StepContext,
    model: &Chord<Backend>,
    windows: &[Window],
    seed: u64,
    bar: &ProgressBar,
) -> Result<Vec<f32>, AllocationError> {
    debug_assert_eq!(context.precision, Precision::Fp32);
    // Of frozen layers, too: their plans are as much in want of scores.
    let train = TrainConfig { frozen_layers: false, ..context.config.train.clone() };
    let model = model.clone().learning(Precision::Fp32, &train);
    let mut information: Vec<Vec<f64>> =
        model.backbone.layers().iter().map(|l| vec![0.0; l.outputs()]).collect();
    for (index, window) in windows.iter().enumerate() {
        let example = [window.whole(context.data)];
        let positions = example[0].targets.len();
        let seeds = [mix(&[seed, index as u64]); 2];
        let (_, mut gradients, _) = context.shard(&model, &example, positions, 0.0, seeds)?;
        for (layer, sums) in model.backbone.layers().into_iter().zip(&mut information) {
            let Some(gradient) = gradients.remove::<Backend, 2>(layer.weight.id) else { continue };
            let means = to_host(gradient.square().mean_dim(1));
            sums.iter_mut().zip(means).for_each(|(sum, mean)| *sum += f64::from(mean));
        }
        bar.inc(1);
    }
    let scores = model.backbone.layers().into_iter().zip(&information).flat_map(|(layer, sums)| {
        let log_ranges = to_host(layer.log_range.val());
        sums.iter().zip(log_ranges).map(|(&f, r)| (f.max(1e-30)).ln() as f32 + 2.0 * r).collect::<Vec<_>>()
    });
    Ok(scores.collect())
}
