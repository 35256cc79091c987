//! How much flash the code takes, board by board.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::elf::SHF_ALLOC;
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind};

use crate::boards::{BOARDS, Board};
use crate::firmware::Firmware;

/// Where the report lies, from the workspace.
const REPORT: &str = "benches/size.md";

/// The programs that are measured, and the network that they are built for alone.
const PROGRAMS: [(&str, &str, Option<&str>); 4] = [
    ("bare", "bare", None),
    ("rerank", "rerank", None),
    // On the first board.
    ("bare, SASRec alone", "bare", Some("sasrec")),
    ("bare, Caser alone", "bare", Some("caser")),
];

/// A size may grow by one in this many without a new report.
const TOLERANCE: u64 = 50;

/// One program on one board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    board: &'static Board,
    program: &'static str,
    /// Instructions and constants in flash, in bytes, the request not counted.
    flash: u64,
}

/// Builds every program for every board and writes the report, or compares with it.
///
/// Errors: a build that fails; for a comparison a size that grew by more than 2%.
pub fn run(check: bool, target_dir: Option<&Path>) -> Result<()> {
    let path = crate::test::workspace().join(REPORT);
    let mut sizes = Vec::new();
    for board in &BOARDS {
        for (program, bin, network) in PROGRAMS {
            if network.is_some() && *board != BOARDS[0] {
                continue;
            }
            let firmware = Firmware { board, bin, request: None, packed: false, target_dir };
            let elf = network.map_or_else(|| firmware.build(), |network| firmware.build_for(network))?;
            sizes.push(Size { board, program, flash: flash(&elf)? });
        }
    }
    if !check {
        return fs::write(&path, report(&sizes)).with_context(|| path.display().to_string());
    }
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{}: `cargo xtask size` writes it", path.display()))?;
    let grown = growth(&sizes, &text)?;
    if !grown.is_empty() {
        bail!("the firmware grew by more than 2%:\n{grown}`cargo xtask size` writes a new report");
    }
    Ok(())
}

/// Bytes that are loaded, less what build.rs took in.
fn flash(elf: &Path) -> Result<u64> {
    let image = fs::read(elf).with_context(|| elf.display().to_string())?;
    let file = object::File::parse(&*image)?;
    let loaded = file.sections().filter(|section| match section.flags() {
        SectionFlags::Elf { sh_flags } => {
            sh_flags & u64::from(SHF_ALLOC) != 0 && section.kind() != SectionKind::UninitializedData
        }
        _ => false,
    });
    let request = ["ALIGNED_MODEL", "PLAN", "HISTORY", "CANDIDATES"];
    let request = file.symbols().filter(|symbol| {
        symbol
            .name()
            .is_ok_and(|name| name.contains("request") && request.iter().any(|part| name.contains(part)))
    });
    Ok(loaded.map(|section| section.size()).sum::<u64>() - request.map(|symbol| symbol.size()).sum::<u64>())
}

fn report(sizes: &[Size]) -> String {
    let mut text = String::from(
        "# Flash\n\nBytes of code and constants without the model and the lists of items; release profile of `firmware-example`. `bare` is the runtime\nwith start-up and exit: parse, check, rank; it runs either network, or one alone. `rerank` adds its \
         messages: defmt on Arm, text elsewhere.\n`cargo xtask size` writes this file, `cargo xtask size --check` \
         fails where a figure grew by more than 2%.\n\n| board | core | program | bytes |\n|---|---|---|--:|\n",
    );
    for Size { board, program, flash } in sizes {
        let _ = writeln!(text, "| {} | {} | {program} | {flash} |", board.name, board.core);
    }
    text
}

/// A line for each size that the report does not allow.
fn growth(sizes: &[Size], report: &str) -> Result<String> {
    let mut grown = String::new();
    for Size { board, program, flash } in sizes {
        let row = format!("| {} | {} | {program} | ", board.name, board.core);
        let stated = report.lines().find_map(|line| line.strip_prefix(&row)?.strip_suffix(" |"));
        let stated: u64 = stated
            .with_context(|| format!("{REPORT} has no row for {program} on {}", board.name))?
            .parse()?;
        if flash * TOLERANCE > stated * (TOLERANCE + 1) {
            let _ = writeln!(grown, "{} {program}: {flash} bytes, was {stated}", board.name);
        }
    }
    Ok(grown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_per_cent_more_are_too_much() {
        let size = |flash| [Size { board: &BOARDS[0], program: "bare", flash }];
        let text = report(&size(10_000));
        assert_eq!(growth(&size(10_200), &text).unwrap(), "");
        assert_eq!(growth(&size(10_201), &text).unwrap(), "mps2-an386 bare: 10201 bytes, was 10000\n");
        assert!(growth(&[Size { program: "rerank", ..size(1)[0] }], &text).is_err());
    }
}
