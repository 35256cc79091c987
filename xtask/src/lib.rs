//! The project's own commands, for `cargo xtask` and for tests.

pub mod bench_mcu;
pub mod boards;
pub mod firmware;
pub mod qemu;
pub mod size;
pub mod test;
