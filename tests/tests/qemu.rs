//! The firmware in QEMU and the engine on this machine: the same ranking, the same bits.
//!
//! Without QEMU or the boards' targets these tests fail; `cargo xtask test` installs both.
//! `CHORD_BLESS=1` writes the committed request and its snapshot anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chord_plan::manifest::{Activation, CaserShape, PositionsFrom, ProfileShape, SasRecShape};
use chord_plan::{Bundle, Granularity, Manifest};
use chord_tests::firmware::{self, Request};
use chord_tests::{random_model, trained};
use chord_trainer::evaluation::trainer_engine::TrainerEngine;
use chord_trainer::freeze::freeze_with_profile;
use chord_trainer::frozen::encode_plan;
use chord_trainer::model::chord::Precision;
use chord_trainer::simulation::Simulation;
use xtask::boards::{BOARDS, Board};
use xtask::firmware::Firmware;
use xtask::test::workspace;

const TIMEOUT: Duration = Duration::from_secs(120);

/// Target directory of all firmware builds, apart from that of the tests, which cargo may hold locked.
fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("firmware")
}

/// A fresh folder for one request.
fn case_dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("requests").join(name);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// Exit code and messages of the firmware built for a board around the request in `dir`.
fn run(board: &'static Board, dir: &Path) -> (u8, Vec<String>) {
    let elf = &dir.join(board.name);
    firmware::build(board, dir, &target_dir(), elf);
    let mut lines = Vec::new();
    let code = xtask::qemu::run(elf, TIMEOUT, |line| lines.push(line.to_owned())).unwrap();
    (code, lines)
}

fn shape() -> SasRecShape {
    SasRecShape {
        items: 60,
        positions: 20,
        dim: 32,
        inner: 64,
        blocks: 2,
        heads: 2,
        activation: Activation::Gelu,
        norm_epsilon: 1e-5,
    }
}

/// The request in `firmware-example/request/`.
fn committed() -> Request {
    let profile = ProfileShape { pooled: 10, features: 12, hidden: 8, norm_epsilon: 1e-5 };
    let manifest = Manifest { profile: Some(profile), ..random_model::sasrec(shape(), [0, 2, 4, 8]) };
    Request::random(&manifest, 12, 10, 32)
}

fn bless() -> bool {
    std::env::var_os("CHORD_BLESS").is_some()
}

/// Each expected message is there, in this order, perhaps with more text behind (the number as decimals).
fn assert_messages(name: &str, (code, lines): (u8, Vec<String>), request: &Request) {
    let about = ["info model", "info plan", "info stack"];
    let ranking: Vec<&String> =
        lines.iter().filter(|line| !about.iter().any(|about| line.starts_with(about))).collect();
    let expected = request.expected_messages();
    assert_eq!((code, ranking.len()), (0, expected.len()), "{name}: {lines:#?}");
    for (line, expected) in ranking.iter().zip(&expected) {
        assert!(line.starts_with(expected.as_str()), "{name}: got {line}, expected {expected}");
    }
}

#[test]
fn random_models_give_the_same_bits() {
    let relu = Activation::Relu;
    use Granularity::{PerChannel, PerWidth};
    let cases = [
        (
            "one_item_of_history",
            SasRecShape { dim: 8, inner: 16, blocks: 1, heads: 1, activation: relu, ..shape() },
            ([0, 2, 4, 8], PerChannel),
            1,
        ),
        (
            "shorter_than_the_window",
            SasRecShape { dim: 12, inner: 21, heads: 3, ..shape() },
            ([0, 4, 255, 255], PerWidth),
            9,
        ),
        (
            "longer_than_the_window",
            SasRecShape { positions: 7, dim: 30, inner: 33, blocks: 3, heads: 5, ..shape() },
            ([2, 4, 8, 255], PerChannel),
            11,
        ),
        (
            "odd_sizes",
            SasRecShape { items: 13, positions: 6, dim: 5, inner: 3, heads: 1, activation: relu, ..shape() },
            ([0, 2, 4, 8], PerWidth),
            6,
        ),
        (
            "no_bits_at_all",
            SasRecShape { dim: 8, inner: 8, heads: 4, ..shape() },
            ([0, 255, 255, 255], PerWidth),
            3,
        ),
    ];
    for (seed, (name, shape, (palette, granularity), history)) in (1..).zip(cases) {
        let positions_from = if seed % 2 == 0 { PositionsFrom::Left } else { PositionsFrom::Right };
        let manifest = Manifest { granularity, positions_from, ..random_model::sasrec(shape, palette) };
        let request = Request::random(&manifest, history, 15, seed);
        let dir = case_dir(name);
        request.save(&dir).unwrap();
        assert_messages(name, run(&BOARDS[0], &dir), &request);
    }
}

#[test]
fn caser_gives_the_same_bits() {
    let shape = CaserShape { items: 40, window: 5, dim: 21, horizontal: 6, vertical: 3 };
    let manifest =
        Manifest { granularity: Granularity::PerWidth, ..random_model::caser(shape, [0, 2, 4, 8]) };
    // Shorter and longer than the window.
    for (name, history) in [("caser_short", 2), ("caser_long", 9)] {
        let request = Request::random(&manifest, history, 15, 7);
        let dir = case_dir(name);
        request.save(&dir).unwrap();
        assert_messages(name, run(&BOARDS[0], &dir), &request);
    }
}

#[test]
fn the_committed_request_prints_its_snapshot_on_every_board() {
    let request = committed();
    let dir = xtask::firmware::folder().join("request");
    let snapshot = workspace().join("tests/snapshots/firmware_request.txt");
    if bless() {
        request.save(&dir).unwrap();
    }
    let expected = case_dir("committed");
    request.save(&expected).unwrap();
    for name in ["model.chord", "user.plan", "history.txt", "candidates.txt"] {
        let same = fs::read(dir.join(name)).unwrap() == fs::read(expected.join(name)).unwrap();
        assert!(same, "{name} is not what the generator writes");
    }

    for board in &BOARDS {
        let (code, lines) = run(board, &expected);
        // What the code takes is the board's own; all else is the same.
        let output: String = lines
            .iter()
            .filter(|line| !line.starts_with("info stack"))
            .map(|line| format!("{line}\n"))
            .collect();
        if bless() && *board == BOARDS[0] {
            fs::write(&snapshot, &output).unwrap();
        }
        assert_eq!(output, fs::read_to_string(&snapshot).unwrap(), "{}", board.name);
        assert_messages(board.name, (code, lines), &request);
    }
}

#[test]
fn a_damaged_plan_is_refused_on_the_device() {
    let mut request = committed();
    request.plan[20] ^= 1;
    let dir = case_dir("damaged_plan");
    request.save(&dir).unwrap();
    let (code, lines) = run(&BOARDS[0], &dir);
    assert_eq!((code, lines.last().map(String::as_str)), (1, Some("error Plan(Checksum)")));
}

fn build_error(request: &Path) -> String {
    let firmware = Firmware {
        board: &BOARDS[0],
        bin: "rerank",
        request: Some(request),
        packed: false,
        target_dir: Some(&target_dir()),
    };
    firmware.build().unwrap_err().to_string()
}

#[test]
fn malformed_requests_do_not_build() {
    let dir = case_dir("malformed");
    committed().save(&dir).unwrap();
    fs::write(dir.join("history.txt"), "3\n4\nfive\n").unwrap();
    let message = build_error(&dir);
    assert!(message.contains("history.txt:3: \"five\" is not an item row"), "{message}");
    committed().save(&dir).unwrap();
    fs::write(dir.join("model.chord"), b"CHRD").unwrap();
    let message = build_error(&dir);
    assert!(message.contains("model.chord: 4 bytes, a bundle has at least 48"), "{message}");
}

#[test]
fn a_firmware_that_does_not_end_is_stopped() {
    let dir = case_dir("timeout");
    committed().save(&dir).unwrap();
    let elf = dir.join("firmware.elf");
    firmware::build(&BOARDS[0], &dir, &target_dir(), &elf);
    // Even a quick firmware takes longer than no time at all.
    let error = xtask::qemu::run(&elf, Duration::ZERO, |_| {}).unwrap_err();
    assert!(error.to_string().contains("still running"), "{error}");
}

/// Trained, frozen, planned for: the trainer's simulation, the engine on this machine and the firmware agree to the
/// last bit, on a plan that differs from another user's.
#[test]
fn a_trained_model_ranks_alike_in_all_three_engines() {
    let dir = case_dir("trained");
    let run_folder = tempfile::tempdir().unwrap();
    let config = trained::config();
    let model = trained::train(&config, run_folder.path());
    let frozen = freeze_with_profile(&model, &config).unwrap();
    let bundle = frozen.to_bundle().unwrap();
    let id = Bundle::parse(&bundle).unwrap().model();

    let sequences = trained::sequences();
    let histories = [sequences.user(3), sequences.user(8)];
    let trainer = TrainerEngine::new(&model, &config, Precision::Personal, 3.0);
    let plans = trainer.plans(&histories).unwrap();
    assert_ne!(plans[0].codes, plans[1].codes, "the plans are not personal");

    let request = Request {
        plan: encode_plan(&plans[0].codes, id, 7, 3.0).unwrap(),
        history: histories[0].to_vec(),
        candidates: (0..trained::ITEMS).collect(),
        model: bundle,
    };
    request.save(&dir).unwrap();
    assert_messages("trained", run(&BOARDS[0], &dir), &request);

    let mut simulated: Vec<(u32, f32)> =
        (0..).zip(Simulation::new(&frozen).unwrap().logits(&plans[0].codes, histories[0]).unwrap()).collect();
    simulated.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let ranking = request.expected_messages();
    for ((place, (item, logit)), message) in (1..).zip(simulated).zip(&ranking[1..]) {
        assert_eq!(*message, format!("info rank {place} item {item} logit {:08x}", logit.to_bits()));
    }
}
