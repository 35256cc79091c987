//! Runs a firmware in QEMU and decodes its defmt messages.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use defmt_decoder::{DecodeError, Frame, Table};

/// The emulator.
pub const PROGRAM: &str = "qemu-system-arm";

/// Machine and devices. The only way out is semihosting: messages on stdout, the exit code.
const ARGUMENTS: [&str; 10] = [
    "-machine",
    "mps2-an386",
    "-nographic",
    "-monitor",
    "none",
    "-serial",
    "none",
    "-semihosting-config",
    "enable=on,target=native",
    "-kernel",
    // then the ELF
];

/// Runs `elf` to its end; passes each message to `print` as it comes, with its level in front. Returns the exit code.
///
/// Errors: no QEMU, an ELF without defmt, a broken stream, the timeout.
pub fn run(elf: &Path, timeout: Duration, mut print: impl FnMut(&str)) -> Result<u8> {
    let image = fs::read(elf).with_context(|| format!("reading {}", elf.display()))?;
    let table = Table::parse(&image)?.with_context(|| format!("{} has no defmt messages", elf.display()))?;
    let spawned =
        Command::new(PROGRAM).args(ARGUMENTS).arg(elf).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!("{PROGRAM} is not installed; `cargo xtask test` installs it"),
        _ => anyhow!("starting {PROGRAM}: {error}"),
    })?;
    let mut stdout = child.stdout.take().context("QEMU's stdout is a pipe")?;
    let child = Mutex::new(child);

    let (finished, watched) = channel::<()>();
    let machine = &child;
    let (decoded, timed_out) = thread::scope(|scope| {
        let watchdog = scope.spawn(move || {
            let timed_out = watched.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout);
            if timed_out {
                // Ends the stream, and so the decoding below.
                let _ = lock(machine).kill();
            }
            timed_out
        });
        let decoded = decode(&table, &mut stdout, &mut print);
        drop(finished);
        (decoded, watchdog.join().unwrap_or(false))
    });
    if decoded.is_err() {
        let _ = lock(&child).kill();
    }
    let status = lock(&child).wait()?;
    if timed_out {
        bail!("the firmware was still running after {timeout:?}");
    }
    decoded?;
    let code = status.code().with_context(|| format!("{PROGRAM} died: {status}"))?;
    Ok(u8::try_from(code)?)
}

fn lock(child: &Mutex<Child>) -> std::sync::MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn decode(table: &Table, stream: &mut impl Read, print: &mut impl FnMut(&str)) -> Result<()> {
    let mut decoder = table.new_stream_decoder();
    let mut buffer = [0; 1024];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        decoder.received(&buffer[..read]);
        loop {
            match decoder.decode() {
                Ok(frame) => print(&line(&frame)),
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) => bail!("a malformed defmt frame"),
            }
        }
    }
}

fn line(frame: &Frame<'_>) -> String {
    let level = frame.level().map_or("print", |level| level.as_str());
    format!("{level} {}", frame.display_message())
}
