//! Distillation (Hinton et al. 2015, arXiv 1503.02531): `T^2 KL(teacher || student)` of softmaxes at temperature T.

use super::{Loss, chunk, own_targets};
use crate::tensor::{IntTensor, Tensor};
use burn::tensor::activation::log_softmax;

/// What the teacher makes of the student's positions; not tracked.
pub struct TeacherOutput {
    /// [positions, dim of the teacher].
    pub hidden: Tensor<2>,
    /// [items, dim of the teacher].
    pub items: Tensor<2>,
}

/// Divergence over the catalogue of `hidden` [positions, dim] and `items` [items, dim] from the teacher, chunk by chunk.
pub fn distillation(hidden: Tensor<2>, items: Tensor<2>, teacher: &TeacherOutput, temperature: f32) -> Loss {
    let (h, e) = (hidden.clone().inner(), items.clone().inner());
    let positions = h.dims()[0];
    let mut sum = Tensor::<1>::zeros([1], &h.device());
    let mut hidden_gradients = Vec::new();
    let mut item_gradient = items.is_require_grad().then(|| e.zeros_like());
    for start in (0..positions).step_by(chunk(e.dims()[0])) {
        let range = start..(start + chunk(e.dims()[0])).min(positions);
        let h = h.clone().slice_dim(0, range.clone());
        let student = h.clone().matmul(e.clone().transpose()) / temperature;
        let taught = teacher.hidden.clone().slice_dim(0, range).matmul(teacher.items.clone().transpose());
        let (part, gradient) = divergence(student, taught / temperature, temperature);
        sum = sum + part;
        hidden_gradients.push(gradient.clone().matmul(e.clone()));
        item_gradient = item_gradient.map(|all| all + gradient.transpose().matmul(h));
    }
    let mut surrogate = (hidden * Tensor::from_inner(Tensor::cat(hidden_gradients, 0))).sum();
    if let Some(gradient) = item_gradient {
        surrogate = surrogate + (items * Tensor::from_inner(gradient)).sum();
    }
    Loss { sum, surrogate }
}

/// As [`distillation`], over each position's target [positions] and the `negatives` that all positions share, weighted
/// as in [`sampled_softmax`](super::sampled_softmax): each stands for `items / negatives` of the catalogue.
pub fn sampled_distillation(
    hidden: Tensor<2>,
    items: Tensor<2>,
    targets: IntTensor<1>,
    negatives: IntTensor<1>,
    teacher: &TeacherOutput,
    temperature: f32,
) -> Loss {
    let h = hidden.clone().inner();
    let count = negatives.dims()[0];
    let correction = (items.dims()[0] as f32 / count as f32).ln();
    let own = own_targets(&targets, &negatives, &h.device());
    let (targets, negatives) = (targets.inner(), negatives.inner());
    // [positions, 1 + negatives]
    let logits = |hidden: &Tensor<2>, items: Tensor<2>| {
        let target = (hidden.clone() * items.clone().select(0, targets.clone())).sum_dim(1) / temperature;
        let sampled = hidden.clone().matmul(items.select(0, negatives.clone()).transpose()) / temperature;
        let sampled = sampled + correction;
        let sampled = match &own {
            Some(own) => sampled + own.clone(),
            None => sampled,
        };
        Tensor::cat(vec![target, sampled], 1)
    };
    let student = logits(&h, items.clone().inner());
    let taught = logits(&teacher.hidden, teacher.items.clone());
    let (sum, gradient) = divergence(student, taught, temperature);

    let (pull, push) = (gradient.clone().slice_dim(1, 0..1), gradient.slice_dim(1, 1..1 + count));
    let target_rows = items.clone().select(0, IntTensor::from_inner(targets));
    let negative_rows = items.select(0, IntTensor::from_inner(negatives));
    let (e, n) = (target_rows.clone().inner(), negative_rows.clone().inner());
    let surrogate = (hidden * Tensor::from_inner(pull.clone() * e + push.clone().matmul(n))).sum()
        + (target_rows * Tensor::from_inner(pull * h.clone())).sum()
        + (negative_rows * Tensor::from_inner(push.transpose().matmul(h))).sum();
    Loss { sum, surrogate }
}

/// The divergence summed over rows of logits that are divided by the temperature, and its gradient with respect to the
/// student's logits before that division, [rows, logits].
fn divergence(student: Tensor<2>, teacher: Tensor<2>, temperature: f32) -> (Tensor<1>, Tensor<2>) {
    let (student, teacher) = (log_softmax(student, 1), log_softmax(teacher, 1));
    let probable = teacher.clone().exp();
    let sum = (probable.clone() * (teacher - student.clone())).sum() * (temperature * temperature);
    (sum, (student.exp() - probable) * temperature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Device, floats, integers, to_host};

    fn wave(rows: usize, columns: usize, f: f32, device: &Device) -> Tensor<2> {
        floats((0..rows * columns).map(|i| (i as f32 * f).sin()).collect(), [rows, columns], device)
    }

    fn close(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{a} {b}"));
    }

    /// Sum and gradients of `ours` equal those of burn's own graph of `T^2 KL` between rows of logits.
    fn equals_plain(ours: Loss, inputs: [&Tensor<2>; 2], [student, teacher]: [Tensor<2>; 2], t: f32) {
        let gradients = ours.surrogate.backward();
        let (student, teacher) = (log_softmax(student, 1), log_softmax(teacher, 1));
        let plain = (teacher.clone().exp() * (teacher - student)).sum() * (t * t);
        let plain_gradients = plain.backward();
        let sum = to_host(ours.sum);
        assert!(sum[0] > 0.1, "{sum:?}");
        close(&sum, &to_host(plain.inner()));
        for input in inputs {
            let found = to_host(input.grad(&gradients).unwrap());
            close(&found, &to_host(input.grad(&plain_gradients).unwrap()));
        }
    }

    #[test]
    fn equals_the_plain_graph() {
        let plain = Device::Flex(Default::default());
        let device = Device::autodiff(plain.clone());
        // More than one chunk; a teacher of another size.
        let (n, v, t) = (chunk(11) + 17, 11, 2.0);
        let (h, e) = (wave(n, 4, 0.7, &device).require_grad(), wave(v, 4, 1.3, &device).require_grad());
        let teacher = TeacherOutput { hidden: wave(n, 6, 0.9, &plain), items: wave(v, 6, 0.4, &plain) };
        let ours = distillation(h.clone(), e.clone(), &teacher, t);
        let student = h.clone().matmul(e.clone().transpose()) / t;
        let taught = teacher.hidden.clone().matmul(teacher.items.clone().transpose()) / t;
        equals_plain(ours, [&h, &e], [student, Tensor::from_inner(taught)], t);
    }

    #[test]
    fn sampled_equals_the_plain_graph() {
        let plain = Device::Flex(Default::default());
        let device = Device::autodiff(plain.clone());
        let (v, t) = (30, 1.5);
        let (targets, drawn) = ([3, 9, 3, 12, 20], [1, 9, 4, 25, 20, 7]);
        let (h, e) = (wave(5, 4, 0.7, &device).require_grad(), wave(v, 4, 1.3, &device).require_grad());
        let teacher = TeacherOutput { hidden: wave(5, 6, 0.9, &plain), items: wave(v, 6, 0.4, &plain) };
        let (y, negatives) =
            (integers(targets.to_vec(), [5], &device), integers(drawn.to_vec(), [6], &device));
        let ours = sampled_distillation(h.clone(), e.clone(), y, negatives, &teacher, t);

        let own: Vec<f32> =
            targets.iter().flat_map(|t| drawn.map(|d| if d == *t { -1e9 } else { 0.0 })).collect();
        let logits = |hidden: Tensor<2>, items: Tensor<2>| {
            let device = hidden.device();
            let rows = |rows: &[i32]| items.clone().select(0, integers(rows.to_vec(), [rows.len()], &device));
            let target = (hidden.clone() * rows(&targets)).sum_dim(1) / t;
            let sampled = hidden.matmul(rows(&drawn).transpose()) / t + (30.0f32 / 6.0).ln();
            Tensor::cat(vec![target, sampled + floats(own.clone(), [5, 6], &device)], 1)
        };
        let taught = Tensor::from_inner(logits(teacher.hidden.clone(), teacher.items.clone()));
        equals_plain(ours, [&h, &e], [logits(h.clone(), e.clone()), taught], t);
    }

    #[test]
    fn a_student_that_knows_it_all_learns_nothing() {
        let plain = Device::Flex(Default::default());
        let device = Device::autodiff(plain.clone());
        let (h, e) = (wave(5, 4, 0.7, &device).require_grad(), wave(9, 4, 1.3, &device).require_grad());
        let teacher = TeacherOutput { hidden: h.clone().inner(), items: e.clone().inner() };
        let loss = distillation(h.clone(), e.clone(), &teacher, 3.0);
        assert!(to_host(loss.sum)[0].abs() < 1e-4);
        let gradients = loss.surrogate.backward();
        assert!(to_host(h.grad(&gradients).unwrap()).iter().all(|g| g.abs() < 1e-5));
    }
}
