//! One model on all boards in QEMU: what a new plan, a ranking and an interaction take, counted.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use chord_plan::Bundle;
use chord_plan::Manifest;
use chord_plan::manifest::{Activation, ProfileShape, SasRecShape};

use crate::bench_mcu::{emulate, plugin, target_dir};
use crate::boards::{BOARDS, Board};
use crate::firmware::Firmware;
use crate::test::workspace;

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use random_model::Random;

/// Items of the catalogue, of the history and of the request.
const ITEMS: u32 = 200;
const HISTORY: u32 = 50;
const CANDIDATES: u32 = 100;

const HEAD: &str = "# All boards\n\nWritten by `cargo xtask bench-boards`. Instructions executed on each board in QEMU by \
    `firmware-example`'s `count`: SASRec with\nd = 64, 50 items of history, two blocks, GELU, random weights, a plan of 3.0 \
    bits per weight, 100 candidates, 4 rows at once.\nIts profile encoder has 64 features and 64 hidden units and looks back \
    over 50 items.\n\nIn brackets, in thousands, cycles of rough models of a Cortex-M4 and a Cortex-M55 \
    (`benches/insn-count/src/`), which are no measurements. The\nother cores have none: a Cortex-M7 and A53 start two instructions in a \
    cycle and wait for caches, of which Arm publishes no figures\nthat a count could use.\n\n| board | core | held | new plan | ranking | interaction |\n|---|---|---|--:|--:|--:|\n";

/// Counts on all boards and writes `benches/mcu/boards.md`.
///
/// # Errors
/// A build or a run that fails.
pub fn run() -> Result<()> {
    let target_dir = target_dir();
    let plugin = plugin(&target_dir)?;
    let request = target_dir.join("request");
    write_request(&request)?;
    let mut text = String::from(HEAD);
    for board in &BOARDS {
        let Board { name, core, .. } = board;
        let [plan, ranking, packed_plan, packed_ranking, interaction] = count(board, &request, &plugin)?;
        let rows = [("in-place", plan, ranking), ("packed", packed_plan, packed_ranking)];
        for (held, plan, ranking) in rows {
            let [plan, ranking, interaction] = [plan, ranking, interaction].map(|count| figure(count, core));
            let row = format!("| {name} | {core} | {held} | {plan} | {ranking} | {interaction} |\n");
            print!("{row}");
            text += &row;
        }
    }
    Ok(fs::write(workspace().join("benches/mcu/boards.md"), text)?)
}

/// Instructions, and cycles where the core has a model.
fn figure([instructions, cycles]: [u64; 2], core: &str) -> String {
    match core {
        "cortex-m4" | "cortex-m55" => format!("{instructions} [{}]", (cycles + 500) / 1000),
        _ => instructions.to_string(),
    }
}

fn write_request(folder: &Path) -> Result<()> {
    let shape = SasRecShape {
        items: ITEMS,
        positions: HISTORY as u16,
        dim: 64,
        inner: 64,
        blocks: 2,
        heads: 2,
        activation: Activation::Gelu,
        norm_epsilon: 1e-5,
    };
    let profile = ProfileShape { pooled: 50, features: 64, hidden: 64, norm_epsilon: 1e-5 };
    let manifest = Manifest { profile: Some(profile), ..random_model::sasrec(shape, [0, 2, 4, 8]) };
    let mut random = Random(1);
    let model = random_model::bundle(&manifest, &mut random);
    let bundle = Bundle::parse(&model)?;
    let plan = random_model::three_bit_plan(&bundle, &mut random);
    let lines = |items: Vec<u32>| items.iter().map(|item| format!("{item}\n")).collect::<String>();
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| path.display().to_string())
    };
    put("model.chord", &model)?;
    put("user.plan", &plan)?;
    put("history.txt", lines((0..HISTORY).map(|i| 7 * i % ITEMS).collect()).as_bytes())?;
    put("candidates.txt", lines((0..CANDIDATES).map(|i| 2 * i).collect()).as_bytes())
}

/// Builds the firmware for a board and runs it under the plugin; instructions of its regions.
fn count(board: &'static Board, request: &Path, plugin: &Path) -> Result<[[u64; 2]; 5]> {
    let firmware = Firmware { board, bin: "count", request: Some(request), packed: true, target_dir: None };
    let elf = firmware.build()?;
    let out = elf.with_extension("counts");
    let plugin = format!("{},out={},core={}", plugin.display(), out.display(), board.core);
    let (code, _) = emulate(&elf, board, &["-plugin", &plugin])?;
    if code != 0 {
        bail!("{} on {}: exit code {code}", elf.display(), board.name);
    }
    let text = fs::read_to_string(&out).with_context(|| out.display().to_string())?;
    let count = |line: &str| {
        let (instructions, cycles) = line.split_once(' ').context("two counts")?;
        anyhow::Ok([instructions.parse()?, cycles.parse()?])
    };
    let counts: Vec<[u64; 2]> = text.lines().map(count).collect::<Result<_>>()?;
    counts.try_into().map_err(|counts| anyhow!("not five regions: {counts:?}"))
}
