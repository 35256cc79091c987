//! Names the kernels of microcontrollers that the target runs: stable Rust does not show Arm's DSP as a target feature.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(chord_dsp)");
    println!("cargo::rustc-check-cfg=cfg(chord_mve)");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let Core { dsp, has_mve, has_vector_floats } = Core::of(&target, &flags);
    if has_vector_floats {
        println!(
            "cargo::warning=the vector unit of this core takes subnormal floats for 0, so that results may be other \
             ones: build with -Ctarget-feature=-mve.fp,-lob (docs/porting.md, section 4)"
        );
    }
    let Some(core) = dsp else { return };
    println!("cargo::rustc-cfg=chord_dsp");
    println!("cargo::rustc-env=CHORD_DSP_CORE={core}");
    if has_mve {
        println!("cargo::rustc-cfg=chord_mve");
    }
}

/// What a build's core can do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Core {
    /// The least core of its architecture with the DSP extension, for the assembler, if it has that.
    pub(crate) dsp: Option<&'static str>,
    /// Integer MVE.
    pub(crate) has_mve: bool,
    /// MVE with floats, which the compiler may use wherever it likes.
    pub(crate) has_vector_floats: bool,
}

impl Core {
    /// Of a target and of the compiler's flags as cargo hands them over, 0x1f between them.
    pub(crate) fn of(target: &str, flags: &str) -> Self {
        let is_core =
            |core: &&str| flags.split('\x1f').any(|flag| flag.ends_with(&format!("target-cpu={core}")));
        // Features that the build takes from its core.
        let lacks = |feature: &str| flags.split(['\x1f', '=', ',']).any(|flag| flag == feature);
        let is_v8m = target.starts_with("thumbv8m.main");
        let is_mve_core = is_v8m && ["cortex-m55", "cortex-m85"].iter().any(is_core);
        // Armv8-M Mainline has the DSP extension by choice: only a named core tells.
        let is_dsp_core = is_mve_core || ["cortex-m33", "cortex-m35p"].iter().any(is_core);
        let dsp = match target {
            "thumbv7em-none-eabihf" => Some("cortex-m4"),
            "thumbv8m.main-none-eabihf" if is_dsp_core => Some("cortex-m33"),
            _ => None,
        };
        // To the compiler MVE is one more extension on top of DSP, its floats one on top of MVE.
        let has_mve = is_mve_core && !lacks("-dsp") && !lacks("-mve");
        Self {
            dsp: dsp.filter(|_| !lacks("-dsp")),
            has_mve: has_mve && dsp.is_some(),
            has_vector_floats: has_mve && !lacks("-mve.fp"),
        }
    }
}
