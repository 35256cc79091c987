//! Order of the results (`docs/numerics.md`, section 9).

use core::cmp::Ordering;

use crate::span::span;

/// An item with its logit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ranked {
    /// Item row.
    pub item: u32,
    /// Its logit; finite.
    pub logit: f32,
}

impl Ranked {
    /// Best first: larger logit, then smaller item. `-0.0` and `0.0` are equal logits.
    fn order(&self, other: &Self) -> Ordering {
        key(other.logit).cmp(&key(self.logit)).then(self.item.cmp(&other.item))
    }
}

/// An integer that orders as the finite number does: to compare floats takes a core without an FPU tens of instructions.
fn key(logit: f32) -> i32 {
    match logit.to_bits() as i32 {
        // Sign and magnitude: to the two's complement.
        bits @ ..0 => i32::MIN.wrapping_sub(bits),
        bits => bits,
    }
}

/// Sorts in place, best first: heap sort.
///
/// The standard library's sort takes four times the flash, recurses as deep as there are items, and can panic.
pub(crate) fn sort(ranked: &mut [Ranked]) {
    (0..ranked.len() / 2).rev().for_each(|parent| sift_down(ranked, parent));
    let mut heap = ranked;
    while let Some((last, rest)) = heap.split_last_mut() {
        // The root is the worst that is left.
        if let Some(root) = rest.first_mut() {
            core::mem::swap(root, last);
        }
        sift_down(rest, 0);
        heap = rest;
    }
}

/// Moves an entry of a heap down until no child is worse.
fn sift_down(heap: &mut [Ranked], mut parent: usize) {
    loop {
        let children = (2 * parent + 1..heap.len()).take(2);
        let Some(worst) =
            children.filter_map(|child| Some((child, *heap.get(child)?))).max_by(|a, b| a.1.order(&b.1))
        else {
            return;
        };
        let (child, entry) = worst;
        match heap.get_mut(parent) {
            Some(place) if entry.order(place).is_gt() => {
                let moved = core::mem::replace(place, entry);
                heap.get_mut(child).into_iter().for_each(|place| *place = moved);
            }
            _ => return,
        }
        parent = child;
    }
}

/// The best of a stream, as many as the buffer holds.
#[derive(Debug)]
pub(crate) struct Best<'b> {
    buffer: &'b mut [Ranked],
    len: usize,
}

impl<'b> Best<'b> {
    pub(crate) fn new(buffer: &'b mut [Ranked]) -> Self {
        Self { buffer, len: 0 }
    }

    pub(crate) fn offer(&mut self, new: Ranked) {
        let place = span(self.buffer, 0, self.len).partition_point(|kept| kept.order(&new).is_lt());
        self.len = (self.len + 1).min(self.buffer.len());
        // What falls off the end of a full buffer is the worst, perhaps the new one itself.
        let tail = self.buffer.get_mut(place..self.len).unwrap_or_default();
        tail.iter_mut().fold(new, |moved, kept| core::mem::replace(kept, moved));
    }

    pub(crate) fn into_slice(self) -> &'b [Ranked] {
        span(self.buffer, 0, self.len)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    const fn ranked(item: u32, logit: f32) -> Ranked {
        Ranked { item, logit }
    }

    const STREAM: [Ranked; 6] =
        [ranked(0, 1.0), ranked(1, -0.0), ranked(2, 3.0), ranked(3, 0.0), ranked(4, 3.0), ranked(5, -2.0)];

    fn finite() -> impl Strategy<Value = f32> {
        use proptest::num::f32::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
        prop_oneof![4 => POSITIVE | NEGATIVE | NORMAL | SUBNORMAL, 1 => POSITIVE | NEGATIVE | SUBNORMAL | ZERO]
    }

    #[test]
    fn keys_of_the_ends_and_of_zeros() {
        let rising = [-f32::MAX, -1.0, -f32::from_bits(1), 0.0, f32::from_bits(1), 1.0, f32::MAX].map(key);
        assert!(rising.is_sorted_by(|a, b| a < b), "{rising:?}");
        assert_eq!(key(-0.0), key(0.0));
    }

    #[test]
    fn ties_go_to_the_smaller_item_and_zeros_are_equal() {
        let mut sorted = STREAM;
        sorted.reverse();
        sort(&mut sorted);
        assert_eq!(sorted.map(|r| r.item), [2, 4, 0, 1, 3, 5]);
    }

    proptest! {
        /// All finite numbers, neighbours in particular, subnormal ones and zeros of either sign.
        #[test]
        fn keys_order_as_the_numbers_do(a in finite(), b in finite(), apart in -2i32..3) {
            let near = f32::from_bits(a.to_bits().wrapping_add_signed(apart));
            for b in [b, -a, near, 0.0, -0.0] {
                let expected = a.partial_cmp(&b);
                prop_assert!(!b.is_finite() || expected == Some(key(a).cmp(&key(b))), "{} {}", a, b);
            }
        }

        #[test]
        fn sorts_as_the_standard_library(logits in proptest::collection::vec(-3i8..3, 0..50)) {
            let items: Vec<Ranked> = (0..).zip(&logits).map(|(item, &x)| ranked(item, x.into())).collect();
            let (mut ours, mut theirs) = (items.clone(), items);
            sort(&mut ours);
            theirs.sort_by(Ranked::order);
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn the_best_are_the_head_of_the_sorted_list() {
        let mut sorted = STREAM;
        sort(&mut sorted);
        for k in 0..=8 {
            let mut buffer = [Ranked::default(); 8];
            let mut best = Best::new(&mut buffer[..k]);
            STREAM.iter().for_each(|&r| best.offer(r));
            assert_eq!(best.into_slice(), &sorted[..k.min(6)]);
        }
    }
}
