//! Section 2: symmetric int8 activations, one scale per token.

use super::weight::RANGE_MIN as MAGNITUDE_MIN;

/// Quantises one token (one row of activations) to `out`; returns its scale `s`: `x_i` is about `s * out_i`.
///
/// A token with a NaN or an infinity gets zeros and a scale that is not finite: the fault reaches the logits, where
/// it is an error, instead of turning into a plausible number.
pub fn quantise_token(x: &[f32], out: &mut [i8]) -> f32 {
    // f32::max would drop a NaN.
    let magnitude = x.iter().fold(0.0, |max: f32, x| {
        let x = x.abs();
        if x > max || x.is_nan() { x } else { max }
    });
    let (scale, inverse) =
        if magnitude < MAGNITUDE_MIN { (1.0, 1.0) } else { (magnitude / 127.0, 127.0 / magnitude) };
    for (x, a) in x.iter().zip(out) {
        // The cast takes NaN to 0.
        *a = libm::rintf(x * inverse).clamp(-127.0, 127.0) as i8;
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_halves_to_even() {
        let mut a = [0; 5];
        let s = quantise_token(&[127.0, 0.5, 1.5, -2.5, -127.0], &mut a);
        assert_eq!((s, a), (1.0, [127, 0, 2, -2, -127]));
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
