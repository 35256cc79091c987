//! The points of a grid: every combination of the values it lists for each knob.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use thiserror::Error;
use toml::{Table, Value};

/// Why a grid was refused.
#[derive(Debug, Error)]
pub(super) enum GridError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// Not TOML.
    #[error("{path}: {source}")]
    Syntax { path: PathBuf, source: toml::de::Error },
    /// A knob without a list of values.
    #[error("{path}: `{key}` is {value}, not a list of values to try")]
    NotAList { path: PathBuf, key: String, value: String },
    /// A knob with an empty list, or no knob.
    #[error("{path}: {what} has no values to try")]
    Empty { path: PathBuf, what: String },
    /// A knob as a dotted key and in a table.
    #[error("{path}: `{key}` stands there twice")]
    Twice { path: PathBuf, key: String },
    /// Two points would share a folder.
    #[error("{path}: two points are called {name}; list each value once")]
    SameName { path: PathBuf, name: String },
}

/// One combination of values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    /// From the values and the ends of the knobs' names, fit for a folder.
    pub(super) name: String,
    /// Value by dotted path of the knob.
    pub(super) settings: BTreeMap<String, Value>,
}

impl Point {
    /// As `--set` takes them.
    pub(super) fn overrides(&self) -> impl Iterator<Item = String> {
        self.settings.iter().map(|(key, value)| format!("{key}={value}"))
    }
}

/// All points of the grid in a file; the last knob by name varies fastest.
pub(super) fn read(path: &Path) -> Result<Vec<Point>, GridError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| GridError::Read { path: path.to_owned(), source })?;
    let table =
        toml::from_str(&text).map_err(|source| GridError::Syntax { path: path.to_owned(), source })?;
    let mut axes = BTreeMap::new();
    collect(path, table, "", &mut axes)?;
    if axes.is_empty() {
        return Err(GridError::Empty { path: path.to_owned(), what: "the grid".to_owned() });
    }
    let mut points = vec![BTreeMap::new()];
    for (key, values) in &axes {
        let with = |point: BTreeMap<String, Value>| {
            values.iter().map(move |value| {
                let mut point = point.clone();
                point.insert(key.clone(), value.clone());
                point
            })
        };
        points = points.into_iter().flat_map(with).collect();
    }
    let short: BTreeMap<&str, &str> = axes.keys().map(|key| (key.as_str(), short(key, &axes))).collect();
    let mut names = BTreeSet::new();
    let named = |settings: BTreeMap<String, Value>| {
        let part = |(key, value): (&String, &Value)| format!("{}-{}", short[key.as_str()], plain(value));
        let name = settings.iter().map(part).collect::<Vec<_>>().join("_");
        match names.insert(name.clone()) {
            true => Ok(Point { name, settings }),
            false => Err(GridError::SameName { path: path.to_owned(), name }),
        }
    };
    points.into_iter().map(named).collect()
}

fn collect(
    path: &Path,
    table: Table,
    prefix: &str,
    axes: &mut BTreeMap<String, Vec<Value>>,
) -> Result<(), GridError> {
    let path_of = || path.to_owned();
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            Value::Table(table) => collect(path, table, &format!("{key}."), axes)?,
            Value::Array(values) if values.is_empty() => {
                return Err(GridError::Empty { path: path_of(), what: format!("`{key}`") });
            }
            Value::Array(values) => {
                if axes.insert(key.clone(), values).is_some() {
                    return Err(GridError::Twice { path: path_of(), key });
                }
            }
            value => return Err(GridError::NotAList { path: path_of(), key, value: value.to_string() }),
        }
    }
    Ok(())
}

/// The shortest end of a dotted key that no other key has.
fn short<'a>(key: &'a str, axes: &BTreeMap<String, Vec<Value>>) -> &'a str {
    let dots = key.match_indices('.').map(|(at, _)| &key[at + 1..]);
    let ends: Vec<&str> = std::iter::once(key).chain(dots).collect();
    let alone =
        |end: &&&str| axes.keys().filter(|k| *k == *end || k.ends_with(&format!(".{end}"))).count() == 1;
    ends.iter().rev().find(alone).copied().unwrap_or(key)
}

/// A value in characters that every file system and shell takes.
fn plain(value: &Value) -> String {
    let text = value.to_string();
    let kept = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-'));
    kept.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(text: &str) -> Result<Vec<Point>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path()).map_err(|error| error.to_string())
    }

    fn names(text: &str) -> Vec<String> {
        grid(text).unwrap().into_iter().map(|point| point.name).collect()
    }

    #[test]
    fn points_are_all_combinations() {
        let points = grid(
            "'train.seed' = [0, 1, 2]\n[model]\ndropout = [.2, .5]"
                .replace(".2", "0.2")
                .replace(".5", "0.5")
                .as_str(),
        )
        .unwrap();
        assert_eq!(points.len(), 6);
        assert_eq!(points[1].name, "dropout-0.2_seed-1");
        assert_eq!(points[1].overrides().collect::<Vec<_>>(), ["model.dropout=0.2", "train.seed=1"]);
    }

    #[test]
    fn names_are_short_but_tell_apart() {
        assert_eq!(names("model.activation = ['relu']"), ["activation-relu"]);
        let both = "[model]\ndropout = [0.1]\n[profile]\ndropout = [0.2]\nhidden = [8]";
        assert_eq!(names(both), ["model.dropout-0.1_profile.dropout-0.2_hidden-8"]);
        assert_eq!(names("quantisation.palette = [[0, 2], [0, 8]]"), ["palette-0-2", "palette-0-8"]);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(grid("").unwrap_err().ends_with("the grid has no values to try"));
        assert!(grid("train.seed = []").unwrap_err().ends_with("`train.seed` has no values to try"));
        assert!(
            grid("train.seed = 1").unwrap_err().ends_with("`train.seed` is 1, not a list of values to try")
        );
        assert!(grid("train.seed = [1, 1]").unwrap_err().contains("two points are called seed-1"));
        assert!(
            grid("'train.seed' = [1]\n[train]\nseed = [2]")
                .unwrap_err()
                .ends_with("`train.seed` stands there twice")
        );
    }
}
