//! Data sets as one binary file, checked by its digest and then mapped into memory; specified in `docs/data.md`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use memmap2::Mmap;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::ids::Ids;
use super::{DataError, Dataset, Filters, LeftOut, LoadOptions, Sequences, Times, load_with};
use crate::atomic_file;

const MAGIC: [u8; 8] = *b"CHORDDAT";
/// Of the layout, and of what readers and filters make of a source: a change of either takes the next number.
const VERSION: u64 = 2;
const DIGEST_BYTES: usize = 32;
/// Smaller sources are read in less than a second.
const CACHED_FROM_BYTES: u64 = 16 << 20;

/// What a cached data set was made from.
#[derive(Serialize)]
struct Key<'a> {
    path: &'a str,
    bytes: u64,
    modified_ns: u128,
    skip_bad: usize,
    filters: Filters,
}

/// [`load_with`], through a cache in `folder` where the source is large. A cache that is stale, cut short or corrupted
/// is made anew; one that cannot be written is done without. Both are logged as warnings, but for the stale one.
///
/// # Errors
/// Those of [`load_with`].
pub fn load_cached(path: &Path, options: LoadOptions, folder: &Path) -> Result<Dataset, DataError> {
    match fs::metadata(path) {
        Ok(source) if source.len() >= CACHED_FROM_BYTES => load_through(path, options, folder),
        _ => load_with(path, options),
    }
}

fn load_through(path: &Path, options: LoadOptions, folder: &Path) -> Result<Dataset, DataError> {
    let Some(key) = key_of(path, options) else { return load_with(path, options) };
    let name = super::input::stem(path);
    let file = file_of(folder, &name, path, options);
    match File::open(&file).map(|file| read(&file, &name, &key)) {
        Ok(Ok(Some(dataset))) => return Ok(dataset),
        Ok(Err(problem)) => tracing::warn!(file = %file.display(), problem, "cached data set made anew"),
        Ok(Ok(None)) | Err(_) => {}
    }
    let dataset = load_with(path, options)?;
    // A source that changed while it was read is not what the key says.
    if key_of(path, options).as_ref() == Some(&key)
        && let Err(error) = atomic_file::write(&file, &encode(&dataset, &key))
    {
        tracing::warn!(file = %file.display(), %error, "data set not cached");
    }
    Ok(dataset)
}

/// `None` where the system cannot tell what identifies the source.
fn key_of(path: &Path, LoadOptions { skip_bad, filters }: LoadOptions) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let source = fs::metadata(&path).ok()?;
    let modified_ns = source.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    let key = Key { path: path.to_str()?, bytes: source.len(), modified_ns, skip_bad, filters };
    serde_json::to_string(&key).ok()
}

/// One file for each source and options, so that a changed source replaces its cache.
fn file_of(folder: &Path, name: &str, path: &Path, options: LoadOptions) -> PathBuf {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let digest = Sha256::digest(format!("{} {options:?}", path.display()));
    let short: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join("datasets").join(format!("{name}-{short}.chord-data"))
}

fn encode(dataset: &Dataset, key: &str) -> Vec<u8> {
    let LeftOut { lines, rated_below, interactions, users, items } = dataset.left_out;
    let choices = dataset.sequences.interactions();
    let times = dataset.times.as_deref().unwrap_or_default();
    let mut bytes = Vec::with_capacity(4 * choices.len() + 8 * times.len());
    let word = |bytes: &mut Vec<u8>, value: usize| bytes.extend((value as u64).to_le_bytes());
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    let (users_in, items_in) = (dataset.users.len(), dataset.items.len());
    let counts = [key.len(), users_in, items_in, choices.len(), times.len(), dataset.tied];
    for value in counts.into_iter().chain([lines, rated_below, interactions, users, items]) {
        word(&mut bytes, value);
    }
    dataset.sequences.iter().for_each(|sequence| word(&mut bytes, sequence.len()));
    times.iter().for_each(|time| bytes.extend(time.to_le_bytes()));
    choices.iter().for_each(|item| bytes.extend(item.to_le_bytes()));
    bytes.extend(key.as_bytes());
    for id in dataset.users.iter().chain(&*dataset.items) {
        word(&mut bytes, id.len());
        bytes.extend(id.as_bytes());
    }
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest);
    bytes
}

/// The data set, or `None` if it was made from something else.
fn read(file: &File, name: &str, key: &str) -> Result<Option<Dataset>, String> {
    // SAFETY: the file is written once, under another name, and from then on only replaced as a whole or removed,
    // which leaves this mapping of it as it is.
    let map = unsafe { Mmap::map(file) }.map_err(|error| error.to_string())?;
    decode(Arc::new(map), name, key)
}

fn decode(map: Arc<Mmap>, name: &str, key: &str) -> Result<Option<Dataset>, String> {
    let short = || "cut short".to_owned();
    let (content, digest) = map.split_last_chunk::<DIGEST_BYTES>().ok_or_else(short)?;
    if Sha256::digest(content)[..] != digest[..] {
        return Err("its SHA-256 is another".to_owned());
    }
    let mut rest = Rest(content);
    if rest.take(MAGIC.len()).ok_or_else(short)? != MAGIC {
        return Err("not a data set of CHORD".to_owned());
    }
    if rest.word().ok_or_else(short)? as u64 != VERSION {
        return Ok(None);
    }
    let mut parse = || {
        let mut counts = [0; 11];
        for count in &mut counts {
            *count = rest.word()?;
        }
        let [key_bytes, users, items, choices, timed, tied, left_out @ ..] = counts;
        let mut offsets = vec![0];
        for _ in 0..users {
            offsets.push(offsets.last()? + rest.word()?);
        }
        let mut range = |count: usize, bytes: usize| {
            let start = content.len() - rest.0.len();
            Some(start..start + rest.take(count.checked_mul(bytes)?)?.len())
        };
        let times = Times::mapped(&map, range(timed, 8)?)?;
        let range = range(choices, 4)?;
        if rest.take(key_bytes)? != key.as_bytes() {
            return Some(None);
        }
        let sequences = Sequences::mapped(&map, range, offsets)?;
        let times = match timed {
            0 => None,
            _ => Some(times),
        };
        let fits = times.as_ref().is_none_or(|times| times.fit(&sequences));
        let (users, items) = (rest.ids(users)?, rest.ids(items)?);
        let known = sequences.interactions().iter().all(|&item| (item as usize) < items.len());
        let [lines, rated_below, interactions, users_out, items_out] = left_out;
        let left_out = LeftOut { lines, rated_below, interactions, users: users_out, items: items_out };
        let name = name.to_owned();
        (known && fits && rest.0.is_empty())
            .then(|| Some(Dataset { name, users, items, titles: None, sequences, times, tied, left_out }))
    };
    parse().ok_or_else(|| "its parts do not fit together".to_owned())
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.take(8)?.try_into().ok()?)).ok()
    }

    fn ids(&mut self, count: usize) -> Option<Ids> {
        let id = |_| {
            let length = self.word()?;
            Some(std::str::from_utf8(self.take(length)?).ok()?.to_owned())
        };
        Some(Ids::new((0..count).map(id).collect::<Option<_>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand after `docs/data.md`: user `a` chose `y`, `x`; user `b` chose `y`; at times -1, 3 and
    /// 2.5; key `k`.
    const GOLDEN: &[u8] = include_bytes!("golden.chord-data");

    fn decoded(bytes: &[u8], key: &str) -> Result<Option<Dataset>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, bytes).unwrap();
        read(file.as_file(), "x", key)
    }

    #[test]
    fn golden() {
        let dataset = decoded(GOLDEN, "k").unwrap().unwrap();
        assert_eq!((dataset.users.join(" "), dataset.items.join(" ")), ("a b".to_owned(), "y x".to_owned()));
        assert_eq!(dataset.sequences.iter().collect::<Vec<_>>(), [&[0, 1][..], &[0]]);
        assert_eq!(dataset.times.as_deref(), Some(&[-1.0, 3.0, 2.5][..]));
        let left_out = LeftOut { lines: 1, rated_below: 2, interactions: 3, users: 4, items: 5 };
        assert_eq!((dataset.tied, dataset.left_out), (2, left_out));
        assert_eq!(encode(&dataset, "k"), GOLDEN);
        assert_eq!(decoded(GOLDEN, "l"), Ok(None));
        assert_eq!(GOLDEN.len(), 13 * 8 + 2 * 8 + 3 * 8 + 3 * 4 + 1 + 4 * 9 + DIGEST_BYTES);
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_noticed() {
        for length in 0..GOLDEN.len() {
            decoded(&GOLDEN[..length], "k").unwrap_err();
            let mut flipped = GOLDEN.to_vec();
            flipped[length] ^= 0x10;
            decoded(&flipped, "k").unwrap_err();
        }
    }

    #[test]
    fn used_while_fresh_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("s.txt");
        fs::write(&source, "a y x\nb y\n").unwrap();
        let options = LoadOptions::default();
        let load = |options| load_through(&source, options, folder.path()).unwrap();
        let plain = load_with(&source, options).unwrap();
        let file = file_of(folder.path(), "s", &source, options);
        assert_eq!(load(options), plain);
        let written = fs::read(&file).unwrap();

        // A cache with the right key and other content shows that it is the cache that is read.
        let key = key_of(&source, options).unwrap();
        fs::write(&file, encode(&Dataset { tied: 7, ..plain.clone() }, &key)).unwrap();
        assert_eq!(load(options).tied, 7);
        let filters = Filters { k_core: 2, min_length: 1, min_rating: 0.0 };
        let error = load_through(&source, LoadOptions { filters, ..options }, folder.path()).unwrap_err();
        assert!(matches!(error, DataError::Empty { .. }), "not the cache of other filters: {error}");

        fs::write(&file, &written[..written.len() / 2]).unwrap();
        assert_eq!(load(options), plain);
        assert_eq!(fs::read(&file).unwrap(), written, "mended");

        fs::write(&source, "a y x\nb z y\n").unwrap();
        assert_eq!(load(options), load_with(&source, options).unwrap());
        assert_ne!(fs::read(&file).unwrap(), written);
    }
}
