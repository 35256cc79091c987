//! The C interface: the header is up to date, C and C++ compilers take it, and the example in C ranks as the firmware
//! does.

mod request;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chord_plan::manifest::{Activation, CaserShape, ProfileShape, SasRecShape};
use chord_plan::{Bundle, Manifest};
use chord_runtime::{Arithmetic, Core, Profile, ProfileRequirements};
use request::random_model;
use xtask::boards::{BOARDS, Board};
use xtask::test::workspace;

/// What the example prints of its user, from the encoder on this machine.
fn message_to_send(arithmetic: Arithmetic) -> String {
    let request = workspace().join("firmware-example/request");
    let model = fs::read(request.join("model.chord")).unwrap();
    let bundle = Bundle::parse(&model).unwrap();
    let needed = ProfileRequirements::of(&bundle).unwrap();
    let mut arena = vec![0; needed.arena_bytes];
    let mut profile = Profile::with_arithmetic(bundle, &mut arena, arithmetic).unwrap();
    for item in fs::read_to_string(request.join("history.txt")).unwrap().lines() {
        profile.append(item.parse().unwrap()).unwrap();
    }
    let mut message = vec![0; needed.embedding_bytes];
    let interactions = profile.interactions();
    let bytes = profile.message(&mut message).unwrap().iter();
    let hex: String = bytes.map(|byte| format!("{byte:02x}")).collect();
    format!("to send, of {interactions} interactions: {hex}")
}

/// `CHORD_BLESS=1` writes the snapshot anew.
#[test]
fn the_example_ranks_and_encodes_as_the_firmware_does() {
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-api");
    let elf = xtask::c_api::example(&target_dir).unwrap_or_else(|output| panic!("{output}"));
    let mut output = String::new();
    let code =
        xtask::qemu::run(&elf, Duration::from_secs(120), |line| output += &format!("{line}\n")).unwrap();
    let snapshots = workspace().join("tests/snapshots");
    let snapshot = snapshots.join("c_example.txt");
    if std::env::var_os("CHORD_BLESS").is_some() {
        fs::write(&snapshot, &output).unwrap();
    }
    assert_eq!((code, &output), (0, &fs::read_to_string(&snapshot).unwrap()));
    let firmware = fs::read_to_string(snapshots.join("firmware_request.txt")).unwrap();
    let ranking: Vec<&str> = firmware.lines().filter_map(|line| line.strip_prefix("info rank")).collect();
    let ours: Vec<&str> = output.lines().filter_map(|line| line.strip_prefix("rank")).collect();
    assert!(!ours.is_empty());
    assert_eq!(ours, ranking);
    assert!(output.contains(&message_to_send(Arithmetic::Float)), "{output}");
}

/// A library with fixed point ranks as the snapshot of `runtime-nostd/tests/fixed_point.rs` says and encodes as Rust does, one
/// without refuses.
#[test]
fn the_example_chooses_the_arithmetic() {
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-api-fixed-point");
    let run = |is_built| {
        let elf = xtask::c_api::fixed_point_example(is_built, &target_dir);
        let elf = elf.unwrap_or_else(|output| panic!("{output}"));
        let mut lines = Vec::new();
        let code = xtask::qemu::run(&elf, Duration::from_secs(120), |line| lines.push(line.to_owned()));
        (code.unwrap(), lines)
    };
    assert_eq!(run(false), (1, vec!["chord_requirements: CHORD_STATUS_UNKNOWN_OPTION".to_owned()]));
    let (code, lines) = run(true);
    let ranked: Vec<String> = lines.iter().filter_map(|line| xtask::no_fpu::ranked(line)).collect();
    assert_eq!((code, ranked), (0, xtask::no_fpu::request_ranking().unwrap()));
    let sent = message_to_send(Arithmetic::Fixed);
    assert!(lines.contains(&sent) && sent != message_to_send(Arithmetic::Float), "{lines:#?}");
}

/// A library with one network alone ranks with it, and refuses a model of the other.
#[test]
fn the_example_has_the_networks_that_it_was_built_with() {
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-api-networks");
    let run = |network| {
        let elf = xtask::c_api::example_for(network, &target_dir).unwrap_or_else(|output| panic!("{output}"));
        let mut output = String::new();
        let code = xtask::qemu::run(&elf, Duration::from_secs(120), |line| output += &format!("{line}\n"));
        (code.unwrap(), output)
    };
    let snapshot = fs::read_to_string(workspace().join("tests/snapshots/c_example.txt")).unwrap();
    assert_eq!(run("sasrec"), (0, snapshot));
    assert_eq!(run("caser"), (1, "chord_init: CHORD_STATUS_NETWORK_LEFT_OUT\n".to_owned()));
}

#[test]
fn the_header_is_what_cbindgen_makes_of_the_sources() {
    let committed = fs::read_to_string(xtask::c_api::header_path()).unwrap();
    assert_eq!(committed, xtask::c_api::header().unwrap(), "`cargo xtask c-header` writes it anew");
}

#[test]
fn c_and_cpp_compilers_take_the_header() {
    for language in [["c", "-std=c99"], ["c++", "-std=c++11"]] {
        let status = Command::new("arm-none-eabi-gcc")
            .args(["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-x"])
            .args(language)
            .arg(xtask::c_api::header_path())
            .status()
            .unwrap();
        assert!(status.success(), "{language:?}");
    }
}

/// The figures of the documentation are those measured over both networks and holdings, without an FPU also in fixed
/// point, rounded up: never too small, and close.
#[test]
fn the_stack_is_what_the_documentation_says() {
    let page = fs::read_to_string(workspace().join("docs/c-api.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(" | ").collect()).collect();
    let cores = rows.iter().find(|row| row[0] == "call").unwrap();
    let arithmetics = |board: &Board| {
        let core = Core::named(board.core).unwrap();
        if core.has_fpu() { vec![Arithmetic::Float] } else { vec![Arithmetic::Float, Arithmetic::Fixed] }
    };
    let columns: Vec<(&Board, Arithmetic, String)> = (BOARDS.iter())
        .filter(|board| board.core.starts_with("cortex-m"))
        .flat_map(|board| arithmetics(board).into_iter().map(move |arithmetic| (board, arithmetic)))
        .map(|(board, arithmetic)| match arithmetic {
            Arithmetic::Float => (board, arithmetic, board.core.to_owned()),
            Arithmetic::Fixed => (board, arithmetic, format!("{}, fixed point", board.core)),
        })
        .collect();
    assert_eq!(cores[1..], columns.iter().map(|(.., title)| title).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for (place, (board, arithmetic, title)) in (1..).zip(columns) {
        let measured = stack_of_calls(board, arithmetic);
        let calls = rows.iter().filter(|row| row[0].starts_with("`chord_"));
        let missing: Vec<_> = calls.filter(|row| !measured.contains_key(row[0].trim_matches('`'))).collect();
        assert!(missing.is_empty(), "{title}: not measured: {missing:?}");
        for (call, worst) in measured {
            println!("{title}: {call}: {worst} bytes");
            let row = rows.iter().find(|row| row[0] == format!("`{call}`"));
            let stated: usize = row.and_then(|row| row.get(place)?.parse().ok()).unwrap_or(0);
            // Small frames may differ by a few words.
            if worst > stated || stated > worst + (worst / 8).max(32) {
                wrong.push(format!("{title}: {call}: {worst} bytes measured"));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/c-api.md: {wrong:#?}");
}

/// The most that each call took over both networks and the holdings there are, with an item table and without, in bytes.
fn stack_of_calls(board: &Board, arithmetic: Arithmetic) -> BTreeMap<String, usize> {
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-api-stack");
    let shape = SasRecShape {
        items: 50,
        positions: 10,
        dim: 64,
        inner: 64,
        blocks: 2,
        heads: 2,
        activation: Activation::Gelu,
        norm_epsilon: 1e-5,
    };
    // A head of no multiple of 16 numbers takes the portable attention.
    let odd = SasRecShape { dim: 60, inner: 52, heads: 3, ..shape };
    let caser = CaserShape { items: 50, window: 5, dim: 64, horizontal: 8, vertical: 4 };
    let profile = ProfileShape { pooled: 10, features: 64, hidden: 64, norm_epsilon: 1e-5 };
    let odd_profile = ProfileShape { features: 61, hidden: 45, ..profile };
    let palette = [0, 2, 4, 8];
    let mut measured = BTreeMap::new();
    for (index, (manifest, profile, has_items)) in [
        (random_model::sasrec(shape, palette), profile, true),
        (random_model::sasrec(odd, palette), odd_profile, true),
        (random_model::caser(caser, palette), profile, true),
        (random_model::sasrec(shape, palette), profile, false),
        (random_model::sasrec(odd, palette), odd_profile, false),
    ]
    .into_iter()
    .enumerate()
    {
        let request = target_dir.join(index.to_string());
        request::write(&Manifest { profile: Some(profile), ..manifest }, has_items, &request);
        let elf =
            xtask::c_api::program(board, "stack", &request, arithmetic == Arithmetic::Fixed, &target_dir)
                .unwrap_or_else(|error| panic!("{error}"));
        let mut lines = Vec::new();
        let code =
            xtask::qemu::run(&elf, Duration::from_secs(120), |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(code, 0, "{lines:?}");
        for line in lines {
            let (call, bytes) = line.split_once(' ').unwrap();
            let worst = measured.entry(call.to_owned()).or_insert(0);
            *worst = bytes.parse::<usize>().unwrap().max(*worst);
        }
    }
    measured
}
