use serde::Serialize;
use sha2::{Digest, Sha256};

use super::filters::{Core, Filters};
use super::ids::{Ids, Interner};
use super::{DataError, HeldOut, Sequences, SplitRule, Times};

/// Users, items and what each user chose, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Short name, for reports and file names.
    pub name: String,
    /// Raw ids by user row.
    pub users: Ids,
    /// Raw ids by item row.
    pub items: Ids,
    /// Titles by item row, where the data has them.
    pub titles: Option<Vec<String>>,
    /// Item rows by user row.
    pub sequences: Sequences,
    /// When each interaction of `sequences` was; `None` if any lacks its timestamp.
    pub times: Option<Times>,
    /// Interactions that share their timestamp with another of the same user, so that only the order of the file
    /// orders them.
    pub tied: usize,
    /// What the source has and this lacks.
    pub left_out: LeftOut,
}

/// What was left out of a data set on the way from its source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Malformed lines.
    pub lines: usize,
    /// Interactions below the least rating.
    pub rated_below: usize,
    /// Further interactions, with users or items of too few.
    pub interactions: usize,
    /// Users without interactions left.
    pub users: usize,
    /// Items without interactions left.
    pub items: usize,
}

impl Dataset {
    /// The row of an item's raw id.
    #[must_use]
    pub fn item_row(&self, raw: &str) -> Option<u32> {
        self.items.row(raw)
    }

    /// The row of a user's raw id.
    #[must_use]
    pub fn user_row(&self, raw: &str) -> Option<usize> {
        self.users.row(raw).map(|row| row as usize)
    }

    /// SHA-256 of who chose what in which order, and when, in hexadecimal: equal for data that train and rank alike.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for id in self.users.iter().chain(&*self.items) {
            hash.update((id.len() as u64).to_le_bytes());
            hash.update(id);
        }
        for sequence in self.sequences.iter() {
            hash.update((sequence.len() as u64).to_le_bytes());
            hash.update(bytemuck::cast_slice(sequence));
        }
        hash.update(bytemuck::cast_slice(self.times.as_deref().unwrap_or_default()));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What is for training and what is held out.
    ///
    /// # Errors
    /// A temporal split of data without timestamps; nothing to train on, or nobody to validate or to test on.
    pub fn split(&self, rule: SplitRule) -> Result<HeldOut<'_>, DataError> {
        HeldOut::of(self, rule)
    }

    /// What to call an item to a person: its title, else its raw id.
    ///
    /// # Panics
    /// If `row` is not a row of [`Dataset::items`].
    #[must_use]
    pub fn item_name(&self, row: u32) -> &str {
        &self.titles.as_deref().unwrap_or(&self.items)[row as usize]
    }
}

/// Collects interactions in the order of their file.
#[derive(Debug)]
pub struct DatasetBuilder {
    name: String,
    filters: Filters,
    rated_below: usize,
    users: Interner,
    items: Interner,
    interactions: Vec<Numbered>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Numbered {
    pub(super) user: u32,
    pub(super) item: u32,
    timestamp: f64,
}

/// Stands for a missing timestamp: equal to itself, so that the order of the file decides, and before all others.
const UNTIMED: f64 = f64::NEG_INFINITY;

impl DatasetBuilder {
    /// An empty data set.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            filters: Filters::default(),
            rated_below: 0,
            users: Interner::default(),
            items: Interner::default(),
            interactions: Vec::new(),
        }
    }

    /// Keeps only what passes these filters; to be set before anything is added.
    #[must_use]
    pub fn filters(mut self, filters: Filters) -> Self {
        self.filters = filters;
        self
    }

    /// Adds an interaction; `rating` and `timestamp` are finite, in any unit.
    pub fn push(&mut self, user: &str, item: &str, rating: Option<f64>, timestamp: Option<f64>) {
        // Also of what is left out, so that it is counted.
        let (user, item) = (self.users.number(user), self.items.number(item));
        if !self.filters.admits(rating) {
            self.rated_below += 1;
            return;
        }
        // Adding 0 makes -0 equal to 0 also in the total order.
        let timestamp = timestamp.map_or(UNTIMED, |time| time + 0.0);
        self.interactions.push(Numbered { user, item, timestamp });
    }

    /// Applies the filters, sorts each user's interactions by timestamp, ties in the order they were added, and
    /// numbers the rows.
    ///
    /// # Errors
    /// Nothing passes the filters.
    pub fn build(self) -> Result<Dataset, DataError> {
        let mut interactions = self.interactions;
        let counts = (interactions.len(), self.users.len(), self.items.len());
        let core = Core { user: self.filters.k_core.max(self.filters.min_length), item: self.filters.k_core };
        let (keep_user, keep_item) = core.retain(&mut interactions, self.users.len(), self.items.len());
        if interactions.is_empty() {
            return Err(DataError::Empty {
                name: self.name,
                filters: self.filters,
                interactions: counts.0,
                users: counts.1,
                items: counts.2,
            });
        }

        let (users, user_rows) = self.users.into_rows(&keep_user);
        let (items, item_rows) = self.items.into_rows(&keep_item);
        for interaction in &mut interactions {
            interaction.user = user_rows[interaction.user as usize];
            interaction.item = item_rows[interaction.item as usize];
        }
        interactions.sort_by(|a, b| a.user.cmp(&b.user).then(a.timestamp.total_cmp(&b.timestamp)));

        let tied = interactions
            .chunk_by(|a, b| a.user == b.user && a.timestamp == b.timestamp)
            .filter(|run| run.len() > 1 && run[0].timestamp != UNTIMED)
            .map(<[Numbered]>::len)
            .sum();
        let sequences = interactions
            .chunk_by(|a, b| a.user == b.user)
            .map(|user| user.iter().map(|interaction| interaction.item).collect::<Vec<_>>())
            .collect();
        let times = interactions.iter().map(|interaction| interaction.timestamp);
        let times = times.clone().all(|time| time != UNTIMED).then(|| times.collect());
        let left_out = LeftOut {
            lines: 0,
            rated_below: self.rated_below,
            interactions: counts.0 - interactions.len(),
            users: counts.1 - users.len(),
            items: counts.2 - items.len(),
        };
        Ok(Dataset { name: self.name, users, items, titles: None, sequences, times, tied, left_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(rows: &[(&str, &str, Option<f64>)], min_length: usize) -> Result<Dataset, DataError> {
        let mut builder = DatasetBuilder::new("small").filters(Filters { min_length, ..Filters::default() });
        rows.iter().for_each(|&(user, item, timestamp)| builder.push(user, item, None, timestamp));
        builder.build()
    }

    #[test]
    fn sorts_by_time_and_keeps_the_order_of_ties() {
        let rows = [
            ("2", "30", Some(5.0)),
            ("1", "10", Some(9.0)),
            ("2", "20", Some(4.0)),
            ("2", "10", Some(5.0)),
            ("1", "30", Some(-0.0)),
            ("1", "20", Some(0.0)),
            ("2", "5", Some(5.0)),
        ];
        let data = dataset(&rows, 1).unwrap();
        assert_eq!(*data.items, ["5", "10", "20", "30"]);
        assert_eq!(data.sequences.user(0), [3, 2, 1]);
        assert_eq!(data.sequences.user(1), [2, 3, 1, 0]);
        assert_eq!(data.times.as_deref(), Some(&[0.0, 0.0, 9.0, 4.0, 5.0, 5.0, 5.0][..]));
        assert_eq!(data.tied, 5);
        assert_eq!((data.user_row("2"), data.item_row("20"), data.item_row("x")), (Some(1), Some(2), None));
        assert_eq!(data.item_name(3), "30");
    }

    #[test]
    fn without_time_the_order_of_the_file_counts() {
        let data = dataset(&[("b", "y", None), ("a", "x", None), ("b", "x", None)], 1).unwrap();
        assert_eq!(*data.users, ["b", "a"]);
        assert_eq!(data.sequences.user(0), [0, 1]);
        assert_eq!((data.tied, data.times), (0, None));
        let partly = dataset(&[("b", "y", Some(1.0)), ("a", "x", None)], 1).unwrap();
        assert_eq!(partly.times, None, "times are of all interactions or of none");
    }

    #[test]
    fn leaves_out_short_users_and_their_items() {
        let rows = [("a", "x", None), ("b", "y", None), ("b", "z", None), ("b", "y", None)];
        let data = dataset(&rows, 3).unwrap();
        assert_eq!(
            (&*data.users, &*data.items),
            (&["b".to_owned()][..], &["y".to_owned(), "z".to_owned()][..])
        );
        assert_eq!(data.sequences.user(0), [0, 1, 0]);
        let left_out = LeftOut { interactions: 1, users: 1, items: 1, ..LeftOut::default() };
        assert_eq!(data.left_out, left_out);
        let error = dataset(&rows, 4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "data set small: no interaction is left of 4 with 2 users and 3 items after min_rating = 0, k_core = 1, \
             min_length = 4"
        );
    }

    #[test]
    fn leaves_out_low_ratings() {
        let build = |min_rating| {
            let filters = Filters { min_rating, ..Filters::default() };
            let mut builder = DatasetBuilder::new("rated").filters(filters);
            for (user, item, rating) in [("a", "x", 4.0), ("a", "y", 3.5), ("b", "y", -2.0), ("a", "z", 5.0)]
            {
                builder.push(user, item, Some(rating), None);
            }
            builder.build()
        };
        assert_eq!(build(0.0).unwrap().sequences.interactions(), [0, 1, 2, 1]);
        let data = build(4.0).unwrap();
        assert_eq!((&data.users[..], &data.items[..]), (&["a".into()][..], &["x".into(), "z".into()][..]));
        assert_eq!(data.left_out, LeftOut { rated_below: 2, users: 1, items: 1, ..LeftOut::default() });
        assert!(matches!(build(5.5), Err(DataError::Empty { interactions: 0, .. })));
    }
}
