//! Exponentials of logits less their row's largest, and their sums: what a softmax is made of.

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

/// e^x for x <= 0 to two units in the last place; 0 below -87, where results leave the normal numbers; NaN stays.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; 2^n from the exponent's bits, e^r by its Taylor polynomial of degree 6.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding it rounds to an integer, which then is in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, so that the product with n is exact.
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = 1.0
        + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0))))));
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x < -87.0 { 0.0 } else { p * power }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{floats, to_host};

    #[test]
    fn exponentials_are_those_of_libm() {
        for i in 0..=87_000 {
            let x = -(i as f32) / 1000.0;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "{x}: {error}");
        }
        assert_eq!([exp(-0.0), exp(-88.0), exp(-1e9), exp(f32::NEG_INFINITY)], [1.0, 0.0, 0.0, 0.0]);
        assert!(exp(f32::NAN).is_nan());
    }

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
