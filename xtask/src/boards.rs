//! The machines that the firmware runs on.

use std::path::Path;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSymbol};

/// A machine of QEMU and how to build for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Board {
    /// Feature of the firmware, memory map in `firmware-example/boards/`.
    pub name: &'static str,
    /// Its core, as the runtime names it.
    pub core: &'static str,
    /// Rust's target.
    pub target: &'static str,
    /// Flags for the core where it can do more than its target.
    pub rustflags: &'static [&'static str],
    /// The emulator.
    pub qemu: &'static str,
    /// Machine and core, as the emulator calls them.
    pub machine: &'static [&'static str],
}

/// All boards; the first is the firmware's default.
pub const BOARDS: [Board; 7] = [
    Board {
        name: "mps2-an386",
        core: "cortex-m4",
        target: "thumbv7em-none-eabihf",
        rustflags: &["-Ctarget-cpu=cortex-m4"],
        qemu: "qemu-system-arm",
        machine: &["-machine", "mps2-an386"],
    },
    Board {
        name: "mps2-an500",
        core: "cortex-m7",
        target: "thumbv7em-none-eabihf",
        rustflags: &["-Ctarget-cpu=cortex-m7"],
        qemu: "qemu-system-arm",
        machine: &["-machine", "mps2-an500"],
    },
    Board {
        name: "mps2-an505",
        core: "cortex-m33",
        target: "thumbv8m.main-none-eabihf",
        rustflags: &["-Ctarget-cpu=cortex-m33"],
        qemu: "qemu-system-arm",
        machine: &["-machine", "mps2-an505"],
    },
    Board {
        name: "mps3-an547",
        core: "cortex-m55",
        target: "thumbv8m.main-none-eabihf",
        // The vector unit takes subnormal floats for 0, which docs/numerics.md forbids: integers only.
        rustflags: &["-Ctarget-cpu=cortex-m55", "-Ctarget-feature=-mve.fp,-lob"],
        qemu: "qemu-system-arm",
        machine: &["-machine", "mps3-an547"],
    },
    // QEMU has no Cortex-M0+ with enough memory; a Cortex-M3 runs its instructions.
    Board {
        name: "mps2-an385",
        core: "cortex-m0plus",
        target: "thumbv6m-none-eabi",
        rustflags: &[],
        qemu: "qemu-system-arm",
        machine: &["-machine", "mps2-an385"],
    },
    Board {
        name: "riscv32-virt",
        core: "riscv32imac",
        target: "riscv32imac-unknown-none-elf",
        rustflags: &[],
        qemu: "qemu-system-riscv32",
        machine: &["-machine", "virt", "-cpu", "rv32", "-bios", "none"],
    },
    Board {
        name: "aarch64-virt",
        core: "cortex-a53",
        target: "aarch64-unknown-none",
        rustflags: &[],
        qemu: "qemu-system-aarch64",
        machine: &["-machine", "virt", "-cpu", "cortex-a53", "-nic", "none"],
    },
];

impl Board {
    /// The board of that name.
    pub fn named(name: &str) -> Result<&'static Self> {
        let names = || BOARDS.map(|board| board.name).join(", ");
        BOARDS
            .iter()
            .find(|board| board.name == name)
            .with_context(|| format!("no board {name}; there are {}", names()))
    }

    /// The board that a firmware was linked for: the memory maps define a symbol each.
    pub fn of(image: &[u8], elf: &Path) -> Result<&'static Self> {
        let file = object::File::parse(image).with_context(|| elf.display().to_string())?;
        for symbol in file.symbols() {
            if let Some(name) = symbol.name().ok().and_then(|name| name.strip_prefix("__board_")) {
                return Self::named(&name.replace('_', "-"));
            }
        }
        bail!("{} has no symbol __board_*: not linked with a memory map of ours", elf.display())
    }
}
