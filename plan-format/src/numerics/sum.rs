//! Section 4: sums in four lanes.

/// Sum of `x`.
pub fn sum(x: &[f32]) -> f32 {
    let (fours, rest) = x.as_chunks::<4>();
    let mut lanes = [0.0; 4];
    for four in fours {
        accumulate(&mut lanes, four);
    }
    accumulate(&mut lanes, rest);
    fold(lanes)
}

/// Sum of the rounded products `a_i * b_i`.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let (a_fours, a_rest) = a[..n].as_chunks::<4>();
    let (b_fours, b_rest) = b[..n].as_chunks::<4>();
    let mut lanes = [0.0; 4];
    for (a, b) in a_fours.iter().zip(b_fours) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += a * b;
    }
    fold(lanes)
}

fn accumulate(lanes: &mut [f32; 4], x: &[f32]) {
    for (lane, x) in lanes.iter_mut().zip(x) {
        *lane += x;
    }
}

fn fold([a, b, c, d]: [f32; 4]) -> f32 {
    (a + b) + (c + d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule word by word.
    fn by_index(x: &[f32]) -> f32 {
        let mut lanes = [0.0; 4];
        for (i, x) in x.iter().enumerate() {
            lanes[i % 4] += x;
        }
        (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
    }

    proptest! {
        #[test]
        fn follows_the_rule(pairs in proptest::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 0..40)) {
            let mut x = [0.0; 40];
            let mut y = [0.0; 40];
            let mut products = [0.0; 40];
            for (i, &(a, b)) in pairs.iter().enumerate() {
                (x[i], y[i], products[i]) = (a, b, a * b);
            }
            let n = pairs.len();
            prop_assert_eq!(sum(&x[..n]).to_bits(), by_index(&x[..n]).to_bits());
            prop_assert_eq!(dot(&x[..n], &y[..n]).to_bits(), by_index(&products[..n]).to_bits());
        }
    }
}
