//! The C interface: its header, its library and the example in C.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::boards::{BOARDS, Board};
use crate::test::workspace;

/// The example's board.
const BOARD: &Board = &BOARDS[0];

fn folder() -> PathBuf {
    workspace().join("c-api")
}

/// Where the header lies.
pub fn header_path() -> PathBuf {
    folder().join("include/chord.h")
}

/// The header that cbindgen makes of the sources.
///
/// Errors: sources that it cannot read.
pub fn header() -> Result<String> {
    let sources = workspace().join("runtime-nostd/src");
    let config = cbindgen::Config::from_file(folder().join("cbindgen.toml")).map_err(anyhow::Error::msg)?;
    let mut builder = cbindgen::Builder::new().with_config(config);
    // The modules below come with theirs.
    for source in ["ranking.rs", "c_api/mod.rs"] {
        builder = builder.with_src(sources.join(source));
    }
    let mut header = Vec::new();
    builder.generate()?.write(&mut header);
    Ok(String::from_utf8(header)?)
}

/// Writes the header.
pub fn write_header() -> Result<()> {
    fs::write(header_path(), header()?).context("c-api/include/chord.h")
}

/// Builds the library for a board's core, with cargo's arguments about its features; returns it, which the next build
/// overwrites.
///
/// Errors: the messages of a build that fails.
fn library(board: &Board, features: &[&str], target_dir: &Path) -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--release", "--locked", "--target", board.target, "--target-dir"])
        .arg(target_dir)
        .args(features);
    command.args(["--config", &format!("target.{}.rustflags={:?}", board.target, board.rustflags)]);
    // Flags of the host would come in place of the target's.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    checked(command.current_dir(folder()))?;
    Ok(target_dir.join(board.target).join("release/libchord.a"))
}

/// Builds the example around the firmware's request with Arm's GCC; returns the ELF.
///
/// It links only if nothing in the library can panic. Errors: the messages of a build that fails.
pub fn example(target_dir: &Path) -> Result<PathBuf> {
    program(BOARD, "rerank", &request(), false, target_dir)
}

/// As [`example`], with one network alone, a feature of the library.
pub fn example_for(network: &str, target_dir: &Path) -> Result<PathBuf> {
    let library = library(BOARD, &["--no-default-features", "--features", network], target_dir)?;
    make(BOARD, "rerank", &library, &request(), &[], target_dir)
}

/// As [`example`], asking for fixed point of a library that has it, or has not.
pub fn fixed_point_example(is_built: bool, target_dir: &Path) -> Result<PathBuf> {
    let library = library(BOARD, fixed_point_feature(is_built), target_dir)?;
    make(BOARD, "rerank", &library, &request(), &["ARITHMETIC=1"], target_dir)
}

/// As [`example`], for a board with a Cortex-M, for `rerank` or `stack` and any request, in fixed point or not; `stack` takes
/// item rows too.
pub fn program(
    board: &Board,
    name: &str,
    request: &Path,
    fixed_point: bool,
    target_dir: &Path,
) -> Result<PathBuf> {
    let variables: &[&str] = if fixed_point { &["ARITHMETIC=1"] } else { &[] };
    let library = library(board, fixed_point_feature(fixed_point), target_dir)?;
    make(board, name, &library, request, variables, target_dir)
}

fn fixed_point_feature(is_on: bool) -> &'static [&'static str] {
    if is_on { &["--features=fixed-point"] } else { &[] }
}

fn request() -> PathBuf {
    workspace().join("firmware-example/request")
}

fn make(
    board: &Board,
    name: &str,
    library: &Path,
    request: &Path,
    variables: &[&str],
    target_dir: &Path,
) -> Result<PathBuf> {
    let build = target_dir.join("example");
    let elf = build.join(format!("{name}.elf"));
    let variable = |name: &str, path: &Path| format!("{name}={}", path.display());
    let mut command = Command::new("make");
    command
        .args(["--always-make", "--no-print-directory"])
        .arg(variable("LIBCHORD", library))
        .arg(format!("BOARD={}", board.name))
        .arg(variable("BUILD", &build))
        .arg(variable("REQUEST", request))
        .args(variables)
        .arg(&elf);
    checked(command.current_dir(folder().join("example")))?;
    Ok(elf)
}

/// Cargo's target directory for the library.
pub fn target_dir() -> PathBuf {
    crate::test::target_dir("c-api")
}

fn checked(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
