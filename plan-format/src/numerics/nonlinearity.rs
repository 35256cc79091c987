//! Section 7: activation functions of the feed-forward layer.

use core::f32::consts::FRAC_1_SQRT_2;

/// GELU with the error function: `(0.5 x) (1 + erf(x / sqrt 2))`.
pub fn gelu(x: f32) -> f32 {
    (0.5 * x) * (1.0 + libm::erff(x * FRAC_1_SQRT_2))
}

/// `x`, or 0 where `x <= 0`; NaN stays NaN.
pub fn relu(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points() {
        assert_eq!([-2.0, -0.0, 3.0].map(relu).map(f32::to_bits), [0.0f32, 0.0, 3.0].map(f32::to_bits));
        assert!(relu(f32::NAN).is_nan());
        assert_eq!(gelu(0.0), 0.0);
        assert_eq!(gelu(10.0), 10.0);
        assert_eq!(gelu(-20.0), 0.0);
        assert!((gelu(1.0) - 0.841_344_7).abs() < 1e-6);
        assert_eq!(FRAC_1_SQRT_2.to_bits(), 0.70710677f32.to_bits());
    }
}
