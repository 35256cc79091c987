//! Losses over positions and items.
//!
//! Each computes its gradients in closed form and hands them to backpropagation through a surrogate: the sum of inputs
//! times their (constant) gradients has exactly these gradients, and no graph of positions x items is ever kept.

mod bce;
mod distillation;
mod exponentials;
mod sampled_softmax;
mod softmax;

pub use bce::bce;
pub use distillation::{TeacherOutput, distillation, sampled_distillation};
pub use sampled_softmax::sampled_softmax;
pub use softmax::softmax;

use crate::tensor::{Device, IntTensor, Tensor, floats};
use rand::Rng;
use std::collections::HashMap;

/// The loss of a batch and its exact gradients.
pub struct Loss {
    /// Sum over the positions, one element; not tracked.
    pub sum: Tensor<1>,
    /// A tracked scalar whose gradients are those of the sum. Its value has no meaning.
    pub surrogate: Tensor<1>,
}

impl Loss {
    /// `share` of this loss and the rest of `other`.
    pub fn mixed(self, share: f32, other: Self) -> Self {
        let mix = |a: Tensor<1>, b: Tensor<1>| a * share + b * (1.0 - share);
        Self { sum: mix(self.sum, other.sum), surrogate: mix(self.surrogate, other.surrogate) }
    }
}

/// Positions whose logits over a catalogue of `items` are held at a time: up to 2,048 and 256 MiB.
fn chunk(items: usize) -> usize {
    ((1 << 26) / items.max(1)).clamp(1, 2048)
}

/// Added to the logits of negatives [count] that all positions share: -1e9 [positions, count] where a negative is the
/// position's target; nothing where there is none. On the plain device `device`.
fn own_targets(targets: &IntTensor<1>, negatives: &IntTensor<1>, device: &Device) -> Option<Tensor<2>> {
    let rows = |tensor: &IntTensor<1>| {
        tensor.clone().into_data().convert::<i32>().into_vec::<i32>().expect("converted")
    };
    let (targets, negatives) = (rows(targets), rows(negatives));
    let count = negatives.len();
    let columns: HashMap<i32, usize> = negatives.into_iter().enumerate().map(|(at, row)| (row, at)).collect();
    let hits: Vec<usize> = (targets.iter().enumerate())
        .filter_map(|(position, target)| Some(position * count + columns.get(target)?))
        .collect();
    let mut own = vec![0.0; if hits.is_empty() { 0 } else { targets.len() * count }];
    hits.iter().for_each(|&at| own[at] = -1e9);
    (!hits.is_empty()).then(|| floats(own, [targets.len(), count], device))
}

/// `count` different items out of `items`, at most all of them, each set equally likely.
pub fn distinct_negatives(items: usize, count: usize, rng: &mut impl Rng) -> Vec<i32> {
    let drawn = rand::seq::index::sample(rng, items, count.min(items));
    drawn.into_iter().map(|row| row as i32).collect()
}

/// `count` items out of `items` other than `target` (unless it is the only one), with replacement.
pub fn other_items(items: usize, target: i32, count: usize, rng: &mut impl Rng) -> impl Iterator<Item = i32> {
    (0..count).map(move |_| {
        let row = rng.random_range(0..items.saturating_sub(1).max(1)) as i32;
        if row >= target && items > 1 { row + 1 } else { row }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::SeedableRng;

    #[test]
    fn negatives_are_different_items_of_the_catalogue() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for (items, count, expected) in [(50, 20, 20), (5, 20, 5)] {
            let mut drawn = distinct_negatives(items, count, &mut rng);
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), expected);
            assert!(drawn.iter().all(|&row| (0..items as i32).contains(&row)));
        }
        let mut drawn: Vec<i32> = other_items(4, 2, 200, &mut rng).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn, [0, 1, 3]);
    }
}
