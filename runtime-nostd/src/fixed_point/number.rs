//! Numbers of the fixed-point arithmetic (`docs/fixed-point.md`, section 1): integers in units of a power of two, and
//! scales.

use core::num::NonZeroU32;

/// The exponent of zero: below every other.
const LOWEST: i16 = -0x2000;

/// A number of 0 or more, `mantissa * 2^exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    /// 2^15 .. 2^16, or 0.
    pub(super) mantissa: u32,
    pub(super) exponent: i32,
}

impl Scale {
    pub(super) const ZERO: Self = Self { mantissa: 0, exponent: LOWEST as i32 };

    /// `value * 2^exponent`, cut to 16 bits.
    pub(super) fn new(value: u32, exponent: i32) -> Self {
        if value == 0 {
            return Self::ZERO;
        }
        let zeros = value.leading_zeros();
        Self { mantissa: value << zeros >> 16, exponent: exponent + 16 - zeros as i32 }
    }

    /// The square root of `value * 4^exponent`, rounded down to 16 bits.
    pub(super) fn square_root(value: u32, exponent: i32) -> Self {
        if value == 0 {
            return Self::ZERO;
        }
        let zeros = value.leading_zeros() & !1;
        // 2^30 or more: the root takes 16 bits.
        Self { mantissa: (value << zeros).isqrt(), exponent: exponent - (zeros / 2) as i32 }
    }

    /// As a word of memory.
    pub(super) fn to_word(self) -> u32 {
        self.mantissa << 16 | self.exponent as u32 & 0xffff
    }

    pub(super) fn from_word(word: u32) -> Self {
        Self { mantissa: word >> 16, exponent: (word as i16).into() }
    }

    /// The largest exponent of some scales in words.
    pub(super) fn largest_exponent(words: &[u32]) -> i32 {
        words.iter().fold(Self::ZERO.exponent, |largest, &word| largest.max(Self::from_word(word).exponent))
    }

    /// In units of `2^exponent`, which is no smaller than its own, cut.
    pub(super) fn cut(self, exponent: i32) -> u32 {
        self.mantissa.checked_shr((exponent - self.exponent) as u32).unwrap_or(0)
    }

    /// The nearest f32: exact, 0 below 2^-126, infinite from 2^128 on.
    pub(super) fn to_f32(self) -> f32 {
        let field = self.exponent + 15 + 127;
        match (self.mantissa, field) {
            (0, _) | (_, ..=0) => 0.0,
            (_, 255..) => f32::INFINITY,
            (mantissa, field) => f32::from_bits((field as u32) << 23 | (mantissa & 0x7fff) << 8),
        }
    }
}

/// `2^exponent / value` rounded down; the caller sees that it fits.
pub(super) fn reciprocal(exponent: u32, value: u32) -> u32 {
    NonZeroU32::new(value).map_or(0, |value| (1 << exponent) / value)
}

/// `x * 2^-bits` to the nearest, halves up. `|x|` is below 2^31 - 2^(bits - 1) for bits of up to 16, else at most 2^30.
#[inline(always)]
pub(super) fn shift_right(x: i32, bits: u32) -> i32 {
    match bits {
        0 => x,
        1..=30 => (x + (1 << (bits - 1))) >> bits,
        _ => 0,
    }
}

/// `x * multiplier * 2^-16` rounded down; a multiplier is at most 2^16.
#[inline(always)]
pub(super) fn high(x: i32, multiplier: u32) -> i32 {
    // The lower product is below 2^32, the sum no larger than x.
    (x >> 16) * multiplier as i32 + (((x as u32 & 0xffff) * multiplier) >> 16) as i32
}

/// As [`high`], for a multiplier of magnitude 2^15 at most.
#[inline(always)]
pub(super) fn high_signed(x: i32, multiplier: i32) -> i32 {
    (x >> 16) * multiplier + (((x & 0xffff) * multiplier) >> 16)
}

/// Exponent field of an f32: 0 for zero and subnormal numbers, 255 for one that is not finite.
#[inline(always)]
pub(super) fn field(x: f32) -> i32 {
    (x.to_bits() >> 23 & 0xff) as i32
}

/// The largest [`field`] of some numbers.
pub(super) fn largest_field(numbers: impl IntoIterator<Item = f32>) -> i32 {
    // Magnitudes are in the order of their bits.
    let largest = numbers.into_iter().fold(0, |largest, x| largest.max(x.to_bits() << 1));
    (largest >> 24) as i32
}

/// A unit in which numbers with exponent fields of up to `field` take `bits` bits: they are below 2^bits, or 2^bits
/// after rounding.
pub(super) fn unit(field: i32, bits: i32) -> i32 {
    field - 126 - bits
}

/// `x` in units of `2^unit`, to the nearest, halves away from 0; subnormal numbers are 0. The unit is one of
/// [`unit`]'s for 30 bits at most.
#[inline(always)]
pub(super) fn aligned(x: f32, unit: i32) -> i32 {
    let field = field(x);
    if field == 0 {
        return 0;
    }
    let mantissa = (x.to_bits() & 0x007f_ffff | 0x0080_0000) as i32;
    let bits = unit + 150 - field;
    let magnitude = if bits < 0 { mantissa << -bits } else { shift_right(mantissa, bits as u32) };
    if x.is_sign_negative() { -magnitude } else { magnitude }
}

/// The magnitude of an f32 with 16 bits, to the nearest: 2^15 ..= 2^16 times a power of two, whose exponent is
/// `field - 142`. 0 for subnormal numbers.
#[inline(always)]
pub(super) fn mantissa(x: f32) -> u32 {
    if field(x) == 0 {
        return 0;
    }
    ((x.to_bits() & 0x007f_ffff | 0x0080_0000) + 0x80) >> 8
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;

    use super::*;

    /// Any normal f32 with 2^-126 and 2^127 among them.
    fn normal() -> impl Strategy<Value = f32> {
        (any::<bool>(), prop_oneof![Just(1u32), Just(254), 1u32..255], 0u32..1 << 23).prop_map(
            |(sign, field, fraction)| f32::from_bits(u32::from(sign) << 31 | field << 23 | fraction),
        )
    }

    fn value(scale: Scale) -> f64 {
        f64::from(scale.mantissa) * libm::exp2(scale.exponent.into())
    }

    proptest! {
        #[test]
        fn a_scale_is_its_number(value_ in 1u32.., exponent in -900i32..900) {
            let scale = Scale::new(value_, exponent);
            prop_assert!((0x8000..0x1_0000).contains(&scale.mantissa));
            let exact = f64::from(value_) * libm::exp2(exponent.into());
            prop_assert!(value(scale) <= exact && exact < value(scale) * (1.0 + 1.0 / 32768.0));
            prop_assert_eq!(Scale::from_word(scale.to_word()), scale);
            let float = scale.to_f32();
            match value(scale) {
                x if x < f64::from(f32::MIN_POSITIVE) => prop_assert_eq!(float, 0.0),
                x => prop_assert_eq!(float.to_bits(), (x as f32).to_bits()),
            }
        }

        #[test]
        fn a_root_is_the_root(value_ in 1u32.., exponent in -400i32..400) {
            let root = Scale::square_root(value_, exponent);
            prop_assert!((0x8000..0x1_0000).contains(&root.mantissa));
            let exact = f64::from(value_).sqrt() * libm::exp2(exponent.into());
            prop_assert!(value(root) <= exact && exact < value(root) * (1.0 + 1.0 / 32768.0));
        }

        #[test]
        fn products_are_the_wide_ones(
            x in prop_oneof![Just(i32::MIN), Just(i32::MAX), any::<i32>()],
            multiplier in prop_oneof![Just(0x1_0000u32), 0u32..=0x1_0000],
            signed in prop_oneof![Just(-0x8000), Just(0x8000), -0x8000..=0x8000],
        ) {
            prop_assert_eq!(i64::from(high(x, multiplier)), (i64::from(x) * i64::from(multiplier)) >> 16);
            prop_assert_eq!(i64::from(high_signed(x, signed)), (i64::from(x) * i64::from(signed)) >> 16);
        }

        #[test]
        fn a_number_takes_as_many_bits_as_its_unit_says(x in normal(), above in 0i32..300, bits in 8i32..=30) {
            let unit = unit(field(x) + above, bits);
            let integer = aligned(x, unit);
            prop_assert!(integer.unsigned_abs() <= 1 << bits);
            let exact = f64::from(x) * libm::exp2((-unit).into());
            prop_assert!((f64::from(integer) - exact).abs() <= 0.5);
            let short = f64::from(mantissa(x)) * libm::exp2((field(x) - 142).into());
            prop_assert!((short / f64::from(x).abs() - 1.0).abs() <= 1.0 / 65536.0);
        }
    }

    #[test]
    fn zero_is_zero() {
        assert_eq!(Scale::new(0, 5), Scale::ZERO);
        assert_eq!(Scale::square_root(0, 5), Scale::ZERO);
        assert_eq!(Scale::from_word(Scale::ZERO.to_word()), Scale::ZERO);
        assert_eq!((Scale::ZERO.to_f32(), Scale::new(1, 128).to_f32()), (0.0, f32::INFINITY));
        for x in [0.0, -0.0, f32::from_bits(1), -f32::from_bits(0x7f_ffff)] {
            assert_eq!((aligned(x, unit(0, 30)), mantissa(x), field(x)), (0, 0, 0));
        }
        assert_eq!((reciprocal(30, 0), reciprocal(31, 0x8000)), (0, 0x1_0000));
    }

    #[test]
    fn the_largest_field_is_that_of_the_largest_magnitude() {
        assert_eq!(largest_field([0.25, -8.0, 1.0]), field(8.0));
        assert_eq!(largest_field([1.0, f32::NAN]), 255);
        assert_eq!(largest_field([f32::NEG_INFINITY]), 255);
        assert_eq!(largest_field([]), 0);
    }
}
