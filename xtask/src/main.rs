//! `cargo xtask`: the project's own commands.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::boards::Board;
use xtask::firmware::Firmware;
use xtask::peers::Peers;

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what the tests need: the boards' targets, QEMU and a Vulkan driver.
    Setup,
    /// Installs what the tests need and runs all of them, those in QEMU and on wgpu included.
    Test,
    /// Counts the kernels' instructions on a Cortex-M4F in QEMU and writes them to benches/mcu/.
    BenchMcu(Peers),
    /// Counts a new plan, a ranking and an interaction on all boards in QEMU and writes them to benches/mcu/boards.md.
    BenchBoards,
    /// Counts one inference on cores without an FPU in QEMU and writes it to benches/mcu/.
    BenchNoFpu,
    /// Writes c-api/include/chord.h from the sources of the C interface.
    CHeader,
    /// Builds the example in C for mps2-an386 and runs it in QEMU.
    CExample,
    /// Builds the firmware for a board and runs it in QEMU.
    Firmware {
        /// mps2-an386, mps2-an500, mps2-an505, mps3-an547, mps2-an385, riscv32-virt or aarch64-virt.
        board: String,
        /// Folder with model.chord, user.plan, history.txt and candidates.txt; firmware-example/request if left out.
        #[arg(long)]
        request: Option<PathBuf>,
        /// Packs the plan into the arena: more RAM, less time.
        #[arg(long)]
        packed: bool,
        /// Computes in integers: for cores without an FPU.
        #[arg(long, conflicts_with = "packed")]
        fixed_point: bool,
    },
    /// Fuzzes the bundle, the messages, the ranking and the C interface with libFuzzer, one after another. Needs a C++ compiler.
    Fuzz {
        /// Seconds for each.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Runs tests of the format and of the runtime in Miri; installs it where it is missing.
    Miri,
    /// Writes the flash sizes of the firmware on all boards to benches/size.md.
    Size {
        /// Compares instead, and fails where one grew by more than 2%.
        #[arg(long)]
        check: bool,
    },
    /// Runs a firmware in QEMU on the board that it was linked for, prints its messages and exits with its code.
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
        Command::BenchMcu(peers) => xtask::bench_mcu::run(&peers).map(|()| ExitCode::SUCCESS),
        Command::BenchBoards => xtask::bench_boards::run().map(|()| ExitCode::SUCCESS),
        Command::BenchNoFpu => xtask::no_fpu::run().map(|()| ExitCode::SUCCESS),
        Command::CHeader => xtask::c_api::write_header().map(|()| ExitCode::SUCCESS),
        Command::CExample => run(&xtask::c_api::example(&xtask::c_api::target_dir())?, 60),
        Command::Firmware { board, request, packed, fixed_point } => {
            let board = Board::named(&board)?;
            let firmware =
                Firmware { board, bin: "rerank", request: request.as_deref(), packed, target_dir: None };
            let elf = if fixed_point { firmware.build_fixed_point() } else { firmware.build() };
            run(&elf?, 60)
        }
        Command::Fuzz { seconds } => xtask::fuzz::run(seconds).map(|()| ExitCode::SUCCESS),
        Command::Miri => xtask::miri::run().map(|()| ExitCode::SUCCESS),
        Command::Size { check } => xtask::size::run(check, None).map(|()| ExitCode::SUCCESS),
        Command::Qemu { elf, timeout } => run(&elf, timeout),
    }
}

fn run(elf: &Path, timeout: u64) -> Result<ExitCode> {
    let code = xtask::qemu::run(elf, Duration::from_secs(timeout), |line| println!("{line}"))?;
    Ok(ExitCode::from(code))
}
