//! Writes the model and its plan; picks the memory map.

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use std::path::PathBuf;
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
    fs::write(out.join("sasrec.plan"), plan).expect("writable");
    fs::write(out.join("sasrec.chord"), model).expect("writable");
}
