//! Interaction data: who chose what, in which order. The formats, the numbering of users and items and the cache are
//! described in `docs/data.md`.

mod columns;
mod dataset;
mod error;
mod fetch;
mod ids;
pub mod interactions;
pub mod ml100k;
mod sequences;
mod split;
mod stats;

use std::path::Path;

pub use dataset::{Dataset, DatasetBuilder};
pub use error::{Attempt, DataError};
pub use ids::Ids;
pub use sequences::Sequences;
pub use split::{Case, LeaveOneOut, MIN_EVALUATED, Split};
pub use stats::{Stats, TopItem};

/// Reads a data set of any format of [`interactions::Format`], named after the file. All users are kept.
///
/// # Errors
/// The file is missing, cannot be read, has a malformed line (named with its number and field) or no interaction.
pub fn load(path: &Path) -> Result<Dataset, DataError> {
    load_with_min_length(path, 1)
}

/// [`load`] without the users of fewer than `min_length` interactions and the items that only these users had;
/// [`MIN_EVALUATED`] keeps the users that leave-one-out can evaluate.
///
/// # Errors
/// Those of [`load`]; no user is that long.
pub fn load_with_min_length(path: &Path, min_length: usize) -> Result<Dataset, DataError> {
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    let mut builder = DatasetBuilder::new(name);
    let format = interactions::read(path, |interaction| {
        builder.push(interaction.user, interaction.item, interaction.timestamp);
    })?;
    let dataset = builder.min_length(min_length).build()?;
    tracing::debug!(path = %path.display(), ?format, users = dataset.users.len(), "read interactions");
    Ok(dataset)
}
