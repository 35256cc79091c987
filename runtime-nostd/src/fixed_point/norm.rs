//! Layer normalisation (`docs/fixed-point.md`, section 5).

use core::num::NonZeroU32;

use chord_plan::bundle::Floats;

use super::number::{Scale, aligned, field, high_signed, largest_field, reciprocal, shift_right, unit};

/// Gamma and beta of a normalisation, and the exponent fields of the largest.
#[derive(Clone, Copy)]
pub(super) struct Affine<'b> {
    gamma: Floats<'b>,
    beta: Floats<'b>,
    gamma_field: i32,
    beta_field: i32,
}

impl<'b> Affine<'b> {
    pub(super) fn new((gamma, beta): (Floats<'b>, Floats<'b>)) -> Self {
        Self { gamma, beta, gamma_field: largest_field(gamma), beta_field: largest_field(beta) }
    }

    pub(super) fn is_finite(&self) -> bool {
        self.gamma_field.max(self.beta_field) < 255
    }
}

/// Normalises a row of up to 4096 numbers in units of `2^x_unit`, magnitudes of 2^15 at most, to `out`; returns the
/// unit of the results, whose magnitudes are at most 2^30.
pub(super) fn layer_norm(x: &[i16], x_unit: i32, affine: &Affine<'_>, epsilon: f32, out: &mut [i32]) -> i32 {
    let n = NonZeroU32::new(x.len() as u32).unwrap_or(NonZeroU32::MIN);
    // Within 2^27.
    let sum: i32 = x.iter().map(|&x| i32::from(x)).sum();
    let mean = ((sum.unsigned_abs() + n.get() / 2) / n) as i32 * sum.signum();
    // Of differences within 2^16 - 1: below 2^44.
    let squares = x.iter().fold(0, |squares: u64, &x| {
        let d = (i32::from(x) - mean).unsigned_abs();
        squares + u64::from(d * d)
    });
    let Scale { mantissa: root, exponent } = deviation(squares, n, epsilon, x_unit);
    // Above 2^14, at most 2^15. No deviation at all: all differences are 0.
    let inverse = reciprocal(30, root) as i32;
    let gamma_unit = unit(affine.gamma_field, 15);
    let product_unit = -30 - exponent + 16 + gamma_unit;
    // The product is within 2^30, both terms within 2^29.
    let y_unit = (product_unit + 1).max(unit(affine.beta_field, 29));
    for (((&x, y), gamma), beta) in x.iter().zip(out).zip(affine.gamma).zip(affine.beta) {
        // Below 2^31: (2^16 - 1) * 2^15.
        let normal = (i32::from(x) - mean) * inverse;
        let product = high_signed(normal, aligned(gamma, gamma_unit));
        *y = shift_right(product, (y_unit - product_unit) as u32) + aligned(beta, y_unit);
    }
    y_unit
}

/// `sqrt(squares / n + epsilon)`, epsilon in units of `4^x_unit`.
fn deviation(squares: u64, n: NonZeroU32, epsilon: f32, x_unit: i32) -> Scale {
    // Below 2^36, in units of 2^bits.
    let epsilons = u64::from((epsilon.to_bits() & 0x007f_ffff | 0x0080_0000) * u32::from(field(epsilon) > 0));
    let (epsilons, bits) = (epsilons * u64::from(n.get()), field(epsilon) - 150 - 2 * x_unit);
    // The sum stays below 2^63: the finer of the two is cut to the unit of the other if it is far below.
    let (sum, exponent) = match bits {
        ..=-64 => (squares, 0),
        -63..0 => (squares + (epsilons >> -bits), 0),
        0..=24 => (squares + (epsilons << bits), 0),
        25..64 => (epsilons + (squares >> bits), bits),
        _ => (epsilons, bits),
    };
    let zeros = sum.leading_zeros();
    if sum == 0 {
        // As large as can be, so that the differences, zeros, do not count in the unit of the result.
        return Scale { mantissa: 0, exponent: -Scale::ZERO.exponent };
    }
    let (mut variance, mut exponent) = ((sum << zeros >> 32) as u32 / n, exponent + 32 - zeros as i32);
    if exponent & 1 != 0 {
        (variance, exponent) = (variance / 2, exponent + 1);
    }
    Scale::square_root(variance, exponent / 2)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    fn bytes(x: &[f32]) -> Vec<u8> {
        x.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    proptest! {
        #[test]
        fn is_near_the_exact_one(
            x in proptest::collection::vec(-0x7fff..=0x7fffi16, 2..100),
            x_unit in -60i32..60,
            epsilon in prop_oneof![Just(1e-5f32), Just(1e-30), Just(1e3), Just(1e30)],
            gamma in 0.1f32..4.0,
            beta in -2.0f32..2.0,
        ) {
            let n = x.len();
            let scale = libm::exp2(f64::from(x_unit));
            let values: Vec<f64> = x.iter().map(|&x| f64::from(x) * scale).collect();
            let mean = values.iter().sum::<f64>() / n as f64;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
            let deviation = (variance + f64::from(epsilon)).sqrt();
            let (gammas, betas) = (bytes(&vec![gamma; n]), bytes(&vec![beta; n]));
            let affine = Affine::new((Floats::new(&gammas), Floats::new(&betas)));
            let mut out = vec![0; n];
            let unit = layer_norm(&x, x_unit, &affine, epsilon, &mut out);
            // The mean is off by half a unit, the deviation by some 2^-14 of itself.
            let off_mean = 0.51 * scale / deviation * f64::from(gamma);
            for (value, y) in values.iter().zip(out) {
                let exact = (value - mean) / deviation * f64::from(gamma) + f64::from(beta);
                let ours = f64::from(y) * libm::exp2(unit.into());
                let tolerance = off_mean + (exact.abs() + f64::from(beta.abs())) * 2e-4 + 1e-6;
                prop_assert!((ours - exact).abs() <= tolerance, "{ours} for {exact}");
            }
        }
    }
}
