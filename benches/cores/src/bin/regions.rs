//! Runs the kernels of AArch64 between the marks that the counting plugin knows (`benches/insn-count`); prints what each
//! region was, in their order: kernel, holding, inputs, outputs, rows, plan. `count.sh` runs it in QEMU.

use std::hint::black_box;

use chord_core_bench::random_model::Random;
use chord_core_bench::{LAYER, PLANS, kernels, layer_model, layer_plan};
use chord_plan::Bundle;
use chord_runtime::Widths;
use chord_runtime::kernels::{Tokens, packed_words, scratch_words};

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

fn main() {
    let mut random = Random(1);
    for (inputs, outputs) in [(64, 64), (50, 64), (128, 64), (200, 64)] {
        let model = layer_model(inputs, outputs, &mut random);
        let bundle = Bundle::parse(&model).expect("a written bundle is valid");
        let layer = bundle.layer(LAYER);
        let first = layer.layer().first_channel;
        for rows in [50, 1] {
            let codes: Vec<i8> = (0..rows * inputs).map(|_| (random.bits() as i8).max(-127)).collect();
            let scales = vec![0.01; rows];
            let tokens = Tokens { codes: &codes, scales: &scales };
            let mut out = vec![0.0; rows * outputs];
            let mut scratch = vec![0; scratch_words(rows, inputs)];
            for plan in PLANS {
                let plan_codes = layer_plan(&bundle, plan);
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
