use std::fmt;

use serde::Serialize;

use super::{Dataset, LeftOut};

/// The figures that describe a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// The data set's name.
    pub name: String,
    /// Number of users.
    pub users: usize,
    /// Number of items.
    pub items: usize,
    /// Number of interactions.
    pub interactions: usize,
    /// Interactions over users times items.
    pub density: f64,
    /// The shortest sequence.
    pub min_length: usize,
    /// Mean length of a sequence.
    pub mean_length: f64,
    /// Median length of a sequence; of an even number of users the mean of the middle two.
    pub median_length: f64,
    /// The longest sequence.
    pub max_length: usize,
    /// Interactions that share their timestamp with another of the same user.
    pub tied: usize,
    /// `tied` over all interactions.
    pub tied_share: f64,
    /// The most frequent item; of several the one with the lowest row.
    pub top_item: TopItem,
    /// What was left out of the source.
    pub left_out: LeftOut,
}

/// An item and how often it was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopItem {
    /// Its row.
    pub row: u32,
    /// Its title, else its raw id.
    pub name: String,
    /// Its number of interactions.
    pub interactions: usize,
}

impl Stats {
    /// The figures of `dataset`.
    ///
    /// # Panics
    /// If `dataset` has no interaction; readers and builder refuse such.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    pub fn of(dataset: &Dataset) -> Self {
        let mut lengths: Vec<usize> = dataset.sequences.iter().map(<[u32]>::len).collect();
        lengths.sort_unstable();
        let (users, items) = (lengths.len(), dataset.items.len());
        let interactions = dataset.sequences.interactions().len();
        let mut popularity = vec![0_usize; items];
        dataset.sequences.interactions().iter().for_each(|&item| popularity[item as usize] += 1);
        let count = popularity.iter().copied().max().expect("has interactions");
        let row = (0..).zip(&popularity).find(|&(_, &each)| each == count).expect("the maximum is there").0;
        Self {
            name: dataset.name.clone(),
            users,
            items,
            interactions,
            density: interactions as f64 / (users as f64 * items as f64),
            min_length: lengths[0],
            mean_length: interactions as f64 / users as f64,
            median_length: (lengths[(users - 1) / 2] + lengths[users / 2]) as f64 / 2.0,
            max_length: lengths[users - 1],
            tied: dataset.tied,
            tied_share: dataset.tied as f64 / interactions as f64,
            top_item: TopItem { row, name: dataset.item_name(row).to_owned(), interactions: count },
            left_out: dataset.left_out,
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "data set          {}", self.name)?;
        writeln!(f, "users             {}", self.users)?;
        writeln!(f, "items             {}", self.items)?;
        writeln!(f, "interactions      {}", self.interactions)?;
        writeln!(f, "density           {:.3} %", 100.0 * self.density)?;
        let (min, max) = (self.min_length, self.max_length);
        writeln!(
            f,
            "sequence length   {min} to {max}, mean {:.1}, median {}",
            self.mean_length, self.median_length
        )?;
        writeln!(f, "tied timestamps   {} ({:.1} %)", self.tied, 100.0 * self.tied_share)?;
        writeln!(
            f,
            "top item          {} ({} interactions)",
            self.top_item.name, self.top_item.interactions
        )?;
        let LeftOut { lines, rated_below, interactions, users, items } = self.left_out;
        if lines > 0 {
            writeln!(f, "malformed lines   {lines} (skipped)")?;
        }
        if rated_below + interactions > 0 {
            writeln!(
                f,
                "left out          {rated_below} interactions rated too low, {interactions} others; {users} users, {items} items"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::DatasetBuilder;
    use super::*;

    #[test]
    fn counts() {
        let mut builder = DatasetBuilder::new("tiny");
        for (user, item, time) in
            [("1", "7", 1.0), ("1", "8", 1.0), ("1", "9", 2.0), ("2", "8", 1.0), ("2", "9", 3.0)]
        {
            builder.push(user, item, None, Some(time));
        }
        let stats = Stats::of(&builder.build().unwrap());
        assert_eq!((stats.users, stats.items, stats.interactions, stats.tied), (2, 3, 5, 2));
        assert_eq!((stats.min_length, stats.median_length, stats.max_length), (2, 2.5, 3));
        assert_eq!(stats.top_item, TopItem { row: 1, name: "8".to_owned(), interactions: 2 });
        let table = stats.to_string();
        assert!(table.contains("density           83.333 %"), "{table}");
        assert!(table.ends_with("top item          8 (2 interactions)\n"), "{table}");
    }
}
