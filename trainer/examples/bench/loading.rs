//! Seconds to load many interactions, first from their source and then from the cache.

use chord_trainer::data::{LoadOptions, load_cached};
use chord_trainer::random::mix;
use chord_trainer::training::process_memory::ProcessMemory;
use clap::Args;
use cpu_time::ProcessTime;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

/// Prints a table. The default has the shape of MovieLens-20M.
#[derive(Args)]
pub(crate) struct Loading {
    /// Interactions
    #[arg(long, default_value_t = 20_000_000)]
    interactions: u64,
    /// Users
    #[arg(long, default_value_t = 138_493)]
    users: u64,
    /// Items
    #[arg(long, default_value_t = 26_744)]
    items: u64,
}

impl Loading {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        println!(
            "# Loading {} interactions\n\nWritten by `cargo run --release --package chord-trainer --example bench -- \
             loading`. {}\n\n{} users, {} items, at random. *First* reads the source and writes the cache, *then* maps the \
             cache and checks its SHA-256 and every item row. The source was just written, so it is in the page cache.\n\n\
             | format | source MiB | cache MiB | first s | of them processor | then s | of them processor | peak memory MiB after both |\n|---|--:|--:|--:|--:|--:|--:|--:|",
            self.interactions,
            crate::origin(),
            self.users,
            self.items
        );
        let folder = tempfile::tempdir()?;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        // Sequences first: they need less memory, and the peak is of the whole process.
        for name in ["sequences.txt", "ratings.csv"] {
            let path = folder.path().join(name);
            let cache = folder.path().join(format!("{name}-cache"));
            match name {
                "ratings.csv" => self.write_ratings(&path)?,
                _ => self.write_sequences(&path)?,
            }
            let load = || -> anyhow::Result<_> {
                let (began, cpu) = (Instant::now(), ProcessTime::now());
                let data = load_cached(&path, LoadOptions::default(), &cache)?;
                let seconds = [began.elapsed(), cpu.elapsed()].map(|time| time.as_secs_f64());
                Ok((seconds, data))
            };
            let (first, read) = load()?;
            let (then, mapped) = load()?;
            anyhow::ensure!(read == mapped, "{name}: the cache has other content");
            anyhow::ensure!(read.sequences.interactions().len() as u64 == self.interactions);
            let file = std::fs::read_dir(cache.join("datasets"))?.next().expect("it was written")?;
            let peak = ProcessMemory::now().map_or("unknown".to_owned(), |m| format!("{:.0}", mib(m.peak)));
            println!(
                "| `{name}` | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {peak} |",
                mib(std::fs::metadata(&path)?.len()),
                mib(file.metadata()?.len()),
                first[0],
                first[1],
                then[0],
                then[1]
            );
            std::fs::remove_file(&path)?;
        }
        Ok(())
    }

    fn item(&self, at: u64) -> u64 {
        1 + mix(&[at]) % self.items
    }

    /// The users take turns, so that each one's interactions are spread over the file, newest first.
    fn write_ratings(&self, path: &Path) -> std::io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        writeln!(out, "userId,movieId,rating,timestamp")?;
        for at in 0..self.interactions {
            let (user, time) = (1 + at % self.users, 1_500_000_000 - at);
            writeln!(out, "{user},{},{}.5,{time}", self.item(at), at % 5)?;
        }
        out.flush()
    }

    fn write_sequences(&self, path: &Path) -> std::io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        for user in 0..self.users {
            write!(out, "{}", user + 1)?;
            for at in (user..self.interactions).step_by(self.users as usize) {
                write!(out, " {}", self.item(at))?;
            }
            writeln!(out)?;
        }
        out.flush()
    }
}
