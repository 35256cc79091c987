//! The `chord` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    chord_trainer::cli::main()
}
