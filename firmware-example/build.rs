//! Takes a request (a folder) into the firmware: model, plan, history, candidates. Sizes the arena.

use std::path::{Path, PathBuf};
use std::{env, fs};

use chord_plan::Bundle;
use chord_runtime::{Arithmetic, Holding, Options, ProfileRequirements, Requirements, Session};

/// Where the request lies; `request/` next to this file if unset.
const REQUEST_DIR: &str = "CHORD_REQUEST_DIR";

/// Boards (features, memory maps in `boards/`) and their architectures; the first is the default.
const BOARDS: [(&str, &str); 7] = [
    ("mps2-an386", "arm"),
    ("mps2-an500", "arm"),
    ("mps2-an505", "arm"),
    ("mps3-an547", "arm"),
    ("mps2-an385", "arm"),
    ("riscv32-virt", "riscv32"),
    ("aarch64-virt", "aarch64"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=boards");
    println!("cargo::rerun-if-env-changed={REQUEST_DIR}");
    if let Err(message) = run() {
        println!("cargo::error={message}");
    }
}

fn run() -> Result<(), String> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    link(&here.join("boards"), &out)?;

    let request = env::var_os(REQUEST_DIR).map_or_else(|| here.join("request"), PathBuf::from);
    let model = read(&request, "model.chord")?;
    let plan = read(&request, "user.plan")?;
    let history = items(&request, "history.txt")?;
    let candidates = items(&request, "candidates.txt")?;
    let bundle = Bundle::parse(&model).map_err(|error| format!("model.chord: {error}"))?;
    let holding = match env::var_os("CARGO_FEATURE_PACKED") {
        Some(_) => Holding::Packed,
        None => Holding::InPlace,
    };
    let arithmetic = match env::var_os("CARGO_FEATURE_FIXED_POINT") {
        Some(_) => Arithmetic::Fixed,
        None => Arithmetic::Float,
    };
    if (holding, arithmetic) == (Holding::Packed, Arithmetic::Fixed) {
        return Err("packed and fixed-point: there are no packed plans in fixed point".to_owned());
    }
    let options = Options { holding, arithmetic, ..Options::default() };
    let Requirements { arena_bytes, plan_bytes, .. } = Requirements::of(&bundle, &options);
    let profile = ProfileRequirements::of(&bundle).map_or(0, |requirements| requirements.arena_bytes);
    let session = Session::arena_bytes(&bundle, &options);

    write(&out, "model.chord", &model)?;
    write(&out, "user.plan", &plan)?;
    let source = format!(
        "static ALIGNED_MODEL: Aligned<[u8; {}]> = Aligned(*include_bytes!(\"model.chord\"));\n\
         /// The user's plan.\npub static PLAN: &[u8] = include_bytes!(\"user.plan\");\n\
         /// Item rows, newest last.\npub static HISTORY: [u32; {}] = {history:?};\n\
         /// Item rows to rank.\npub static CANDIDATES: [u32; {}] = {candidates:?};\n\
         /// How the plan is held.\npub const HOLDING: Holding = Holding::{holding:?};\n\
         /// What the engine computes in.\npub const ARITHMETIC: Arithmetic = Arithmetic::{arithmetic:?};\n\
         /// Longest plan for this model.\npub const PLAN_BYTES: usize = {plan_bytes};\n\
         const ARENA_BYTES: usize = {arena_bytes};\n\
         const PROFILE_BYTES: usize = {profile};\n\
         const SESSION_BYTES: usize = {session};\n",
        model.len(),
        history.len(),
        candidates.len(),
    );
    write(&out, "request.rs", source.as_bytes())
}

/// Picks the board's memory map.
fn link(boards: &Path, out: &Path) -> Result<(), String> {
    let arch = env::var("CARGO_CFG_TARGET_ARCH").map_err(|error| error.to_string())?;
    let enabled = |(board, _): &&(&str, &str)| {
        env::var_os(format!("CARGO_FEATURE_{}", board.to_uppercase().replace('-', "_"))).is_some()
    };
    let mut chosen = BOARDS.iter().filter(enabled);
    let &(board, board_arch) = chosen.next().unwrap_or(&BOARDS[0]);
    if let Some((other, _)) = chosen.next() {
        return Err(format!("{board} and {other}: choose one board"));
    }
    if arch != board_arch {
        return Err(format!(
            "{board} is not of the architecture {arch}: `cargo xtask firmware {board}` passes its target"
        ));
    }
    let script = format!("{board}.x");
    if arch == "arm" {
        // link.x of cortex-m-rt includes memory.x.
        fs::copy(boards.join(&script), out.join("memory.x")).map_err(|error| format!("{script}: {error}"))?;
        println!("cargo::rustc-link-search={}", out.display());
        println!("cargo::rustc-link-arg-bins=-Tlink.x");
        println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    } else {
        println!("cargo::rustc-link-search={}", boards.display());
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    println!("cargo::rustc-link-arg-bins=--nmagic");
    Ok(())
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
