//! Section 6: attention of one query, one head.

use super::sum::{dot, sum};

/// `1 / sqrt(head_dim)`.
pub fn score_scale(head_dim: usize) -> f32 {
    1.0 / libm::sqrtf(head_dim as f32)
}

/// Attention of `query` over keys and values `0..n`, where `n` is the length of the scratch `scores`.
///
/// `query` and `out` hold one head (`head_dim` numbers). Key *j* of this head starts at `keys[j * stride]`, value
/// *j* at `values[j * stride]`: pass rows of all heads from the head's offset on. `scale` is that of
/// [`score_scale`].
pub fn attend(
    query: &[f32],
    keys: &[f32],
    values: &[f32],
    stride: usize,
    scale: f32,
    scores: &mut [f32],
    out: &mut [f32],
) {
    let stride = stride.max(1);
    for (score, key) in scores.iter_mut().zip(keys.chunks(stride)) {
        *score = dot(query, key) * scale;
    }
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let inverse = exponentials(scores, max);
    // A few outputs at a time stay in registers over all values.
    let (eights, rest) = out.as_chunks_mut();
    let mut values = values;
    for out in eights {
        *out = weighted::<8>(scores, values, stride, inverse);
        values = values.get(8..).unwrap_or_default();
    }
    for out in rest {
        [*out] = weighted(scores, values, stride, inverse);
        values = values.get(1..).unwrap_or_default();
    }
}

/// Puts `e_j` in place of each score `z_j`; returns `1 / sum(e)`. `max` is the largest score.
pub fn exponentials(scores: &mut [f32], max: f32) -> f32 {
    for score in scores.iter_mut() {
        *score = libm::expf(*score - max);
    }
    1.0 / sum(scores)
}

/// `(sum w_j v_ji) * inverse` for the first `N` numbers of the values.
fn weighted<const N: usize>(weights: &[f32], values: &[f32], stride: usize, inverse: f32) -> [f32; N] {
    let mut sums = [0.0; N];
    for (weight, value) in weights.iter().zip(values.chunks(stride)) {
        if let Some(value) = value.first_chunk::<N>() {
            for (sum, value) in sums.iter_mut().zip(value) {
                *sum += weight * value;
            }
        }
    }
    sums.map(|sum| sum * inverse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_returns_its_value() {
        let mut y = [0.0; 2];
        attend(&[5.0, -3.0], &[1.0, 2.0], &[0.25, -7.0], 2, score_scale(2), &mut [0.0], &mut y);
        assert_eq!(y, [0.25, -7.0]);
    }

    #[test]
    fn heads_are_strided_and_equal_scores_average() {
        // Two heads of one number, two tokens; the second head.
        let (keys, values) = ([9.0, 1.0, -9.0, 1.0], [100.0, 2.0, 100.0, 4.0]);
        let mut y = [0.0];
        attend(&[3.0], &keys[1..], &values[1..], 2, score_scale(1), &mut [0.0; 2], &mut y);
        assert_eq!(y, [3.0]);
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let mut y = [0.0];
        attend(&[1.0], &[3e38, -3e38], &[7.0, 9.0], 1, 1.0, &mut [0.0; 2], &mut y);
        assert_eq!(y, [7.0]);
    }
}
