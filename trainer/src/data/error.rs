use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::{Filters, Split};

/// Why there is no data set.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No file at this path.
    #[error("{}: no such file", path.display())]
    NotFound {
        /// Where the file was looked for.
        path: PathBuf,
    },
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line that its format does not allow.
    #[error("{}, line {line}, {field}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The field of the line, by name where it has one.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing to learn from.
    #[error(
        "data set {name}: no interaction is left of {interactions} with {users} users and {items} items after \
         min_rating = {}, k_core = {}, min_length = {}",
        filters.min_rating, filters.k_core, filters.min_length
    )]
    Empty {
        /// The data set.
        name: String,
        /// What was asked for.
        filters: Filters,
        /// Interactions that the least rating left.
        interactions: usize,
        /// Users before the filters.
        users: usize,
        /// Items before the filters.
        items: usize,
    },
    /// A least rating was asked for, but there is none.
    #[error("{}: the file has no ratings, so min_rating = {min_rating} cannot apply", path.display())]
    Unrated {
        /// The file.
        path: PathBuf,
        /// The least rating.
        min_rating: f64,
    },
    /// A split by time was asked for, but there is none.
    #[error(
        "data set {name}: a temporal split needs timestamps of all interactions; use data.split = \"leave-one-out\""
    )]
    Untimed {
        /// The data set.
        name: String,
    },
    /// Everybody chose too little.
    #[error("data set {name}: no user has two training interactions")]
    NothingToTrain {
        /// The data set.
        name: String,
    },
    /// There is nobody to evaluate on.
    #[error(
        "data set {name}: no user has a {} target: leave-one-out needs three interactions of a user, a temporal split \
         one before and one after the cut",
        which.name()
    )]
    NobodyHeldOut {
        /// The data set.
        name: String,
        /// What is missing.
        which: Split,
    },
    /// None of the places that hold a public data set gave it.
    #[error("{name} could not be fetched{}", list(attempts))]
    Unavailable {
        /// The data set.
        name: &'static str,
        /// What was tried, in order.
        attempts: Vec<Attempt>,
    },
}

/// A place that was tried for a data set, and why it did not give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The place.
    pub source: String,
    /// What went wrong there.
    pub problem: String,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.problem)
    }
}

fn list(attempts: &[Attempt]) -> String {
    attempts.iter().map(|attempt| format!("\n  {attempt}")).collect()
}

impl DataError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            _ => Self::Io { path, source },
        }
    }
}
