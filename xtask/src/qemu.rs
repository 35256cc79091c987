//! Runs a firmware in QEMU and reads its messages: defmt on Arm, text elsewhere.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use defmt_decoder::{DecodeError, Frame, Table};

use crate::boards::Board;

/// Devices of every machine. The only way out is semihosting: messages on stdout, the exit code.
pub(crate) const ARGUMENTS: [&str; 8] = [
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

/// Where in [`ARGUMENTS`] it says what the serial port is.
const SERIAL: usize = 4;

/// Runs `elf` to its end; passes each message to `print` as it comes, with its level in front. Returns the exit code.
///
/// The ELF says which board it is for. Errors: no QEMU, an ELF for no board, a broken stream, the timeout.
pub fn run(elf: &Path, timeout: Duration, print: impl FnMut(&str)) -> Result<u8> {
    let status = emulate(elf, timeout, "none", print, |_| {})?;
    let code = status.code().with_context(|| format!("QEMU died: {status}"))?;
    Ok(u8::try_from(code)?)
}

/// Runs `elf`, its first serial port at `serial` as QEMU's option of that name says, until `attend` has returned;
/// returns what it returned. All else as [`run`].
pub fn run_attended<T: Send>(
    elf: &Path,
    timeout: Duration,
    serial: &str,
    print: impl FnMut(&str),
    attend: impl FnOnce() -> T + Send,
) -> Result<T> {
    let mut result = None;
    emulate(elf, timeout, serial, print, |machine| {
        result = Some(attend());
        // Ends the stream of messages. It may have ended by itself.
        let _ = lock(machine).kill();
    })?;
    result.context("the machine was not attended")
}

/// Starts the machine and `attend`; decodes its messages until there are no more.
fn emulate(
    elf: &Path,
    timeout: Duration,
    serial: &str,
    mut print: impl FnMut(&str),
    attend: impl FnOnce(&Mutex<Child>) + Send,
) -> Result<ExitStatus> {
    let image = fs::read(elf).with_context(|| format!("reading {}", elf.display()))?;
    let board = Board::of(&image, elf)?;
    let table = Table::parse(&image)?;
    let mut arguments = ARGUMENTS;
    arguments[SERIAL] = serial;
    let mut command = Command::new(board.qemu);
    command.args(board.machine).args(arguments).arg(elf);
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!("{} is not installed; `cargo xtask setup` installs it", board.qemu),
        _ => anyhow!("starting {}: {error}", board.qemu),
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
        scope.spawn(move || attend(machine));
        let decoded = match &table {
            Some(table) => decode(table, &mut stdout, &mut print),
            None => BufReader::new(stdout).lines().try_for_each(|line| {
                print(&line?);
                Ok(())
            }),
        };
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
    Ok(status)
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
