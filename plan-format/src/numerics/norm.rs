//! Section 5: layer normalisation.

use super::sum::{dot, sum};

/// Layer normalisation of one token `x` to `out`, all of them `n` numbers long.
///
/// `gamma` and `beta` are iterators because a bundle's numbers lie at any alignment: a
/// [`Floats`](crate::bundle::Floats) or `slice.iter().copied()`.
pub fn layer_norm(
    x: &[f32],
    gamma: impl IntoIterator<Item = f32>,
    beta: impl IntoIterator<Item = f32>,
    epsilon: f32,
    out: &mut [f32],
) {
    let n = x.len() as f32;
    let mean = sum(x) / n;
    for (y, x) in out.iter_mut().zip(x) {
        *y = x - mean;
    }
    let variance = dot(out, out) / n;
    let inverse = 1.0 / libm::sqrtf(variance + epsilon);
    for ((y, gamma), beta) in out.iter_mut().zip(gamma).zip(beta) {
        *y = (*y * inverse) * gamma + beta;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_then_scales_and_shifts() {
        let mut y = [0.0; 4];
        layer_norm(&[1.0, 3.0, 1.0, 3.0], [1.0, 1.0, 2.0, 2.0], [0.0, 0.0, 0.5, 0.5], 0.0, &mut y);
        assert_eq!(y, [-1.0, 1.0, -1.5, 2.5]);
    }

    #[test]
    fn a_constant_token_gives_beta() {
        let mut y = [0.0; 3];
        layer_norm(&[4.0; 3], [2.0; 3], [1.0, 2.0, 3.0], 1e-5, &mut y);
        assert_eq!(y, [1.0, 2.0, 3.0]);
    }
}
