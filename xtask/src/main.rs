//! `cargo xtask`: the project's own commands.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what the tests need: the firmware's target, QEMU and a Vulkan driver.
    Setup,
    /// Installs what the tests need and runs all of them, those in QEMU and on wgpu included.
    Test,
    /// Runs a firmware in QEMU (mps2-an386), prints its defmt messages and exits with its code.
    Qemu {
        /// The firmware.
        elf: PathBuf,
        /// Seconds until the machine is stopped.
        #[arg(long, default_value_t = 60)]
        timeout: u64,
    },
}

fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Setup => xtask::test::set_up().map(|()| ExitCode::SUCCESS),
        Command::Test => xtask::test::run().map(|()| ExitCode::SUCCESS),
        Command::Qemu { elf, timeout } => {
            let code = xtask::qemu::run(&elf, Duration::from_secs(timeout), |line| println!("{line}"))?;
            Ok(ExitCode::from(code))
        }
    }
}
