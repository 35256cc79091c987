//! Where the linker finds the memory map; the models of `model.rs`.

#[path = "../../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use std::path::PathBuf;
use std::{env, fs};

use chord_plan::Bundle;
use chord_plan::Manifest;
use chord_plan::manifest::{Activation, CaserShape, SasRecShape};
use random_model::Random;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    memory_map();
    for argument in ["-Tlink.x", "--nmagic"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
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
    model("sasrec", &random_model::sasrec(shape, [0, 2, 4, 8]));
    let shape = CaserShape { items: 200, window: 5, dim: 64, horizontal: 16, vertical: 4 };
    model("caser", &random_model::caser(shape, [0, 2, 4, 8]));
}

/// Puts the memory map of the board, of which `cargo xtask` has told, where link.x of cortex-m-rt looks for it.
fn memory_map() {
    println!("cargo::rerun-if-env-changed=CHORD_BENCH_BOARD");
    let board = env::var("CHORD_BENCH_BOARD").unwrap_or_else(|_| "mps2-an386".into());
    let map = format!("{}/../../../firmware-example/boards/{board}.x", package());
    println!("cargo::rerun-if-changed={map}");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy(&map, out.join("memory.x")).unwrap_or_else(|error| panic!("{map}: {error}"));
    println!("cargo::rustc-link-search={}", out.display());
    // A build script sees no more of the kernels' choice.
    let kernel = if board == "mps3-an547" { "mve" } else { "dsp" };
    println!("cargo::rustc-env=CHORD_NATIVE_KERNEL={kernel}");
}

/// Writes a random model and a plan of 3.0 bits to the build's folder.
fn model(name: &str, manifest: &Manifest) {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut random = Random(1);
    let bytes = random_model::bundle(manifest, &mut random);
    let bundle = Bundle::parse(&bytes).expect("a written bundle is valid");
    let plan = random_model::three_bit_plan(&bundle, &mut random);
    fs::write(out.join(format!("{name}.plan")), plan).expect("writable");
    fs::write(out.join(format!("{name}.chord")), bytes).expect("writable");
}

/// This package's folder; not where the build script itself was built, which may have been another clone.
fn package() -> String {
    env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")
}
