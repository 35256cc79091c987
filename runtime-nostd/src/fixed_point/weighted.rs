//! Weighted sums of rows of codes, column by column.

/// `finish` of the first `columns` columns' sums, each row of codes times its weight, to `out`; a row every `stride`.
pub(super) fn weighted<'o>(
    weights: &[i32],
    mut codes: &[i8],
    stride: usize,
    columns: usize,
    finish: impl Fn(i32) -> i32,
    mut out: impl Iterator<Item = &'o mut i32>,
) {
    for _ in 0..columns / 8 {
        let sums = sums::<8>(weights, codes, stride);
        sums.into_iter().zip(&mut out).for_each(|(sum, out)| *out = finish(sum));
        codes = codes.get(8..).unwrap_or_default();
    }
    for out in out.take(columns % 8) {
        let [sum] = sums(weights, codes, stride);
        *out = finish(sum);
        codes = codes.get(1..).unwrap_or_default();
    }
}

/// The sums of the first `N` columns.
fn sums<const N: usize>(weights: &[i32], codes: &[i8], stride: usize) -> [i32; N] {
    let mut sums = [0; N];
    for (weight, row) in weights.iter().zip(codes.chunks(stride.max(1))) {
        if let Some(row) = row.first_chunk::<N>() {
            for (sum, &code) in sums.iter_mut().zip(row) {
                *sum += weight * i32::from(code);
            }
        }
    }
    sums
}
