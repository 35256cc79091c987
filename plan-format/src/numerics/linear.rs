//! Section 3: integer dot products, one rounding chain per channel.

use super::weight::level;

/// `sum of a_i * level(codes_i, bits)`, exact for up to 32768 inputs.
///
/// This is the definition that fast kernels are tested against.
pub fn dot_levels(a: &[i8], codes: &[i8], bits: u8) -> i32 {
    a.iter()
        .zip(codes)
        .map(|(&a, &code)| i32::from(a) * i32::from(level(code, bits)))
        .fold(0, i32::wrapping_add)
}

/// Output of a channel of 2, 4 or 8 bits; one of 0 bits gives its bias alone.
///
/// `t` is its integer dot product with a token, `step` comes from [`step`](super::step), `scale` is the token's.
pub fn channel_output(t: i32, step: f32, scale: f32, bias: f32) -> f32 {
    (t as f32 * step) * scale + bias
}

/// Logit of an item: a channel of 8 bits without a bias.
pub fn logit(t: i32, step: f32, scale: f32) -> f32 {
    (t as f32 * step) * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_sum_fits() {
        let (a, codes) = ([127; 32768], [-128; 32768]);
        assert_eq!(dot_levels(&a, &codes, 8), -32768 * 127 * 255);
        assert_eq!(dot_levels(&a, &codes, 0), 0);
    }

    #[test]
    fn one_rounding_per_operation() {
        // 2^24 + 1 is not an f32: the tie goes to the even 2^24.
        assert_eq!(channel_output((1 << 24) + 1, 0.5, 0.25, 0.0), 2_097_152.0);
        assert_eq!(channel_output(3, 0.5, 2.0, -1.0), 2.0);
        assert_eq!(logit(-3, 0.5, 2.0), -3.0);
    }
}
