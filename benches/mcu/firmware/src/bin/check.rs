//! The target's kernel and the scalar one on random and extreme layers: the same bits, or exit code 1.
#![no_std]
#![no_main]

use chord_kernel_bench::{LAYER, Random, bundle, pack_plan};
use chord_runtime::Widths;
use chord_runtime::kernels::{Linear, Native, Scalar, Tokens, scratch_words};
use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::hprintln;

const ROWS: usize = 9;
const WIDEST: usize = 300;

#[entry]
fn main() -> ! {
    static mut BUNDLE: [u8; 1 << 20] = [0; 1 << 20];
    static mut SCRATCH: [u32; scratch_words(ROWS, WIDEST)] = [0; scratch_words(ROWS, WIDEST)];
    static mut PACKED: [u32; 1 << 16] = [0xdead_beef; 1 << 16];
    static mut CODES: [i8; ROWS * WIDEST] = [0; ROWS * WIDEST];
    static mut PLAN: [u8; 2 * WIDEST] = [0; 2 * WIDEST];
    static mut OUT: [[f32; ROWS * WIDEST]; 2] = [[0.0; ROWS * WIDEST]; 2];
    let mut random = Random(1);
    let [expected, found] = OUT;
    let mut cases = 0;
    let sizes = [1, 2, 3, 4, 5, 7, 8, 9, 12, 31, 43, 44, 50, 64, 65, 68, 128, 131, 132, 136, 200, 300];
    for inputs in sizes {
        for extreme in 0..6 {
            let outputs = 1 + random.below(if inputs > 64 { 20 } else { 70 });
            let bundle = bundle(BUNDLE, inputs, outputs, &mut random, |random| match extreme {
                0 | 1 => random.bits() as i8,
                2 => [-128, 127][random.below(2)],
                4 => 127,
                _ => -128,
            });
            let layer = bundle.layer(LAYER);
            for widths in 0..7 {
                let seed = random.bits();
                let mixed = |channel: usize| {
                    let choice = (seed >> (channel % 29)) as usize;
                    [0, 2, 4, 8][choice % 4]
                };
                pack_plan(
                    &bundle,
                    |channel| match widths {
                        0 => 8,
                        1 => 4,
                        2 => 2,
                        3 => 0,
                        4 => [8, 4, 2, 2][4 * channel / outputs],
                        _ => mixed(channel),
                    },
                    PLAN,
                );
                let widths = Widths::new(PLAN, bundle.manifest().palette, layer.layer().first_channel);
                let rows = 1 + random.below(ROWS);
                // Rows whose magnitudes sum to about what two 2-bit channels can share a sum for.
                let (edge, sign) = (5440 + random.below(40), [-1, 1][random.below(2)]);
                let codes = &mut CODES[..rows * inputs];
                let mut place = 0;
                codes.fill_with(|| match (extreme, random.below(8)) {
                    (4.., _) => {
                        place = (place + 1) % inputs;
                        let magnitude = edge / inputs + usize::from(place < edge % inputs);
                        sign * magnitude.min(127) as i8
                    }
                    (0, _) => (random.below(255) as i16 - 127) as i8,
                    (1, _) => (random.below(61) as i16 - 30) as i8,
                    (2, choice) => [-127, 127][choice % 2],
                    (_, 0) => -127,
                    _ => 127,
                });
                let mut scales = [0.0; ROWS];
                scales.fill_with(|| 0.01 + 0.005 * random.signed());
                let tokens = Tokens { codes, scales: &scales[..rows] };
                let (expected, found) = (&mut expected[..rows * outputs], &mut found[..rows * outputs]);
                Scalar.layer(tokens, &layer, widths, &mut [], expected);
                found.fill(f32::NAN);
                SCRATCH.fill(0xdead_beef);
                Native::default().layer(tokens, &layer, widths, SCRATCH, found);
                for held in ["in place", "packed"] {
                    if held == "packed" {
                        found.fill(f32::NAN);
                        Native::default().pack(&layer, widths, PACKED);
                        Native::default().packed_layer(tokens, layer.layer(), PACKED, SCRATCH, found);
                    }
                    let same = expected.iter().zip(&*found).position(|(a, b)| a.to_bits() != b.to_bits());
                    if let Some(at) = same {
                        let (row, channel) = (at / outputs, at % outputs);
                        hprintln!(
                            "{}, {} x {}, {} rows, extreme {}: row {} channel {} ({} bits) is {}, expected {}",
                            held,
                            inputs,
                            outputs,
                            rows,
                            extreme,
                            row,
                            channel,
                            widths.bits(channel),
                            found[at],
                            expected[at]
                        );
                        exit(false);
                    }
                }
                let (token, item) = (&tokens.codes[..inputs], layer.codes(0));
                if Scalar.dot(token, item) != Native::default().dot(token, item) {
                    hprintln!("dot of {} inputs, extreme {}", inputs, extreme);
                    exit(false);
                }
                cases += 1;
            }
        }
    }
    hprintln!("{} layers, the same bits", cases);
    exit(true)
}

fn exit(success: bool) -> ! {
    loop {
        debug::exit(if success { EXIT_SUCCESS } else { EXIT_FAILURE });
    }
}
