//! Takes a request (a folder) into the firmware: model, plan, history, candidates. Sizes the arena.

use std::path::{Path, PathBuf};
use std::{env, fs};

use chord_plan::Bundle;
use chord_runtime::{Options, Requirements};

/// Where the request lies; `request/` next to this file if unset.
const REQUEST_DIR: &str = "CHORD_REQUEST_DIR";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rerun-if-env-changed={REQUEST_DIR}");
    if let Err(message) = run() {
        println!("cargo::error={message}");
    }
}

fn run() -> Result<(), String> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    // link.x of cortex-m-rt looks for memory.x here.
    println!("cargo::rustc-link-search={}", here.display());
    for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }

    let request = env::var_os(REQUEST_DIR).map_or_else(|| here.join("request"), PathBuf::from);
    let model = read(&request, "model.chord")?;
    let plan = read(&request, "user.plan")?;
    let history = items(&request, "history.txt")?;
    let candidates = items(&request, "candidates.txt")?;
    let bundle = Bundle::parse(&model).map_err(|error| format!("model.chord: {error}"))?;
    let arena = Requirements::of(&bundle, &Options::default()).arena_bytes;

    write(&out, "model.chord", &model)?;
    write(&out, "user.plan", &plan)?;
    let source = format!(
        "pub(crate) static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(\"model.chord\"));\n\
         pub(crate) static PLAN: &[u8] = include_bytes!(\"user.plan\");\n\
         pub(crate) static HISTORY: [u32; {}] = {history:?};\n\
         pub(crate) static CANDIDATES: [u32; {}] = {candidates:?};\n\
         pub(crate) const ARENA_BYTES: usize = {arena};\n",
        history.len(),
        candidates.len(),
    );
    write(&out, "request.rs", source.as_bytes())
}

/// Item rows, one to a line.
fn items(dir: &Path, name: &str) -> Result<Vec<u32>, String> {
    let text = String::from_utf8(read(dir, name)?).map_err(|error| format!("{name}: {error}"))?;
    let row = |(line, text): (usize, &str)| {
        text.parse().map_err(|_| format!("{name}:{}: \"{text}\" is not an item row", line + 1))
    };
    text.lines().enumerate().map(row).collect()
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>, String> {
    let path = dir.join(name);
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(dir: &Path, name: &str, content: &[u8]) -> Result<(), String> {
    fs::write(dir.join(name), content).map_err(|error| format!("{name} in OUT_DIR: {error}"))
}
