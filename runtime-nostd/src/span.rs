//! Slices of buffers without a panic: the firmware links none.
//!
//! The engine's sizes are checked where it is made; what does not exist nevertheless is empty.

/// The `len` elements from `start` on.
pub(crate) fn span<T>(x: &[T], start: usize, len: usize) -> &[T] {
    x.get(start..start.saturating_add(len)).unwrap_or_default()
}

/// The `len` elements from `start` on.
pub(crate) fn span_mut<T>(x: &mut [T], start: usize, len: usize) -> &mut [T] {
    x.get_mut(start..start.saturating_add(len)).unwrap_or_default()
}

/// The last `len` elements, all if there are fewer.
pub(crate) fn last<T>(x: &[T], len: usize) -> &[T] {
    x.get(x.len().saturating_sub(len)..).unwrap_or_default()
}

/// Rows of `x` with the row of `y` for each, `width` elements both.
pub(crate) fn row_pairs<'a, T, U>(
    x: &'a [T],
    mut y: &'a mut [U],
    width: usize,
) -> impl Iterator<Item = (&'a [T], &'a mut [U])> {
    // Not `zip`: its division by the width brings a panic in.
    x.chunks_exact(width.max(1)).map_while(move |x| Some((x, y.split_off_mut(..width)?)))
}

/// Copies as much as both hold.
pub(crate) fn copy<T: Copy>(from: &[T], to: &mut [T]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}
