use serde::{Deserialize, Serialize};

use super::dataset::Numbered;

/// Which interactions of a source make the data set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filters {
    /// Interactions rated below this are left out; 0 keeps all, also below 0. Those without a rating are kept.
    pub min_rating: f64,
    /// Every user and every item has at least this many interactions.
    pub k_core: usize,
    /// Every user has at least this many interactions.
    pub min_length: usize,
}

/// All interactions.
impl Default for Filters {
    fn default() -> Self {
        Self { min_rating: 0.0, k_core: 1, min_length: 1 }
    }
}

impl Filters {
    pub(super) fn admits(&self, rating: Option<f64>) -> bool {
        self.min_rating == 0.0 || rating.is_none_or(|rating| rating >= self.min_rating)
    }
}

/// The largest set of interactions in which every user and every item has at least so many: a k-core of the bipartite
/// multigraph of users and items (Seidman, 1983), with a k for each side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Core {
    pub(super) user: usize,
    pub(super) item: usize,
}

impl Core {
    /// Leaves out interactions until all that are left belong to the core; which of the `users` and `items` are in it.
    pub(super) fn retain(
        self,
        interactions: &mut Vec<Numbered>,
        users: usize,
        items: usize,
    ) -> (Vec<bool>, Vec<bool>) {
        let (mut of_user, mut of_item) = (vec![0_usize; users], vec![0_usize; items]);
        for interaction in &*interactions {
            of_user[interaction.user as usize] += 1;
            of_item[interaction.item as usize] += 1;
        }
        // Every interaction that leaves lowers a count of the other side, which may then be too low: another pass.
        loop {
            let before = interactions.len();
            interactions.retain(|interaction| {
                let (user, item) = (interaction.user as usize, interaction.item as usize);
                let stays = of_user[user] >= self.user && of_item[item] >= self.item;
                if !stays {
                    of_user[user] -= 1;
                    of_item[item] -= 1;
                }
                stays
            });
            if interactions.len() == before {
                let present = |counts: Vec<usize>| counts.into_iter().map(|count| count > 0).collect();
                return (present(of_user), present(of_item));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DataError, DatasetBuilder};
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// The largest core, by trying every set of users and items: a core is determined by who is in it.
    fn largest(pairs: &[(u32, u32)], core: Core, users: u32, items: u32) -> Vec<(u32, u32)> {
        let mut best = Vec::new();
        for set in 0..1_u32 << (users + items) {
            let within = |&(user, item): &(u32, u32)| set >> user & 1 == 1 && set >> (users + item) & 1 == 1;
            let inside: Vec<_> = pairs.iter().copied().filter(within).collect();
            let enough = inside.iter().all(|&(user, item)| {
                inside.iter().filter(|pair| pair.0 == user).count() >= core.user
                    && inside.iter().filter(|pair| pair.1 == item).count() >= core.item
            });
            if enough && inside.len() > best.len() {
                best = inside;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn the_core_is_stable_and_maximal(
            pairs in prop::collection::vec((0..5_u32, 0..5_u32), 1..24),
            k_core in 1..4_usize,
            min_length in 1..5_usize,
        ) {
            let build = |pairs: &[(u32, u32)]| {
                let filters = Filters { k_core, min_length, ..Filters::default() };
                let mut builder = DatasetBuilder::new("x").filters(filters);
                pairs.iter().for_each(|(user, item)| builder.push(&user.to_string(), &item.to_string(), None, None));
                builder.build()
            };
            let core = Core { user: k_core.max(min_length), item: k_core };
            let mut expected = largest(&pairs, core, 5, 5);
            // Of one user after the other, each in the order of the file.
            expected.sort_by_key(|pair| pair.0);
            let data = match build(&pairs) {
                Err(DataError::Empty { .. }) => {
                    prop_assert!(expected.is_empty());
                    return Ok(());
                }
                data => data.unwrap(),
            };
            let kept: Vec<(u32, u32)> = data.sequences.iter().zip(&*data.users).flat_map(|(items, user)| {
                let pair = |&item: &u32| (user.parse().unwrap(), data.items[item as usize].parse().unwrap());
                items.iter().map(pair).collect::<Vec<_>>()
            }).collect();
            prop_assert_eq!(&kept, &expected);
            let distinct = |which: fn(&(u32, u32)) -> u32| pairs.iter().map(which).collect::<HashSet<_>>().len();
            prop_assert_eq!(data.left_out.interactions, pairs.len() - kept.len());
            prop_assert_eq!(data.left_out.users, distinct(|pair| pair.0) - data.users.len());
            prop_assert_eq!(data.left_out.items, distinct(|pair| pair.1) - data.items.len());
            let again = build(&kept).unwrap();
            prop_assert_eq!((again.sequences, again.users, again.items), (data.sequences, data.users, data.items));
        }
    }
}
