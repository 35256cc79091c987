//! Section 11: the profile encoder.

/// Units of a sum of features in 1: a power of two, so that neither product below rounds.
const UNITS: f32 = (1 << 24) as f32;

/// Features this large are an error.
const FEATURE_END: f32 = (1 << 20) as f32;

/// A feature in units of 2^-24: integers add up to the same in any order, and a feature can be taken out of a sum
/// again. `None` if its magnitude is 2^20 or more, or NaN; sums of 4096 others stay within 57 bits.
pub fn feature_units(x: f32) -> Option<i64> {
    (x.abs() < FEATURE_END).then(|| libm::rintf(x * UNITS) as i64)
}

/// What the sum of a feature over `items` items becomes before it is quantised.
pub fn pooled_feature(sum: i64, items: usize) -> f32 {
    (sum as f32 / UNITS) * (1.0 / libm::sqrtf(items.max(1) as f32))
}

/// `1 / (1 + exp(-x))`.
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

/// Next state of a unit of the recurrent layer. `input` and `recurrent` are what the two layers of gates give for its
/// reset, update and candidate.
pub fn next_state(input: [f32; 3], recurrent: [f32; 3], state: f32) -> f32 {
    let reset = sigmoid(input[0] + recurrent[0]);
    let update = sigmoid(input[1] + recurrent[1]);
    let candidate = libm::tanhf(input[2] + reset * recurrent[2]);
    candidate + update * (state - candidate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_of_known_features() {
        let cases = [(1.0, 1 << 24), (-2.5, -5 << 23), (1e-9, 0), (3.0 / (1 << 25) as f32, 2), (-0.0, 0)];
        assert!(cases.into_iter().all(|(x, units)| feature_units(x) == Some(units)));
        assert_eq!(feature_units(1_048_575.9), Some((1 << 44) - (1 << 21)));
        for x in [1_048_576.0, -1_048_576.0, f32::INFINITY, f32::NAN] {
            assert_eq!(feature_units(x), None);
        }
    }

    #[test]
    fn sums_are_scaled_by_the_root_of_their_length() {
        assert_eq!(pooled_feature(3 << 24, 4), 1.5);
        assert_eq!(pooled_feature(-1 << 23, 0), -0.5);
    }

    #[test]
    fn gates() {
        assert_eq!([sigmoid(0.0), sigmoid(100.0), sigmoid(-200.0)], [0.5, 1.0, 0.0]);
        // A closed update gate takes the candidate, an open one keeps the state.
        assert_eq!(next_state([0.0, -200.0, 50.0], [0.0; 3], 0.25), 1.0);
        assert_eq!(next_state([0.0, 200.0, 50.0], [0.0; 3], 0.25), 0.25);
        // Half of the recurrent part reaches the candidate.
        assert_eq!(next_state([0.0, -200.0, 0.5], [0.0, 0.0, -1.0], 9.0), 0.0);
    }

    proptest! {
        #[test]
        fn a_window_of_sums_is_the_sum_of_a_window(x in proptest::collection::vec(-1e5f32..1e5, 1..40)) {
            let units = |x: &f32| feature_units(*x).unwrap();
            for start in 0..x.len() {
                let slid = x.iter().map(units).sum::<i64>() - x[..start].iter().map(units).sum::<i64>();
                prop_assert_eq!(slid, x[start..].iter().map(units).sum::<i64>());
            }
        }
    }
}
