//! Exponentials of logits less their row's largest, and their sums: what a softmax is made of.

use crate::exponential::exp;
use crate::tensor::{self, Device, Tensor};
use pulp::Arch;

/// The softmax of each row before it is divided by its sum.
pub(super) struct Exponentials {
    /// `exp(logits - largest)`, [rows, columns].
    pub values: Tensor<2>,
    /// Sums of `values`, [rows, 1].
    pub total: Tensor<2>,
}

impl Exponentials {
    /// Of `logits` [rows, columns], which are not tracked, less `largest` [rows, 1], no less than any of its row.
    ///
    /// On the CPU one pass in place takes the place of three, with vectors where the tensor library calls libm for each
    /// element.
    pub(super) fn of(logits: Tensor<2>, largest: Tensor<2>) -> Self {
        let device = logits.device();
        let Device::Flex(_) = device else {
            let values = (logits - largest).exp();
            let total = values.clone().sum_dim(1);
            return Self { values, total };
        };
        let [_, columns] = logits.dims();
        let [mut values, mut total] = [logits, largest].map(Tensor::into_data);
        Arch::new().dispatch(|| on_host(tensor::values(&mut values), tensor::values(&mut total), columns));
        let tensor = |data| Tensor::from_data(data, &device);
        Self { values: tensor(values), total: tensor(total) }
    }
}

/// Replaces logits by exponentials, and what is subtracted from each row by the row's sum.
#[inline(always)]
fn on_host(values: &mut [f32], total: &mut [f32], columns: usize) {
    const LANES: usize = 16;
    for (row, total) in values.chunks_mut(columns).zip(total) {
        let mut sums = [0.0; LANES];
        let (lanes, rest) = row.as_chunks_mut::<LANES>();
        for lane in lanes {
            for (value, sum) in lane.iter_mut().zip(&mut sums) {
                *value = exp(*value - *total);
                *sum += *value;
            }
        }
        for (value, sum) in rest.iter_mut().zip(&mut sums) {
            *value = exp(*value - *total);
            *sum += *value;
        }
        *total = sums.iter().sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{floats, to_host};

    /// With rows of full lanes, a rest, and both.
    #[test]
    fn rows_and_sums_are_those_of_tensor_operations() {
        let device = Device::Flex(Default::default());
        for columns in [3, 16, 37] {
            let data = (0..4 * columns).map(|i| (i as f32 * 0.7).sin() * 9.0).collect();
            let logits = floats(data, [4, columns], &device);
            let largest = logits.clone().max_dim(1);
            let values = (logits.clone() - largest.clone()).exp();
            let expected = [values.clone(), values.sum_dim(1)].map(to_host).concat();
            let ours = Exponentials::of(logits, largest);
            let ours = [ours.values, ours.total].map(to_host).concat();
            assert_eq!(ours.len(), expected.len());
            ours.iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() <= 1e-6 * b, "{a} {b}"));
        }
    }
}
