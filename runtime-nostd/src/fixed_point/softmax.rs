//! Powers of two for the softmax (`docs/fixed-point.md`, section 6).

/// `2^-x * 2^15` for `x` in units of 2^-16: the integer part by a shift, the rest from a table of 33 numbers, between
/// them by straight lines.
pub(super) fn power(x: u32) -> u32 {
    let (whole, fraction) = (x >> 16, x & 0xffff);
    let (index, between) = ((fraction >> 11) as usize, fraction & 0x7ff);
    let Some(&[here, next]) = POWERS.get(index..).and_then(<[u16]>::first_chunk) else { return 0 };
    let power = u32::from(here) - ((u32::from(here - next) * between) >> 11);
    match whole {
        0 => power,
        1..=16 => (power + (1 << (whole - 1))) >> whole,
        _ => 0,
    }
}

/// `2^(15 - i/32)`.
static POWERS: [u16; 33] = {
    let mut table = [0; 33];
    let (mut power, mut i) = (32768.0, 0);
    while i < 33 {
        table[i] = (power + 0.5) as u16;
        // 2^(-1/32).
        power *= 0.978_572_062_087_700_1;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes")]
    fn powers_are_near_those_of_two() {
        for x in (0..40 << 16).step_by(7).chain([0xffff, 0x1_0000, 17 << 16, u32::MAX]) {
            let exact = libm::exp2(15.0 - f64::from(x) / 65536.0);
            // Straight lines lie above the curve by 2^-14 of a power; a cut and a rounding add 1.5.
            assert!((f64::from(power(x)) - exact).abs() < 3.5, "{x}");
        }
        assert_eq!((power(0), power(1 << 16), power(15 << 16), power(17 << 16)), (1 << 15, 1 << 14, 1, 0));
    }
}
