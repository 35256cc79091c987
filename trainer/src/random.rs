//! Seeds, and samples that are drawn once for all.

use rand::seq::index;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

/// Stream of the draws of [`sample`].
const SAMPLES: u64 = 0x6669_6e65_7475_6e65;

/// Mixes parts of a seed (SplitMix64, Steele et al. 2014), so that streams do not repeat each other.
pub fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |state, part| {
        let mut z = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// Numbers of `cases` cases in order: all, or a sample of `users` that is the same for every model, run and seed.
pub fn sample(cases: usize, users: usize) -> Vec<u32> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(mix(&[SAMPLES, cases as u64]));
    let mut chosen: Vec<u32> =
        index::sample(&mut rng, cases, users.min(cases)).into_iter().map(|i| i as u32).collect();
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_distinct_and_repeats() {
        let found = sample(100, 30);
        assert_eq!(found.len(), 30);
        assert!(found.windows(2).all(|w| w[0] < w[1]) && found[29] < 100);
        assert_eq!(found, sample(100, 30));
        assert_eq!(sample(5, 30), [0, 1, 2, 3, 4]);
    }
}
