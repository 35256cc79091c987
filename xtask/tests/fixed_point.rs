//! The fixed-point arithmetic on the cores it is for: the same bits as on this machine, and no panic linked.

mod request;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chord_plan::manifest::{CaserShape, ProfileShape};
use chord_plan::{Bundle, Manifest, Plan};
use chord_runtime::{Arithmetic, Core, Engine, Options, Profile, ProfileRequirements, Ranked, Requirements};
use request::random_model;
use xtask::boards::{BOARDS, Board};
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

/// What a program of the firmware prints on a board.
fn run(board: &'static Board, bin: &str, request: Option<&Path>) -> Vec<String> {
    // Tests that run beside each other must not take each other's programs.
    let dir = target_dir(if request.is_some() { "fixed-point-request" } else { "fixed-point" });
    let firmware = Firmware { board, bin, request, packed: false, target_dir: Some(&dir) };
    let elf = firmware.build_fixed_point().unwrap_or_else(|output| panic!("{}: {output}", board.name));
    let mut lines = Vec::new();
    let code = xtask::qemu::run(&elf, Duration::from_secs(120), |line| lines.push(line.to_owned()));
    assert_eq!(code.unwrap(), 0, "{} {bin}: {lines:#?}", board.name);
    lines
}

/// Checks that the parts of `rerank` took no more stack than the runtime states.
fn assert_stack(board: &Board, lines: &[String]) {
    let stack = lines.iter().find_map(|line| line.strip_prefix("info stack ")).unwrap();
    println!("{}: {stack}", board.name);
    let parts: Vec<usize> = stack.split(' ').filter_map(|word| word.parse().ok()).collect();
    let core = Core::named(board.core).unwrap();
    let stated = core.stack_bytes();
    assert!(parts.len() == 3 && parts.iter().all(|&part| part <= stated), "{}: {stack}", board.name);
}

/// Every board ranks the example firmware's request alike on the stack that the runtime states, and the program links
/// although its panic handler calls a function that does not exist.
#[test]
fn boards_rank_alike_without_a_panic() {
    let expected = xtask::no_fpu::request_ranking().unwrap();
    for board in &BOARDS {
        run(board, "bare", None);
        run(board, "whole", None);
        let lines = run(board, "rerank", None);
        assert_stack(board, &lines);
        let ranked: Vec<String> = lines.iter().filter_map(|line| xtask::no_fpu::ranked(line)).collect();
        assert_eq!(ranked, expected, "{}", board.name);
    }
}

/// What `rerank` prints of a request in fixed point, from the engine and the encoder on this machine.
fn expected(request: &Path) -> Vec<String> {
    let read = |name: &str| fs::read(request.join(name)).unwrap();
    let items = |name: &str| -> Vec<u32> {
        String::from_utf8(read(name)).unwrap().lines().map(|line| line.parse().unwrap()).collect()
    };
    let (model, plan, candidates) = (read("model.chord"), read("user.plan"), items("candidates.txt"));
    let (bundle, history) = (Bundle::parse(&model).unwrap(), items("history.txt"));
    let options = Options { arithmetic: Arithmetic::Fixed, ..Options::default() };
    let mut arena = vec![0; Requirements::of(&bundle, &options).arena_bytes];
    let mut engine = Engine::new(bundle, &Plan::parse(&plan).unwrap(), &mut arena, options).unwrap();
    let mut ranked = vec![Ranked::default(); candidates.len()];
    let ranked = engine.rank(&history, &candidates, &mut ranked).unwrap();
    let mut lines: Vec<String> = (1..)
        .zip(ranked)
        .map(|(place, best)| {
            format!("info rank {place} item {} logit {:08x}", best.item, best.logit.to_bits())
        })
        .collect();
    let mut arena = vec![0; ProfileRequirements::of(&bundle).unwrap().arena_bytes];
    let mut profile = Profile::with_arithmetic(bundle, &mut arena, Arithmetic::Fixed).unwrap();
    history.iter().for_each(|&item| profile.append(item).unwrap());
    let numbers = (0..).zip(profile.embedding().unwrap());
    lines.extend(numbers.map(|(place, x)| format!("info user {place} {:08x}", x.to_bits())));
    lines
}

/// The request above is SASRec's. Caser and the profile encoder, whose layers are the same whatever their sizes, give the bits
/// of this machine on every board, and take no more stack.
#[test]
fn caser_and_the_profile_encoder_stay_within_the_stack() {
    let shape = CaserShape { items: 50, window: 5, dim: 64, horizontal: 8, vertical: 4 };
    let profile = ProfileShape { pooled: 10, features: 64, hidden: 64, norm_epsilon: 1e-5 };
    let manifest = Manifest { profile: Some(profile), ..random_model::caser(shape, [0, 2, 4, 8]) };
    let request = target_dir("caser");
    request::write(&manifest, true, &request);
    let expected = expected(&request);
    for board in &BOARDS {
        let lines = run(board, "rerank", Some(&request));
        assert_stack(board, &lines);
        let printed =
            lines.iter().filter(|line| line.starts_with("info rank") || line.starts_with("info user"));
        for (line, expected) in printed.clone().zip(&expected) {
            assert!(line.starts_with(expected.as_str()), "{}: {line}, not {expected}", board.name);
        }
        assert_eq!(printed.count(), expected.len(), "{}", board.name);
    }
}
