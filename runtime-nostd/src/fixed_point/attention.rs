//! Attention over 8-bit queries, keys and values (`docs/fixed-point.md`, section 6).

use core::num::NonZeroU32;

use super::number::{Scale, high, reciprocal, shift_right};
use super::row::fit;
use super::softmax::power;
use super::weighted::weighted;
use crate::span::span;

/// Keys or values of a head, or of all.
#[derive(Clone, Copy)]
pub(super) struct Codes<'k> {
    /// From the head's first on, a row every `stride`.
    pub(super) codes: &'k [i8],
    pub(super) stride: usize,
    /// The head's scale of each row, every `scale_stride`.
    pub(super) scales: &'k [u32],
    pub(super) scale_stride: usize,
}

impl Codes<'_> {
    fn scales(&self) -> impl Iterator<Item = Scale> {
        self.scales.iter().step_by(self.scale_stride.max(1)).map(|&word| Scale::from_word(word))
    }
}

/// `log2(e) / sqrt(head_dim)`.
pub(super) fn score_scale(head_dim: usize) -> Scale {
    /// `log2(e)^2 * 2^30`.
    const SQUARE: u32 =
        (core::f64::consts::LOG2_E * core::f64::consts::LOG2_E * (1u32 << 30) as f64 + 0.5) as u32;
    Scale::square_root(SQUARE / NonZeroU32::new(head_dim as u32).unwrap_or(NonZeroU32::MIN), -15)
}

/// Attention of one head's query over as many keys as there are scores, in place: the query comes in units of `2^unit`,
/// the result leaves in units of `2^(exponent - 6)`. Magnitudes of both are at most 2^30.
///
/// `scale` is [`score_scale`], `exponent` the largest of the values' scales or more.
pub(super) fn attend(
    x: &mut [i32],
    unit: i32,
    scale: Scale,
    keys: Codes<'_>,
    values: Codes<'_>,
    exponent: i32,
    scores: &mut [i32],
) {
    // As many bits as let a product with a key stay below 2^30, 10 for a head of 4096.
    let bits = (x.len() as u32).leading_zeros() as i32 + 30 - 7 - 32;
    let unit = fit(x, unit, bits);
    let largest = scores
        .iter()
        .zip(keys.scales())
        .fold(Scale::ZERO.exponent, |largest, (_, key)| largest.max(key.exponent));
    let mut max = i32::MIN;
    for ((score, key), key_scale) in
        scores.iter_mut().zip(keys.codes.chunks(keys.stride.max(1))).zip(keys.scales())
    {
        let multiplier = (scale.mantissa * key_scale.mantissa) >> 16;
        let product = high(dot(x, key), multiplier);
        *score = shift_right(product, (largest - key_scale.exponent) as u32);
        max = max.max(*score);
    }
    // Scores are in units of 2^unit.
    let unit = 32 + unit + scale.exponent + largest;
    let mut total: u32 = 0;
    for score in scores.iter_mut() {
        // Below 2^31. At most 4096 powers of up to 2^15.
        let power = power(distance((max - *score) as u32, unit));
        total += power;
        *score = power as i32;
    }
    // The largest power is 2^15: the sum has 16 bits or more. Shares add up to less than 2^23, with codes to 2^30.
    let bits = 32 - total.leading_zeros();
    let down = bits.saturating_sub(7);
    for (score, value) in scores.iter_mut().zip(values.scales()) {
        *score = ((*score as u32 * value.cut(exponent)) >> down) as i32;
    }
    let inverse = reciprocal(31, total >> bits.saturating_sub(16));
    let finish = |sum| high(sum, inverse);
    weighted(scores, values.codes, values.stride, x.len(), finish, x.iter_mut());
}

/// Product of `a` with the head of `b`.
fn dot(a: &[i32], b: &[i8]) -> i32 {
    let b = span(b, 0, a.len());
    let product = |(&a, &b): (&i32, &i8)| a * i32::from(b);
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let eights: i32 = a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(product).sum::<i32>()).sum();
    eights + a_rest.iter().zip(b_rest).map(product).sum::<i32>()
}

/// A distance in units of `2^unit` in units of 2^-16, cut; from 2^5 on any number of 2^5 or more.
fn distance(x: u32, unit: i32) -> u32 {
    const FAR: u32 = 32 << 16;
    let bits = unit + 16;
    match bits {
        ..=-32 => 0,
        -31..=0 => x >> -bits,
        1..=21 if x <= FAR >> bits => x << bits,
        _ => {
            if x == 0 {
                0
            } else {
                FAR
            }
        }
    }
}
