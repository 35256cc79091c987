//! Differentiable gates of an allocation.

use super::Allocation;
use crate::tensor::{Tensor, floats};
use burn::tensor::activation::sigmoid;

/// Step gates, one tensor [batch, channels] for each step of the palette: 1 where the channel's width is above it.
///
/// Forward they are the allocation's own codes; backward they are `sigmoid((log s - log lambda - t_j) / temperature)`
/// (straight-through; Bengio et al. 2013, arXiv 1308.3432). lambda and t_j count as constants.
pub fn gates(log_scores: Tensor<2>, allocations: &[Allocation], temperature: f32) -> Vec<Tensor<2>> {
    let [batch, channels] = log_scores.dims();
    let device = log_scores.device();
    let lambda = floats(allocations.iter().map(|a| a.log_lambda).collect(), [batch, 1], &device);
    let margin = log_scores - lambda;
    let steps = allocations.first().map_or(0, |a| a.thresholds.len());
    let gate = |step| {
        let thresholds = allocations.iter().map(|a| a.thresholds[step]).collect();
        let soft = sigmoid((margin.clone() - floats(thresholds, [batch, 1], &device)) / temperature);
        let hard = allocations.iter().flat_map(|a| &a.codes).map(|&c| f32::from(usize::from(c) > step));
        let hard = floats(hard.collect(), [batch, channels], &device);
        soft.clone() + (hard - soft.detach())
    };
    (0..steps).map(gate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::{Allocator, Rule};
    use crate::tensor::{Device, to_host};

    #[test]
    fn forward_is_hard_and_backward_soft() {
        let device = Device::autodiff(Device::Flex(Default::default()));
        let scores = vec![-3.0, 0.5, 2.0, 9.0];
        let solver = Allocator::new(Rule::RateDistortion, &[0, 2, 4, 8], vec![8; 4]);
        let allocation = solver.allocate(&scores, 3.0).unwrap();
        for step in 0..3 {
            // A graph of its own for each: backpropagation consumes what the gates share.
            let tensor = floats(scores.clone(), [1, 4], &device).require_grad();
            let all = gates(tensor.clone(), std::slice::from_ref(&allocation), 0.5);
            let gate = &all[step];
            let hard: Vec<f32> = allocation.codes.iter().map(|&c| f32::from(usize::from(c) > step)).collect();
            let found = to_host(gate.clone().inner());
            found.iter().zip(&hard).for_each(|(a, b)| assert!((a - b).abs() < 1e-6));
            let gradients = gate.clone().sum().backward();
            for (found, score) in to_host(tensor.grad(&gradients).unwrap()).iter().zip(&scores) {
                let s = 1.0
                    / (1.0 + (-(score - allocation.log_lambda - allocation.thresholds[step]) / 0.5).exp());
                assert!((found - s * (1.0 - s) / 0.5).abs() < 1e-5);
            }
        }
    }
}
