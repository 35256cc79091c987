//! The kernels on a Cortex-M4F in QEMU: checked against the scalar one, and counted instruction by instruction.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::boards::{BOARDS, Board};
use crate::peers::Peers;
use crate::qemu;
use crate::test::{run_command, workspace};

/// The core that is counted.
const BOARD: &Board = &BOARDS[0];

const TIMEOUT: Duration = Duration::from_secs(300);

/// One layer for one plan: what ran, and what it took.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) kernel: String,
    pub(crate) held: String,
    pub(crate) activations: String,
    pub(crate) inputs: u64,
    pub(crate) outputs: u64,
    pub(crate) rows: u64,
    pub(crate) plan: String,
    pub(crate) instructions: u64,
    pub(crate) cycles: u64,
}

impl Case {
    pub(crate) fn per_mac(&self, count: u64) -> f64 {
        count as f64 / (self.inputs * self.outputs * self.rows) as f64
    }
}

/// Counts the kernels and writes `benches/mcu/results.md` and `results.json`; with peers `peers.md` too.
pub fn run(peers: &Peers) -> Result<()> {
    let folder = workspace().join("benches");
    let target_dir = target_dir();
    let plugin = plugin(&target_dir)?;
    let [on_m4, parts] = ["bench", "model"].map(|name| regions(name, BOARD, &target_dir, &plugin));
    let cases: Vec<Case> = on_m4?.iter().map(case).collect::<Result<_>>()?;
    let models = models(&parts?)?;
    let versions = [version(BOARD.qemu)?, version("rustc")?];
    let m55 = crate::peers::M55;
    let on_m55 = layers(m55, &target_dir, &plugin)?;
    let text = head(&versions) + &table(&cases) + M55_HEAD + &table(&on_m55) + &models_markdown(&models);
    fs::write(folder.join("mcu/parts.svg"), crate::parts_plot::svg(&models)?)?;
    fs::write(folder.join("mcu/results.md"), &text)?;
    fs::write(folder.join("mcu/results.json"), json(&cases, &models, &versions))?;
    println!("{text}");
    peers.run(&cases, &target_dir, &plugin)
}

/// Builds the plugin that counts.
pub(crate) fn plugin(target_dir: &Path) -> Result<PathBuf> {
    run_command(cargo_build(target_dir).arg("--locked").current_dir(workspace().join("benches/insn-count")))?;
    let library = format!("{}insn_count{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    Ok(target_dir.join("release").join(library))
}

/// The layers of program `bench` on a board.
pub(crate) fn layers(board: &Board, target_dir: &Path, plugin: &Path) -> Result<Vec<Case>> {
    regions("bench", board, target_dir, plugin)?.iter().map(case).collect()
}

/// A counted region: its name in words, instructions, cycles.
pub(crate) struct Region {
    pub(crate) words: Vec<String>,
    pub(crate) instructions: u64,
    pub(crate) cycles: u64,
}

fn regions(name: &str, board: &Board, target_dir: &Path, plugin: &Path) -> Result<Vec<Region>> {
    count(&firmware(name, board, target_dir)?, board, target_dir, plugin)
}

/// Runs a program under the counting plugin. Its lines name the regions, the plugin's have the counts, in the same order.
pub(crate) fn count(elf: &Path, board: &Board, target_dir: &Path, plugin: &Path) -> Result<Vec<Region>> {
    let counts = target_dir.join("counts.txt");
    let arguments = format!("{},out={},core={}", plugin.display(), counts.display(), board.core);
    let (code, names) = emulate(elf, board, &["-plugin", &arguments])?;
    let name = elf.display();
    if code != 0 {
        bail!("{name} exits with {code}: {names}");
    }
    let counts = fs::read_to_string(&counts).context("reading the counts")?;
    if names.lines().count() != counts.lines().count() {
        bail!("{name}: {} names for {} regions", names.lines().count(), counts.lines().count());
    }
    let region = |(name, count): (&str, &str)| {
        let (instructions, cycles) = count.split_once(' ').context("two counts")?;
        let words = name.split(' ').map(str::to_owned).collect();
        Ok(Region { words, instructions: instructions.parse()?, cycles: cycles.parse()? })
    };
    names.lines().zip(counts.lines()).map(region).collect()
}

/// Target directory of the builds here.
pub(crate) fn target_dir() -> PathBuf {
    crate::test::target_dir("bench-mcu")
}

/// Builds program `name` of `benches/mcu/firmware` for an Arm board; returns its ELF.
///
/// Errors: a build that fails.
pub fn firmware(name: &str, board: &Board, target_dir: &Path) -> Result<PathBuf> {
    let target_dir = target_dir.join(board.core);
    let flags = format!("target.{}.rustflags={:?}", board.target, board.rustflags);
    let mut command = cargo_build(&target_dir);
    command.args(["--locked", "--bin", name, "--target", board.target, "--config", &flags]);
    // Flags of the host would come in place of the core's.
    command
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CHORD_BENCH_BOARD", board.name);
    run_command(command.current_dir(workspace().join("benches/mcu/firmware")))?;
    Ok(target_dir.join(board.target).join("release").join(name))
}

pub(crate) fn cargo_build(target_dir: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--target-dir"]).arg(target_dir);
    command
}

/// Runs a firmware that prints plain text; returns its exit code and the text.
///
/// Errors: no QEMU, the timeout.
pub fn emulate(elf: &Path, board: &Board, arguments: &[&str]) -> Result<(i32, String)> {
    let mut command = Command::new(board.qemu);
    command
        .args(board.machine)
        .args(qemu::ARGUMENTS)
        .arg(elf)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("starting {}", board.qemu))?;
    let mut stdout = child.stdout.take().context("QEMU's stdout is a pipe")?;
    let reader = std::thread::spawn(move || std::io::read_to_string(&mut stdout));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > TIMEOUT {
            child.kill()?;
            bail!("the firmware was still running after {TIMEOUT:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let output = reader.join().map_err(|_| anyhow::anyhow!("reading QEMU's output panicked"))??;
    Ok((status.code().context("QEMU died")?, output))
}

fn case(region: &Region) -> Result<Case> {
    let [kernel, held, activations, inputs, outputs, rows, plan] = &region.words[..] else {
        bail!("not a layer: {:?}", region.words);
    };
    Ok(Case {
        kernel: kernel.clone(),
        held: held.clone(),
        activations: activations.clone(),
        inputs: inputs.parse()?,
        outputs: outputs.parse()?,
        rows: rows.parse()?,
        plan: plan.clone(),
        instructions: region.instructions,
        cycles: region.cycles,
    })
}

/// A model held in one way.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) held: String,
    rows_at_once: String,
    arena_bytes: String,
    /// Instructions and cycles of each part, calls added up: `apply`, `rank`, and perhaps what a ranking consists of.
    pub(crate) parts: Vec<(String, [u64; 2])>,
}

impl Model {
    pub(crate) fn part(&self, name: &str) -> [u64; 2] {
        self.parts.iter().find(|(part, _)| part == name).map_or([0; 2], |&(_, count)| count)
    }
}

fn models(regions: &[Region]) -> Result<Vec<Model>> {
    let mut models: Vec<Model> = Vec::new();
    for Region { words, instructions, cycles } in regions {
        let [name, held, rows_at_once, arena_bytes, part] = &words[..] else {
            bail!("not a part of a model: {words:?}");
        };
        let is_new = models.last().is_none_or(|model| {
            [&model.name, &model.held, &model.rows_at_once] != [name, held, rows_at_once]
        });
        if is_new {
            let [name, held, rows_at_once, arena_bytes] =
                [name, held, rows_at_once, arena_bytes].map(Clone::clone);
            models.push(Model { name, held, rows_at_once, arena_bytes, parts: Vec::new() });
        }
        let Some(Model { parts, .. }) = models.last_mut() else { continue };
        match parts.iter_mut().find(|(name, _)| name == part) {
            Some((_, count)) => *count = [count[0] + instructions, count[1] + cycles],
            None => parts.push((part.clone(), [*instructions, *cycles])),
        }
    }
    Ok(models)
}

pub(crate) fn version(program: &str) -> Result<String> {
    let output = Command::new(program).arg("--version").output().with_context(|| program.to_owned())?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

fn head(versions: &[String]) -> String {
    format!(
        "# Kernels on a Cortex-M4F\n\nWritten by `cargo xtask bench-mcu` with {}. Instructions executed per \
         multiplication-accumulation of a whole layer: widening, multiplication and requantisation to f32. In \
         brackets cycles of a rough model (`benches/insn-count/src/cortex_m4.rs`), which is no measurement.\n\n\
         Plans: all channels at 8, 4, 2 or 0 bits; *mix* has the first quarter at 8 bits, the second at 4 and the rest \
         at 2; *alternating* has the same widths channel by channel. Activations: uniform in -127..=127, or all at \
         the ends.\n\n",
        versions.join(", ")
    )
}

const M55_HEAD: &str = "\n## Kernels on a Cortex-M55\n\nThe same on its MVE kernels, in brackets cycles of the rough model of \
    `benches/insn-count/src/cortex_m55.rs`: an MVE instruction takes one of three pipes for two cycles, of which the \
    second is the next one's too if that takes another pipe. It is no measurement.\n\n";

fn table(cases: &[Case]) -> String {
    let mut text = String::new();
    let columns = ["8", "4", "2", "mix", "alternating", "0"];
    let _ = writeln!(text, "| kernel | held | activations | K | N | rows | {} |", columns.join(" | "));
    let _ = writeln!(text, "|---|---|---|--:|--:|--:|{}", "--:|".repeat(columns.len()));
    let mut rows: Vec<Vec<&Case>> = Vec::new();
    let key = |case: &Case| {
        let Case { kernel, held, activations, inputs, outputs, rows, .. } = case;
        format!("{kernel} | {held} | {activations} | {inputs} | {outputs} | {rows}")
    };
    for case in cases {
        match rows.iter_mut().find(|row| key(row[0]) == key(case)) {
            Some(row) => row.push(case),
            None => rows.push(vec![case]),
        }
    }
    for row in rows {
        let _ = write!(text, "| {} |", key(row[0]));
        for column in columns {
            let _ = match row.iter().find(|case| case.plan == column) {
                Some(case) => {
                    let [instructions, cycles] = [case.instructions, case.cycles].map(|n| case.per_mac(n));
                    write!(text, " {instructions:.3} [{cycles:.2}] |")
                }
                None => write!(text, " |"),
            };
        }
        text.push('\n');
    }
    text
}

/// The clock of the milliseconds, in kHz.
const CLOCK: f64 = 168_000.0;

fn models_markdown(models: &[Model]) -> String {
    let mut text = String::from(
        "\n## Whole models\n\nRandom weights, plans of 3.0 bits per weight with the widths in random order, 100 \
         candidates. SASRec: d = 64, 50 items of history, two blocks. Caser: d = 64, window 5, 16 horizontal filters of \
         each height, 4 vertical ones. The milliseconds are the rough model's cycles at 168 MHz, no measurement.\n\n\
         | model | held | rows at once | arena, bytes | new plan, instructions | ranking, instructions | ranking, ms of \
         the model |\n|---|---|--:|--:|--:|--:|--:|\n",
    );
    for model in models {
        let Model { name, held, rows_at_once, arena_bytes, .. } = model;
        let ([apply, _], [rank, cycles]) = (model.part("apply"), model.part("rank"));
        let _ = writeln!(
            text,
            "| {name} | {held} | {rows_at_once} | {arena_bytes} | {apply} | {rank} | {:.1} |",
            cycles as f64 / CLOCK
        );
    }
    text.push_str("\nWhat a ranking consists of, in instructions ([as a picture](parts.svg)):\n\n| model | held | part | instructions |\n|---|---|---|--:|\n");
    for model in models {
        let whole = model.part("rank")[0];
        let parts = model.parts.iter().filter(|(name, _)| !["apply", "rank"].contains(&name.as_str()));
        let mut rest = whole;
        for (name, [instructions, _]) in parts {
            let _ = writeln!(text, "| {} | {} | {name} | {instructions} |", model.name, model.held);
            rest = rest.saturating_sub(*instructions);
        }
        if rest < whole {
            let _ = writeln!(text, "| {} | {} | all else | {rest} |", model.name, model.held);
        }
    }
    text
}

fn json(cases: &[Case], models: &[Model], versions: &[String]) -> String {
    let lines: Vec<String> = cases
        .iter()
        .map(|case| {
            format!(
                "    {{\"kernel\": {:?}, \"held\": {:?}, \"activations\": {:?}, \"inputs\": {}, \"outputs\": {}, \
                 \"rows\": {}, \"plan\": {:?}, \"instructions\": {}, \"model_cycles\": {}}}",
                case.kernel,
                case.held,
                case.activations,
                case.inputs,
                case.outputs,
                case.rows,
                case.plan,
                case.instructions,
                case.cycles
            )
        })
        .collect();
    let models: Vec<String> = models
        .iter()
        .flat_map(|model| {
            model.parts.iter().map(move |(part, [instructions, cycles])| {
                let Model { name, held, rows_at_once, arena_bytes, .. } = model;
                format!(
                    "    {{\"model\": {name:?}, \"held\": {held:?}, \"rows_at_once\": {rows_at_once}, \
                     \"arena_bytes\": {arena_bytes}, \"part\": {part:?}, \"instructions\": {instructions}, \
                     \"model_cycles\": {cycles}}}"
                )
            })
        })
        .collect();
    format!(
        "{{\n  \"versions\": {versions:?},\n  \"cases\": [\n{}\n  ],\n  \"models\": [\n{}\n  ]\n}}\n",
        lines.join(",\n"),
        models.join(",\n")
    )
}
