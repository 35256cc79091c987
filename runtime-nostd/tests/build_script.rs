//! Which kernels a build for a microcontroller gets.

#[allow(dead_code)] // It prints for cargo.
#[path = "../build.rs"]
mod build;

use build::Core;

const M4: &str = "thumbv7em-none-eabihf";
const M33: &str = "thumbv8m.main-none-eabihf";

#[test]
fn the_flags_say_what_the_core_can_do() {
    let (dsp, none) = (Some("cortex-m33"), None);
    for (target, flags, core) in [
        (M4, "", (Some("cortex-m4"), false, false)),
        (M4, "-Ctarget-feature=-dsp", (none, false, false)),
        ("thumbv6m-none-eabi", "-Ctarget-cpu=cortex-m0plus", (none, false, false)),
        (M33, "", (none, false, false)),
        (M33, "-Ctarget-cpu=cortex-m33", (dsp, false, false)),
        (M33, "-C\x1ftarget-cpu=cortex-m35p\x1f--cfg=x=\"-dsp\"", (dsp, false, false)),
        (M33, "-Ctarget-cpu=cortex-m33\x1f-Ctarget-feature=-dsp", (none, false, false)),
        (M33, "-Ctarget-cpu=cortex-m33\x1f-C\x1ftarget-feature=-lob,-dsp", (none, false, false)),
        (M33, "-Ctarget-cpu=cortex-m55\x1f-Ctarget-feature=-mve.fp,-lob", (dsp, true, false)),
        (M33, "-Ctarget-cpu=cortex-m55\x1f-Ctarget-feature=-lob", (dsp, true, true)),
        (M33, "-Ctarget-cpu=cortex-m85", (dsp, true, true)),
        (M33, "-Ctarget-cpu=cortex-m85\x1f-Ctarget-feature=-mve", (dsp, false, false)),
        (M33, "-Ctarget-cpu=cortex-m55\x1f-Ctarget-feature=-dsp", (none, false, false)),
        // Without hard floats there is no kernel, but the compiler still has the vector unit.
        ("thumbv8m.main-none-eabi", "-Ctarget-cpu=cortex-m55", (none, false, true)),
        (
            "thumbv8m.main-none-eabi",
            "-Ctarget-cpu=cortex-m55\x1f-Ctarget-feature=-mve.fp",
            (none, false, false),
        ),
    ] {
        let Core { dsp, has_mve, has_vector_floats } = Core::of(target, flags);
        assert_eq!((dsp, has_mve, has_vector_floats), core, "{target} {flags:?}");
    }
}
