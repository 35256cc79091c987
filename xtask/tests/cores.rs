//! The kernels of AArch64 against the scalar one, on cores with and without `sdot` and i8mm, in QEMU's user mode.

use std::path::Path;
use std::process::Command;

/// Runs the runtime's kernel tests on a core; returns what they print.
fn kernels_on(core: &str) -> String {
    let workspace = xtask::test::workspace();
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cores");
    let target = "aarch64-unknown-linux-musl";
    let output = Command::new(env!("CARGO"))
        .args(["test", "--locked", "--package", "chord-runtime", "--features", "std"])
        .args(["--test", "kernels", "--test", "tokens"])
        .args(["--target", target, "--config", &format!("target.{target}.linker='rust-lld'")])
        .args(["--config", &format!("target.{target}.runner='qemu-aarch64 -cpu {core}'")])
        .arg("--target-dir")
        .arg(target_dir)
        .args(["--", "--nocapture"])
        // Emulation takes its time.
        .env("PROPTEST_CASES", "64")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(workspace)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{core}: {text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn kernels_give_the_same_bits_on_every_core() {
    for (core, kernels) in [
        ("cortex-a53", r#"["neon"]"#),
        ("cortex-a76", r#"["neon", "sdot"]"#),
        ("max", r#"["neon", "sdot", "i8mm"]"#),
    ] {
        let text = kernels_on(core);
        assert!(text.contains(&format!("this processor runs {kernels}")), "{core}: {text}");
    }
}
