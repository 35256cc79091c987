//! `chord data`

use crate::data::{Filters, LoadOptions, Stats, load_cached, ml100k};
use anyhow::ensure;
use clap::{Args, Subcommand};
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Data {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Download a data set into the cache, if it is not there
    Fetch {
        /// ml-100k
        name: String,
        /// Folder that keeps fetched data sets
        #[arg(long, default_value = "data")]
        cache: PathBuf,
    },
    /// Users, items, lengths and ties of a data set
    Stats {
        /// ml-100k, or a path to interactions in a format of docs/data.md
        source: String,
        /// Malformed lines that may be skipped
        #[arg(long, default_value_t = 0, value_name = "N")]
        skip_bad: usize,
        /// Leave out interactions rated below this; 0 keeps all
        #[arg(long, default_value_t = 0.0, value_name = "RATING", allow_negative_numbers = true)]
        min_rating: f64,
        /// Leave out users and items of fewer interactions, until no more are
        #[arg(long, default_value_t = 1, value_name = "K")]
        k_core: usize,
        /// Leave out users of fewer interactions
        #[arg(long, default_value_t = 1, value_name = "N")]
        min_length: usize,
        /// Folder that keeps fetched data sets, and large files as read
        #[arg(long, default_value = "data")]
        cache: PathBuf,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
}

impl Data {
    pub(super) fn run(self) -> anyhow::Result<()> {
        crate::logging::init(None)?;
        match self.command {
            DataCommand::Fetch { name, cache } => {
                ensure!(name == "ml-100k", "{name:?} cannot be fetched; the data set that can is ml-100k");
                let fetched = ml100k::fetch(&cache)?;
                writeln!(stdout(), "{} (from {})", fetched.interactions.display(), fetched.origin)?;
            }
            DataCommand::Stats { source, skip_bad, min_rating, k_core, min_length, cache, json } => {
                ensure!(min_rating.is_finite(), "--min-rating must be finite");
                ensure!(k_core > 0 && min_length > 0, "--k-core and --min-length must be at least 1");
                let filters = Filters { min_rating, k_core, min_length };
                let data = match source.as_str() {
                    "ml-100k" => ml100k::load_filtered(&cache, filters)?,
                    path => load_cached(path.as_ref(), LoadOptions { skip_bad, filters }, &cache)?,
                };
                let stats = Stats::of(&data);
                match json {
                    true => writeln!(stdout(), "{}", serde_json::to_string_pretty(&stats)?)?,
                    false => write!(stdout(), "{stats}")?,
                }
            }
        }
        Ok(())
    }
}
