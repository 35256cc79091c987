//! Activation functions (`docs/fixed-point.md`, section 7).

use chord_plan::manifest::Activation;

use super::number::high;

/// Applies a function to numbers in units of `2^unit`, magnitudes of 2^30 at most, in place.
pub(super) fn activate(activation: Activation, x: &mut [i32], unit: i32) {
    match activation {
        Activation::Relu => x.iter_mut().for_each(|x| *x = (*x).max(0)),
        Activation::Gelu => x.iter_mut().for_each(|x| *x = gelu(*x, unit)),
    }
}

fn gelu(x: i32, unit: i32) -> i32 {
    let tail = tail(&NORMAL, x.unsigned_abs(), unit);
    high(x, if x < 0 { tail } else { (1 << 16) - tail })
}

/// `1 / (1 + exp(-x))` of a number in units of `2^unit`, in units of 2^-16.
pub(super) fn logistic(x: i32, unit: i32) -> u32 {
    let tail = tail(&LOGISTIC, x.unsigned_abs(), unit);
    if x < 0 { tail } else { (1 << 16) - tail }
}

/// The hyperbolic tangent of a number in units of `2^unit`, in units of 2^-16.
pub(super) fn tanh(x: i32, unit: i32) -> i32 {
    let tangent = (1 << 16) - 2 * tail(&LOGISTIC, x.unsigned_abs(), unit + 1) as i32;
    if x < 0 { -tangent } else { tangent }
}

/// Parts of 1 between neighbours of a table.
const STEP_BITS: u32 = 5;

/// A magnitude in units of `2^unit` in units of 2^-15, cut, at most `last`.
fn magnitude(x: u32, unit: i32, last: u32) -> u32 {
    let (bits, most) = (unit + 15, last << 15);
    match bits {
        ..=-32 => 0,
        -31..=0 => (x >> -bits).min(most),
        // It fits once it is seen to be small.
        1..=31 if x <= most >> bits => x << bits,
        _ => {
            if x == 0 {
                0
            } else {
                most
            }
        }
    }
}

/// The number of a table at `x` in units of `2^unit`; from the table's end on 0.
fn tail<const N: usize>(table: &[u16; N], x: u32, unit: i32) -> u32 {
    const FRACTION: u32 = 15 - STEP_BITS;
    let x = magnitude(x, unit, (N >> STEP_BITS) as u32);
    let (index, fraction) = ((x >> FRACTION) as usize, x & ((1 << FRACTION) - 1));
    let Some(&[here, next]) = table.get(index..).and_then(<[u16]>::first_chunk) else { return 0 };
    u32::from(here) - ((u32::from(here - next) * fraction) >> FRACTION)
}

/// The share of a normal distribution beyond 0, 1/32, .. 5, in units of 2^-16.
static NORMAL: [u16; (5 << STEP_BITS) + 1] = {
    let mut table = [0; (5 << STEP_BITS) + 1];
    let mut i = 0;
    while i < table.len() {
        let x = i as f64 / (1 << STEP_BITS) as f64;
        // sum over n of (-1)^n x^(2n+1) / (n! 2^n (2n + 1)): the integral of exp(-x^2/2) from 0 on.
        let (mut power, mut integral, mut n) = (x, 0.0, 0.0);
        while n < 100.0 {
            integral += power / (2.0 * n + 1.0);
            n += 1.0;
            power *= -x * x / (2.0 * n);
        }
        // 1 / sqrt(2 pi).
        table[i] = ((0.5 - integral * 0.398_942_280_401_432_7) * 65536.0 + 0.5) as u16;
        i += 1;
    }
    table
};

/// `1 / (1 + exp(x))` at 0, 1/32, .. 12, in units of 2^-16.
static LOGISTIC: [u16; (12 << STEP_BITS) + 1] = {
    let mut table = [0; (12 << STEP_BITS) + 1];
    let (mut power, mut i) = (1.0, 0);
    while i < table.len() {
        table[i] = (65536.0 * power / (1.0 + power) + 0.5) as u16;
        i += 1;
        // exp(-1/32).
        power *= 0.969_233_234_476_344_1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes")]
    fn gelu_is_near_the_exact_one() {
        for unit in [-40, -28, -27, -20, -16, -15, -14, -3, 0, 5, 90] {
            for x in (-(1 << 30)..=1 << 30).step_by(1_000_003).chain([-1 << 30, 1 << 30, -7, 0, 7]) {
                let scale = libm::exp2(unit.into());
                let value = f64::from(x) * scale;
                let exact = 0.5 * value * (1.0 + libm::erf(value / core::f64::consts::SQRT_2));
                let ours = f64::from(gelu(x, unit)) * scale;
                // A unit for the cut, and of |x| what the table's lines are off.
                assert!(
                    (ours - exact).abs() <= scale + value.abs().min(5.0) * 6e-5,
                    "{x} * 2^{unit}: {ours}, {exact}"
                );
            }
        }
    }

    #[test]
    fn gates_are_near_the_exact_ones() {
        for unit in [-60, -40, -29, -28, -27, -20, -16, -15, -14, -3, 0, 5, 90] {
            for x in (-(1 << 30)..=1 << 30).step_by(1_000_003).chain([-1 << 30, 1 << 30, -7, 0, 7]) {
                let value = f64::from(x) * libm::exp2(unit.into());
                // Half a unit of the table, a cut, and what its lines are off.
                let ours = f64::from(logistic(x, unit)) / 65536.0;
                assert!((ours - 1.0 / (1.0 + libm::exp(-value))).abs() < 4e-5, "{x} * 2^{unit}: {ours}");
                let ours = f64::from(tanh(x, unit)) / 65536.0;
                assert!((ours - libm::tanh(value)).abs() < 8e-5, "{x} * 2^{unit}: {ours}");
            }
        }
    }

    #[test]
    fn relu_is_exact() {
        let mut x = [-5, 0, 5];
        activate(Activation::Relu, &mut x, -3);
        assert_eq!(x, [0, 0, 5]);
    }
}
