//! e^x on this machine's vectors, where libm would be called for each element; what softmaxes are summed from.

use pulp::Arch;

const LANES: usize = 16;

/// e^x for x <= 0 to two units in the last place; 0 below -87, where results leave the normal numbers; NaN stays.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; 2^n from the exponent's bits, e^r by its Taylor polynomial of degree 6.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
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

/// The largest of numbers that are no NaN.
pub(crate) fn largest(logits: &[f32]) -> f32 {
    logits.iter().fold(f32::NEG_INFINITY, |largest, &logit| if logit > largest { logit } else { largest })
}

/// The sum over `logits` of `e^(inverse (l - largest))`, `largest` being no less than any of them: a softmax's denominator.
pub(crate) fn sum(logits: &[f32], largest: f32, inverse: f32) -> f64 {
    Arch::new().dispatch(|| sum_on_vectors(logits, largest, inverse))
}

#[inline(always)]
fn sum_on_vectors(logits: &[f32], largest: f32, inverse: f32) -> f64 {
    let mut sums = [0.0; LANES];
    let (lanes, rest) = logits.as_chunks::<LANES>();
    for logits in lanes {
        let weights = logits.map(|logit| exp((logit - largest) * inverse));
        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += f64::from(weight));
    }
    let weights = rest.iter().map(|logit| exp((logit - largest) * inverse));
    sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += f64::from(weight));
    sums.iter().sum()
}

/// The sums over `logits` of `e^(inverse (l - largest))` times 1, `l - largest` and its square, `largest` as in [`sum`]:
/// the denominator and, divided by it, the first two moments of its logits.
pub(crate) fn moments(logits: &[f32], largest: f32, inverse: f32) -> [f64; 3] {
    Arch::new().dispatch(|| on_vectors(logits, largest, inverse))
}

#[inline(always)]
fn on_vectors(logits: &[f32], largest: f32, inverse: f32) -> [f64; 3] {
    let mut sums = [[0.0; LANES]; 3];
    let mut add = |lane: usize, logit: f32| {
        let below = logit - largest;
        let weight = f64::from(exp(below * inverse));
        let below = f64::from(below);
        sums[0][lane] += weight;
        sums[1][lane] += weight * below;
        sums[2][lane] += weight * below * below;
    };
    let (lanes, rest) = logits.as_chunks::<LANES>();
    for logits in lanes {
        (0..LANES).for_each(|lane| add(lane, logits[lane]));
    }
    rest.iter().enumerate().for_each(|(lane, &logit)| add(lane, logit));
    sums.map(|lanes| lanes.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Without full lanes, with them, and with a rest.
    #[test]
    fn moments_are_those_of_libm() {
        for n in [1, 16, 37] {
            let logits: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin() * 9.0).collect();
            let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let expected = [0, 1, 2].map(|power| -> f64 {
                let below = logits.iter().map(|&l| f64::from(l - largest));
                below.map(|below| (0.7 * below).exp() * below.powi(power)).sum()
            });
            let found = moments(&logits, largest, 0.7);
            assert_eq!(found[0], sum(&logits, largest, 0.7));
            for (found, expected) in found.into_iter().zip(expected) {
                assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{n}: {found} {expected}");
            }
        }
    }
}
