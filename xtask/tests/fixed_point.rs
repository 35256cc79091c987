//! The fixed-point arithmetic on the cores it is for: the same bits as on this machine, and no panic linked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chord_runtime::Core;
use xtask::boards::BOARDS;
use xtask::firmware::Firmware;

fn target_dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// `runtime-nostd/tests/fixed_point.rs` compares the same snapshot with the engine on this machine.
#[test]
fn cores_without_an_fpu_compute_what_the_snapshot_says() {
    let snapshot = xtask::no_fpu::snapshot().unwrap();
    for (core, results) in xtask::no_fpu::results(&target_dir("no-fpu")).unwrap() {
        assert_eq!(results, snapshot, "{core}");
    }
}

/// Every board ranks the example firmware's request alike on the stack that the runtime states, and the program links
/// although its panic handler calls a function that does not exist.
#[test]
fn boards_rank_alike_without_a_panic() {
    let expected = xtask::no_fpu::request_ranking().unwrap();
    let dir = target_dir("fixed-point");
    for board in &BOARDS {
        let firmware = |bin| {
            Firmware { board, bin, request: None, packed: false, target_dir: Some(&dir) }.build_fixed_point()
        };
        let run = |bin| {
            let elf = firmware(bin).unwrap_or_else(|output| panic!("{}: {output}", board.name));
            let mut lines = Vec::new();
            let code = xtask::qemu::run(&elf, Duration::from_secs(120), |line| lines.push(line.to_owned()));
            assert_eq!(code.unwrap(), 0, "{} {bin}: {lines:#?}", board.name);
            lines
        };
        run("bare");
        run("whole");
        let lines = run("rerank");
        let stack = lines.iter().find_map(|line| line.strip_prefix("info stack ")).unwrap();
        let stack: usize = stack.split(' ').next().unwrap().parse().unwrap();
        let core = Core::ALL.into_iter().find(|core| core.name() == board.core).unwrap();
        assert!(stack <= core.stack_bytes(), "{}: {stack} of {} bytes", board.name, core.stack_bytes());
        let ranked: Vec<String> = lines.iter().filter_map(|line| xtask::no_fpu::ranked(line)).collect();
        assert_eq!(ranked, expected, "{}", board.name);
    }
}
