//! Ranks among 99 sampled items, for comparison with older papers only: sampled metrics need not order models as full
//! ranking does (Krichene and Rendle 2020, doi 10.1145/3394486.3403226).

use crate::random::mix;
use rand::seq::index;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

/// Items drawn beside the target.
pub const NEGATIVES: usize = 99;

/// Stream of the draws: the same items for every model, run and seed.
const STREAM: u64 = 0x6e65_6761_7469_7665;

/// Uniformly drawn item rows out of `0..items`, each once and none of `own`; fewer than 99 where there are no more.
pub fn negatives(user: usize, own: &[u32], items: u32) -> Vec<u32> {
    let mut own = own.to_vec();
    own.sort_unstable();
    own.dedup();
    let others = items as usize - own.len();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(mix(&[STREAM, user as u64]));
    let drawn = index::sample(&mut rng, others, NEGATIVES.min(others));
    // The n-th item that is not the user's: each of the user's items up to it moves it on by one.
    let nth = |n: usize| own.iter().fold(n as u32, |item, &o| if o <= item { item + 1 } else { item });
    drawn.into_iter().map(nth).collect()
}

/// Sampled items ranked before the target; ties count against it. `logits` has one for each item row.
pub fn sampled_rank(logits: &[f32], target: u32, negatives: &[u32]) -> u32 {
    let own = logits[target as usize];
    negatives.iter().filter(|&&item| logits[item as usize] >= own).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::outcome;
    use std::collections::BTreeSet;

    #[test]
    fn negatives_are_distinct_foreign_and_the_same_again() {
        let own: Vec<u32> = [7, 3, 199, 0, 3].into();
        let found = negatives(4, &own, 200);
        let distinct: BTreeSet<u32> = found.iter().copied().collect();
        assert_eq!((found.len(), distinct.len()), (NEGATIVES, NEGATIVES));
        assert!(distinct.iter().all(|item| *item < 200 && !own.contains(item)));
        assert_eq!(found, negatives(4, &own, 200));
        assert_ne!(found, negatives(5, &own, 200));
    }

    /// With fewer than 99 others all of them are drawn, and the rank is that of a full ranking without the user's
    /// other items.
    #[test]
    fn a_small_catalogue_is_ranked_whole() {
        let logits: Vec<f32> = (0..60u32).map(|i| (i * 37 % 23) as f32).collect();
        let own = [9, 4, 21];
        let found = negatives(0, &own, 60);
        let distinct: BTreeSet<u32> = found.iter().copied().collect();
        assert_eq!(distinct, (0..60).filter(|i| !own.contains(i)).collect());
        for &target in &own {
            let above = (0..60)
                .filter(|&i| !own.contains(&i) && logits[i as usize] >= logits[target as usize])
                .count();
            assert_eq!(sampled_rank(&logits, target, &found), above as u32);
            let others =
                own.iter().filter(|&&o| o != target && logits[o as usize] >= logits[target as usize]);
            let full = outcome(0, &logits, target).unwrap().rank;
            assert_eq!(full, above as u32 + others.count() as u32);
        }
    }
}
