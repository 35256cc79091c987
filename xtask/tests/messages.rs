//! Every public type of the device's crates formats itself for defmt: found in their sources, so that none is forgotten,
//! and built for the cores that send such messages.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use xtask::boards::BOARDS;
use xtask::test::workspace;

/// All lines of Rust in a folder, file after file.
fn sources(folder: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, lines);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            lines.extend(fs::read_to_string(&path).unwrap().lines().map(|line| line.trim().to_owned()));
        }
    }
}

/// The identifier at the start of a text.
fn identifier(text: &str) -> String {
    text.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect()
}

#[test]
fn every_public_type_formats_itself() {
    let mut lines = Vec::new();
    for package in ["plan-format", "runtime-nostd"] {
        sources(&workspace().join(package).join("src"), &mut lines);
    }
    let implemented: BTreeSet<String> =
        lines.iter().filter_map(|line| Some(identifier(line.split_once("Format for ")?.1))).collect();
    let (mut found, mut without) = (0, Vec::new());
    let mut derived = false;
    for line in &lines {
        // Attributes and comments precede the type, whatever their order.
        if line.starts_with("#[") || line.starts_with("//") {
            derived |= line.contains("derive(defmt::Format)");
            continue;
        }
        let name = ["pub struct ", "pub enum ", "pub union "].iter().find_map(|kind| line.strip_prefix(kind));
        if let Some(name) = name.map(identifier) {
            found += 1;
            if !derived && !implemented.contains(&name) {
                without.push(name);
            }
        }
        derived = false;
    }
    assert!(found > 50, "only {found} public types found: the search is broken");
    assert!(without.is_empty(), "no defmt::Format: {without:?}");
}

#[test]
fn the_messages_build_for_every_board() {
    for board in &BOARDS {
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["check", "--locked", "-p", "chord-runtime", "--features", "defmt,c-api"])
            .args(["--target", board.target, "--target-dir"])
            .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("messages"))
            .env("RUSTFLAGS", [board.rustflags, &["-Dwarnings"]].concat().join(" "))
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .current_dir(workspace())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {}", board.name, String::from_utf8_lossy(&output.stderr));
    }
}
