//! The project's test command.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::boards::BOARDS;

/// Programs that the tests run and their Debian packages.
const PROGRAMS: [(&str, &str); 7] = [
    ("qemu-system-arm", "qemu-system-arm"),
    ("qemu-system-aarch64", "qemu-system-arm"),
    ("qemu-system-riscv32", "qemu-system-misc"),
    ("qemu-aarch64", "qemu-user"),
    // With newlib, which has no program of its own.
    ("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
    ("make", "make"),
    // For libFuzzer.
    ("g++", "g++"),
];

/// Where the kernels of phones and hosts are tested in QEMU's user mode.
const USER_MODE_TARGET: &str = "aarch64-unknown-linux-musl";

/// Installs what the tests need and is missing: the boards' targets, QEMU and a Vulkan driver.
pub fn set_up() -> Result<()> {
    install_targets()?;
    install_programs()?;
    install_vulkan()
}

/// Installs what is missing, then runs every test and compares the sizes. Errors if a test fails or cannot run.
pub fn run() -> Result<()> {
    set_up()?;
    cargo(&["test", "--workspace", "--locked"])?;
    cargo(&["test", "--locked", "--manifest-path", "benches/insn-count/Cargo.toml"])?;
    // Apart, at its own low optimisation: the wgpu backend takes longer to build than all else.
    let wgpu = ["--package", "chord-trainer", "--features", "wgpu", "--test", "wgpu"];
    cargo(&[&["test", "--profile", "gpu-test", "--locked"], &wgpu[..]].concat())?;
    crate::size::run(true, None)
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run_command(Command::new(cargo).args(arguments).current_dir(workspace()))
}

/// The folder of the workspace, as cargo names it when it runs this program: a kept build folder may hold a program
/// that was built in another clone.
pub fn workspace() -> PathBuf {
    let package =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().unwrap_or(Path::new(".")).to_owned()
}

/// Cargo's target directory for the builds called `name`, apart from the one that it holds locked for this program.
pub fn target_dir(name: &str) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from).join(name)
}

/// The libraries of the targets that the tests build for.
fn install_targets() -> Result<()> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().context("running rustc")?;
    let installed = PathBuf::from(String::from_utf8(output.stdout)?.trim_end()).join("lib/rustlib");
    let targets = BOARDS.iter().map(|board| board.target);
    let mut missing: Vec<&str> = targets.chain([USER_MODE_TARGET]).collect();
    missing.retain(|target| !installed.join(target).exists());
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    run_command(Command::new("rustup").args(["target", "add"]).args(&missing))
        .with_context(|| format!("the tests need Rust's targets {}", missing.join(", ")))
}

fn install_programs() -> Result<()> {
    let mut missing = Vec::new();
    for (program, package) in PROGRAMS {
        match Command::new(program).arg("--version").stdout(Stdio::null()).status() {
            Err(error) if error.kind() == ErrorKind::NotFound => missing.extend(package.split(' ')),
            other => drop(other.context(program)?),
        }
    }
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    apt_install(&missing).context("the tests build the example in C and run the firmware in QEMU")
}

/// Mesa's Vulkan on the CPU, where Linux has no Vulkan driver. Other systems bring what wgpu needs.
fn install_vulkan() -> Result<()> {
    let is_there = |folder: &str| fs::read_dir(folder).is_ok_and(|mut manifests| manifests.next().is_some());
    if !cfg!(target_os = "linux")
        || ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"].into_iter().any(is_there)
    {
        return Ok(());
    }
    apt_install(&["mesa-vulkan-drivers", "libvulkan1"]).context("the wgpu tests need a Vulkan driver")
}

fn apt_install(packages: &[&str]) -> Result<()> {
    // Waits where another installation holds the lock.
    let install = ["install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"];
    for arguments in [&["update"][..], &[&install[..], packages].concat()] {
        run_command(as_root("apt-get")?.args(arguments))
            .with_context(|| format!("install {} by hand", packages.join(" ")))?;
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
        bail!("running {program} needs root or sudo");
    }
    let mut sudo = Command::new("sudo");
    sudo.arg(program);
    Ok(sudo)
}

pub(crate) fn run_command(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("running {command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
