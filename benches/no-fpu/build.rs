//! Writes the models, their plans and requests; picks the memory map.

#[path = "../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use std::path::{Path, PathBuf};
use std::{env, fs};

use chord_plan::manifest::{Activation, CaserShape, ProfileShape, SasRecShape};
use chord_plan::{Bundle, Manifest};
use random_model::Random;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    println!("cargo::rustc-link-arg-bins=-T{}/memory/{arch}.x", package());
    println!("cargo::rustc-link-arg-bins=--nmagic");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut source = example(&out);
    let sasrec = SasRecShape {
        items: 200,
        positions: 50,
        dim: 64,
        inner: 64,
        blocks: 2,
        heads: 2,
        activation: Activation::Gelu,
        norm_epsilon: 1e-5,
    };
    let caser = CaserShape { items: 200, window: 5, dim: 64, horizontal: 16, vertical: 4 };
    let profile = ProfileShape { pooled: 50, features: 64, hidden: 64, norm_epsilon: 1e-5 };
    let palette = [0, 2, 4, 8];
    let models = [
        ("sasrec", random_model::sasrec(sasrec, palette)),
        ("caser", Manifest { profile: Some(profile), ..random_model::caser(caser, palette) }),
    ];
    for (name, manifest) in &models {
        let mut random = Random(1);
        let model = random_model::bundle(manifest, &mut random);
        let bundle = Bundle::parse(&model).expect("a written bundle is valid");
        let plan = random_model::plan(&bundle, 1, &mut random);
        fs::write(out.join(format!("{name}.plan")), plan).expect("writable");
        fs::write(out.join(format!("{name}.chord")), model).expect("writable");
        let history = (0..50).map(|i| 7 * i % 200).collect();
        source += &request(name, history, (0..100).map(|i| 2 * i).collect());
    }
    source += "pub(super) static COUNTED: [&Request; 2] = [&SASREC, &CASER];\n";
    fs::write(out.join("made.rs"), source).expect("writable");
}

/// The example firmware's request as an item of Rust.
fn example(out: &Path) -> String {
    let folder = Path::new(&package()).join("../../firmware-example/request");
    println!("cargo::rerun-if-changed={}", folder.display());
    let items = |name| {
        let text = fs::read_to_string(folder.join(name)).expect("the request is committed");
        text.lines().map(|line| line.parse().expect("an item row")).collect()
    };
    for (name, copy) in [("model.chord", "example.chord"), ("user.plan", "example.plan")] {
        fs::copy(folder.join(name), out.join(copy)).expect("writable");
    }
    request("example", items("history.txt"), items("candidates.txt"))
}

/// A request as an item of Rust, whose model and plan lie in files of its name.
fn request(name: &str, history: Vec<u32>, candidates: Vec<u32>) -> String {
    format!(
        "pub(super) static {}: Request = Request {{\n    \
             name: \"{name}\",\n    \
             model: &Aligned(*include_bytes!(\"{name}.chord\")).0,\n    \
             plan: include_bytes!(\"{name}.plan\"),\n    \
             history: &{history:?},\n    \
             candidates: &{candidates:?},\n\
         }};\n",
        name.to_uppercase(),
    )
}

/// This package's folder; not where the build script itself was built, which may have been another clone.
fn package() -> String {
    env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")
}
