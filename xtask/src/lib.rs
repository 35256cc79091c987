//! The project's own commands, for `cargo xtask` and for tests.

pub mod bench_boards;
pub mod bench_mcu;
pub mod boards;
pub mod c_api;
pub mod firmware;
pub mod fuzz;
pub mod miri;
pub mod no_fpu;
mod parts_plot;
pub mod peers;
pub mod qemu;
pub mod size;
pub mod test;
