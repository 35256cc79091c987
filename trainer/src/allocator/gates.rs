//! Differentiable gates of an allocation.

use super::Allocation;
use crate::tensor::{Tensor, floats};
use burn::tensor::activation::sigmoid;

/// Step gates, one tensor [batch, channels] for each step of the palette: 1 where the channel's width is above it.
///
/// Forward they are the allocation's own codes; backward they are `sigmoid((log s - log lambda - t_j) / temperature)`
/// (straight-through; Bengio et al. 2013, arXiv 1308.3432). lambda counts as a constant.
pub fn gates(log_scores: Tensor<2>, allocations: &[Allocation], thresholds: &[f32], temperature: f32) -> Vec<Tensor<2>> {
    let [batch, channels] = log_scores.dims();
    let device = log_scores.device();
    let lambda = floats(allocations.iter().map(|a| a.log_lambda).collect(), [batch, 1], &device);
    let margin = log_scores - lambda;
    let gate = |(step, &threshold): (usize, &f32)| {
        let soft = sigmoid((margin.clone() - threshold) / temperature);
        let hard = allocations.iter().flat_map(|a| &a.codes).map(|&c| f32::from(usize::from(c) > step));
        let hard = floats(hard.collect(), [batch, channels], &device);
        soft.clone() + (hard - soft.detach())
    };
    thresholds.iter().enumerate().map(gate).collect()
}
