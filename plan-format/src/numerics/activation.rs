//! Section 2: symmetric int8 activations, one scale per token.

use super::weight::RANGE_MIN as MAGNITUDE_MIN;

/// Added to a small number, it leaves the nearest integer in the sum's low bits, halves to even.
const ROUNDER: f32 = 1.5 * (1 << 23) as f32;

/// Quantises one token (one row of activations) to `out`; returns its scale `s`: `x_i` is about `s * out_i`.
///
/// A token with a NaN or an infinity gets zeros and a scale that is not finite: the fault reaches the logits, where
/// it is an error, instead of turning into a plausible number.
pub fn quantise_token(x: &[f32], out: &mut [i8]) -> f32 {
    // f32::max would drop a NaN.
    // The bits of numbers above 0 are in the numbers' order, infinity and NaN last.
    let magnitude = f32::from_bits(x.iter().fold(0, |max, x| max.max(x.abs().to_bits())));
    let TokenScale { scale, inverse } = TokenScale::of(magnitude);
    match inverse {
        Some(inverse) => x.iter().zip(out).for_each(|(&x, a)| *a = quantised(x, inverse)),
        None => out.iter_mut().zip(x).for_each(|(a, _)| *a = 0),
    }
    scale
}

/// The scale of a token.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TokenScale {
    /// `s`.
    pub scale: f32,
    /// `v`; `None` if not all of the token is finite: its codes are 0.
    pub inverse: Option<f32>,
}

impl TokenScale {
    /// The scale of a token whose largest magnitude is `magnitude`, NaN being the largest of all.
    pub fn of(magnitude: f32) -> Self {
        let (scale, inverse) =
            if magnitude < MAGNITUDE_MIN { (1.0, 1.0) } else { (magnitude / 127.0, 127.0 / magnitude) };
        Self { scale, inverse: magnitude.is_finite().then_some(inverse) }
    }
}

/// The code of `x` in a token with this inverse scale.
pub fn quantised(x: f32, inverse: f32) -> i8 {
    // The product is at most 127 and two roundings: it needs no limits.
    (x * inverse + ROUNDER).to_bits() as i8
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn rounds_halves_to_even() {
        let mut a = [0; 5];
        let s = quantise_token(&[127.0, 0.5, 1.5, -2.5, -127.0], &mut a);
        assert_eq!((s, a), (1.0, [127, 0, 2, -2, -127]));
    }

    proptest! {
        #[test]
        fn is_the_rule_of_the_document(
            scale in prop_oneof![1e-30f32..1e-5, 0.1f32..100.0, 1e30f32..3e38],
            mut x in proptest::collection::vec(-1.0f32..1.0, 1..40),
            halves: bool,
        ) {
            if halves {
                x.iter_mut().for_each(|x| *x = libm::rintf(*x * 254.0) / 254.0);
                x.push(1.0);
            }
            x.iter_mut().for_each(|x| *x *= scale);
            let magnitude = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
            let inverse = if magnitude < MAGNITUDE_MIN { 1.0 } else { 127.0 / magnitude };
            let rule = |x: &f32| libm::rintf(x * inverse).clamp(-127.0, 127.0) as i8;
            let mut a = vec![0; x.len()];
            quantise_token(&x, &mut a);
            prop_assert_eq!(a, x.iter().map(rule).collect::<Vec<i8>>());
        }
    }

    #[test]
    fn a_token_of_zeros_has_scale_one() {
        let mut a = [7; 3];
        assert_eq!(quantise_token(&[0.0, -0.0, 1e-30], &mut a), 1.0);
        assert_eq!(a, [0; 3]);
    }

    #[test]
    fn extremes_stay_in_range() {
        let mut a = [0; 2];
        assert!(quantise_token(&[f32::MAX, -f32::MAX], &mut a).is_finite());
        assert_eq!(a, [127, -127]);
        assert!(quantise_token(&[MAGNITUDE_MIN, -MAGNITUDE_MIN], &mut a).is_finite());
        assert_eq!(a, [127, -127]);
    }

    #[test]
    fn faults_are_kept_in_the_scale() {
        for x in [[1.0, f32::NAN, 2.0], [f32::INFINITY, 1.0, 2.0], [f32::NAN, f32::INFINITY, 0.0]] {
            let mut a = [7; 3];
            assert!(!quantise_token(&x, &mut a).is_finite());
            assert_eq!(a, [0; 3]);
        }
    }
}
