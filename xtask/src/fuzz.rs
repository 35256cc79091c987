//! The fuzz targets of `fuzz/`, with libFuzzer's coverage counters and stable Rust.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result};

use crate::test::{run_command, workspace};

/// Targets and where their seeds lie, from the workspace.
const TARGETS: [(&str, &str); 4] = [
    ("bundle", "plan-format/tests/golden"),
    ("plan", "plan-format/tests/golden"),
    ("rank", "fuzz/seeds/rank"),
    ("c_api", "fuzz/seeds/c_api"),
];

/// What `cargo fuzz` gives rustc, less the sanitizers, which stable Rust does not have.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Ccodegen-units=1",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Fuzzes every target for so many seconds. What a target finds beside its seeds stays in the target directory and
/// goes into the next run.
///
/// Errors: a build that fails; a crash, whose input libFuzzer names.
pub fn run(seconds: u32) -> Result<()> {
    let target_dir = crate::test::target_dir("fuzz");
    let host = host()?;
    build(&target_dir, &host)?;
    for (target, seeds) in TARGETS {
        let found = target_dir.join("corpus").join(target);
        fs::create_dir_all(&found).with_context(|| found.display().to_string())?;
        println!("fuzzing {target} for {seconds} s");
        let mut fuzzer = Command::new(target_dir.join(&host).join("release").join(target));
        fuzzer
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/{target}-", target_dir.display()))
            .args([
                "-timeout=10",
                "-rss_limit_mb=1024",
                "-max_len=4096",
                "-verbosity=0",
                "-print_final_stats=1",
            ])
            .arg(&found)
            .arg(workspace().join(seeds));
        run_command(&mut fuzzer)?;
    }
    Ok(())
}

fn build(target_dir: &Path, host: &str) -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        // A target of its own, even if it is the host's: build scripts get no counters.
        .args(["build", "--release", "--locked", "--bins", "--target", host, "--target-dir"])
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"))
        .current_dir(workspace().join("fuzz"));
    run_command(&mut command)
}

fn host() -> Result<String> {
    let output = Command::new("rustc").args(["--print", "host-tuple"]).output().context("running rustc")?;
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}
