//! Interaction data: who chose what, in which order. The formats, the numbering of users and items and the cache are
//! described in `docs/data.md`.

mod block;
mod cache;
mod columns;
mod dataset;
mod error;
mod fetch;
mod filters;
mod ids;
mod input;
pub mod interactions;
pub mod ml100k;
mod reviews;
mod sequences;
mod split;
mod stats;
mod times;

use std::path::Path;

pub use cache::load_cached;
pub use dataset::{Dataset, DatasetBuilder, LeftOut};
pub use error::{Attempt, DataError};
pub use filters::Filters;
pub use ids::Ids;
pub use sequences::Sequences;
pub use split::{Case, HeldOut, MIN_EVALUATED, Split, SplitRule};
pub use stats::{Stats, TopItem};
pub use times::Times;

/// How a data set is read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LoadOptions {
    /// Malformed lines that may be skipped.
    pub skip_bad: usize,
    /// Which interactions count.
    pub filters: Filters,
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
/// Those of [`load`]; more malformed lines than may be skipped; nothing passes the filters, or they need ratings and
/// there are none.
pub fn load_with(path: &Path, options: LoadOptions) -> Result<Dataset, DataError> {
    let mut builder = DatasetBuilder::new(input::stem(path)).filters(options.filters);
    let mut rated = false;
    let outcome = interactions::read(path, options.skip_bad, |interaction| {
        rated |= interaction.rating.is_some();
        builder.push(interaction.user, interaction.item, interaction.rating, interaction.timestamp);
    })?;
    if !rated && options.filters.min_rating != 0.0 {
        return Err(DataError::Unrated { path: path.to_owned(), min_rating: options.filters.min_rating });
    }
    let mut dataset = builder.build()?;
    dataset.left_out.lines = outcome.skipped;
    if outcome.skipped > 0 {
        tracing::warn!(path = %path.display(), lines = outcome.skipped, "skipped malformed lines");
    }
    tracing::info!("{}: {}", path.display(), outcome.format);
    Ok(dataset)
}
