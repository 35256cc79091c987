//! Binary cross-entropy with sampled negatives, the loss of the SASRec paper (Kang and McAuley 2018, equation 6).

use super::Loss;
use crate::tensor::{IntTensor, Tensor};
use burn::tensor::activation::{log_sigmoid, sigmoid};

/// `-ln sigmoid(h e_target) - mean_j ln(1 - sigmoid(h e_j))`, summed over positions: `hidden` [positions, dim], target
/// rows [positions] and negative rows [positions * k], position by position, of `items` [items, dim].
///
/// The mean over a position's negatives keeps positives and negatives in balance for any k; k = 1 is the paper's.
pub fn bce(hidden: Tensor<2>, items: Tensor<2>, targets: IntTensor<1>, negatives: IntTensor<1>) -> Loss {
    let [positions, dim] = hidden.dims();
    let k = negatives.dims()[0] / positions;
    let (target_rows, negative_rows) = (items.clone().select(0, targets), items.select(0, negatives));
    let (h, e) = (hidden.clone().inner(), target_rows.clone().inner());
    let n = negative_rows.clone().inner().reshape([positions, k, dim]);
    let wide = h.clone().unsqueeze_dim::<3>(1);
    let target_logit = (h.clone() * e.clone()).sum_dim(1);
    let negative_logits = (wide.clone() * n.clone()).sum_dim(2);
    let sum =
        -log_sigmoid(target_logit.clone()).sum() - log_sigmoid(-negative_logits.clone()).sum() / k as f32;

    let pull = sigmoid(target_logit) - 1.0;
    let push = sigmoid(negative_logits) / k as f32;
    let hidden_gradient = pull.clone() * e + (push.clone() * n).sum_dim(1).reshape([positions, dim]);
    let negative_gradient = (push * wide).reshape([positions * k, dim]);
    let surrogate = (hidden * Tensor::from_inner(hidden_gradient)).sum()
        + (target_rows * Tensor::from_inner(pull * h)).sum()
        + (negative_rows * Tensor::from_inner(negative_gradient)).sum();
    Loss { sum, surrogate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Device, floats, integers, to_host};

    /// Values and gradients equal those of burn's own graph.
    #[test]
    fn equals_the_plain_graph() {
        let device = Device::autodiff(Device::Flex(Default::default()));
        let (n, v, d, k) = (4, 9, 3, 2);
        let wave = |n: usize, f: f32| (0..n).map(|i| (i as f32 * f).sin()).collect::<Vec<_>>();
        let h = floats(wave(n * d, 0.7), [n, d], &device).require_grad();
        let e = floats(wave(v * d, 1.3), [v, d], &device).require_grad();
        let y = integers(vec![3, 8, 3, 0], [n], &device);
        let negatives = integers(vec![1, 2, 3, 4, 5, 6, 7, 8], [n * k], &device);
        let ours = bce(h.clone(), e.clone(), y.clone(), negatives.clone());
        let ours_grads = ours.surrogate.backward();
        let target = (h.clone() * e.clone().select(0, y)).sum_dim(1);
        let rows = e.clone().select(0, negatives).reshape([n, k, d]);
        let logits = (h.clone().unsqueeze_dim::<3>(1) * rows).sum_dim(2);
        let plain = -sigmoid(target).log().sum() - (sigmoid(logits) * -1.0 + 1.0).log().mean_dim(1).sum();
        let plain_grads = plain.backward();
        let close = |a: Vec<f32>, b: Vec<f32>| {
            a.iter().zip(&b).for_each(|(a, b)| assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{a} {b}"));
        };
        close(to_host(ours.sum), to_host(plain.inner()));
        close(to_host(h.grad(&ours_grads).unwrap()), to_host(h.grad(&plain_grads).unwrap()));
        close(to_host(e.grad(&ours_grads).unwrap()), to_host(e.grad(&plain_grads).unwrap()));
    }
}
