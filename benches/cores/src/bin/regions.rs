//! Runs the kernels of AArch64 between the marks that the counting plugin knows (`benches/insn-count`); prints what each
//! region was, in their order: kernel, holding, inputs, outputs, rows, plan. `cargo xtask bench-cores` runs it in QEMU.

#[path = "../../../../plan-format/tests/random_model/mod.rs"]
mod random_model;

use std::hint::black_box;

use chord_plan::Bundle;
use chord_plan::manifest::{Activation, LayerKind, SasRecShape};
use chord_runtime::Widths;
use chord_runtime::kernels::{Linear, Scalar, Tokens, packed_words, scratch_words};
use random_model::Random;

const LAYER: usize = LayerKind::Expand as usize;

fn counted(region: impl FnOnce()) {
    // SAFETY: hints without a meaning, which cores execute as a nop.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("hint #0x40", options(nomem, nostack, preserves_flags));
    };
    region();
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("hint #0x41", options(nomem, nostack, preserves_flags));
    };
}

fn kernels() -> Vec<(&'static str, Box<dyn Linear>)> {
    let mut kernels: Vec<(_, Box<dyn Linear>)> = vec![("scalar", Box::new(Scalar))];
    #[cfg(target_arch = "aarch64")]
    kernels.extend(
        chord_runtime::kernels::Neon::all()
            .map(|kernel| (kernel.name(), Box::new(kernel) as Box<dyn Linear>)),
    );
    #[cfg(target_arch = "x86_64")]
    kernels.extend(
        chord_runtime::kernels::X86::all().map(|kernel| (kernel.name(), Box::new(kernel) as Box<dyn Linear>)),
    );
    kernels
}

fn main() {
    let mut random = Random(1);
    for (inputs, outputs) in [(64, 64), (50, 64), (128, 64), (200, 64)] {
        let shape = SasRecShape {
            items: 1,
            positions: 1,
            dim: inputs as u16,
            inner: outputs as u16,
            blocks: 1,
            heads: 1,
            activation: Activation::Relu,
            norm_epsilon: 1e-5,
        };
        let model = random_model::bundle(&random_model::sasrec(shape, [0, 2, 4, 8]), &mut random);
        let bundle = Bundle::parse(&model).expect("a written bundle is valid");
        let layer = bundle.layer(LAYER);
        let first = layer.layer().first_channel;
        for rows in [50, 1] {
            let codes: Vec<i8> = (0..rows * inputs).map(|_| (random.bits() as i8).max(-127)).collect();
            let scales = vec![0.01; rows];
            let tokens = Tokens { codes: &codes, scales: &scales };
            let mut out = vec![0.0; rows * outputs];
            let mut scratch = vec![0; scratch_words(rows, inputs)];
            for plan in ["8", "4", "2", "mix", "alternating", "0"] {
                // A quarter of the channels at 8 bits, a quarter at 4, the rest at 2.
                let mix = |quarter: usize| [3, 2, 1, 1][quarter];
                let mut plan_codes = vec![0u8; bundle.manifest().channels().div_ceil(4)];
                for channel in 0..outputs {
                    let code = match plan {
                        "8" => 3,
                        "4" => 2,
                        "2" => 1,
                        "0" => 0,
                        "mix" => mix(4 * channel / outputs),
                        _ => mix(channel % 4),
                    };
                    plan_codes[(first + channel) / 4] |= code << (2 * ((first + channel) % 4));
                }
                let widths = Widths::new(&plan_codes, bundle.manifest().palette, first);
                let mut packed = vec![0; packed_words(layer.layer(), widths)];
                for (name, kernel) in kernels() {
                    println!("{name} in-place {inputs} {outputs} {rows} {plan}");
                    counted(|| kernel.layer(tokens, black_box(&layer), widths, &mut scratch, &mut out));
                    kernel.pack(&layer, widths, &mut packed);
                    println!("{name} packed {inputs} {outputs} {rows} {plan}");
                    counted(|| {
                        kernel.packed_layer(
                            tokens,
                            black_box(layer.layer()),
                            &packed,
                            &mut scratch,
                            &mut out,
                        );
                    });
                }
            }
        }
    }
}
