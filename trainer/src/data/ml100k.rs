//! MovieLens 100K (Harper and Konstan, 2015): fetched from GroupLens or, where that host is out of reach, out of the
//! Python package RecBole, which ships it as an example; both end as the same two files in the cache.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::fetch::{FetchError, http, member, wheel};
use super::interactions::read_from;
use super::{Attempt, DataError, Dataset, Filters, LoadOptions, load_with};
use crate::atomic_file;

/// SHA-256 of the canonical interactions: lines `user item rating timestamp` of integers, separated by tabs, in the
/// order of GroupLens' `u.data`.
pub const SHA256: &str = "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490";

/// Number of items, each with a title.
const ITEMS: usize = 1682;

/// Where the files of the data set come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// They lay in the cache.
    Cache,
    /// GroupLens' archive.
    GroupLens,
    /// The Python package RecBole.
    RecBole,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cache => "the cache",
            Self::GroupLens => "GroupLens",
            Self::RecBole => "the Python package RecBole",
        })
    }
}

/// The data set on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Lines `user item rating timestamp`, tab-separated, with [`SHA256`].
    pub interactions: PathBuf,
    /// Lines `item title`, tab-separated; titles end with the year, as in `Toy Story (1995)`.
    pub titles: PathBuf,
    /// Where this call found it.
    pub origin: Origin,
}

/// Where to look, in this order; by default GroupLens and the package index that pip is set up for.
#[derive(Debug, Clone)]
pub struct Sources {
    /// URL of a zip archive with `ml-100k/u.data` and `ml-100k/u.item`.
    pub archive: String,
    /// What to ask pip for: a version of RecBole that holds the data.
    pub package: String,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            archive: "https://files.grouplens.org/datasets/movielens/ml-100k.zip".to_owned(),
            package: "recbole==1.2.1".to_owned(),
        }
    }
}

/// The data set with titles, fetched into `cache_dir` if it is not there.
///
/// # Errors
/// As [`fetch`].
pub fn load(cache_dir: &Path) -> Result<Dataset, DataError> {
    load_filtered(cache_dir, Filters::default())
}

/// [`load`] with only what passes the filters.
///
/// # Errors
/// As [`fetch`]; nothing passes.
pub fn load_filtered(cache_dir: &Path, filters: Filters) -> Result<Dataset, DataError> {
    let fetched = fetch(cache_dir)?;
    let mut dataset = load_with(&fetched.interactions, LoadOptions { filters, ..LoadOptions::default() })?;
    let text = fs::read_to_string(&fetched.titles).map_err(|error| DataError::io(&fetched.titles, error))?;
    let titles: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('\t')).collect();
    // Both files were verified: every item has its title.
    dataset.titles = Some(dataset.items.iter().map(|item| titles[item.as_str()].to_owned()).collect());
    Ok(dataset)
}

/// Makes sure that `cache_dir/ml-100k/` holds the data set, whole and verified. Logs where it came from.
///
/// # Errors
/// No source gave the data: each is named with its reason; or the cache cannot be written.
pub fn fetch(cache_dir: &Path) -> Result<Fetched, DataError> {
    fetch_from(cache_dir, &Sources::default())
}

/// [`fetch`] from other places, such as a mirror.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_from(cache_dir: &Path, sources: &Sources) -> Result<Fetched, DataError> {
    let folder = cache_dir.join("ml-100k");
    let (interactions, titles) = (folder.join("ml-100k.inter"), folder.join("titles.tsv"));
    let mut attempts = Vec::new();
    let mut failed = |source: String, problem: String| {
        tracing::warn!(source, problem, "no ML-100K here");
        attempts.push(Attempt { source, problem });
    };

    if interactions.exists() && titles.exists() {
        match read_cache(&interactions, &titles).and_then(|files| files.verify()) {
            Ok(()) => return Ok(Fetched { interactions, titles, origin: Origin::Cache }),
            Err(error) => failed(folder.display().to_string(), error.to_string()),
        }
    }
    for (origin, place) in [(Origin::GroupLens, &sources.archive), (Origin::RecBole, &sources.package)] {
        let files = match origin {
            Origin::GroupLens => from_grouplens(place),
            _ => from_recbole(place),
        };
        match files.and_then(|files| files.verify().map(|()| files)) {
            Ok(files) => {
                for (path, text) in [(&titles, files.titles), (&interactions, files.interactions)] {
                    atomic_file::write(path, text.as_bytes()).map_err(|error| DataError::io(path, error))?;
                }
                tracing::info!(%origin, from = place, folder = %folder.display(), "fetched ML-100K");
                return Ok(Fetched { interactions, titles, origin });
            }
            Err(error) => failed(format!("{origin} ({place})"), error.to_string()),
        }
    }
    Err(DataError::Unavailable { name: "ML-100K", attempts })
}

/// Both files in their canonical form.
struct Files {
    interactions: String,
    titles: String,
}

impl Files {
    fn verify(&self) -> Result<(), FetchError> {
        let mut hash = String::with_capacity(64);
        for byte in Sha256::digest(&self.interactions) {
            write!(hash, "{byte:02x}").expect("a String takes all");
        }
        if hash != SHA256 {
            return Err(wrong("interactions", format!("SHA-256 is {hash}, not {SHA256}")));
        }
        let mut lines = self.titles.lines();
        let titled = (1..=ITEMS).take_while(|item| {
            let line = lines.next().and_then(|line| line.split_once('\t'));
            line.is_some_and(|(id, title)| id == item.to_string() && !title.is_empty())
        });
        let titled = titled.count();
        if titled < ITEMS || lines.next().is_some() {
            return Err(wrong(
                "titles",
                format!("not one line for each of {ITEMS} items (wrong after {titled})"),
            ));
        }
        Ok(())
    }
}

fn wrong(name: &str, problem: impl Into<String>) -> FetchError {
    FetchError::Content { name: name.to_owned(), problem: problem.into() }
}

fn read_cache(interactions: &Path, titles: &Path) -> Result<Files, FetchError> {
    Ok(Files { interactions: fs::read_to_string(interactions)?, titles: fs::read_to_string(titles)? })
}

fn from_grouplens(url: &str) -> Result<Files, FetchError> {
    let archive = http(url)?;
    let interactions = canonical(&member(&archive, "ml-100k/u.data")?, "u.data")?;
    // ISO 8859-1: each byte is the code point.
    let items: String = member(&archive, "ml-100k/u.item")?.into_iter().map(char::from).collect();
    let mut titles = String::new();
    for line in items.lines() {
        let mut fields = line.split('|');
        let (id, title) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        writeln!(titles, "{id}\t{title}").expect("a String takes all");
    }
    Ok(Files { interactions, titles })
}

fn from_recbole(requirement: &str) -> Result<Files, FetchError> {
    let archive = wheel(requirement)?;
    let member = |name| member(&archive, &format!("recbole/dataset_example/ml-100k/{name}"));
    let interactions = canonical(&member("ml-100k.inter")?, "ml-100k.inter")?;
    let items = String::from_utf8(member("ml-100k.item")?).map_err(|_| wrong("ml-100k.item", "not UTF-8"))?;
    let mut titles = String::new();
    for line in items.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            // GroupLens' nameless item, as RecBole spells it.
            [id, "unkonwn", ..] => writeln!(titles, "{id}\tunknown"),
            [id, title, year, ..] => writeln!(titles, "{id}\t{title} ({year})"),
            _ => return Err(wrong("ml-100k.item", format!("no year in {line:?}"))),
        }
        .expect("a String takes all");
    }
    Ok(Files { interactions, titles })
}

/// Lines of integers from any column format.
fn canonical(bytes: &[u8], name: &str) -> Result<String, FetchError> {
    let mut text = String::with_capacity(bytes.len());
    read_from(bytes, Path::new(name), 0, |interaction| {
        let (rating, time) =
            (interaction.rating.unwrap_or_default(), interaction.timestamp.unwrap_or_default());
        writeln!(text, "{}\t{}\t{rating}\t{time}", interaction.user, interaction.item)
            .expect("a String takes all");
    })
    .map_err(|error| wrong(name, error.to_string()))?;
    Ok(text)
}
