//! Runs the kernels between the marks that the counting plugin knows; prints what each region was, in their order.
#![no_std]
#![no_main]

use core::hint::black_box;

use chord_kernel_bench::{LAYER, Random, bundle, counted, pack_plan};
use chord_runtime::Widths;
use chord_runtime::kernels::{Linear, Native, Scalar, Tokens, scratch_words};
use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{self, EXIT_SUCCESS};
use cortex_m_semihosting::hprintln;

const ROWS: usize = 50;
const WIDEST: usize = 200;

/// Name of the target's kernel.
const NATIVE: &str = env!("CHORD_NATIVE_KERNEL");

fn bits(plan: &str, channel: usize, outputs: usize) -> u8 {
    // A quarter of the channels at 8 bits, a quarter at 4, the rest at 2.
    let mix = |quarter: usize| [8, 4, 2, 2][quarter];
    match plan {
        "8" => 8,
        "4" => 4,
        "2" => 2,
        "0" => 0,
        "mix" => mix(4 * channel / outputs),
        _ => mix(channel % 4),
    }
}

#[entry]
fn main() -> ! {
    static mut BUNDLE: [u8; 1 << 18] = [0; 1 << 18];
    static mut SCRATCH: [u32; scratch_words(ROWS, WIDEST)] = [0; scratch_words(ROWS, WIDEST)];
    static mut PACKED: [u32; 1 << 14] = [0; 1 << 14];
    static mut CODES: [i8; ROWS * WIDEST] = [0; ROWS * WIDEST];
    static mut PLAN: [u8; 2 * WIDEST] = [0; 2 * WIDEST];
    static mut OUT: [f32; ROWS * WIDEST] = [0.0; ROWS * WIDEST];
    let mut random = Random(1);
    for (inputs, outputs) in [(64, 64), (50, 64), (128, 64), (200, 64)] {
        let bundle = bundle(BUNDLE, inputs, outputs, &mut random, |random| random.bits() as i8);
        let layer = bundle.layer(LAYER);
        for activations in ["uniform", "extreme"] {
            let codes = &mut CODES[..ROWS * inputs];
            codes.fill_with(|| match activations {
                "uniform" => (random.below(255) as i16 - 127) as i8,
                _ => [-127, 127][random.below(2)],
            });
            let scales = [0.01; ROWS];
            for rows in [ROWS, 1] {
                let tokens = Tokens { codes: &codes[..rows * inputs], scales: &scales[..rows] };
                let out = &mut OUT[..rows * outputs];
                for plan in ["8", "4", "2", "mix", "alternating", "0"] {
                    pack_plan(&bundle, |channel| bits(plan, channel, outputs), PLAN);
                    let widths = Widths::new(PLAN, bundle.manifest().palette, layer.layer().first_channel);
                    let case = |kernel: &str, held: &str| {
                        hprintln!(
                            "{} {} {} {} {} {} {}",
                            kernel,
                            held,
                            activations,
                            inputs,
                            outputs,
                            rows,
                            plan
                        );
                    };
                    case(NATIVE, "in-place");
                    let kernel = Native::default();
                    counted(|| kernel.layer(tokens, black_box(&layer), widths, SCRATCH, out));
                    kernel.pack(&layer, widths, PACKED);
                    case(NATIVE, "packed");
                    counted(|| kernel.packed_layer(tokens, black_box(layer.layer()), PACKED, SCRATCH, out));
                    if activations == "uniform" && inputs == 64 {
                        case("scalar", "in-place");
                        counted(|| Scalar.layer(tokens, black_box(&layer), widths, SCRATCH, out));
                    }
                }
            }
        }
    }
    loop {
        debug::exit(EXIT_SUCCESS);
    }
}
