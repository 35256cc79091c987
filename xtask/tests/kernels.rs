//! The kernels of a Cortex-M4F and a Cortex-M55 against the scalar one, on the cores themselves.

use std::path::Path;

use xtask::bench_mcu::{emulate, firmware};
use xtask::boards::Board;

#[test]
fn kernels_give_the_same_bits_in_qemu() {
    for board in ["mps2-an386", "mps3-an547"] {
        let board = Board::named(board).unwrap();
        let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels");
        let (code, output) = emulate(&firmware("check", board, &target_dir).unwrap(), board, &[]).unwrap();
        assert!(code == 0 && output.contains("tokens, the same bits"), "{}: {code}: {output}", board.name);
    }
}
