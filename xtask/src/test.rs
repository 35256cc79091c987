//! The project's test command.

use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::boards::BOARDS;

/// Programs that the tests run and their Debian packages.
const PROGRAMS: [(&str, &str); 3] = [
    ("qemu-system-arm", "qemu-system-arm"),
    ("qemu-system-aarch64", "qemu-system-arm"),
    ("qemu-system-riscv32", "qemu-system-misc"),
];

/// Installs what the tests need and is missing: the firmware's targets and the programs.
pub fn set_up() -> Result<()> {
    install_targets()?;
    install_programs()
}

/// Installs what is missing, then runs every test and compares the sizes. Errors if a test fails or cannot run.
pub fn run() -> Result<()> {
    set_up()?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run_command(Command::new(cargo).args(["test", "--workspace", "--locked"]).current_dir(workspace()))?;
    crate::size::run(true, None)
}

/// The folder of the workspace, as cargo names it when it runs this program: a kept build folder may hold a program
/// that was built in another clone.
pub fn workspace() -> PathBuf {
    let package =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().unwrap_or(Path::new(".")).to_owned()
}

/// The core library for the boards' targets.
fn install_targets() -> Result<()> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().context("running rustc")?;
    let installed = PathBuf::from(String::from_utf8(output.stdout)?.trim_end()).join("lib/rustlib");
    let mut missing: Vec<&str> = BOARDS.iter().map(|board| board.target).collect();
    missing.retain(|target| !installed.join(target).exists());
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    run_command(Command::new("rustup").args(["target", "add"]).args(&missing))
        .with_context(|| format!("the firmware needs Rust's targets {}", missing.join(", ")))
}

fn install_programs() -> Result<()> {
    let mut missing = Vec::new();
    for (program, package) in PROGRAMS {
        match Command::new(program).arg("--version").stdout(Stdio::null()).status() {
            Err(error) if error.kind() == ErrorKind::NotFound => missing.push(package),
            other => drop(other.context(program)?),
        }
    }
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let install = [&["install", "-y", "--no-install-recommends"], missing.as_slice()].concat();
    for arguments in [&["update"], install.as_slice()] {
        run_command(as_root("apt-get")?.args(arguments))
            .with_context(|| format!("the tests need {}; install it by hand", missing.join(", ")))?;
    }
    Ok(())
}

/// `program` as root: directly, or through sudo.
fn as_root(program: &str) -> Result<Command> {
    let id = Command::new("id").arg("-u").output().context("running id")?;
    if id.stdout.trim_ascii() == b"0" {
        return Ok(Command::new(program));
    }
    if Command::new("sudo").arg("--version").stdout(Stdio::null()).status().is_err() {
        bail!("{program} needs root or sudo");
    }
    let mut sudo = Command::new("sudo");
    sudo.arg(program);
    Ok(sudo)
}

fn run_command(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("running {command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
