//! The `chord` command.

use std::process::ExitCode;

/// Tensor operations allocate and free megabytes at a time; keeping them mapped makes steps a fifth faster.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    chord_trainer::cli::main()
}
