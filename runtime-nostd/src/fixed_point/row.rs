//! Rows of numbers in one unit: to 8 bits, to 16 bits (`docs/fixed-point.md`, section 2).

use core::num::NonZeroU32;

use super::number::{Scale, shift_right};

/// The largest magnitude.
fn largest(x: &[i32]) -> u32 {
    x.iter().fold(0, |largest, x| largest.max(x.unsigned_abs()))
}

/// Quantises a row in units of `2^unit`, magnitudes below 2^31, to codes; returns their scale.
pub(super) fn quantise(x: &[i32], unit: i32, codes: &mut [i8]) -> Scale {
    let largest = largest(x);
    let bits = 32 - largest.leading_zeros() as i32;
    // The largest has 15 bits: 127 * 2^23 / largest is 15 or 16 bits long. A number cut to as many bits may be 1 beyond
    // the largest below 0; the product stays below 2^30 + 2^16, and the code within 127.
    let (down, up) = ((bits - 15).max(0), (15 - bits).max(0));
    let inverse = NonZeroU32::new(largest << up >> down).map_or(0, |largest| (127 << 23) / largest) as i32;
    for (&x, code) in x.iter().zip(codes) {
        *code = (((x << up >> down) * inverse + (1 << 22)) >> 23) as i8;
    }
    // The largest, of 31 bits, is that of 127 codes.
    Scale::new((largest << (31 - bits).max(0)) / 127, unit - (31 - bits))
}

/// Rounds a row in units of `2^unit`, magnitudes below 2^31 - 2^16, to 16 bits; returns their unit, [`Scale::ZERO`]'s
/// for zeros.
pub(super) fn shorten(x: &[i32], unit: i32, out: &mut [i16]) -> i32 {
    let bits = 32 - largest(x).leading_zeros() as i32;
    let (down, up) = ((bits - 15).max(0), (15 - bits).max(0));
    for (&x, out) in x.iter().zip(out) {
        // Rounding may take the largest to 2^15.
        *out = shift_right(x << up, down as u32).clamp(-0x7fff, 0x7fff) as i16;
    }
    match bits {
        0 => Scale::ZERO.exponent,
        bits => unit + bits - 15,
    }
}

/// Rounds a row in units of `2^unit`, magnitudes of 2^30 at most, so that the largest takes `bits` bits, or is 2^bits;
/// returns the new unit.
pub(super) fn fit(x: &mut [i32], unit: i32, bits: i32) -> i32 {
    let more = 32 - largest(x).leading_zeros() as i32 - bits;
    let (down, up) = (more.max(0) as u32, (-more).max(0));
    x.iter_mut().for_each(|x| *x = shift_right(*x << up, down));
    unit + more
}

/// Adds a row of 16 bits in units of `2^unit` to `sum`, which is in units of `2^sum_unit` with magnitudes of 2^30 at
/// most; returns the unit of the sums, whose magnitudes stay within 2^30 + 2^29.
pub(super) fn add(x: &[i16], unit: i32, sum: &mut [i32], sum_unit: i32) -> i32 {
    // Up by 14 bits at most.
    let common = sum_unit.max(unit - 14);
    let (up, down) = ((unit - common).max(0), (common - unit).max(0));
    for (&x, sum) in x.iter().zip(sum) {
        let x = shift_right(i32::from(x) << up, down as u32);
        *sum = x + shift_right(*sum, (common - sum_unit) as u32);
    }
    common
}
