//! Log lines: short ones on standard error, dated ones in the run folder.

use crate::training::progress::LogWriter;
use std::path::Path;
use std::sync::Mutex;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, registry};

/// Starts logging, also to `log.txt` in `run` if given. Only the first call of a process has an effect.
///
/// # Errors
/// If the log file cannot be opened.
pub fn init(run: Option<&Path>) -> std::io::Result<()> {
    let terminal = fmt::layer().without_time().with_target(false).with_level(false).with_ansi(false);
    let terminal = terminal.with_writer(|| LogWriter).with_filter(LevelFilter::INFO);
    let file = match run {
        None => None,
        Some(run) => {
            let file = std::fs::File::options().create(true).append(true).open(run.join("log.txt"))?;
            Some(fmt::layer().with_ansi(false).with_writer(Mutex::new(file)).with_filter(LevelFilter::INFO))
        }
    };
    let _ = registry().with(terminal).with(file).try_init();
    Ok(())
}
