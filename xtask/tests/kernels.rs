//! The kernels of a Cortex-M4F against the scalar one, on the core itself.

use std::path::Path;

use xtask::bench_mcu::{emulate, firmware};

#[test]
fn kernels_give_the_same_bits_in_qemu() {
    let elf = firmware("check", &Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels")).unwrap();
    let (code, output) = emulate(&elf, &[]).unwrap();
    assert!(code == 0 && output.contains("tokens, the same bits"), "{code}: {output}");
}
