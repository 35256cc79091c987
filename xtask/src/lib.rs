//! The project's own commands, for `cargo xtask` and for tests.

pub mod qemu;
pub mod test;

/// Target of the firmware.
pub const FIRMWARE_TARGET: &str = "thumbv7em-none-eabihf";
