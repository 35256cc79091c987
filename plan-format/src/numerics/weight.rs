//! Section 1: one master code per weight, every width a prefix of it.

/// Bits of a master code.
pub const MASTER_BITS: u8 = 8;

/// Smallest range of a channel, 2^-64.
pub const RANGE_MIN: f32 = f32::from_bits((127 - 64) << 23);

/// Largest range of a channel, 2^64.
pub const RANGE_MAX: f32 = f32::from_bits((127 + 64) << 23);

/// Master code of weight `w` in a channel of the given range, as the stored byte `m - 128`.
///
/// Weights outside `-range..range` take the nearest end; NaN takes the lowest.
pub fn master_code(w: f32, range: f32) -> i8 {
    let m = libm::floorf((w / range + 1.0) * 128.0).clamp(0.0, 255.0);
    (m as i16 - 128) as i8
}

/// Level of a stored code at `bits` bits: odd, in `-(2^bits - 1) ..= 2^bits - 1`; 0 at 0 bits.
///
/// More than [`MASTER_BITS`] bits mean all of them.
pub fn level(code: i8, bits: u8) -> i16 {
    match bits.min(MASTER_BITS) {
        0 => 0,
        bits => 2 * i16::from(code >> (MASTER_BITS - bits)) + 1,
    }
}

/// Distance of half a quantisation interval, `range * 2^-bits`; a level times this is the weight's value.
pub fn step(range: f32, bits: u8) -> f32 {
    range * f32::from_bits((127 - u32::from(bits.min(MASTER_BITS))) << 23)
}

/// Value of a stored code at `bits` bits.
pub fn value(code: i8, range: f32, bits: u8) -> f32 {
    f32::from(level(code, bits)) * step(range, bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_of_known_weights() {
        let cases = [
            (-1.0, -128),
            (-2.0, -128),
            (-0.001, -1),
            (0.0, 0),
            (0.5, 64),
            (0.999, 127),
            (1.0, 127),
            (9.0, 127),
            (f32::NAN, -128),
        ];
        for (w, code) in cases {
            assert_eq!(master_code(w, 1.0), code, "{w}");
        }
    }

    #[test]
    fn levels_of_known_codes() {
        assert_eq!([-128, -65, -64, -1, 0, 63, 64, 127].map(|k| level(k, 2)), [-3, -3, -1, -1, 1, 1, 3, 3]);
        assert_eq!([-128, -1, 0, 127].map(|k| level(k, 4)), [-15, -1, 1, 15]);
        assert_eq!([-128, -1, 0, 127].map(|k| level(k, 8)), [-255, -1, 1, 255]);
        assert_eq!([-128, -1, 0, 127].map(|k| level(k, 0)), [0; 4]);
    }

    #[test]
    fn range_ends() {
        assert_eq!((RANGE_MIN, RANGE_MAX), (libm::ldexpf(1.0, -64), libm::ldexpf(1.0, 64)));
    }

    proptest! {
        /// The weight a narrow code stands for is the centre of those of the wider codes that share the prefix.
        #[test]
        fn a_narrow_level_is_the_centre_of_its_wide_ones(code: i8, narrow in 1u8..8, more in 1u8..7) {
            let wide = (narrow + more).min(MASTER_BITS);
            let shift = MASTER_BITS - narrow;
            let first = (code >> shift) << shift;
            let last = first + ((1i16 << shift) - 1) as i8;
            let centre = level(first, wide) + level(last, wide);
            prop_assert_eq!(centre, level(code, narrow) << (wide - narrow + 1));
        }

        /// A code at `b` bits is off by at most one step.
        #[test]
        fn within_one_step(w in -1.0f32..1.0, exponent in -20i32..20, bits in 1u8..=8) {
            let range = libm::ldexpf(1.0, exponent);
            let w = w * range;
            let error = (value(master_code(w, range), range, bits) - w).abs();
            prop_assert!(error <= step(range, bits), "{error}");
        }
    }
}
