//! Names the kernels of microcontrollers that the target runs: stable Rust does not show Arm's DSP as a target feature.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(chord_dsp)");
    println!("cargo::rustc-check-cfg=cfg(chord_mve)");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    // Armv8-M Mainline has the DSP extension by choice: only a named core tells.
    let is_core = |core: &&str| flags.split('\x1f').any(|flag| flag.ends_with(&format!("target-cpu={core}")));
    let mve_core = ["cortex-m55", "cortex-m85"].iter().any(is_core);
    let v8m_core = mve_core || ["cortex-m33", "cortex-m35p"].iter().any(is_core);
    // The least core of each architecture, for the assembler.
    let core = match target.as_str() {
        "thumbv7em-none-eabihf" => "cortex-m4",
        "thumbv8m.main-none-eabihf" if v8m_core => "cortex-m33",
        _ => return,
    };
    println!("cargo::rustc-cfg=chord_dsp");
    // These cores have MVE unless the build says that theirs lacks it.
    let lacks_mve = flags.split(['\x1f', '=', ',']).any(|flag| flag == "-mve");
    if target.starts_with("thumbv8m") && mve_core && !lacks_mve {
        println!("cargo::rustc-cfg=chord_mve");
    }
    println!("cargo::rustc-env=CHORD_DSP_CORE={core}");
}
