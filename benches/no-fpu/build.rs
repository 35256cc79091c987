//! Writes the model and its plan; picks the memory map.

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use std::path::{Path, PathBuf};
use std::{env, fs};

use chord_plan::Bundle;
use chord_plan::manifest::{Activation, SasRecShape};
use random_model::Random;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    println!("cargo::rustc-link-arg-bins=-T{}/memory/{arch}.x", env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rustc-link-arg-bins=--nmagic");
    let shape = SasRecShape {
        items: 200,
        positions: 50,
        dim: 64,
        inner: 64,
        blocks: 2,
        heads: 2,
        activation: Activation::Gelu,
        norm_epsilon: 1e-5,
    };
    let mut random = Random(1);
    let model = random_model::bundle(&random_model::sasrec(shape, [0, 2, 4, 8]), &mut random);
    let bundle = Bundle::parse(&model).expect("a written bundle is valid");
    let plan = random_model::plan(&bundle, 1, &mut random);
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    write_request(&out);
    fs::write(out.join("sasrec.plan"), plan).expect("writable");
    fs::write(out.join("sasrec.chord"), model).expect("writable");
}

/// Writes the example firmware's request as a module.
fn write_request(out: &Path) {
    let request = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware-example/request");
    println!("cargo::rerun-if-changed={}", request.display());
    let items = |name| -> Vec<u32> {
        let text = fs::read_to_string(request.join(name)).expect("the request is committed");
        text.lines().map(|line| line.parse().expect("an item row")).collect()
    };
    let (history, candidates) = (items("history.txt"), items("candidates.txt"));
    for name in ["model.chord", "user.plan"] {
        fs::copy(request.join(name), out.join(name)).expect("writable");
    }
    let source = format!(
        "pub(super) static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(\"model.chord\"));\n\
         pub(super) static PLAN: &[u8] = include_bytes!(\"user.plan\");\n\
         pub(super) static HISTORY: [u32; {}] = {history:?};\n\
         pub(super) static CANDIDATES: [u32; {}] = {candidates:?};\n",
        history.len(),
        candidates.len(),
    );
    fs::write(out.join("request.rs"), source).expect("writable");
}
