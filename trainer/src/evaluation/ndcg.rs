//! Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002).

/// NDCG@k with one relevant item for each user: the mean of `1 / log2(rank + 2)` over ranks below `k`, else 0;
/// `ranks` count from 0. `u32::MAX` as `k` leaves the list uncut.
pub fn ndcg(ranks: &[u32], k: u32) -> f64 {
    let gains = ranks.iter().filter(|&&r| r < k).map(|&r| (f64::from(r) + 2.0).log2().recip());
    gains.sum::<f64>() / ranks.len() as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn discounts_by_the_logarithm_of_the_rank() {
        assert_eq!(super::ndcg(&[0], 5), 1.0);
        assert_eq!(super::ndcg(&[2, 7], 5), 0.25);
        assert!((super::ndcg(&[2, 7], u32::MAX) - (0.5 + 1.0 / 9f64.log2()) / 2.0).abs() < 1e-12);
    }
}
