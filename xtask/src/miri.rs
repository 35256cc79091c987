//! The tests of the format and of the runtime in Miri, which finds undefined behaviour: reads and writes outside of memory
//! or of numbers that were never written, references that must not be to the same place.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use crate::test::{run_command, target_dir, workspace};

/// Rust's toolchain that has Miri.
const TOOLCHAIN: &str = "nightly";

/// What is interpreted on any host: of this target's intrinsics Miri knows those that the kernels use.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// All that `kernels::X86` has a kernel for: in Miri a processor has what the build says. And SHA, whose instructions take
/// Miri fewer steps than plain Rust.
const FLAGS: &str = "-Ctarget-feature=+avx2,+avxvnni,+avx512vl,+avx512vnni,+sha";

/// Cases of a property test, which take seconds each; the tests leave out what would take minutes nevertheless.
const CASES: &str = "2";

/// Programs of tests, as cargo calls them, the longest first.
const PROGRAMS: [&str; 12] = [
    "--test=c_api",
    "--test=session",
    "--test=exact",
    "--test=fixed_point",
    "--lib",
    "--test=inputs",
    "--test=embeddings",
    "--test=profile",
    "--test=kernels",
    "--test=memory",
    "--test=tokens",
    "--test=build_script",
];

/// Installs Miri, and the sources of the standard library that it interprets, where they are missing.
///
/// Errors: no rustup, or no Miri to be had.
fn set_up() -> Result<()> {
    let runs = |arguments: &[&str]| {
        let status = cargo(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if runs(&["miri", "--version"]) {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    match runs(&["--version"]) {
        true => rustup.args(["component", "add", "--toolchain", TOOLCHAIN, "miri", "rust-src"]),
        false => {
            rustup.args(["toolchain", "install", TOOLCHAIN, "--profile=minimal", "--component=miri,rust-src"])
        }
    };
    run_command(&mut rustup).context("Miri is part of Rust's nightly toolchain")
}

/// Runs the tests, as many of their programs at a time as there are cores: Miri itself takes one.
///
/// Errors: a test that fails, or what Miri finds.
pub fn run() -> Result<()> {
    set_up()?;
    discard_those_of_another_clone()?;
    run_command(&mut tests(&["--tests", "--no-run"]))?;
    let programs = Mutex::new(PROGRAMS.iter());
    let next = || programs.lock().unwrap_or_else(PoisonError::into_inner).next().copied();
    let work = || {
        while let Some(program) = next() {
            let output = tests(&[program]).output().context("running Miri")?;
            print!("{}", String::from_utf8_lossy(&output.stdout));
            if !output.status.success() {
                bail!("{}{program}: {}", String::from_utf8_lossy(&output.stderr), output.status);
            }
        }
        Ok(())
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?)
    })
}

/// Programs for Miri run in the folder of the clone that they were built in. Those that another one left in a kept build
/// folder cargo would take for up to date.
fn discard_those_of_another_clone() -> Result<()> {
    let (folder, clone) = (target_dir("miri"), workspace().display().to_string());
    let marker = folder.join("clone");
    if fs::read_to_string(&marker).is_ok_and(|there| there == clone) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    fs::write(&marker, clone).with_context(|| marker.display().to_string())
}

/// Cargo with Miri for tests of the two packages, always both: one alone would have other features and be built anew.
fn tests(arguments: &[&str]) -> Command {
    let mut command = cargo(&["miri", "test", "--locked", "--target", TARGET]);
    command
        .args(["--package", "chord-plan", "--package", "chord-runtime"])
        // Roots in plain Rust, not in inline assembly, which Miri lacks.
        .args(["--features", "libm/force-soft-floats"])
        .args(arguments)
        .env("RUSTFLAGS", FLAGS)
        // The golden files are read, and the seeds of property tests that failed.
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("PROPTEST_CASES", CASES)
        // The random numbers that take the fewest steps.
        .env("PROPTEST_RNG_ALGORITHM", "xs")
        .current_dir(workspace());
    command
}

/// Cargo of the nightly toolchain, which the one that runs this program must not stand in for.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", TOOLCHAIN, "cargo"]).args(arguments).env_remove("CARGO");
    command.env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}
