//! Names the kernels of microcontrollers that the target runs: stable Rust does not show Arm's DSP as a target feature.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(chord_dsp)");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    // Armv8-M Mainline has the DSP extension by choice: only a named core tells.
    let v8m_core = ["cortex-m33", "cortex-m35p", "cortex-m55", "cortex-m85"]
        .iter()
        .any(|core| flags.split('\x1f').any(|flag| flag.ends_with(&format!("target-cpu={core}"))));
    // The least core of each architecture, for the assembler.
    let core = match target.as_str() {
        "thumbv7em-none-eabihf" => "cortex-m4",
        "thumbv8m.main-none-eabihf" if v8m_core => "cortex-m33",
        _ => return,
    };
    println!("cargo::rustc-cfg=chord_dsp");
    println!("cargo::rustc-env=CHORD_DSP_CORE={core}");
}
