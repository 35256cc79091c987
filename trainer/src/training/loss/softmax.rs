//! Full-softmax cross-entropy over the whole catalogue, in chunks that never hold more than a block of
//! positions x items.

use super::exponentials::Exponentials;
use super::{Loss, chunk};
use crate::tensor::{IntTensor, Tensor};

/// Cross-entropy of `hidden` [positions, dim] against target rows [positions] of `items` [items, dim].
///
/// The gradients with respect to both inputs follow from the softmax in closed form; they are computed here chunk by
/// chunk without a graph and enter backpropagation through `sum(hidden * dL/dhidden) + sum(items * dL/ditems)`, which
/// has exactly these gradients.
pub fn softmax(hidden: Tensor<2>, items: Tensor<2>, targets: IntTensor<1>) -> Loss {
    let (h, e, y) = (hidden.clone().inner(), items.clone().inner(), targets.inner());
    let [positions, dim] = h.dims();
    let items_tracked = items.is_require_grad();
    let mut sum = Tensor::<1>::zeros([1], &h.device());
    let mut hidden_gradients = Vec::new();
    let mut item_gradient = items_tracked.then(|| Tensor::<2>::zeros(e.dims(), &e.device()));
    for start in (0..positions).step_by(chunk(e.dims()[0])) {
        let end = (start + chunk(e.dims()[0])).min(positions);
        let h = h.clone().slice([start..end, 0..dim]);
        let y = y.clone().slice_dim(0, start..end);
        let target = e.clone().select(0, y.clone());
        let logits = h.clone().matmul(e.clone().transpose());
        let largest = logits.clone().max_dim(1);
        let Exponentials { values: exponentials, total } = Exponentials::of(logits, largest.clone());
        let target_logit = (h.clone() * target.clone()).sum_dim(1);
        sum = sum + (largest + total.clone().log() - target_logit).sum();
        let share = total.recip();
        hidden_gradients.push(exponentials.clone().matmul(e.clone()) * share.clone() - target);
        item_gradient = item_gradient.map(|gradient| {
            let gradient = gradient + exponentials.transpose().matmul(h.clone() * share);
            gradient.select_assign(0, y, -h, burn::tensor::IndexingUpdateOp::Add)
        });
    }
    let hidden_gradient = Tensor::cat(hidden_gradients, 0);
    let mut surrogate = (hidden * Tensor::from_inner(hidden_gradient)).sum();
    if let Some(gradient) = item_gradient {
        surrogate = surrogate + (items * Tensor::from_inner(gradient)).sum();
    }
    Loss { sum, surrogate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Device, floats, integers, to_host};
    use burn::tensor::activation::log_softmax;

    /// Values and both gradients equal those of burn's own graph, over more than one chunk.
    #[test]
    fn equals_the_plain_graph() {
        let device = Device::autodiff(Device::Flex(Default::default()));
        let (n, v, d) = (chunk(11) + 17, 11, 4);
        let wave = |n: usize, f: f32| (0..n).map(|i| ((i as f32) * f).sin()).collect::<Vec<_>>();
        let h = floats(wave(n * d, 0.7), [n, d], &device).require_grad();
        let e = floats(wave(v * d, 1.3), [v, d], &device).require_grad();
        let rows: Vec<i32> = (0..n).map(|i| (i * 7 % v) as i32).collect();
        let y = integers(rows, [n], &device);

        let ours = softmax(h.clone(), e.clone(), y.clone());
        let ours_grads = ours.surrogate.backward();
        let logits = h.clone().matmul(e.clone().transpose());
        let plain = -log_softmax(logits, 1).gather(1, y.reshape([n, 1])).sum();
        let plain_grads = plain.backward();
        let close = |a: Vec<f32>, b: Vec<f32>| {
            a.iter().zip(&b).for_each(|(a, b)| assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{a} {b}"));
        };
        close(to_host(ours.sum), to_host(plain.inner()));
        close(to_host(h.grad(&ours_grads).unwrap()), to_host(h.grad(&plain_grads).unwrap()));
        close(to_host(e.grad(&ours_grads).unwrap()), to_host(e.grad(&plain_grads).unwrap()));
    }
}
