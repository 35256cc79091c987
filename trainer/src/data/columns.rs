//! Lines of delimited fields.

use super::interactions::{Fault, Interaction};

/// Which field of a line holds what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    delimiter: &'static str,
    count: usize,
    user: usize,
    item: usize,
    rating: Option<usize>,
    timestamp: Option<usize>,
}

/// The type suffixes of RecBole's column names.
const RECBOLE_TYPES: [&str; 4] = ["token", "token_seq", "float", "float_seq"];

/// What MovieLens and Amazon (2023) call the user in the headers of their CSV files.
const CSV_USER: [&str; 2] = ["userId", "user_id"];
/// The item likewise. Amazon's `parent_asin` stands for all variants of a product.
const CSV_ITEM: [&str; 2] = ["movieId", "parent_asin"];

impl Columns {
    const fn user_first(delimiter: &'static str) -> Self {
        Self { delimiter, count: 4, user: 0, item: 1, rating: Some(2), timestamp: Some(3) }
    }

    /// `user item rating timestamp`, as in MovieLens' `u.data`.
    pub(super) const MOVIELENS: Self = Self::user_first("\t");

    /// The same as in MovieLens' `ratings.dat`.
    pub(super) const MOVIELENS_DAT: Self = Self::user_first("::");

    /// Whether `line` is a header of RecBole: its first column is `name:type`.
    pub(super) fn is_recbole_header(line: &str) -> bool {
        let first = line.split('\t').next().unwrap_or(line);
        first.rsplit_once(':').is_some_and(|(_, kind)| RECBOLE_TYPES.contains(&kind))
    }

    /// The columns that a header of RecBole names, such as `user_id:token`, in any order; others are skipped.
    pub(super) fn from_recbole_header(line: &str) -> Result<Self, Fault> {
        let names: Vec<&str> =
            line.split('\t').map(|column| column.split(':').next().unwrap_or(column)).collect();
        Self::from_names("\t", &names, &["user_id"], &["item_id"])
    }

    /// Whether `line` is the header of a CSV file: one of its columns has a user's name.
    pub(super) fn is_csv_header(line: &str) -> bool {
        line.split(',').any(|name| CSV_USER.contains(&name))
    }

    /// The columns that a CSV header names, in any order; others are skipped.
    pub(super) fn from_csv_header(line: &str) -> Result<Self, Fault> {
        Self::from_names(",", &line.split(',').collect::<Vec<_>>(), &CSV_USER, &CSV_ITEM)
    }

    fn from_names(
        delimiter: &'static str,
        names: &[&str],
        user: &[&str],
        item: &[&str],
    ) -> Result<Self, Fault> {
        let find = |name: &str| names.iter().position(|&column| column == name);
        let require = |any: &[&str]| {
            let missing = || Fault::new(any.join(" or "), "the header has no such column");
            any.iter().find_map(|name| find(name)).ok_or_else(missing)
        };
        Ok(Self {
            delimiter,
            count: names.len(),
            user: require(user)?,
            item: require(item)?,
            rating: find("rating"),
            timestamp: find("timestamp"),
        })
    }

    /// Amazon's ratings without a header, by their first line: `user,item,rating,timestamp`, but in the files of 2018
    /// `item,user,rating,timestamp`.
    pub(super) fn of_amazon_ratings(line: &str) -> Self {
        let user_first = Self::user_first(",");
        let mut fields = line.split(',');
        match (fields.next(), fields.next()) {
            (Some(first), Some(second)) if is_asin(first) && !is_asin(second) => {
                Self { user: 1, item: 0, ..user_first }
            }
            _ => user_first,
        }
    }

    pub(super) fn parse<'a>(&self, line: &'a str) -> Result<Interaction<'a>, Fault> {
        let (mut user, mut item, mut rating, mut timestamp) = ("", "", None, None);
        let mut count = 0;
        for (index, field) in line.split(self.delimiter).enumerate() {
            count += 1;
            if index == self.user {
                user = field;
            } else if index == self.item {
                item = field;
            } else if Some(index) == self.rating {
                rating = Some(field);
            } else if Some(index) == self.timestamp {
                timestamp = Some(field);
            }
        }
        if count != self.count {
            return Err(Fault::new("line", format!("{count} fields instead of {}", self.count)));
        }
        Ok(Interaction {
            user: id("user", user)?,
            item: id("item", item)?,
            rating: rating.map(|field| number("rating", field)).transpose()?,
            timestamp: timestamp.map(|field| number("timestamp", field)).transpose()?,
        })
    }
}

/// Whether this is an item of Amazon: ten characters, of which the first is a digit (ISBN) or `B`. Users begin with
/// `A` and are longer.
fn is_asin(field: &str) -> bool {
    field.len() == 10 && field.starts_with(|first: char| first == 'B' || first.is_ascii_digit())
}

pub(super) fn id<'a>(name: &str, field: &'a str) -> Result<&'a str, Fault> {
    if field.trim().is_empty() {
        return Err(Fault::new(name, "empty"));
    }
    // As JSON can hold one; lines of items.tsv cannot.
    if field.contains(['\t', '\n', '\r']) {
        return Err(Fault::new(name, "holds a tab or a line break"));
    }
    Ok(field)
}

fn number(name: &str, field: &str) -> Result<f64, Fault> {
    match field.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(Fault::new(name, format!("{field:?} is not a finite number"))),
    }
}
