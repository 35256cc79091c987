//! Sampled softmax with correction (Jean et al. 2015, arXiv 1412.2007, section 3): cross-entropy over the target and a
//! sample of the catalogue.

use super::exponentials::Exponentials;
use super::{Loss, own_targets};
use crate::tensor::{IntTensor, Tensor};

/// Loss of `hidden` [positions, dim] against target rows [positions] of `items` [items, dim], with `negatives` that all
/// positions share: different rows, each set of them equally likely.
///
/// Each negative stands for `items / negatives` of the catalogue, so the logarithm of that is added to its logit: the
/// expected sum over other items is the catalogue's, and with all items as negatives the loss is that of the full softmax.
/// A negative that is a position's target does not count there.
pub fn sampled_softmax(
    hidden: Tensor<2>,
    items: Tensor<2>,
    targets: IntTensor<1>,
    negatives: IntTensor<1>,
) -> Loss {
    let catalogue = items.dims()[0];
    let count = negatives.dims()[0];
    let (target_rows, negative_rows) =
        (items.clone().select(0, targets.clone()), items.select(0, negatives.clone()));
    let (h, e, n) = (hidden.clone().inner(), target_rows.clone().inner(), negative_rows.clone().inner());

    let correction = (catalogue as f32 / count as f32).ln();
    let mut logits = h.clone().matmul(n.clone().transpose()) + correction;
    if let Some(own) = own_targets(&targets, &negatives, &h.device()) {
        logits = logits + own;
    }
    let target_logit = (h.clone() * e.clone()).sum_dim(1);
    let largest = logits.clone().max_dim(1).max_pair(target_logit.clone());
    let own = (target_logit.clone() - largest.clone()).exp();
    let Exponentials { values: exponentials, total } = Exponentials::of(logits, largest.clone());
    let total = total + own.clone();
    let sum = (largest + total.clone().log() - target_logit).sum();

    let shares = exponentials / total.clone();
    let pull = own / total - 1.0;
    let hidden_gradient = shares.clone().matmul(n) + pull.clone() * e;
    let surrogate = (hidden * Tensor::from_inner(hidden_gradient)).sum()
        + (negative_rows * Tensor::from_inner(shares.transpose().matmul(h.clone()))).sum()
        + (target_rows * Tensor::from_inner(pull * h)).sum();
    Loss { sum, surrogate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Device, floats, integers, to_host};
    use crate::training::loss::softmax;

    fn wave(n: usize, f: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * f).sin()).collect()
    }

    fn close(a: Vec<f32>, b: Vec<f32>) {
        a.iter().zip(&b).for_each(|(a, b)| assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{a} {b}"));
    }

    #[test]
    fn the_whole_catalogue_as_sample_is_the_softmax() {
        let device = Device::autodiff(Device::Flex(Default::default()));
        let (n, v, d) = (6, 40, 4);
        let h = floats(wave(n * d, 0.7), [n, d], &device).require_grad();
        let e = floats(wave(v * d, 1.3), [v, d], &device).require_grad();
        let y = integers((0..n).map(|i| (i * 7 % v) as i32).collect(), [n], &device);
        let all = integers((0..v as i32).collect(), [v], &device);
        let ours = sampled_softmax(h.clone(), e.clone(), y.clone(), all);
        let full = softmax(h.clone(), e.clone(), y);
        close(to_host(ours.sum), to_host(full.sum));
    }

    /// Values and gradients equal those of burn's own graph.
    #[test]
    fn equals_the_plain_graph() {
        let device = Device::autodiff(Device::Flex(Default::default()));
        let (n, v, d) = (5, 30, 4);
        let h = floats(wave(n * d, 0.7), [n, d], &device).require_grad();
        let e = floats(wave(v * d, 1.3), [v, d], &device).require_grad();
        let targets = [3, 9, 3, 12, 20];
        let drawn = [1, 9, 4, 25, 20, 7];
        let y = integers(targets.to_vec(), [n], &device);
        let negatives = integers(drawn.to_vec(), [6], &device);
        let ours = sampled_softmax(h.clone(), e.clone(), y.clone(), negatives.clone());
        let ours_grads = ours.surrogate.backward();

        let own: Vec<f32> =
            targets.iter().flat_map(|t| drawn.map(|d| if d == *t { -1e9 } else { 0.0 })).collect();
        let logits = h.clone().matmul(e.clone().select(0, negatives).transpose()) + (30.0f32 / 6.0).ln();
        let logits = logits + floats(own, [n, 6], &device);
        let target = (h.clone() * e.clone().select(0, y)).sum_dim(1);
        let all = Tensor::cat(vec![target.clone(), logits], 1);
        let plain = (all.exp().sum_dim(1).log() - target).sum();
        let plain_grads = plain.backward();
        close(to_host(ours.sum), to_host(plain.inner()));
        close(to_host(h.grad(&ours_grads).unwrap()), to_host(h.grad(&plain_grads).unwrap()));
        close(to_host(e.grad(&ours_grads).unwrap()), to_host(e.grad(&plain_grads).unwrap()));
    }
}
