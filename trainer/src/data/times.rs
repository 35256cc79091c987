use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::Mmap;

use super::Sequences;
use super::block::Block;

/// The timestamp of every interaction, in the order of [`Sequences::interactions`] and in the data's own unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Times(Block<f64>);

impl Times {
    /// Times of 8 bytes, little-endian, at `range` of a mapped file. `None` if that is not in the file.
    pub(super) fn mapped(map: &Arc<Mmap>, range: Range<usize>) -> Option<Self> {
        Block::mapped(map, range, |time| f64::from_le_bytes(time.try_into().expect("8 bytes"))).map(Self)
    }

    /// Whether these are times of `sequences`: one for each interaction, finite, in order within each user.
    pub(super) fn fit(&self, sequences: &Sequences) -> bool {
        self.len() == sequences.interactions().len()
            && self.iter().all(|time| time.is_finite())
            && (0..sequences.len()).all(|user| self[sequences.range(user)].is_sorted())
    }

    /// The least time by which all but `share` of the interactions, rounded down, have happened.
    ///
    /// # Panics
    /// If there is none, or `share` does not lie in `0..1`.
    #[must_use]
    pub fn cut(&self, share: f64) -> f64 {
        let mut times = self.to_vec();
        let after = (share * times.len() as f64) as usize;
        let last = times.len() - 1 - after;
        *times.select_nth_unstable_by(last, f64::total_cmp).1
    }
}

impl Deref for Times {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        &self.0
    }
}

impl FromIterator<f64> for Times {
    fn from_iter<I: IntoIterator<Item = f64>>(times: I) -> Self {
        Self(Block::Owned(times.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_leaves_at_most_its_share_after_it() {
        let times: Times = [5.0, 1.0, 3.0, 2.0, 4.0, 4.0, 4.0, 9.0, 8.0, 7.0].into_iter().collect();
        assert_eq!(
            [0.0, 0.1, 0.19, 0.2, 0.3, 0.9].map(|share| times.cut(share)),
            [9.0, 8.0, 8.0, 7.0, 5.0, 1.0]
        );
        // Equal times are not parted: they stay before the cut.
        assert_eq!([0.4, 0.5, 0.6].map(|share| times.cut(share)), [4.0, 4.0, 4.0]);
    }
}
