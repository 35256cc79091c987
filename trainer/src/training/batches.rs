//! Training batches: a function of the data, a seed and the epoch alone.

use crate::data::HeldOut;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

/// A stretch of one user's training sequence: `inputs` predict `targets` one step later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// User row.
    pub user: usize,
    /// First item of the window.
    pub start: usize,
    /// One past the last item; the window holds `end - start - 1` inputs and as many targets.
    pub end: usize,
}

/// One sequence of a batch, cut out of its user's training items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example<'a> {
    /// User row.
    pub user: usize,
    /// Item rows up to the last input, oldest first.
    pub history: &'a [u32],
    /// Item rows fed to the backbone, the last ones of the history.
    pub inputs: &'a [u32],
    /// Item rows to predict, as many.
    pub targets: &'a [u32],
    /// First target that counts in the loss.
    pub first_target: usize,
    /// Items the profile sees: all before the first target that counts.
    pub profile: &'a [u32],
}

/// The windows of one epoch of a second level of training, in batches of `batch`: only targets among the newest `share`
/// of each user's training items count ([`HeldOut::reserved`]). With r of them, `ceil(r / window)` windows of at most
/// `window + 1` and `context + r + 1` items that end among them, one of them at the newest.
pub fn reserved_epoch(
    data: &HeldOut,
    share: f64,
    context: usize,
    window: usize,
    batch: usize,
    seed: u64,
) -> Vec<Vec<Window>> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut windows = Vec::new();
    for user in 0..data.users() {
        let n = data.train(user).len();
        let reserved = data.reserved(user, share);
        let length = window.min(context + reserved) + 1;
        for number in 0..reserved.div_ceil(window) {
            let end = if number == 0 { n } else { rng.random_range(n - reserved + 1..=n) };
            windows.push(Window { user, start: end.saturating_sub(length), end });
        }
    }
    in_batches(windows, batch, &mut rng)
}

/// The windows of one epoch in batches of `batch`: `ceil(n / window)` random windows of at most `window + 1` items
/// for a user of n training items; each batch holds windows of similar length.
pub fn epoch(data: &HeldOut, window: usize, batch: usize, seed: u64) -> Vec<Vec<Window>> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut windows = Vec::new();
    for user in 0..data.users() {
        let n = data.train(user).len();
        if n < 2 {
            continue;
        }
        if n <= window + 1 {
            windows.push(Window { user, start: 0, end: n });
            continue;
        }
        for _ in 0..n.div_ceil(window) {
            // Mostly full windows; one in ten is cut short, so that short histories are seen too.
            let mut end = rng.random_range(2 + window / 2..=n);
            if rng.random_bool(0.9) {
                end = end.max(window + 1);
            }
            windows.push(Window { user, start: end.saturating_sub(window + 1), end });
        }
    }
    in_batches(windows, batch, &mut rng)
}

/// `windows` in random order, those of a batch of similar length.
fn in_batches(mut windows: Vec<Window>, batch: usize, rng: &mut impl Rng) -> Vec<Vec<Window>> {
    windows.shuffle(rng);
    let mut batches = Vec::new();
    for pool in windows.chunks_mut(batch * 10) {
        pool.sort_by_key(|w| w.end - w.start);
        batches.extend(pool.chunks(batch).map(<[Window]>::to_vec));
    }
    batches.shuffle(rng);
    batches
}

impl Window {
    /// The window with every target counted.
    pub fn whole<'a>(&self, data: &HeldOut<'a>) -> Example<'a> {
        let items = data.train(self.user);
        let history = &items[..self.end - 1];
        Example {
            user: self.user,
            history,
            inputs: &history[self.start..],
            targets: &items[self.start + 1..self.end],
            first_target: 0,
            profile: &[],
        }
    }

    /// The window split at a random item m of its first half: the profile sees items before m, the loss counts
    /// targets from m on, so one plan serves the sequence without seeing what it must predict. With a `share` that is
    /// reserved ([`HeldOut::reserved`]) m is among the reserved items.
    pub fn split<'a>(&self, data: &HeldOut<'a>, share: f64, rng: &mut impl Rng) -> Example<'a> {
        const LEAST_PROFILE: usize = 3;
        let items = data.train(self.user);
        let first = self.start + 1;
        let half = (self.end - first) / 2;
        let known = if share == 0.0 { 0 } else { items.len() - data.reserved(self.user, share) };
        let least = LEAST_PROFILE.max(known);
        let m = rng.random_range(first..=first + half).max(least).min(self.end - 1);
        Example { first_target: m - first, profile: &items[..m], ..self.whole(data) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Sequences;

    fn sequences() -> Sequences {
        let items: Vec<u32> = (0..63).collect();
        (0..30).map(|u| &items[..3 + 2 * u]).collect()
    }

    #[test]
    fn an_epoch_follows_from_its_seed_and_covers_every_user() {
        let sequences = sequences();
        let data = HeldOut::new(&sequences);
        let batches = epoch(&data, 10, 4, 1);
        assert_eq!(batches, epoch(&data, 10, 4, 1));
        assert_ne!(batches, epoch(&data, 10, 4, 2));
        let windows: Vec<_> = batches.concat();
        for user in 0..data.users() {
            let n = data.train(user).len();
            let expected = if n < 2 {
                0
            } else if n <= 11 {
                1
            } else {
                n.div_ceil(10)
            };
            assert_eq!(windows.iter().filter(|w| w.user == user).count(), expected);
        }
        for window in &windows {
            let length = window.end - window.start;
            assert!((2..=11).contains(&length) && window.end <= data.train(window.user).len());
        }
    }

    /// The profile ends where the counted targets begin: a plan never sees what it is judged by.
    #[test]
    fn profiles_end_before_the_targets() {
        let sequences = sequences();
        let data = HeldOut::new(&sequences);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        for window in epoch(&data, 10, 4, 3).concat() {
            let example = window.split(&data, 0.0, &mut rng);
            let whole = window.whole(&data);
            assert_eq!((example.inputs, example.targets), (whole.inputs, whole.targets));
            assert!(example.first_target < example.targets.len());
            // Items of this data are their own time.
            assert_eq!(example.profile.last().copied().unwrap() + 1, example.targets[example.first_target]);
        }
    }

    /// What a personal stage has for itself: no other stage sees it, and only it counts there.
    #[test]
    fn reserved_items_are_the_second_level_s_alone() {
        let sequences = sequences();
        let data = HeldOut::new(&sequences);
        let known = data.reserving(0.2);
        for window in epoch(&known, 10, 4, 1).concat() {
            assert!(window.end <= known.train(window.user).len());
        }
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        let windows: Vec<Window> = reserved_epoch(&data, 0.2, 5, 10, 4, 3).concat();
        let mut newest = 0;
        for window in &windows {
            let example = window.split(&data, 0.2, &mut rng);
            let first = example.targets[example.first_target] as usize;
            assert!(first >= known.train(window.user).len() && first == example.profile.len());
            newest += usize::from(window.end == data.train(window.user).len());
        }
        let giving = (0..data.users()).filter(|&user| data.reserved(user, 0.2) > 0).count();
        assert!(giving > 20 && newest >= giving && windows.len() >= giving);
        assert_eq!(reserved_epoch(&data, 0.2, 5, 10, 4, 3), reserved_epoch(&data, 0.2, 5, 10, 4, 3));
    }
}
