//! The C interface: the header is up to date, C and C++ compilers take it, and the example in C ranks as the firmware
//! does.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use xtask::test::workspace;

/// `CHORD_BLESS=1` writes the snapshot anew.
#[test]
fn the_example_ranks_as_the_firmware_does() {
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
