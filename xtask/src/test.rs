//! The project's test command.

use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{FIRMWARE_TARGET, qemu};

/// Installs what the tests need and is missing: the firmware's target and QEMU.
pub fn set_up() -> Result<()> {
    install_target()?;
    install_qemu()
}

/// Installs what is missing, then runs every test. Errors if a test fails or cannot run.
pub fn run() -> Result<()> {
    set_up()?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run_command(Command::new(cargo).args(["test", "--workspace", "--locked"]).current_dir(workspace()))
}

/// The folder of the workspace, as cargo names it when it runs this program: a kept build folder may hold a program
/// that was built in another clone.
fn workspace() -> PathBuf {
    let package =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().unwrap_or(Path::new(".")).to_owned()
}

/// The core library for the firmware's target.
fn install_target() -> Result<()> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().context("running rustc")?;
    let sysroot = PathBuf::from(String::from_utf8(output.stdout)?.trim_end());
    if sysroot.join("lib/rustlib").join(FIRMWARE_TARGET).exists() {
        return Ok(());
    }
    run_command(Command::new("rustup").args(["target", "add", FIRMWARE_TARGET]))
        .with_context(|| format!("the QEMU tests need Rust's target {FIRMWARE_TARGET}"))
}

fn install_qemu() -> Result<()> {
    let version = Command::new(qemu::PROGRAM).arg("--version").stdout(Stdio::null()).status();
    match version {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).context(qemu::PROGRAM),
        Err(_) => {}
    }
    let steps: [&[&str]; 2] = [&["update"], &["install", "-y", "--no-install-recommends", qemu::PROGRAM]];
    for arguments in steps {
        let mut apt = as_root("apt-get")?;
        run_command(apt.args(arguments))
            .with_context(|| format!("the QEMU tests need {}; install it by hand", qemu::PROGRAM))?;
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
        bail!("{} is not installed, and installing it needs root or sudo", qemu::PROGRAM);
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
