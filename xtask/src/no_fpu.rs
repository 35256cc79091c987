//! Rankings and a step of the profile encoder on cores without an FPU, counted in QEMU: what of them is floating point in
//! software.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use object::{Object, ObjectSymbol, SymbolKind};

use crate::bench_mcu::{emulate, plugin};
use crate::boards::Board;
use crate::test::{run_command, workspace};

/// Cores and their boards.
const CORES: [(&str, &str); 2] = [("Cortex-M0+", "mps2-an385"), ("RV32IMAC", "riscv32-virt")];

/// What is counted.
struct Counted {
    /// Its name in the program.
    name: &'static str,
    title: &'static str,
    /// What the whole is called, in the program too.
    whole: &'static str,
    /// Its parts, as the program names them, and what they are.
    parts: &'static [(&'static str, &'static str)],
}

const COUNTED: [Counted; 3] = [
    Counted {
        name: "sasrec",
        title: "a ranking of SASRec",
        whole: "ranking",
        parts: &[
            ("layers", "layers: integer products, requantisation to f32"),
            ("attention", "attention, softmax included"),
            ("activation", "GELU"),
            ("norms", "layer normalisation"),
            ("quantisation", "quantisation of tokens"),
            ("candidates", "candidates' dot products"),
        ],
    },
    Counted {
        name: "caser",
        title: "a ranking of Caser",
        whole: "ranking",
        parts: &[
            ("filters", "horizontal filters: integer products"),
            ("layers", "dense layers: integer products, requantisation to f32"),
            ("quantisation", "quantisation of rows and tokens"),
            ("candidates", "candidates' dot products"),
        ],
    },
    Counted {
        name: "profile",
        title: "an interaction in the profile encoder",
        whole: "step",
        parts: &[
            ("layers", "layers for the newest item: integer products, requantisation to f32"),
            ("gates", "gates: exponential functions, tangents"),
        ],
    },
];

/// Instructions of a region, and those of them in floating-point routines.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: u64,
    float: u64,
}

/// Counts on both cores and writes `benches/mcu/no-fpu.md`.
///
/// Errors: a build or a run that fails.
pub fn run() -> Result<()> {
    let benches = workspace().join("benches");
    let target_dir = crate::test::target_dir("no-fpu");
    let plugin = plugin(&target_dir)?;
    let mut text = String::from(HEAD);
    for (core, board) in CORES {
        let board = Board::named(board)?;
        let elf = program(board, &target_dir)?;
        let regions = count(&elf, &target_dir, &plugin, board)?;
        for counted in &COUNTED {
            text += &table(core, counted, &regions)?;
        }
    }
    fs::write(benches.join("mcu/no-fpu.md"), &text)?;
    println!("{text}");
    Ok(())
}

const HEAD: &str = "# Cores without an FPU\n\nWritten by `cargo xtask bench-no-fpu`. Instructions executed, kernels in plain \
    Rust, random weights and plans, 100\ncandidates. SASRec: d = 64, 50 items of history, two blocks, two heads, GELU. Caser: \
    d = 64, a window of 5, 16 horizontal\nfilters of each height, 4 vertical ones. Profile encoder: 64 features, 64 numbers of \
    state, an interaction that pushes\nanother out of the sum. Plans are read in place. *Float*: those in the compiler's \
    routines for floating point and what\nthese call. Parts are counted one by one as the whole calls them. *In fixed point*: the \
    same in the arithmetic of\n[fixed-point.md](../../docs/fixed-point.md), in the same run.\n";

fn build(folder: &Path, target_dir: &Path, arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--release", "--locked", "--target-dir"])
        .arg(target_dir)
        .args(arguments)
        // Flags of the host would come in place of the core's.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    run_command(command.current_dir(folder))
}

/// Builds the program for a board; returns the ELF.
fn program(board: &Board, target_dir: &Path) -> Result<PathBuf> {
    build(&workspace().join("benches/no-fpu"), target_dir, &["--target", board.target])?;
    Ok(target_dir.join(board.target).join("release/chord-no-fpu-bench"))
}

/// Runs the program under the plugin; its regions in order, named.
fn count(elf: &Path, target_dir: &Path, plugin: &Path, board: &Board) -> Result<Vec<(String, Count)>> {
    let (out, within) = (target_dir.join("counts.txt"), target_dir.join("float.txt"));
    fs::write(&within, float_routines(elf)?)?;
    let plugin = format!("{},out={},within={}", plugin.display(), out.display(), within.display());
    let (code, names) = emulate(elf, board, &["-plugin", &plugin])?;
    let (_, names) = messages(&names);
    if code != 0 {
        bail!("{}: exit code {code}: {names:?}", elf.display());
    }
    let counts = fs::read_to_string(&out)?;
    if names.len() != counts.lines().count() {
        bail!("{} names for {} regions", names.len(), counts.lines().count());
    }
    let region = |(name, count): (&str, &str)| {
        let numbers: Vec<u64> = count.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [all, _, float] = numbers[..] else { bail!("not a region: {count}") };
        Ok((name.to_owned(), Count { all, float }))
    };
    names.into_iter().zip(counts.lines()).map(region).collect()
}

/// What the program prints: its results in fixed point, and the names of the regions.
fn messages(output: &str) -> (Vec<&str>, Vec<&str>) {
    output.lines().partition(|line| line.starts_with("rank ") || line.starts_with("embedding "))
}

/// The program's results in fixed point on each core, a line for each item or number; with the core's name.
///
/// Errors: a build or a run that fails.
pub fn results(target_dir: &Path) -> Result<Vec<(&'static str, String)>> {
    let of_core = |&(core, board): &(&'static str, &str)| {
        let board = Board::named(board)?;
        let (code, text) = emulate(&program(board, target_dir)?, board, &[])?;
        if code != 0 {
            bail!("{core}: exit code {code}");
        }
        Ok((core, messages(&text).0.iter().map(|line| format!("{line}\n")).collect()))
    };
    CORES.iter().map(of_core).collect()
}

/// What [`results`] are to be: ten ranked items of each of the two models of `benches/no-fpu`, ten of the example firmware's
/// request, ten numbers of a user embedding.
pub fn snapshot() -> Result<String> {
    Ok(fs::read_to_string(workspace().join("runtime-nostd/tests/snapshots/fixed_point.txt"))?)
}

/// The lines of the snapshot for the example firmware's request.
pub fn request_ranking() -> Result<Vec<String>> {
    Ok(snapshot()?.lines().skip(20).take(10).map(str::to_owned).collect())
}

/// A message of the firmware or of the example in C that ranks an item, as a line of the snapshot.
pub fn ranked(message: &str) -> Option<String> {
    let words: Vec<&str> = message.strip_prefix("info ").unwrap_or(message).split(' ').collect();
    match words[..] {
        ["rank", _, "item", item, "logit", bits, ..] => Some(format!("rank {item} {bits}")),
        _ => None,
    }
}

/// Addresses of the compiler's arithmetic, a line for each routine: floating point, and the integer routines that it
/// calls. Copying memory is not among them.
fn float_routines(elf: &Path) -> Result<String> {
    let image = fs::read(elf)?;
    let file = object::File::parse(&*image)?;
    let mut lines = String::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0) {
        let name = symbol.name()?;
        let is_arithmetic =
            name.starts_with("__") && !name.starts_with("__rust") || name.contains("compiler_builtins");
        if is_arithmetic && !name.contains("mem") {
            // Thumb addresses are odd.
            let start = symbol.address() & !1;
            writeln!(lines, "{start} {}", start + symbol.size())?;
        }
    }
    if lines.is_empty() {
        bail!("{} has no floating-point routines: has the core an FPU?", elf.display());
    }
    Ok(lines)
}

fn table(core: &str, counted: &Counted, regions: &[(String, Count)]) -> Result<String> {
    let &Counted { name, title, whole, parts } = counted;
    let part = |wanted: &str| {
        let of_part = |(region, _): &&(String, Count)| region.split_once(' ') == Some((name, wanted));
        regions.iter().filter(of_part).fold(Count::default(), |sum, (_, count)| Count {
            all: sum.all + count.all,
            float: sum.float + count.float,
        })
    };
    let all = part(whole);
    let percent = |n: u64| 100.0 * n as f64 / all.all as f64;
    let mut text = format!(
        "\n## {core}: {title}\n\n| part | instructions | of the {whole} | float | of the {whole} |\n|---|--:|--:|--:|--:|\n"
    );
    let mut row = |name: &str, Count { all, float }: Count| {
        writeln!(text, "| {name} | {all} | {:.1}% | {float} | {:.1}% |", percent(all), percent(float))
    };
    row(whole, all)?;
    let mut rest = all;
    for &(name, about) in parts {
        let count = part(name);
        row(about, count)?;
        rest.all = rest.all.saturating_sub(count.all);
        rest.float = rest.float.saturating_sub(count.float);
    }
    row("all else", rest)?;
    for (name, about) in [("softmax", "softmax alone"), ("packed", "with the plan packed")] {
        let count = part(name);
        if count.all > 0 {
            row(about, count)?;
        }
    }
    let fixed = part("fixed");
    if fixed.all > 0 {
        writeln!(
            text,
            "\nIn fixed point: {} instructions, {:.1}% of those above, {} of them in floating-point routines and what these call\n\
             (divisions, products of 64 bits; of a ranking three operations to a logit): {:.1}%.",
            fixed.all,
            percent(fixed.all),
            fixed.float,
            100.0 * fixed.float as f64 / fixed.all as f64,
        )?;
    }
    Ok(text)
}
