//! Item rows at 8 bits with one range each.

use chord_plan::numerics::{MASTER_BITS, RANGE_MIN, master_code, value};

/// The range of an item row: its largest magnitude, one rounding step up, so that no weight is clipped.
pub fn range_of_row(row: &[f32]) -> f32 {
    let largest = row.iter().fold(0.0f32, |m, w| m.max(w.abs()));
    (largest * (1.0 + f32::EPSILON)).max(RANGE_MIN)
}

/// The item table as a device sees it: `table` [items, dim] after 8-bit quantisation.
pub fn quantised_item_table(table: &[f32], dim: usize) -> Vec<f32> {
    let quantised = |row: &[f32]| -> Vec<f32> {
        let range = range_of_row(row);
        row.iter().map(|&w| value(master_code(w, range), range, MASTER_BITS)).collect()
    };
    table.chunks(dim).flat_map(quantised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_lose_at_most_half_a_step() {
        let row = [0.5f32, -0.5, 0.123, 0.0, -0.499];
        let found = quantised_item_table(&row, 5);
        for (w, v) in row.iter().zip(found) {
            assert!((w - v).abs() <= 0.5 / 256.0 + 1e-6, "{w} {v}");
        }
        assert!(quantised_item_table(&[0.0; 3], 3).iter().all(|v| v.abs() <= RANGE_MIN));
    }
}
