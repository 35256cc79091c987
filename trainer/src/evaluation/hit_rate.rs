//! Hit rate.

/// HR@k: the share of users whose held-out item is among the first `k`; `ranks` count from 0.
pub fn hit_rate(ranks: &[u32], k: u32) -> f64 {
    ranks.iter().filter(|&&r| r < k).count() as f64 / ranks.len() as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_ranks_below_k() {
        assert_eq!(super::hit_rate(&[0, 4, 5, 9], 5), 0.5);
        assert_eq!(super::hit_rate(&[0, 4, 5, 9], 10), 1.0);
    }
}
