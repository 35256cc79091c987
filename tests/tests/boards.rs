//! The firmware's code: nothing in it can panic, and it takes the stack that the runtime promises.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chord_runtime::Core;
use xtask::boards::BOARDS;
use xtask::firmware::Firmware;

fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("firmware")
}

/// The panic handler of both programs calls a function that does not exist.
#[test]
fn the_runtime_links_without_a_panic() {
    let dir = target_dir();
    for (board, bin) in BOARDS.iter().flat_map(|board| ["bare", "whole"].map(|bin| (board, bin))) {
        let firmware = Firmware { board, bin, request: None, packed: false, target_dir: Some(&dir) };
        let elf = firmware.build().unwrap_or_else(|output| panic!("{}: {output}", board.name));
        let code = xtask::qemu::run(&elf, Duration::from_secs(120), |_| {}).unwrap();
        assert_eq!(code, 0, "{}", board.name);
    }
}

/// The figures in the runtime are those measured, rounded up: never too small, and close. Either way of holding a plan
/// ranks alike. Without an FPU it may be fixed point that takes the most.
#[test]
fn the_stack_is_what_the_runtime_says() {
    let mut wrong = Vec::new();
    for board in &BOARDS {
        let core = Core::named(board.core).unwrap();
        let (mut measured, mut rankings) = (Vec::new(), [Vec::new(), Vec::new(), Vec::new()]);
        let ways = [(false, false), (true, false), (false, true)].into_iter().zip(&mut rankings);
        for ((packed, fixed_point), ranking) in ways.take(if core.has_fpu() { 2 } else { 3 }) {
            let target_dir = target_dir();
            let firmware =
                Firmware { board, bin: "rerank", request: None, packed, target_dir: Some(&target_dir) };
            let elf = if fixed_point { firmware.build_fixed_point() } else { firmware.build() };
            xtask::qemu::run(&elf.unwrap(), Duration::from_secs(120), |line| {
                if let Some(stack) = line.strip_prefix("info stack ") {
                    measured.extend(stack.split(' ').filter_map(|word| word.parse::<usize>().ok()));
                }
                ranking.extend(line.strip_prefix("info rank ").map(str::to_owned));
            })
            .unwrap();
        }
        assert!(!rankings[0].is_empty() && rankings[0] == rankings[1], "{}: {rankings:#?}", board.name);
        let &worst = measured.iter().max().unwrap();
        let stated = core.stack_bytes();
        if worst > stated || stated > worst + worst / 8 {
            wrong.push(format!("{}: {worst} of {stated} bytes", board.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
