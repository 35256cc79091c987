//! Lines of delimited fields.

use super::interactions::{Fault, Interaction};

/// Which field of a line holds what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    delimiter: char,
    count: usize,
    user: usize,
    item: usize,
    rating: Option<usize>,
    timestamp: Option<usize>,
}

/// The type suffixes of RecBole's column names.
const RECBOLE_TYPES: [&str; 4] = ["token", "token_seq", "float", "float_seq"];

impl Columns {
    /// `user item rating timestamp`, as in MovieLens' `u.data`.
    pub(super) const MOVIELENS: Self =
        Self { delimiter: '\t', count: 4, user: 0, item: 1, rating: Some(2), timestamp: Some(3) };

    /// Whether `line` is a header of RecBole: its first column is `name:type`.
    pub(super) fn is_recbole_header(line: &str) -> bool {
        let first = line.split('\t').next().unwrap_or(line);
        first.rsplit_once(':').is_some_and(|(_, kind)| RECBOLE_TYPES.contains(&kind))
    }

    /// The columns that a header of RecBole names, such as `user_id:token`, in any order; others are skipped.
    pub(super) fn from_recbole_header(line: &str) -> Result<Self, Fault> {
        let names: Vec<&str> =
            line.split('\t').map(|column| column.split(':').next().unwrap_or(column)).collect();
        let find = |name| names.iter().position(|&column| column == name);
        let require = |name| find(name).ok_or_else(|| Fault::new(name, "the header has no such column"));
        Ok(Self {
            delimiter: '\t',
            count: names.len(),
            user: require("user_id")?,
            item: require("item_id")?,
            rating: find("rating"),
            timestamp: find("timestamp"),
        })
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

fn id<'a>(name: &str, field: &'a str) -> Result<&'a str, Fault> {
    if field.trim().is_empty() {
        return Err(Fault::new(name, "empty"));
    }
    Ok(field)
}

fn number(name: &str, field: &str) -> Result<f64, Fault> {
    match field.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(Fault::new(name, format!("{field:?} is not a finite number"))),
    }
}
