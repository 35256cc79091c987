//! Interaction data: who chose what, in which order. The formats, the numbering of users and items and the cache are
//! described in `docs/data.md`.

mod columns;
mod dataset;
mod error;
mod fetch;
mod ids;
mod input;
pub mod interactions;
pub mod ml100k;
mod reviews;
mod sequences;
mod split;
mod stats;

use std::path::Path;

pub use dataset::{Dataset, DatasetBuilder, LeftOut};
pub use error::{Attempt, DataError};
pub use ids::Ids;
pub use sequences::Sequences;
pub use split::{Case, LeaveOneOut, MIN_EVALUATED, Split};
pub use stats::{Stats, TopItem};

/// How a data set is read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LoadOptions {
    /// Malformed lines that may be skipped.
    pub skip_bad: usize,
}

/// Reads a data set of any format of [`interactions::Format`], plain or compressed, named after the file. All users
/// are kept.
///
/// # Errors
/// The file is missing, cannot be read, has a malformed line (named with its number and field) or no interaction.
pub fn load(path: &Path) -> Result<Dataset, DataError> {
    load_with(path, LoadOptions::default())
}

/// [`load`] with options.
///
/// # Errors
/// Those of [`load`]; more malformed lines than may be skipped.
pub fn load_with(path: &Path, options: LoadOptions) -> Result<Dataset, DataError> {
    let mut builder = DatasetBuilder::new(input::stem(path));
    let outcome = interactions::read(path, options.skip_bad, |interaction| {
        builder.push(interaction.user, interaction.item, interaction.timestamp);
    })?;
    let mut dataset = builder.build()?;
    dataset.left_out.lines = outcome.skipped;
    if outcome.skipped > 0 {
        tracing::warn!(path = %path.display(), lines = outcome.skipped, "skipped malformed lines");
    }
    tracing::debug!(path = %path.display(), format = ?outcome.format, users = dataset.users.len(), "read interactions");
    Ok(dataset)
}
