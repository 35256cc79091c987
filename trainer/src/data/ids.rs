use std::collections::HashMap;
use std::ops::Deref;

/// The raw ids of users or items by row; a slice of strings that also knows the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    raw: Vec<String>,
    /// Rows in the order of their raw ids: the index of [`Ids::row`], without a second copy of the strings.
    sorted: Vec<u32>,
}

impl Ids {
    pub(super) fn new(raw: Vec<String>) -> Self {
        let mut sorted: Vec<u32> = (0..row_number(raw.len())).collect();
        sorted.sort_unstable_by(|&a, &b| raw[a as usize].cmp(&raw[b as usize]));
        Self { raw, sorted }
    }

    /// The row of a raw id.
    #[must_use]
    pub fn row(&self, raw: &str) -> Option<u32> {
        let found = self.sorted.binary_search_by(|&row| self.raw[row as usize].as_str().cmp(raw));
        found.ok().map(|index| self.sorted[index])
    }
}

impl Deref for Ids {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.raw
    }
}

/// Numbers raw ids as they appear.
#[derive(Debug, Default)]
pub(super) struct Interner(HashMap<Box<str>, u32>);

impl Interner {
    pub(super) fn number(&mut self, raw: &str) -> u32 {
        if let Some(&number) = self.0.get(raw) {
            return number;
        }
        let number = row_number(self.0.len());
        self.0.insert(raw.into(), number);
        number
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The ids that `keep` names by number, and the row of each number (of those left out: `u32::MAX`). Rows are in
    /// numeric order where every kept id is a plain decimal number, else in order of appearance.
    pub(super) fn into_rows(self, keep: &[bool]) -> (Ids, Vec<u32>) {
        let rows_by_number = keep.len();
        let mut kept: Vec<(u32, String)> =
            self.0.into_iter().filter(|&(_, n)| keep[n as usize]).map(|(raw, n)| (n, raw.into())).collect();
        kept.sort_unstable_by_key(|&(number, _)| number);
        if let Some(mut numeric) =
            kept.iter().map(|(n, raw)| Some((decimal(raw)?, *n))).collect::<Option<Vec<_>>>()
        {
            numeric.sort_unstable();
            kept = numeric.into_iter().map(|(value, number)| (number, value.to_string())).collect();
        }
        let mut rows = vec![u32::MAX; rows_by_number];
        for (row, &(number, _)) in (0..).zip(&kept) {
            rows[number as usize] = row;
        }
        (Ids::new(kept.into_iter().map(|(_, raw)| raw).collect()), rows)
    }
}

/// Memory ends before rows do: 2^32 distinct ids take more than 64 GiB.
fn row_number(count: usize) -> u32 {
    u32::try_from(count).expect("fewer than 2^32 distinct ids")
}

/// The value of a decimal number in its shortest form; `007` is a name, as it differs from `7`.
fn decimal(raw: &str) -> Option<u64> {
    let value: u64 = raw.parse().ok()?;
    let shortest = raw == "0" || !raw.starts_with(['0', '+']);
    shortest.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(raw: &[&str]) -> Vec<String> {
        let mut interner = Interner::default();
        for raw in raw {
            interner.number(raw);
        }
        let keep = vec![true; interner.len()];
        let (ids, rows) = interner.into_rows(&keep);
        for (number, &row) in rows.iter().enumerate() {
            assert_eq!(ids.row(raw[number]), Some(row));
        }
        assert_eq!(ids.row("absent"), None);
        ids.to_vec()
    }

    #[test]
    fn numbers_by_value_names_by_appearance() {
        assert_eq!(numbered(&["10", "9", "200"]), ["9", "10", "200"]);
        assert_eq!(numbered(&["10", "9", "x"]), ["10", "9", "x"]);
        assert_eq!(numbered(&["8", "07", "7"]), ["8", "07", "7"]);
    }
}
